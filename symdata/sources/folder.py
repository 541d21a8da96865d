"""Image folders: `ROOT/<class>/*.png` (one split, "train") or `ROOT/<split>/<class>/*.png`.

Classes are the sorted names of the class folders of all splits, in NFC; images are sorted by name. Files without the
suffix of an image are passed over and counted. Names that start with a dot are ignored. `,columns=slide.csv` takes the
columns of a table in the folder, one of which holds the paths or names of all images.
"""

import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from symdata.errors import SourceError
from symdata.sources.base import Ref, known_split, name_splits, split_name
from symdata.sources.encoded import EncodedSource
from symdata.sources.extra import NO_EXTRA_COLUMNS, columns_of
from symdata.sources.files import Facts, Labels, check_regular, composed, printable
from symdata.sources.fit import Fit
from symdata.sources.rows import JSON_LINES, SEPARATED, columns_beside

IGNORED = (".", "__MACOSX")
"""What the names of files and folders begin with that are not looked at."""
_LAYOUT = "expected ROOT/<class>/*.png or ROOT/<split>/<class>/*.png"


class FileStore:
    """Image files by their path relative to the root."""

    apart = False

    def __init__(self, root: Path, files: dict[str, list[str]]) -> None:
        self.root, self.files = root, files

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Bytes of the files at `indices`."""
        blobs = []
        for index in indices:
            path = self.root / self.files[split][index]
            check_regular(path)
            try:
                blobs.append(path.read_bytes())
            except OSError as error:
                raise SourceError(f"cannot read {str(path)!r}: {error.strerror}") from None
        return blobs

    def name(self, split: str, index: int) -> str:
        """Path of one image below the root."""
        return printable(self.files[split][index])


@cache
def suffixes() -> frozenset[str]:
    """Suffixes of the files that are read as images: of all `FORMATS` that this Pillow opens."""
    from PIL import Image

    from symdata.sources.decode import FORMATS

    return frozenset(end for end, kind in Image.registered_extensions().items() if kind in FORMATS)


def image_files(root: Path, depth: int = 4) -> Iterator[tuple[str, ...]]:
    """Parts of the path, relative to `root`, of every image file down to `depth` levels; sorted; links are followed.

    Raises:
        SourceError: for a FIFO, a device or an empty folder with the name of an image.
    """
    yield from (parts for parts in _walk(root, depth) if _suffix(parts[-1]) in suffixes())


def _walk(root: Path, depth: int) -> Iterator[tuple[str, ...]]:
    """Parts of the paths of all entries but folders; what has the name of an image and cannot be one is refused."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith(IGNORED):
            continue
        empty = True
        for rest in _walk(Path(entry.path), depth - 1) if depth > 1 and entry.is_dir() else ():
            yield (entry.name, *rest)
            empty = False
        if _suffix(entry.name) in suffixes() and empty and not entry.is_file():
            check_regular(Path(entry.path))
        if not entry.is_dir():
            yield (entry.name,)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def found_at(place: Path) -> bool:
    """Whether a folder holds folders with images."""
    return place.is_dir() and any(len(parts) > 1 for parts in image_files(place))


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open a folder of class folders; raises SourceError for any other layout."""
    ref.only("splits", "bits", "background", "columns")
    root = Path(ref.place)
    files = list(image_files(root))
    _check_layout(ref, root, files)
    split_of = name_splits(sorted({parts[0] for parts in files if len(parts) == 3}), ref.place)
    by_split: dict[str, list[tuple[str, ...]]] = {}
    for parts in files:
        by_split.setdefault(split_of.get(parts[0], "train") if len(parts) == 3 else "train", []).append(parts)
    by_split = ref.select(by_split)
    labels = Labels.of({split: _class_names(ref, found) for split, found in by_split.items()})
    names = {split: ["/".join(parts) for parts in found] for split, found in by_split.items()}
    store, facts, extra = FileStore(root, names), Facts.at(ref, root), NO_EXTRA_COLUMNS
    if table := _table(ref, root):
        facts, store.apart = Facts.at(ref, root, [table]), True
        extra = columns_of(columns_beside(ref, table, names))
    source = EncodedSource(facts, labels, store, fit, ref, extra)
    if table is None:
        beside = (path for path in sorted(root.iterdir()) if path.suffix.lower() in (*SEPARATED, *JSON_LINES))
        source.tables = [path.name for path in beside]
    if passed_over := _passed_over(root, len(files[0])):
        source.omitted = {**source.omitted, "passed_over": passed_over}
    return source


def _table(ref: Ref, root: Path) -> Path | None:
    """The table that `,columns=` names, in the folder itself."""
    if (name := ref.options.get("columns")) is None:
        return None
    if not name or name != Path(name).name:
        raise SourceError(f"{ref.place!r}: columns={name}, expected a table in that folder, as in columns=slide.csv")
    return root / name


def _class_names(ref: Ref, files: list[tuple[str, ...]]) -> list[str]:
    """The class of each file of a split: the name of its folder, which no other folder of the split may share."""
    folders: dict[str, str] = {}
    for folder in sorted({parts[-2] for parts in files}):
        name = composed(printable(folder))
        if (other := folders.setdefault(name, folder)) != folder:
            raise SourceError(
                f"{ref.place!r}: the class folders {other!a} and {folder!a} have the same name {name!r} in "
                "another spelling of Unicode; rename one of them, or move its images into the other"
            )
    return [composed(printable(parts[-2])) for parts in files]


def _passed_over(root: Path, depth: int) -> dict[str, int]:
    """Number of files beside the images that have no suffix of one, by suffix; those without any under their name."""
    others = (parts[-1] for parts in _walk(root, depth) if len(parts) == depth and _suffix(parts[-1]) not in suffixes())
    return dict(sorted(Counter(printable(_suffix(name) or name) for name in others).items()))


def _check_layout(ref: Ref, root: Path, files: list[tuple[str, ...]]) -> None:
    depths = {len(parts): parts for parts in files}
    if 1 in depths:
        loose = sum(len(parts) == 1 for parts in files)
        raise SourceError(
            f"{ref.place!r}: {loose} images, such as {depths[1][0]!r}, lie outside any class folder, so their labels "
            f"are missing; move each to {root}/<class>/"
        )
    if len(depths) > 1 or 4 in depths:
        listing = " and ".join(repr("/".join(parts)) for parts in depths.values())
        raise SourceError(f"{ref.place!r} holds images at an unexpected depth: {listing}; {_LAYOUT}")
    tops = sorted({parts[0] for parts in files})
    if 3 in depths and not any(known_split(split_name(top)) for top in tops):
        raise SourceError(
            f"{ref.place!r}: {', '.join(tops[:3])} hold folders but none is a split (train, test ...); {_LAYOUT}"
        )
    parents = [root / top for top in tops] if 3 in depths else [root]
    for folder in sorted(path for parent in parents for path in parent.iterdir() if path.is_dir()):
        # As in ImageFolder: without this error the class would be missing silently.
        if not folder.name.startswith(IGNORED) and not any(image_files(folder, depth=1)):
            raise SourceError(
                f"class folder {str(folder)!r} holds no images (.png, .jpg or another of {len(suffixes())} suffixes); "
                "fill it or remove it"
            )
