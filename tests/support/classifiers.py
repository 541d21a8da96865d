"""Hand-made classifiers whose behaviour under every element is known beforehand, and real digits for them."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from symdata.groups import Element
from symdata.sources import open_source
from zoo.layers.regular import move
from zoo.preprocessing import Preprocessing

UNIT = Preprocessing(28, (0.0,), (1.0,))
"""Values in [0, 1], as they are."""


@lru_cache(maxsize=8)
def digits(data: Path, split: str, count: int) -> tuple[Tensor, Tensor]:
    """The first images and labels of MNIST: (count, 1, 28, 28) uint8 and (count,) int64."""
    source = open_source(str(data / "mnist"))
    return source.read(split, np.arange(count)), torch.from_numpy(source.labels(split)[:count])


class Centroids(nn.Module):
    """The class whose mean image is nearest: 80 % of upright digits, and no symmetry at all."""

    def __init__(self, images: Tensor, labels: Tensor, classes: int = 10) -> None:
        super().__init__()
        x = self.look(images.float() / 255)
        self.register_buffer("means", torch.stack([x[labels == c].mean(0) for c in range(classes)]))

    def look(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.look(x) @ self.means.T - (self.means**2).sum(1)


class SortedCentroids(Centroids):
    """The same on sorted pixels: what a permutation of pixels does to an image is not seen, bit for bit."""

    def look(self, x: Tensor) -> Tensor:
        return x.flatten(1).sort(1).values


class BrokenAt(nn.Module):
    """A classifier that gives wrong answers once one element has moved an image that carries the marker."""

    SPOT = (1, 3)
    """Row and column of the marker; no two elements of d4 move it to one place."""

    def __init__(self, classifier: nn.Module, element: Element, size: int = 28) -> None:
        super().__init__()
        self.classifier = classifier
        plane = torch.zeros(1, 1, size, size)
        plane[..., self.SPOT[0], self.SPOT[1]] = 1.0
        self.register_buffer("where", move(plane, element))

    @classmethod
    def mark(cls, images: Tensor) -> Tensor:
        marked = images.clone()
        marked[..., cls.SPOT[0], cls.SPOT[1]] = 255
        return marked

    def forward(self, x: Tensor) -> Tensor:
        logits = self.classifier(x)
        moved = (x * self.where).amax((-3, -2, -1)) > 0.5
        return torch.where(moved[:, None], logits.roll(1, 1), logits)


class Counting(nn.Module):
    """Counts the images that go through a classifier."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier, self.seen, self.batches = classifier, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        self.batches = max(self.batches, len(x))
        return self.classifier(x)
