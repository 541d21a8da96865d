"""A classifier on whole orbits: its accuracy under every element of a group, and how often its answer is unchanged."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from symdata.display import Result, Table, plain, plain_fields
from symdata.errors import ShapeError
from symdata.groups import Element
from zoo.inference.sweep import Moves, checked, listed, predictions
from zoo.measure.estimates import Estimate, Rate
from zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class OrbitAccuracy(Result):
    """The answers of a classifier when each of its images is moved by every element.

    Example:
        >>> import torch
        >>> mask = torch.tensor([True, True, True, False])
        >>> rate, share = Rate.of(mask), Estimate.mean(mask.double())
        >>> print(OrbitAccuracy(("e", "r90"), (rate, rate), share, share, rate, rate))
        Over whole orbits, 4 images: accuracy 75.0 % (+- 25.0), same answer 75.0 % (+- 25.0)
        right under every element 75.0 %, same answer under every element 75.0 %
        <BLANKLINE>
        element  accuracy %  +-
        -------  ----------  -----
        e        75.00       21.65
        r90      75.00       21.65
    """

    elements: tuple[str, ...]
    rates: tuple[Rate, ...]
    """Accuracy under each element."""
    accuracy: Estimate
    """Over elements and images. Elements of one image are no independent trials, so its error is that over images."""
    agreement: Estimate
    """The share of moved images whose answer is the one they had before."""
    always_right: Rate
    """Images that are classified correctly under every element."""
    always_same: Rate
    """Images whose answer no element changes."""

    def parts(self) -> Iterable[str | Table]:
        """The shares, and the accuracy under each element."""
        (right, error), (same, spread) = self.accuracy.percent_cells, self.agreement.percent_cells
        yield (
            f"Over whole orbits, {self.accuracy.count:,} images: accuracy {right} % (+- {error}), "
            f"same answer {same} % (+- {spread})\n"
            f"right under every element {100 * self.always_right.value:.1f} %, "
            f"same answer under every element {100 * self.always_same.value:.1f} %"
        )
        rows = [(name, *rate.cells) for name, rate in zip(self.elements, self.rates, strict=True)]
        yield Table(("element", "accuracy %", "+-"), rows)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        elements = plain(dict(zip(self.elements, self.rates, strict=True)))
        return {"elements": elements, **plain_fields(self, "accuracy", "agreement", "always_right", "always_same")}


def orbit_accuracy(
    model: nn.Module, images: Any, labels: Any, preprocessing: Preprocessing, elements: Moves = "d4", **options: Any
) -> OrbitAccuracy:
    """The accuracy of a classifier over the orbits of its images, and how often its answer stays the same along them.

    Args:
        model: images (B, C, H, W) to logits (B, classes); its mode and place are restored.
        images: uint8 (n, C, H, W), tensor or array.
        labels: (n,) class indices.
        preprocessing: of the model.
        elements: a finite group, its name, or elements of O(2).
        options: fill, batch_size, device and progress, as for `zoo.inference.sweep.sweep`.

    Raises:
        ModelError: if the model cannot run on these images, or has no output for a label.
        ShapeError: if images or labels are not what they should be, or there are no elements.

    Example:
        >>> import torch, zoo
        >>> model = zoo.load("p4cnn_28.mnist-none")
        >>> images = torch.randint(0, 256, (6, 1, 28, 28)).byte()
        >>> found = orbit_accuracy(model, images, [0] * 6, zoo.Preprocessing(28, (0.5,), (0.5,)), "c4")
        >>> found.agreement.value, found.always_same
        (1.0, Rate(correct=6, count=6))
    """
    images, labels = checked(images, labels)
    asked, upright = listed(elements), Element()
    if not asked:
        raise ShapeError("there are no elements to measure under; name some, for example 'd4'")
    run = asked if upright in asked else (upright, *asked)
    answers = predictions(model, images, labels, preprocessing, run, **options)
    return _summary(asked, answers[len(run) - len(asked) :], answers[run.index(upright)], labels)


def _summary(asked: tuple[Element, ...], answers: Tensor, upright: Tensor, labels: Tensor) -> OrbitAccuracy:
    """From answers (elements, n), and those for the images as they are (n,)."""
    right, same = answers == labels, answers == upright
    others = [k for k, e in enumerate(asked) if e != Element()]
    return OrbitAccuracy(
        elements=tuple(str(e) for e in asked),
        rates=tuple(map(Rate.of, right)),
        accuracy=Estimate.mean(right.double().mean(0)),
        agreement=Estimate.mean((same[others] if others else same).double().mean(0)),
        always_right=Rate.of(right.all(0)),
        always_same=Rate.of(same.all(0)),
    )
