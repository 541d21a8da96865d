"""Sources of upright images: embedded glyphs, idx and numpy files, image folders, tables, tar files, the Hub, Python.

To add a format, add a row to `_FORMATS` and a module with the name of its scheme, which has one or two functions:

    open_ref(ref: Ref, fit: Fit, device: str) -> Source    opens a reference
    found_at(place: Path) -> bool                          whether there are files of the format at a path
"""

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from symdata.errors import SourceError, whole
from symdata.sources.base import Ref, Source, known_split
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
        "folder with one folder a class: PNG, JPEG, TIFF, WebP, AVIF, PGM ...",
        "data/flowers",
        "class folders of images",
    ),
    SourceInfo(
        "npz", "numpy files: MedMNIST's .npz, or x_train.npy beside y_train.npy", "data/bloodmnist.npz", "numpy files"
    ),
    SourceInfo(
        "csv",
        ".csv, .tsv or .jsonl with a column of paths and one of labels",
        "data/birds.csv",
        "tables named after splits",
    ),
    SourceInfo(
        "webdataset", "WebDataset: .tar shards, 0001.jpg beside 0001.cls or 0001.json", "data/shards", "tar files"
    ),
    SourceInfo("masks", "folder `images` or class folders, and folder `masks`", "data/cells", "masks", ("folder",)),
    SourceInfo("coco", "COCO's instances_<split>.json beside images", "data/coco", "instances of COCO", ("folder",)),
    SourceInfo("yolo", "images and labels of YOLO with data.yaml", "data/yolo", "labels of YOLO", ("folder",)),
    SourceInfo("parquet", "parquet file, or a folder of <split>-*.parquet", "data/cifar10", "parquet files"),
    SourceInfo("saved", "folder written by datasets.save_to_disk", "data/saved", "a datasets.save_to_disk folder"),
    SourceInfo("hub", "dataset of the Hugging Face Hub", "hub:ylecun/mnist@main"),
    SourceInfo(
        "memory", "from Python: arrays, tensors, datasets of torch or Hugging Face", "symdata.make((images, labels))"
    ),
)


def list_sources() -> list[SourceInfo]:
    """The kinds of source.

    Example:
        >>> from symdata import list_sources
        >>> [kind.scheme for kind in list_sources()][:6]
        ['glyphs', 'idx', 'folder', 'npz', 'csv', 'webdataset']
    """
    return list(_FORMATS)


def open_source(
    ref: Any,
    *,
    size: int | None = None,
    resize: str | Fit = "bilinear",
    device: str = "cpu",
    check: bool = False,
    skip_bad: int = 0,
) -> Source:
    """Open a source by its reference, or images that are in memory already.

    Args:
        ref: "glyphs", "glyphs:OXNZ", a path to a folder or file, or "hub:user/name[@revision]"; options may follow:
            `,image=COLUMN`, `,label=COLUMN`, `,mask=COLUMN` (`,mask=semantic` of COCO), `,objects=COLUMN`, `,void=255`,
            `,config=NAME`, `,splits=train+test`; `,bits=12` scales images of that depth to 8 bits; `,background=white`
            (or black, alpha, none) says what is seen through transparency. Or
            `(images, labels)` as arrays or tensors, uint8 (n, H, W) or (n, H, W, 3), or `{"train": (images, labels)}`;
            a dataset of torch or `datasets`; any object with the members of `Source`.
        size: side in pixels that every image is resized to; None leaves them as they are.
        resize: "bilinear", "area" or "bicubic", which squash an image that is not square, or "pad" (with zeros); or a
            `Fit`, which has a size of its own.
        device: where glyphs are rendered; all other sources use the CPU.
        check: decode every image at once, and name all that cannot be used, by themselves or because of their masks,
            boxes or keypoints; by default only headers are read, and the first bad annotation is named.
        skip_bad: how many images that cannot be used are left out, and listed in `omitted`, before there is an error.

    Raises:
        SourceError: for a source that is missing, empty, corrupt, unlabelled, of one class, or of mixed sizes. Sources
            with masks or boxes may be unlabelled.

    Example:
        >>> from symdata import open_source
        >>> source = open_source("glyphs:digits", size=20)
        >>> source.shape, "".join(source.classes), source.splits
        ((1, 20, 20), '0123456789', {'train': 6000, 'validation': 1000, 'test': 1000})
        >>> import numpy as np
        >>> open_source((np.zeros((2, 8, 8), np.uint8), ["cat", "dog"])).classes
        ('cat', 'dog')
    """
    whole("skip_bad", skip_bad, 0, 10**9, SourceError)
    fit = resize if isinstance(resize, Fit) else Fit(size, resize)
    if not isinstance(ref, str | Path):
        from symdata.sources.memory import open_data

        return open_data(ref, fit, check, skip_bad)
    if not str(ref).strip():
        raise SourceError("the source is empty; name one, such as 'glyphs' (is a variable of the shell unset?)")
    parsed = replace(Ref.parse(str(ref)), check=check, skip_bad=skip_bad)
    source: Source = _reader(parsed).open_ref(parsed, fit, device)
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


