"""Batches of images, augmented, on the device.

A batch is a pure function of (seed, epoch, step), whatever the number of processes and restarts: the order is a
permutation by keyed hash, and the element and the shift that move an image have their keys from the image's row in the
dataset. Batches of one epoch differ in size by one at most: 6,000 images at 64 make 94 batches of 63 or 64, so that
every image is seen and no batch is too small for batch norm.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from symdata.keys import permutation, split_keys
from symdata.transforms.augmentation import RandomSymmetry
from symdata.transforms.orbits import OrbitBatch
from zoo.errors import ModelError
from zoo.preprocessing import Preprocessing
from zoo.training.config import TrainConfig
from zoo.training.data import Share, TrainingData
from zoo.training.shifts import draw_shifts, shift_images
from zoo.training.weighting import class_weights

Part = tuple[int, int]
"""Which of the processes this is, and how many there are."""


class Batch(NamedTuple):
    """The part of a batch that this process computes."""

    images: Tensor
    """(b, C, H, W) as the model takes them; with --augment orbit (|G| b, C, H, W), element by element."""
    labels: Tensor
    """(b,) int64; with orbits (|G| b,)."""
    size: int
    """Images of the whole batch, all processes together, with all their elements."""
    weight: float
    """The sum of their class weights; `size` if all classes weigh alike."""


class Batches:
    """Images on the device, resized once; each epoch has its own order, elements and shifts."""

    def __init__(
        self,
        config: TrainConfig,
        share: Share,
        preprocessing: Preprocessing,
        device: torch.device,
        part: Part,
        weights: Tensor | None = None,
    ) -> None:
        """`weights` are those of the classes, (classes,), or None if all weigh alike."""
        self.config, self.device, self.part = config, device, part
        self.rows = torch.from_numpy(share.rows).to(device)
        self.labels = share.labels.to(device)
        self.images = preprocessing.fitted(share.images).to(device)
        self.mean, self.std = (
            torch.tensor(v, dtype=torch.float32, device=device).view(-1, 1, 1)
            for v in (preprocessing.mean, preprocessing.std)
        )
        self.augment = make_augmentation(config)
        self.orbits = OrbitBatch(config.symmetry) if config.augment == "orbit" else None
        self.elements = 1 if self.orbits is None else len(self.orbits.group.elements)
        if self.orbits is not None:
            most = -(-min(config.batch_size, len(self.rows)) // part[1])
            self.orbits.check_memory((most, *self.images.shape[1:]), torch.float32.itemsize, device)
        self.weights = None if weights is None else weights.to(device, torch.float32)
        self._image_weights = None if weights is None else weights[share.labels]  # (n,) float64, on the CPU

    def __len__(self) -> int:
        return -(-len(self.rows) // self.config.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of epoch 0, 1, ..., of each the part of this process."""
        shuffled = torch.from_numpy(permutation(self.config.seed, "train", f"epoch-{epoch}", len(self.rows)))
        order = shuffled.to(self.device)
        moves = [self._keys(f"augment-{epoch}", self.rows[order]) if self.augment is not None else None]
        moves += [self._shifts(epoch, self.rows[order]) if self.config.shift else None]
        for number, (start, end) in enumerate(_parts(len(order), len(self))):
            low, high = (start + bound for bound in _parts(end - start, self.part[1])[self.part[0]])
            here = order[low:high]
            own = slice(low, high) if self.config.augment_per == "image" else slice(number, number + 1)
            keys, shifts = (None if values is None else values[own] for values in moves)
            size = end - start
            weight = size if self._image_weights is None else float(self._image_weights[shuffled[start:end]].sum())
            images, labels = self._ready(self.images[here], self.labels[here], keys, shifts), self.labels[here]
            if self.orbits is not None:
                images, labels = self.orbits(images).images, labels.repeat(self.elements)
            yield Batch(images, labels, size * self.elements, weight * self.elements)

    def plain(self, size: int = 512) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's part of all images in order, unmoved: images and labels."""
        low, high = _parts(len(self.rows), self.part[1])[self.part[0]]
        for start in range(low, high, size):
            here = slice(start, min(high, start + size))
            yield self._ready(self.images[here], self.labels[here], None, None), self.labels[here]

    def _keys(self, purpose: str, rows: Tensor) -> Tensor:
        """One key for each row, or for each batch."""
        if self.config.augment_per == "batch":
            rows = torch.arange(len(self), device=self.device)
        return split_keys(self.config.seed, "train", purpose, rows)

    def _shifts(self, epoch: int, rows: Tensor) -> Tensor:
        return draw_shifts(self._keys(f"shift-{epoch}", rows), self.config.shift)

    def _ready(self, images: Tensor, labels: Tensor, keys: Tensor | None, shifts: Tensor | None) -> Tensor:
        """The images as the model takes them, (b, C, H, W) float32: turned, then shifted, if there are keys, shifts."""
        unit = images.float() / 255
        border = self.config.fill == "background"
        if border:
            unit = self._moved(unit, labels, keys, shifts, "border")
        ready = (unit - self.mean) / self.std
        if not border:
            ready = self._moved(ready, labels, keys, shifts, "zeros")
        return ready.contiguous(memory_format=torch.channels_last) if self.config.channels_last else ready

    def _moved(
        self, images: Tensor, labels: Tensor, keys: Tensor | None, shifts: Tensor | None, padding: str
    ) -> Tensor:
        if keys is not None and self.augment is not None:
            images = self.augment(images, labels=labels, keys=keys)
        return images if shifts is None else shift_images(images, shifts, padding)


def make_batches(
    config: TrainConfig, data: TrainingData, preprocessing: Preprocessing, accelerator: Any
) -> tuple[Batches, Batches | None]:
    """This process's batches to train on, and those of the held out images."""
    part = (accelerator.process_index, accelerator.num_processes)
    train = Batches(config, data.train, preprocessing, accelerator.device, part, class_weights(config, data))
    if (least := len(train.rows) // len(train)) < part[1]:
        raise ModelError(f"{part[1]} processes share batches of {least} images; use fewer, or a larger --batch-size")
    held = data.validation
    return train, None if held is None else Batches(config, held, preprocessing, accelerator.device, part)


def make_augmentation(config: TrainConfig) -> RandomSymmetry | None:
    """The random elements of `config.symmetry`; None if there is only the identity, or if all elements are made."""
    if config.symmetry == "none" or config.augment == "orbit":
        return None
    options: dict[str, Any] = {"resample": config.resample, "same_on_batch": config.augment_per == "batch"}
    padding = "border" if config.fill == "background" else "zeros"
    return RandomSymmetry(config.symmetry, mask="none", padding=padding, **options)


def _parts(n: int, count: int) -> list[tuple[int, int]]:
    """0..n in `count` consecutive ranges, whose lengths differ by one at most."""
    return [(n * k // count, n * (k + 1) // count) for k in range(count)]
