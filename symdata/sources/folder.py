"""Image folders: `ROOT/<class>/*.png` (one split, "train") or `ROOT/<split>/<class>/*.png`.

Classes are the sorted names of the class folders of all splits; images are sorted by name. Files without an image
suffix, and names that start with a dot, are ignored.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from symdata.errors import SourceError
from symdata.sources.base import Ref, known_split, split_name
from symdata.sources.encoded import EncodedSource
from symdata.sources.files import Facts, Labels
from symdata.sources.fit import Fit

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
_IGNORED = (".", "__MACOSX")
_LAYOUT = "expected ROOT/<class>/*.png or ROOT/<split>/<class>/*.png"


class FileStore:
    """Image files by their path relative to the root."""

    def __init__(self, root: Path, files: dict[str, list[str]]) -> None:
        self.root, self.files = root, files

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Bytes of the files at `indices`."""
        blobs = []
        for index in indices:
            path = self.root / self.files[split][index]
            try:
                blobs.append(path.read_bytes())
            except OSError as error:
                raise SourceError(f"cannot read {str(path)!r}: {error.strerror}") from None
        return blobs

    def name(self, split: str, index: int) -> str:
        """Path of one image below the root."""
        return self.files[split][index]


def image_files(root: Path, depth: int = 4) -> Iterator[tuple[str, ...]]:
    """Parts of the path, relative to `root`, of every image file down to `depth` levels; sorted; links are followed."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith(_IGNORED):
            continue
        if entry.is_dir():
            if depth > 1:
                yield from ((entry.name, *rest) for rest in image_files(Path(entry.path), depth - 1))
        elif entry.name.lower().endswith(SUFFIXES):
            yield (entry.name,)


def found_at(place: Path) -> bool:
    """Whether a folder holds folders with images."""
    return place.is_dir() and any(len(parts) > 1 for parts in image_files(place))


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open a folder of class folders; raises SourceError for any other layout."""
    ref.only("splits")
    root = Path(ref.place)
    files = list(image_files(root))
    _check_layout(ref, root, files)
    by_split: dict[str, list[tuple[str, ...]]] = {}
    for parts in files:
        split = split_name(parts[0]) if len(parts) == 3 else "train"
        found = by_split.setdefault(split, [])
        if len(parts) == 3 and found and found[0][0] != parts[0]:
            raise SourceError(
                f"{ref.place!r}: {found[0][0]!r} and {parts[0]!r} both name split {split!r}; rename one of them"
            )
        found.append(parts)
    by_split = ref.select(by_split)
    labels = Labels.of({split: [parts[-2] for parts in found] for split, found in by_split.items()})
    names = {split: ["/".join(parts) for parts in found] for split, found in by_split.items()}
    return EncodedSource(Facts.at(ref, root), labels, FileStore(root, names), fit)


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
        if not folder.name.startswith(_IGNORED) and not any(image_files(folder, depth=1)):
            raise SourceError(
                f"class folder {str(folder)!r} holds no images ({', '.join(SUFFIXES)}); fill it or remove it"
            )
