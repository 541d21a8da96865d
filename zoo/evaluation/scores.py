"""Accuracy: under one element, under several, over angles. What experiments are made of."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.inference.sweep import Progress, check_width, checked, listed, sweep
from zoo.inference.views import turns
from zoo.preprocessing import Preprocessing


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
        fill: see `zoo.inference.views.FILLS`.
        batch_size, device, progress: as for `zoo.inference.sweep.sweep`.

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
