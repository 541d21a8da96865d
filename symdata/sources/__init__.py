"""Sources of upright images: embedded glyphs, idx files, image folders, tables, the Hub.

To add a format, add a row to `_FORMATS` and a module with the name of its scheme, which has one or two functions:

    open_ref(ref: Ref, fit: Fit, device: str) -> Source    opens a reference
    found_at(place: Path) -> bool                          whether there are files of the format at a path
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from symdata.errors import SourceError
from symdata.sources.base import Ref, Source
from symdata.sources.fit import RESIZES, Fit

__all__ = ["RESIZES", "Source", "SourceInfo", "list_sources", "local_path", "open_source"]


class SourceInfo(NamedTuple):
    """A kind of source.

    Example:
        >>> from symdata.sources import list_sources
        >>> print(list_sources()[1].scheme, "reads a", list_sources()[1].reads)
        idx reads a folder of idx files (the MNIST family), plain or gzip
    """

    scheme: str
    reads: str
    example: str
    files: str = ""
    """What the files of the format are called in messages; empty if it is not found at a path."""
    covers: tuple[str, ...] = ()
    """Schemes that would find files of this format too, and are not asked where it is found."""


_FORMATS = (
    SourceInfo("glyphs", "letters and digits rendered from embedded fonts; offline, any size", "glyphs:OXNZ"),
    SourceInfo("idx", "folder of idx files (the MNIST family), plain or gzip", "data/mnist", "idx files"),
    SourceInfo(
        "folder",
        "folder with one folder a class: PNG, JPEG, BMP, TIFF, WebP, GIF",
        "data/flowers",
        "class folders of images",
    ),
    SourceInfo("masks", "folder `images` or class folders, and folder `masks`", "data/cells", "masks", ("folder",)),
    SourceInfo("coco", "COCO's instances_<split>.json beside images", "data/coco", "instances of COCO", ("folder",)),
    SourceInfo("yolo", "images and labels of YOLO with data.yaml", "data/yolo", "labels of YOLO", ("folder",)),
    SourceInfo("parquet", "parquet file, or a folder of <split>-*.parquet", "data/cifar10", "parquet files"),
    SourceInfo("saved", "folder written by datasets.save_to_disk", "data/saved", "a datasets.save_to_disk folder"),
    SourceInfo("hub", "dataset of the Hugging Face Hub", "hub:ylecun/mnist@main"),
)


def list_sources() -> list[SourceInfo]:
    """The kinds of source.

    Example:
        >>> from symdata import list_sources
        >>> [kind.scheme for kind in list_sources()]
        ['glyphs', 'idx', 'folder', 'masks', 'coco', 'yolo', 'parquet', 'saved', 'hub']
    """
    return list(_FORMATS)


def open_source(ref: str, *, size: int | None = None, resize: str = "bilinear", device: str = "cpu") -> Source:
    """Open a source by its reference.

    Args:
        ref: "glyphs", "glyphs:OXNZ", a path to a folder or parquet file, or "hub:user/name[@revision]"; options may
            follow: `,image=COLUMN`, `,label=COLUMN`, `,mask=COLUMN`, `,objects=COLUMN`, `,void=255`, `,config=NAME`,
            `,splits=train+test`.
        size: side in pixels that every image is resized to; None leaves them as they are.
        resize: "bilinear", "area" or "bicubic", which squash an image that is not square, or "pad" (with zeros).
        device: where glyphs are rendered; all other sources use the CPU.

    Raises:
        SourceError: for a source that is missing, empty, corrupt, unlabelled, of one class, or of mixed sizes. Sources
            with masks or boxes may be unlabelled.

    Example:
        >>> from symdata import open_source
        >>> source = open_source("glyphs:digits", size=20)
        >>> source.shape, "".join(source.classes), source.splits
        ((1, 20, 20), '0123456789', {'train': 6000, 'validation': 1000, 'test': 1000})
    """
    if not ref.strip():
        raise SourceError("the source is empty; name one, such as 'glyphs' (is a variable of the shell unset?)")
    parsed, fit = Ref.parse(ref), Fit(size, resize)
    source: Source = _reader(parsed.place).open_ref(parsed, fit, device)
    return source


def local_path(ref: str) -> Path | None:
    """The file or folder that a reference names; None if it is not on this disk.

    Example:
        >>> from symdata.sources import local_path
        >>> local_path("glyphs"), local_path("data/table.parquet,label=kind").name
        (None, 'table.parquet')
    """
    place = Ref.parse(ref).place
    return None if _scheme(place) else Path(place)


def _scheme(place: str) -> str | None:
    """The scheme that a place begins with, of sources that are not found at a path."""
    scheme, colon, _ = place.partition(":")
    named = (colon or place == "glyphs") and scheme in [kind.scheme for kind in _FORMATS if not kind.files]
    return scheme if named else None


def _reader(place: str) -> Any:
    """The module that opens a place: of the scheme that it begins with, or the only one that finds files there."""
    if scheme := _scheme(place):
        return import_module(f"{__name__}.{scheme}")
    path = Path(place)
    readers = {kind: import_module(f"{__name__}.{kind.scheme}") for kind in _FORMATS if kind.files}
    found = [kind for kind, reader in readers.items() if reader.found_at(path)]
    covered = {scheme for kind in found for scheme in kind.covers}
    found = [kind for kind in found if kind.scheme not in covered]
    if len(found) > 1:
        held = " and ".join(kind.files for kind in found)
        raise SourceError(f"{place!r} holds {held}; move one kind to a folder of its own and name that")
    if found:
        return readers[found[0]]
    from symdata.sources import folder

    if path.is_dir() and any(folder.image_files(path, depth=1)):
        return folder  # its error says that images need class folders
    raise SourceError(_nothing_found(place, [kind.files for kind in readers]))


def _nothing_found(place: str, kinds: list[str]) -> str:
    """The message for a path without a source."""
    path = Path(place)
    if path.is_file():
        return f"{place!r} is a file; expected a .parquet file or a folder: unpack an archive first"
    if not path.exists():
        hint = ""
        if re.fullmatch(r"[\w.-]+/[\w.-]+(@.+)?", place):
            hint = f"; for the Hub write 'hub:{place}'"
        elif place.lower().startswith(("glyph", "hub")):
            hint = "; for the embedded letters write 'glyphs', for the Hub 'hub:user/name'"
        return (
            f"source {place!r} is neither a file nor a folder here; expected 'glyphs', a path, or 'hub:user/name' "
            f"(`symdata sources` lists them){hint}"
        )
    inside = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    holds = f"holds only {', '.join(map(repr, inside[:4]))}" if inside else "is an empty folder"
    more = " ..." if len(inside) > 4 else ""
    return f"{place!r} {holds}{more}; expected {', '.join(kinds[:-1])} or {kinds[-1]}"
