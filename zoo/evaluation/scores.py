"""Accuracy: under one element, under several, over angles. What experiments are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.evaluation.forwards import Progress, check_width, checked, sweep
from zoo.evaluation.views import turns
from zoo.measure.invariance import listed
from zoo.preprocessing import Preprocessing

Z = 1.959963984540054
"""Of a 95 % interval."""


@dataclass(frozen=True)
class Rate:
    """A share that was counted: so many of so many."""

    correct: int
    count: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]; 0 of nothing."""
        return self.correct / self.count if self.count else 0.0

    @property
    def standard_error(self) -> float:
        """Binomial, over the images: sqrt(p (1 - p) / n)."""
        return sqrt(self.value * (1.0 - self.value) / self.count) if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, after Wilson (1927): it stays in [0, 1] and does not shrink to a point where all are right."""
        if not self.count:
            return 0.0, 1.0
        n, p = self.count, self.value
        centre, half = p + Z * Z / (2 * n), Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON; what follows from the two counts stands beside them for readers."""
        return {
            "correct": self.correct,
            "count": self.count,
            "accuracy": self.value,
            "standard_error": self.standard_error,
            "interval": list(self.interval),
        }


def accuracy(
    model: nn.Module,
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    element: Element = Element(),  # noqa: B008  (frozen)
    *,
    fill: str = "background",
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress = lambda images: None,
) -> float:
    """The share of images that `model` puts into the right class once `element` has moved them, in [0, 1].

    Args:
        model: images (B, C, H, W) to logits (B, classes).
        images: uint8 (n, C, H, W), tensor or array.
        labels: (n,) class indices.
        preprocessing: of the model.
        element: degrees counter-clockwise as displayed, after a left-right mirror if it flips.
        fill: see `zoo.evaluation.views.FILLS`.
        batch_size, device, progress: as for `zoo.evaluation.forwards.sweep`.

    Raises:
        ModelError: if the model cannot run on these images, or has no output for a label.
    """
    more: dict[str, Any] = {"fill": fill, "batch_size": batch_size, "device": device, "progress": progress}
    return accuracies(model, images, labels, preprocessing, [element], **more)[0]


def accuracies(
    model: nn.Module,
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    elements: Group | str | Sequence[Element] = "d4",
    **options: Any,
) -> list[float]:
    """`accuracy` under each of several elements, or of a finite group, in order; images are prepared once for all."""
    right = answers(model, images, labels, preprocessing, listed(elements), **options)
    return [int(row.sum()) / len(row) for row in right]


def angle_curve(
    model: nn.Module,
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    angles: int | Sequence[float] = 36,
    **options: Any,
) -> list[float]:
    """Accuracy over angle: `angles` of them at equal distances from 0 on, or the given degrees, counter-clockwise.

    Bilinear, as published; multiples of 90 degrees are permutations of pixels. `options` are those of `accuracy`.
    """
    elements = turns(angles if isinstance(angles, int) else tuple(angles))
    return accuracies(model, images, labels, preprocessing, elements, **options)


def answers(
    model: nn.Module,
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    elements: Sequence[Element],
    **options: Any,
) -> Tensor:
    """(len(elements), n) bool: whether each image is put into the right class under each element."""
    images, labels = checked(images, labels)
    if not elements:
        raise ShapeError("there are no elements or angles to evaluate under; name some, for example 'd4'")
    right = torch.empty(len(elements), len(images), dtype=torch.bool)
    for rows, logits in sweep(model, images, preprocessing, elements, **options):
        if rows.start == 0:
            check_width(model, logits.shape[-1], labels, None)
        right[:, rows] = logits.argmax(-1) == labels[rows]
    return right
