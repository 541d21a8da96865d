"""The training images: opened, checked, held in memory, and served as batches.

A batch is a pure function of (seed, epoch, step), whatever the number of processes and restarts: the order is a
permutation by keyed hash, and the element that moves an image has its key from the image's row in the dataset. Batches
of one epoch differ in size by one at most: 6,000 images at 64 make 94 batches of 63 or 64, so that every image is seen
and no batch is too small for batch norm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.keys import permutation, split_keys
from symdata.store import ImageDataset, load, splits
from symdata.store.manifest import MANIFEST
from symdata.symmetry import Symmetry
from symdata.transforms.augmentation import RandomSymmetry
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
    if len(dataset.classes) < 2:
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


Part = tuple[int, int]
"""Which of the processes this is, and how many there are."""


class Batches:
    """Images on the device, resized once; each epoch has its own order and its own elements."""

    def __init__(
        self, config: TrainConfig, share: Share, preprocessing: Preprocessing, device: torch.device, part: Part
    ) -> None:
        self.config, self.device, self.part = config, device, part
        self.rows = torch.from_numpy(share.rows).to(device)
        self.labels = share.labels.to(device)
        self.images = preprocessing.fitted(share.images).to(device)
        self.mean, self.std = (
            torch.tensor(v, dtype=torch.float32, device=device).view(-1, 1, 1)
            for v in (preprocessing.mean, preprocessing.std)
        )
        self.augment = make_augmentation(config)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.config.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, int]]:
        """For every batch of epoch 0, 1, ...: this process's images (b, C, H, W), their labels (b,), its full size."""
        order = torch.from_numpy(permutation(self.config.seed, "train", f"epoch-{epoch}", len(self.rows)))
        order = order.to(self.device)
        keys = self._keys(epoch, self.rows[order])
        for number, (start, end) in enumerate(_parts(len(order), len(self))):
            low, high = (start + bound for bound in _parts(end - start, self.part[1])[self.part[0]])
            here = order[low:high]
            own = None if keys is None else keys[low:high] if len(keys) == len(order) else keys[number : number + 1]
            yield self._ready(self.images[here], self.labels[here], own), self.labels[here], end - start

    def plain(self, size: int = 512) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's part of all images in order, unmoved: images and labels."""
        low, high = _parts(len(self.rows), self.part[1])[self.part[0]]
        for start in range(low, high, size):
            here = slice(start, min(high, start + size))
            yield self._ready(self.images[here], self.labels[here], None), self.labels[here]

    def _keys(self, epoch: int, rows: Tensor) -> Tensor | None:
        """One key for each row, or for each batch."""
        if self.augment is None:
            return None
        if self.config.augment_per == "batch":
            rows = torch.arange(len(self), device=self.device)
        return split_keys(self.config.seed, "train", f"augment-{epoch}", rows)

    def _ready(self, images: Tensor, labels: Tensor, keys: Tensor | None) -> Tensor:
        """The images as the model takes them, (b, C, H, W) float32."""
        unit = images.float() / 255
        if keys is not None and self.augment is not None and self.config.fill == "background":
            unit = self.augment(unit, labels=labels, keys=keys)
        ready = (unit - self.mean) / self.std
        if keys is not None and self.augment is not None and self.config.fill == "zero":
            ready = self.augment(ready, labels=labels, keys=keys)
        return ready.contiguous(memory_format=torch.channels_last) if self.config.channels_last else ready


def make_batches(
    config: TrainConfig, data: TrainingData, preprocessing: Preprocessing, accelerator: Any
) -> tuple[Batches, Batches | None]:
    """This process's batches to train on, and those of the held out images."""
    part = (accelerator.process_index, accelerator.num_processes)
    train = Batches(config, data.train, preprocessing, accelerator.device, part)
    if (least := len(train.rows) // len(train)) < part[1]:
        raise ModelError(f"{part[1]} processes share batches of {least} images; use fewer, or a larger --batch-size")
    held = data.validation
    return train, None if held is None else Batches(config, held, preprocessing, accelerator.device, part)


def make_augmentation(config: TrainConfig) -> RandomSymmetry | None:
    """The random elements of `config.symmetry`; None if there is only the identity."""
    if config.symmetry == "none":
        return None
    options: dict[str, Any] = {"resample": config.resample, "same_on_batch": config.augment_per == "batch"}
    padding = "border" if config.fill == "background" else "zeros"
    return RandomSymmetry(config.symmetry, mask="none", padding=padding, **options)


def _parts(n: int, count: int) -> list[tuple[int, int]]:
    """0..n in `count` consecutive ranges, whose lengths differ by one at most."""
    return [(n * k // count, n * (k + 1) // count) for k in range(count)]