def _reader(ref: Ref) -> Any:
    """The module that opens a place: of the scheme that it begins with, or the only one that finds files there."""
    place = ref.place
    if scheme := _scheme(place):
        return import_module(f"{__name__}.{scheme}")
    path = Path(place)
    readers = {kind: import_module(f"{__name__}.{kind.scheme}") for kind in _FORMATS if kind.files}
    found = [kind for kind, reader in readers.items() if reader.found_at(path)]
    covered = {scheme for kind in found for scheme in kind.covers}
    found = [kind for kind in found if kind.scheme not in covered]
    if len(found) > 1:
        tables = [kind.scheme for kind in found] == ["folder", "parquet"]
        if tables and readers[found[1]].lists_files(ref):
            return readers[found[1]]  # the images that the tables list lie in folders beside them
        mend = "; if the tables list these images, name the column of their paths with ,image=COLUMN" if tables else ""
        held = " and ".join(kind.files for kind in found)
        raise SourceError(f"{place!r} holds {held}; move one kind to a folder of its own and name that{mend}")
    from symdata.sources import folder

    if found and not (found[0].scheme == "folder" and _listed_in_a_table(path)):
        return readers[found[0]]
    if path.is_dir() and any(folder.image_files(path, depth=1)) and not _tables(path):
        return folder  # its error says that images need class folders
    raise SourceError(_nothing_found(place, [kind.files for kind in readers]))


def _nothing_found(place: str, kinds: list[str]) -> str:
    """The message for a path without a source."""
    from symdata.sources import csv, npz

    path = Path(place)
    if path.is_file():
        known = ", ".join((*npz.SUFFIXES, *csv.SUFFIXES, ".tar"))
        return f"{place!r} is a file; expected {known}, .parquet or a folder: unpack another archive first"
    if path.exists() and not path.is_dir():
        return f"{place!r} is neither a regular file nor a folder; expected a file of images or a folder"
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
    if tables := _tables(path):
        return f"{place!r} holds tables and no class folders; name the table of images, as in {str(tables[0])!r}"
    inside = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    holds = f"holds only {', '.join(map(repr, inside[:4]))}" if inside else "is an empty folder"
    more = " ..." if len(inside) > 4 else ""
    return f"{place!r} {holds}{more}; expected {', '.join(kinds[:-1])} or {kinds[-1]}"


def _tables(path: Path) -> list[Path]:
    """The tables of a folder, under any name."""
    from symdata.sources.csv import SUFFIXES

    return [entry for entry in sorted(path.iterdir()) if entry.suffix.lower() in SUFFIXES] if path.is_dir() else []


def _listed_in_a_table(path: Path) -> bool:
    """Whether a folder with a table has one folder of images, or folders named after splits, but none for a class."""
    from symdata.sources.folder import image_files

    if not _tables(path):
        return False
    places = {parts[:-1] for parts in image_files(path)}
    return len(places) == 1 or all(len(place) == 1 and known_split(place[0]) for place in places)
