"""Folders of images with masks of the same names in a second folder, `masks`.

    ROOT/images/[<split>/][<class>/]<name>.jpg    ROOT/masks/[<split>/][<class>/]<name>.png
    ROOT/[<split>/]<class>/<name>.jpg             ROOT/masks/[<split>/]<class>/<name>.png

A mask is a gray image or one with a palette, and its numbers are classes. `,void=N` names the number of pixels of which
nothing is known; by default it is 255.
"""

from pathlib import Path
from typing import NamedTuple

from symdata.annotations import Schema
from symdata.sources.annotated import AnnotatedSource, unlabelled, void_of
from symdata.sources.base import Ref, known_split, refusal, split_name
from symdata.sources.files import Facts, Labels, fingerprint_files
from symdata.sources.fit import Fit
from symdata.sources.folder import FileStore, image_files

IMAGES, MASKS = "images", "masks"
_LAYOUT = "expected ROOT/images/[<split>/][<class>/]NAME or ROOT/[<split>/]<class>/NAME, and the same below ROOT/masks"


def found_at(place: Path) -> bool:
    """Whether a folder holds a folder of masks beside one of images, or beside folders with a twin in it."""
    if not (place / MASKS).is_dir() or not any(image_files(place / MASKS)):
        return False
    if (place / IMAGES).is_dir():
        return any(image_files(place / IMAGES))
    beside = {path.name for path in place.iterdir() if path.is_dir()}
    return any(path.is_dir() and path.name in beside for path in (place / MASKS).iterdir())


def open_ref(ref: Ref, fit: Fit, device: str) -> AnnotatedSource:
    """Open a folder of images and masks; raises SourceError for an image without a mask, as for a bad one."""
    ref.only("splits", "void", "bits", "background")
    root = Path(ref.place)
    apart = (root / IMAGES).is_dir()
    found = image_files(root / IMAGES) if apart else (f for f in image_files(root) if f[0] != MASKS)
    files = [_File.of(parts, apart) for parts in found]
    if wrong := next((file for file in files if file.depth not in ((0, 1) if apart else (1,))), None):
        raise refusal(ref.text, f"{'/'.join(wrong.parts)!r} lies at an unexpected depth; {_LAYOUT}")
    if len({file.depth for file in files}) > 1:
        raise refusal(ref.text, f"some images lie in class folders and others do not; {_LAYOUT}")
    by_split = ref.select({split: [f for f in files if f.split == split] for split in {f.split for f in files}})
    images: dict[str, list[str]] = {split: [] for split in by_split}
    masks: dict[str, list[str]] = {split: [] for split in by_split}
    twins: dict[tuple[str, ...], str] = {_stem(parts): "/".join(parts) for parts in image_files(root / MASKS)}
    for split, own in by_split.items():
        for file in own:
            name = "/".join(file.parts)
            if _stem(file.parts) not in twins and not ref.thorough:
                raise refusal(ref.text, f"image {name!r} has no mask {f'{MASKS}/{name}'!r}; add it or remove the image")
            images[split].append(f"{IMAGES}/{name}" if apart else name)
            masks[split].append(f"{MASKS}/{twins.get(_stem(file.parts), name)}")
    names = {split: [file.parts[-2] for file in own] for split, own in by_split.items() if own[0].depth}
    labels = Labels.of(names) if names else unlabelled({split: len(own) for split, own in by_split.items()})
    paths = [root / name for own in masks.values() for name in own]
    hashed = fingerprint_files(root, [path for path in paths if path.is_file() or not ref.thorough])
    stores, schema = (FileStore(root, images), FileStore(root, masks)), Schema(masks=True, void=void_of(ref))
    return AnnotatedSource(Facts.at(ref, root), labels, stores[0], fit, ref, schema, masks=stores[1], hashed=hashed)


class _File(NamedTuple):
    """An image below the folder of images."""

    parts: tuple[str, ...]
    split: str
    depth: int
    """Folders between the split and the file: 1 is a class folder."""

    @classmethod
    def of(cls, parts: tuple[str, ...], apart: bool) -> "_File":
        """Read a path; outside `images` the only folder above a file is its class, even if it is named `test`."""
        named = len(parts) > (1 if apart else 2) and known_split(split_name(parts[0])) is not None
        return cls(parts, split_name(parts[0]) if named else "train", len(parts) - 1 - named)


def _stem(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A path without the suffix, which may differ between an image and its mask."""
    return (*parts[:-1], parts[-1].rpartition(".")[0])
