"""The images that a model is tried on: a split of a dataset folder, or of any source that `symdata make` reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from symdata.errors import ShapeError
from symdata.groups import Elements
from symdata.recipes.catalog import find_recipe
from symdata.sources import open_source
from symdata.sources.files import sha256
from symdata.store import ImageDataset, load
from symdata.store.manifest import MANIFEST
from zoo.errors import ModelError
from zoo.inference.sweep import spread
from zoo.preprocessing import Preprocessing

POSED = (
    "the labels of this dataset speak of how an image stands; a moved image keeps its label here, so the accuracies "
    "under elements say how far the model tells them apart"
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, and what is known about how they stand."""

    name: str
    """Of dataset and split, for a reader."""
    images: Tensor
    """(n, C, H, W) uint8."""
    labels: np.ndarray
    """(n,) int64."""
    classes: tuple[str, ...]
    drawn: Elements | None
    """The elements that moved them; None for upright images."""
    posed: bool = False
    """Whether labels speak of how an image stands, so that a moved one would need another."""
    split: str | None = None
    manifest_sha256: str | None = None
    """Of symdata.json, which holds the hash of every image; None for a source that is no dataset folder."""


def open_trial(ref: str, split: str, preprocessing: Preprocessing, limit: int | None = None) -> ImageSet:
    """The images of a dataset folder, or of a source at the size of the model.

    Args:
        ref: a folder that `symdata make` wrote, or anything that `symdata.open_source` opens.
        split: name of the split.
        preprocessing: of the model: its size, so that images of mixed sizes can be read, and its channels.
        limit: only so many, the same random choice every time.

    Raises:
        SourceError, StoreError: if there are no such images.
        ShapeError: if they have another number of channels than the model takes.
    """
    if (Path(ref) / MANIFEST).is_file():
        trial = _of_dataset(load(ref, split), limit, sha256(Path(ref) / MANIFEST))
    else:
        trial = _of_source(ref, split, preprocessing, limit)
    channels = trial.images.shape[1]
    if channels not in (1, preprocessing.channels):
        raise ShapeError(
            f"the images of {ref!r} have {channels} channels and the model takes {preprocessing.channels}; "
            "use a model for such images, or other images"
        )
    return trial


def _of_dataset(dataset: ImageDataset, limit: int | None, digest: str) -> ImageSet:
    rows = spread(len(dataset), limit).numpy()
    recipe = dataset.manifest["spec"].get("recipe")
    canvas = "plain" if recipe is None else find_recipe(recipe).canvas
    posed = len(dataset.manifest["poses"]) > 1 or canvas != "plain"
    name, split = f"{dataset.manifest['name']}, {dataset.split}", dataset.split
    images, labels, drawn = dataset.images(rows), dataset.labels[rows], dataset.drawn[rows]
    return ImageSet(name, images, labels, dataset.classes, drawn, posed, split, digest)


def _of_source(ref: str, split: str, preprocessing: Preprocessing, limit: int | None) -> ImageSet:
    # Glyphs are rendered, not resized: at their own size they are what a dataset of them holds.
    size = None if ref.startswith("glyphs") else preprocessing.size
    source = open_source(ref, size=size, resize=preprocessing.resize)
    labels = source.labels(split)
    rows = spread(len(labels), limit).numpy()
    name, images = f"{source.name}, {split}", source.read(split, rows)
    return ImageSet(name, images, labels[rows], source.classes, None, split=split)


def check_classes(model: Sequence[str] | None, data: Sequence[str]) -> None:
    """`ModelError` unless the model's classes, where they are known, are those of the images, in the same order."""
    if model is None or tuple(model) == tuple(data):
        return
    if sorted(model) == sorted(data):
        k = next(i for i, (a, b) in enumerate(zip(model, data, strict=True)) if a != b)
        raise ModelError(
            f"model and images have the same classes in another order: class {k} is {model[k]!r} to the model and "
            f"{data[k]!r} in the images; list the classes of the images in the order of the model"
        )
    raise ModelError(
        f"the model knows {len(model)} classes ({_some(model)}) and the images are of {len(data)} ({_some(data)}); "
        "use images of the same classes"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
