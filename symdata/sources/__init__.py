"""Where upright images come from: embedded glyphs, idx files, image folders, tables, the Hub."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from symdata.errors import SourceError
from symdata.sources.base import Ref, Source
from symdata.sources.fit import RESIZES, Fit

__all__ = ["RESIZES", "Source", "SourceInfo", "list_sources", "open_source"]


class SourceInfo(NamedTuple):
    """One kind of source, for listings."""

    scheme: str
    reads: str
    example: str


def list_sources() -> list[SourceInfo]:
    """The kinds of source, one row each."""
    return [
        SourceInfo("glyphs", "letters and digits rendered from embedded fonts; offline, any size", "glyphs:OXNZ"),
        SourceInfo("idx", "folder of idx files (the MNIST family), plain or gzip", "data/mnist"),
        SourceInfo("folder", "folder with one folder a class: PNG, JPEG, BMP, TIFF, WebP, GIF", "data/flowers"),
        SourceInfo("parquet", "parquet file, or a folder of <split>-*.parquet", "data/cifar10"),
        SourceInfo("saved", "folder written by datasets.save_to_disk", "data/saved"),
        SourceInfo("hub", "dataset of the Hugging Face Hub", "hub:ylecun/mnist@main"),
    ]


def open_source(ref: str, *, size: int | None = None, resize: str = "bilinear", device: str = "cpu") -> Source:
    """Open a source by its reference.

    Args:
        ref: "glyphs", "glyphs:OXNZ", a path to a folder or parquet file, or "hub:user/name[@revision]"; options may
            follow: `,image=COLUMN`, `,label=COLUMN`, `,config=NAME`, `,splits=train+test`.
        size: side in pixels that every image is brought to; None leaves them as they are.
        resize: how: "bilinear", "area" or "bicubic" (an image that is not square is squashed), or "pad" (with zeros).
        device: where glyphs are rendered; every other source reads on the CPU.

    Raises SourceError for a source that is missing, empty, corrupt, unlabelled, of one class, or of mixed sizes.
    """
    fit = Fit(size, resize)
    if ref == "glyphs" or ref.startswith("glyphs:"):
        from symdata.sources.glyphs.source import open_glyphs

        return open_glyphs(ref, size=size, device=device)
    if ref.startswith("hub:"):
        from symdata.sources.hub import open_hub

        return open_hub(Ref.parse(ref), fit)
    return _open_path(Ref.parse(ref), fit)


def _open_path(ref: Ref, fit: Fit) -> Source:
    from symdata.sources import folder, idx, table

    place = Path(ref.place)
    if not place.exists():
        if place.parent.is_dir() and f"{place.name}-" in idx.find_idx(place.parent):
            return idx.open_idx(ref, fit)
        raise SourceError(_missing(ref.place))
    if place.is_file():
        if place.suffix != ".parquet":
            raise SourceError(
                f"{ref.place!r} is a file; expected a .parquet file or a folder: unpack an archive first."
            )
        return table.open_parquet(ref, fit)
    openers: dict[str, tuple[bool, Callable[[Ref, Fit], Source]]] = {
        "idx files": (any(idx.find_idx(place).values()), idx.open_idx),
        "parquet files": (bool(table.find_parquet(place)), table.open_parquet),
        "a datasets.save_to_disk folder": (table.is_saved(place), table.open_saved),
        "class folders of images": (any(len(parts) > 1 for parts in folder.image_files(place)), folder.open_folder),
    }
    found = {kind: opener for kind, (present, opener) in openers.items() if present}
    if len(found) > 1:
        raise SourceError(
            f"{ref.place!r} holds {' and '.join(found)}; move one kind to a folder of its own and name that."
        )
    if not found and not any(True for _ in folder.image_files(place, 1)):
        raise SourceError(_empty(place, list(openers)))
    return next(iter(found.values()), folder.open_folder)(ref, fit)


def _missing(place: str) -> str:
    hint = ""
    if re.fullmatch(r"[\w.-]+/[\w.-]+(@.+)?", place):
        hint = f" For the Hub write 'hub:{place}'."
    elif place.lower().startswith(("glyph", "hub")):
        hint = " For the embedded letters write 'glyphs', for the Hub 'hub:user/name'."
    return (
        f"source {place!r} is neither a file nor a folder here; expected 'glyphs', a path, or 'hub:user/name' "
        f"(`symdata sources` lists them).{hint}"
    )


def _empty(place: Path, kinds: list[str]) -> str:
    inside = sorted(path.name for path in place.iterdir() if not path.name.startswith("."))
    holds = f"holds only {', '.join(map(repr, inside[:4]))}" if inside else "is an empty folder"
    return (
        f"{str(place)!r} {holds}{' ...' if len(inside) > 4 else ''}; expected {', '.join(kinds[:-1])} or {kinds[-1]}."
    )
