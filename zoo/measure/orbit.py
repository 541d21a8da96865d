"""A classifier on whole orbits: its accuracy under every element of a group, and how often it stays with its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.inference.sweep import check_width, checked, listed, sweep
from zoo.measure.estimates import Estimate, Rate
from zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class OrbitAccuracy:
    """What a classifier answers when each of its images is moved by every element."""

    elements: tuple[str, ...]
    rates: tuple[Rate, ...]
    """Accuracy under each element."""
    accuracy: Estimate
    """Over elements and images. Elements of one image are no independent trials, so its error is that over images."""
    agreement: Estimate
    """The share of moved images whose answer is the one they had before."""
    always_right: Rate
    """Images that are put into the right class under every element."""
    always_same: Rate
    """Images whose answer no element changes."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "elements": {name: rate.to_dict() for name, rate in zip(self.elements, self.rates, strict=True)},
            "accuracy": self.accuracy.to_dict(),
            "agreement": self.agreement.to_dict(),
            "always_right": self.always_right.to_dict(),
            "always_same": self.always_same.to_dict(),
        }


def orbit_accuracy(
    model: nn.Module,
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    elements: Group | str | Sequence[Element] = "d4",
    **options: Any,
) -> OrbitAccuracy:
    """The accuracy of a classifier over the orbits of its images, and how far its answers agree along them.

    Args:
        model: images (B, C, H, W) to logits (B, classes); it is left in the mode, and where, it was.
        images: uint8 (n, C, H, W), tensor or array.
        labels: (n,) class indices.
        preprocessing: of the model.
        elements: a finite group, its name, or elements of O(2).
        options: fill, batch_size, device and progress, as for `zoo.inference.sweep.sweep`.

    Raises:
        ModelError: if the model cannot run on these images, or has no output for a label.
        ShapeError: if images or labels are not what they should be, or there are no elements.
    """
    images, labels = checked(images, labels)
    asked, upright = listed(elements), Element()
    if not asked:
        raise ShapeError("there are no elements to measure under; name some, for example 'd4'")
    run = asked if upright in asked else (upright, *asked)
    answers = torch.empty(len(run), len(images), dtype=torch.int64)
    for rows, logits in sweep(model, images, preprocessing, run, **options):
        if rows.start == 0:
            check_width(model, logits.shape[-1], labels, None)
        answers[:, rows] = logits.argmax(-1)
    return _summary(asked, answers[len(run) - len(asked) :], answers[run.index(upright)], labels)


def _summary(asked: tuple[Element, ...], answers: Tensor, upright: Tensor, labels: Tensor) -> OrbitAccuracy:
    """Of answers (elements, n), and those for the images as they are (n,)."""
    right, same = answers == labels, answers == upright
    others = [k for k, e in enumerate(asked) if e != Element()]
    return OrbitAccuracy(
        elements=tuple(str(e) for e in asked),
        rates=tuple(Rate.of(row) for row in right),
        accuracy=Estimate.mean(right.double().mean(0)),
        agreement=Estimate.mean((same[others] if others else same).double().mean(0)),
        always_right=Rate.of(right.all(0)),
        always_same=Rate.of(same.all(0)),
    )
