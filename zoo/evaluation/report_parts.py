"""The parts of a report: accuracy under elements, over angles, and on what training showed."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from symdata.display import PlainData, plain_fields
from zoo.measure.estimates import Rate
from zoo.measure.plain_data import read_fields


def percent(value: float) -> str:
    """A share in [0, 1] as percent, with two digits."""
    return f"{100 * value:.2f} %"


@dataclass(frozen=True)
class ElementScore:
    """How a model does on images that one element has moved."""

    element: str
    """`e`, `r90`, `m`, `r90m`: mirror left-right first, then turn counter-clockwise as displayed."""
    rate: Rate
    """Accuracy."""
    agree: int
    """Images whose predicted class is the one they had upright."""
    invariance: float
    """|f(g x) - f(x)| / |f(x)| of the logits in the L2 norm, in float32, mean over the images."""
    invariance_error: float
    """Standard error of that mean."""
    balanced_accuracy: float | None = None
    """The mean over the classes of the share of their images that are right; None in older reports."""
    macro_f1: float | None = None
    """The mean of the F1 of the classes; None in older reports."""

    @property
    def agreement(self) -> float:
        """The share of images whose predicted class did not change, in [0, 1]."""
        return self.agree / self.rate.count

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, derived numbers included."""
        rest = plain_fields(self, "agree", "agreement", "invariance", "invariance_error")
        scores = plain_fields(self, "balanced_accuracy", "macro_f1") if self.macro_f1 is not None else {}
        return {"element": self.element, **self.rate.to_dict(), **rest, **scores}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ElementScore":
        """The inverse of `to_dict`."""
        return read_fields(cls, {**fields, "rate": fields})


@dataclass(frozen=True)
class AngleCurve(PlainData):
    """Accuracy over angle."""

    json_fields = ("count", "angles", "correct", "accuracies", "mean")
    angles: tuple[float, ...]
    """Degrees, counter-clockwise as displayed."""
    correct: tuple[int, ...]
    """Images put into the right class, per angle."""
    count: int
    """Images, the same for every angle."""

    def __post_init__(self) -> None:
        angles, correct, count = self.angles, self.correct, self.count
        if not angles or len(angles) != len(correct) or count < 1:
            raise ValueError(f"a curve of {len(angles)} angles, {len(correct)} counts and {count} images")
        if not all(map(isfinite, angles)) or not 0 <= min(correct) <= max(correct) <= count:
            raise ValueError(f"a curve with counts from {min(correct)} to {max(correct)} of {count} images")

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Per angle, in [0, 1]."""
        return tuple(c / self.count for c in self.correct)

    @property
    def mean(self) -> float:
        """Mean accuracy over the angles."""
        return sum(self.accuracies) / len(self.correct)

    @property
    def lowest(self) -> tuple[float, float]:
        """The lowest accuracy and the first angle at which it occurs."""
        k = self.correct.index(min(self.correct))
        return self.accuracies[k], self.angles[k]

    def __str__(self) -> str:
        accuracy, angle = self.lowest
        return f"{percent(self.mean)} on average, lowest {percent(accuracy)} at {angle:g} degrees"


@dataclass(frozen=True)
class ClassGap:
    """Accuracies of one class."""

    seen: Rate
    unseen: Rate


@dataclass(frozen=True)
class Gap(PlainData):
    """Accuracy under the elements that training showed, and under the others."""

    json_fields = ("symmetry", "value", "by_class")
    """`seen` and `unseen` are in the report itself."""
    symmetry: str
    """What training showed: the symmetry of the dataset, then that of the augmentation."""
    seen: Rate
    unseen: Rate
    by_class: tuple[ClassGap, ...] | None
    """For each class, where the symmetry differs by class."""

    @property
    def value(self) -> float | None:
        """Seen minus unseen; None if one of them has no images."""
        return self.seen.value - self.unseen.value if self.seen.count and self.unseen.count else None

    def __str__(self) -> str:
        trained = "upright alone" if self.symmetry == "none" else self.symmetry
        if self.value is None:
            which = "every element" if self.seen.count else "no element"
            return f"none: {which} was seen in training ({trained})"
        return (
            f"{100 * self.value:.2f} points: {percent(self.seen.value)} on elements seen in training ({trained}), "
            f"{percent(self.unseen.value)} on the others"
        )
