"""The training images: opened, checked, divided into those to train on and those held out, and held in memory."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from symdata.keys import permutation
from symdata.store import ImageDataset, load, splits
from symdata.store.manifest import MANIFEST
from symdata.symmetry import Symmetry
from zoo.errors import ModelError
from zoo.preprocessing import Preprocessing
from zoo.training.config import TrainConfig


@dataclass(frozen=True, eq=False)
class Share:
    """Some images of one split."""

    dataset: ImageDataset
    rows: np.ndarray
    """(n,) int64, ascending: their rows in the split."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """(n,) int64."""
        return self.dataset.labels[self.rows]

    @property
    def source_images(self) -> int:
        """How many source images these are of; fewer than images if some repeat."""
        return len(np.unique(self.dataset.index[self.rows]))

    @cached_property
    def images(self) -> Tensor:
        """(n, C, H, W) uint8, as stored; decoded at the first use."""
        return self.dataset.images(self.rows)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The images that a run trains on, and those that it holds out."""

    train: Share
    validation: Share | None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.dataset.classes


def open_data(config: TrainConfig) -> TrainingData:
    """The images that `config` trains on, from the train split and, if there is one, the validation split.

    Raises:
        ModelError: if the folder is no dataset, has no train split, or has too few images for a batch.
    """
    _check_folder(Path(config.data))
    dataset = _opened(config.data, "train")
    if len(dataset.classes) < 2 and config.kind == "train":
        kinds = (
            "" if dataset.annotated is None else f", and has {', '.join(dataset.annotated.kinds)} for your own training"
        )
        raise ModelError(
            f"{config.data!r} has one class, {dataset.classes[0]!r}, and a classifier tells two or more apart{kinds}"
        )
    Symmetry.parse(config.symmetry).resolve(dataset.classes)
    order = permutation(config.seed, "train", "limit", len(dataset))[: config.limit]
    own = "validation" in splits(config.data)
    held = order[:0] if own else _held_out(dataset, order, round(config.validation * len(order)))
    rest = order[~np.isin(order, held)]
    if len(rest) < config.batch_size:
        raise ModelError(
            f"{config.data!r} has {len(rest)} images to train on, fewer than a batch of {config.batch_size}; "
            f"use --batch-size {max(2, len(rest))} or smaller, or a larger dataset"
        )
    train = Share(dataset, np.sort(rest))
    if config.validation == 0.0:
        return TrainingData(train, None)
    if len(held):
        return TrainingData(train, Share(dataset, np.sort(held)))
    if not own:
        raise ModelError(
            f"a share of {config.validation:g} of {len(order)} images is none; use --validation 0 for no validation"
        )
    given = _opened(config.data, "validation")
    return TrainingData(train, Share(given, np.arange(len(given))))


def _held_out(dataset: ImageDataset, order: np.ndarray, count: int) -> np.ndarray:
    """The first `count` rows of `order`, and as many more as make up whole source images, or groups of `group_by`.

    Raises:
        ModelError: if nothing would be left, or if pairs share images with others.
    """
    by = dataset.manifest["spec"].get("group_by")
    column = "index" if by is None else dataset.manifest["columns"]["kept"][by]
    _, first, inverse, sizes = np.unique(
        dataset.column(column)[order], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.argsort(np.argsort(first))[inverse]  # of the image of each row, by where it first occurs
    whole = int(np.searchsorted(np.cumsum(sizes[np.argsort(first)]), count)) + 1 if count else 0
    held = order[rank < whole]
    if count and whole == len(sizes):
        raise ModelError(
            f"{str(dataset.folder)!r} has {len(order)} training images of {len(sizes)} different values of column "
            f"{column!r}, which are not divided, and holding out {count} leaves none; use --validation 0"
        )
    if len(held) and "index_right" in dataset.columns:
        images = np.stack([dataset.column("index"), dataset.column("index_right")])
        if np.isin(images[:, held], images[:, np.setdiff1d(order, held)]).any():
            raise ModelError(
                f"the pairs of {str(dataset.folder)!r} share source images, so none can be held out of them; make the "
                "dataset with a validation split, as in `symdata make ... --validation 0.1`, or use --validation 0"
            )
    return held


def _opened(folder: str, split: str) -> ImageDataset:
    dataset = load(folder, split)
    low, high = int(dataset.labels.min()), int(dataset.labels.max())
    if low < 0 or high >= len(dataset.classes):
        raise ModelError(
            f"{str(dataset.folder)!r} has labels {low} to {high} for {len(dataset.classes)} classes: it was changed; "
            "build the dataset again"
        )
    return dataset


def _check_folder(folder: Path) -> None:
    if not (folder / MANIFEST).exists():
        name = folder.resolve().name or "data"
        if not folder.exists():
            source = f"{folder} " if str(folder).startswith(("glyphs", "hub:")) else ""
            make = f"symdata make {source}--symmetry none --out mine"
            raise ModelError(f"{str(folder)!r} does not exist; make a dataset with `{make}`, and train on mine")
        raise ModelError(
            f"{str(folder)!r} is not a symdata dataset; if it holds images, make it one with "
            f"`symdata make {folder} --symmetry none --out {name}-none` and train on {name}-none"
        )
    if "train" not in (found := splits(folder)):
        raise ModelError(f"{str(folder)!r} has no split 'train', only {', '.join(found)}; train on another dataset")


def make_preprocessing(config: TrainConfig, size: int, train: Share) -> Preprocessing:
    """Size, scale and normalisation: as configured, or with mean and std of all pixels of the training images."""
    stored = train.dataset.shape[0]
    given = max(len(config.mean or ()), len(config.std or ()), 1)
    channels = config.channels or (given if stored == 1 else stored)
    if stored not in (1, channels):
        raise ModelError(
            f"images of {config.data!r} have {stored} channels and the model would take {channels}; "
            f"use --channels {stored}, or a grey dataset"
        )
    for name, values in (("mean", config.mean), ("std", config.std)):
        if values is not None and len(values) not in (1, channels):
            raise ModelError(f"{name} has {len(values)} numbers for {channels} channels; give one, or {channels}")
    if config.mean is None or config.std is None:
        mean, std = _moments(Preprocessing(size, (0.0,) * stored, (1.0,) * stored, config.resize).fitted(train.images))
    else:
        mean, std = config.mean, config.std
    mean, std = (v * channels if len(v) == 1 else v for v in (mean, std))
    return Preprocessing(size, mean, std, config.resize)


def _moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, of values in [0, 1]; computed from histograms, exact for any number."""
    value = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1), minlength=256).double()
        m = float((counts * value).sum() / counts.sum())
        s = float(((counts * (value - m) ** 2).sum() / counts.sum()).sqrt())
        mean.append(m)
        std.append(s if s > 0.0 else 1.0)  # a blank channel
    return tuple(mean), tuple(std)
