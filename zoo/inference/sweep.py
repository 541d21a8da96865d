"""Running a classifier over many images under many elements, and the checks of its inputs and outputs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from symdata.keys import permutation
from zoo.errors import ModelError
from zoo.inference.forward import classify, eval_mode, rehearse
from zoo.inference.views import Views
from zoo.preprocessing import Preprocessing

Progress = Callable[[int], None]

Moves = Group | str | Sequence[Element]
"""What moves images: a finite group, its name, or elements of O(2)."""


def sweep(
    model: nn.Module,
    images: Tensor,
    preprocessing: Preprocessing,
    elements: Sequence[Element],
    *,
    fill: str = "background",
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress = lambda images: None,
) -> Iterator[tuple[slice, Tensor]]:
    """The logits of every image under every element, batch by batch.

    Each batch is resized and normalised once. The model runs without gradients in eval mode; once the iterator is
    exhausted or closed, every module has its mode again.

    Args:
        model: images (B, C, H, W) to logits (B, classes).
        images: uint8 (n, C, H, W).
        preprocessing: of the model.
        elements: of O(2), in the order of the logits.
        fill: see `zoo.inference.views.FILLS`.
        batch_size: images per forward; by default as many as keep the largest activation in the cache.
        device: to run on; by default the model's. The model is moved back afterwards.
        progress: called with the number of images that went through the model since the last call.

    Yields:
        rows of the batch, and logits (len(elements), B, classes), float32 on the CPU.
    """
    with eval_mode(model, device) as where, torch.no_grad():
        fitting, layout = rehearse(model, Views(images[:1], preprocessing, fill, where).upright)
        step = batch_size or fitting
        for start in range(0, len(images), step):
            rows = slice(start, min(start + step, len(images)))
            views = Views(images[rows], preprocessing, fill, where)
            logits = []
            for element in elements:
                logits.append(classify(model, views.under(element).clone(memory_format=layout)).float().cpu())
                progress(rows.stop - rows.start)
            yield rows, torch.stack(logits)


def predictions(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    preprocessing: Preprocessing,
    elements: Sequence[Element],
    **options: Any,
) -> Tensor:
    """The predicted class of every image under every element: (len(elements), n) int64.

    `options` are those of `sweep`. `ModelError` if the model has no output for one of `labels`, where they are known.
    """
    found = []
    for rows, logits in sweep(model, images, preprocessing, elements, **options):
        if rows.start == 0 and labels is not None:
            check_width(model, logits.shape[-1], labels, None)
        found.append(logits.argmax(-1))
    return torch.cat(found, 1)


def checked(images: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors; `ShapeError` unless they are uint8 (n, C, H, W) and integers (n,)."""
    images, labels = torch.as_tensor(images), torch.as_tensor(labels)
    if images.ndim != 4 or images.dtype != torch.uint8 or not len(images):
        got = f"{images.dtype} {tuple(images.shape)}"
        raise ShapeError(
            f"images are {got}, expected uint8 (n, C, H, W) with n > 0; (x * 255).round().byte() makes them so"
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        got = f"{labels.dtype} {tuple(labels.shape)}"
        raise ShapeError(f"labels are {got} for {len(images)} images, expected one class index for each")
    return images, labels.long().cpu()


def check_width(model: nn.Module, width: int, labels: Tensor, classes: Sequence[str] | None) -> None:
    """Raise `ModelError` unless the model has one output for each class, and every label is one of them."""
    if classes is not None and width != len(classes):
        raise ModelError(
            f"{type(model).__name__} has {width} outputs and there are {len(classes)} classes; "
            "use a model for these classes"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= width:
        raise ModelError(
            f"the labels are {low} to {high} and {type(model).__name__} has {width} outputs, 0 to {width - 1}; "
            "use a model for these classes"
        )


def spread(count: int, limit: int | None) -> Tensor:
    """Rows 0..count - 1, or `limit` of them in order: a random choice, the same every time."""
    if limit is not None and limit < 1:
        raise ShapeError(f"limit is {limit}, expected a number of images, for example 1000")
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.from_numpy(np.sort(permutation(0, "evaluation", "limit", count)[:limit]))


def listed(elements: Moves) -> tuple[Element, ...]:
    """The elements of a finite group, given by value or name; elements in a sequence as they are."""
    if isinstance(elements, str):
        elements = Group.parse(elements)
    return elements.elements if isinstance(elements, Group) else tuple(elements)
