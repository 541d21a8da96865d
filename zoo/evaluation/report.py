"""The result of an evaluation: numbers only, and the same as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.evaluation.structure import Structure
from zoo.measure.estimates import Rate

FORMAT = 1
"""Of the JSON; a later version may read it and must not guess."""


@dataclass(frozen=True)
class ElementScore:
    """What a model does once one element has moved the images."""

    element: str
    """`e`, `r90`, `m`, `r90m`: mirror left-right first, then turn counter-clockwise as displayed."""
    rate: Rate
    agree: int
    """Images whose predicted class is the one they had upright."""
    invariance: float
    """|f(g x) - f(x)| / |f(x)| of the logits in the L2 norm, in float32, mean over the images."""
    invariance_error: float
    """Standard error of that mean."""

    @property
    def agreement(self) -> float:
        """The share of images whose predicted class did not change, in [0, 1]."""
        return self.agree / self.rate.count


@dataclass(frozen=True)
class AngleCurve:
    """Accuracy over angle."""

    angles: tuple[float, ...]
    """Degrees, counter-clockwise as displayed."""
    correct: tuple[int, ...]
    """Per angle."""
    count: int
    """Images, the same for every angle."""

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Per angle, in [0, 1]."""
        return tuple(c / self.count for c in self.correct)

    @property
    def mean(self) -> float:
        """Over the angles."""
        return sum(self.accuracies) / len(self.correct)


@dataclass(frozen=True)
class Gap:
    """Accuracy under elements that training showed, and under the others."""

    symmetry: str
    """What training showed: the symmetry of the dataset, then that of augmentation."""
    seen: Rate
    unseen: Rate
    by_class: tuple[tuple[Rate, Rate], ...] | None
    """(seen, unseen) of each class, where the symmetry differs by class."""

    @property
    def value(self) -> float | None:
        """Seen minus unseen; None if there is nothing to compare."""
        return self.seen.value - self.unseen.value if self.seen.count and self.unseen.count else None


@dataclass(frozen=True)
class Report:
    """What a model does on a set of images, upright and moved."""

    name: str
    """Of the model."""
    data: str
    """Where the images came from, as text for a reader."""
    classes: tuple[str, ...]
    size: int
    """Side of the images that the model takes, in pixels."""
    fill: str
    """What shows where a turned image ends: `background` or `zero`."""
    upright: Rate
    by_class: tuple[Rate, ...]
    """Upright, per class."""
    group: str
    """What `elements` are the elements of."""
    elements: tuple[ElementScore, ...]
    curve: AngleCurve | None
    gap: Gap | None
    """None if it is not known what training showed."""
    structure: Structure | None
    """Equivariance predicted and measured; None if it was not asked for."""
    logits: tuple[tuple[float, ...], ...]
    """Upright, of the first images: what another machine must find again."""
    note: str = ""
    """What the numbers do not say."""
    split: str | None = None
    """Of the data; None where it has no splits, and in reports of old."""
    manifest_sha256: str | None = None
    """Of the manifest of the dataset folder: which images exactly; None for any other source."""

    @property
    def count(self) -> int:
        """Images."""
        return self.upright.count

    def deviation(self, other: "Report") -> float:
        """The largest difference of the logits that two reports keep; `ModelError` if they are of other images."""
        pairs = [p for rows in zip(self.logits, other.logits, strict=False) for p in zip(*rows, strict=False)]
        if (len(self.logits), self.classes) != (len(other.logits), other.classes):
            raise ModelError(f"the reports on {self.name!r} and {other.name!r} keep other logits; evaluate on the same")
        return max((abs(a - b) for a, b in pairs), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON; what follows from counts stands beside them for readers."""
        return {
            "format": FORMAT,
            "name": self.name,
            "data": {key: value for key, value in self._data().items() if value is not None},
            "count": self.count,
            "size": self.size,
            "fill": self.fill,
            "classes": list(self.classes),
            "upright": self.upright.to_dict(),
            "by_class": [rate.to_dict() for rate in self.by_class],
            "group": self.group,
            "elements": [_element(score) for score in self.elements],
            "mean": None if self.curve is None else self.curve.mean,
            "curve": None if self.curve is None else _curve(self.curve),
            "seen": _side(None if self.gap is None else self.gap.seen),
            "unseen": _side(None if self.gap is None else self.gap.unseen),
            "gap": None if self.gap is None else _gap(self.gap),
            "structure": None if self.structure is None else self.structure.to_dict(),
            "logits": [list(row) for row in self.logits],
            "note": self.note,
        }

    def _data(self) -> dict[str, str | None]:
        return {"name": self.data, "split": self.split, "manifest_sha256": self.manifest_sha256}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Report":
        """The inverse of `to_dict`; `ModelError` for anything else."""
        if not isinstance(fields, Mapping) or fields.get("format") != FORMAT:
            got = fields.get("format") if isinstance(fields, Mapping) else type(fields).__name__
            raise ModelError(f"the report has format {got!r}, expected {FORMAT}; evaluate again with this version")
        try:
            return _read(fields)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"the report is not whole ({type(error).__name__}: {error}); evaluate again") from None


def _element(score: ElementScore) -> dict[str, Any]:
    rest = {"agreement": score.agreement, "invariance": score.invariance, "invariance_error": score.invariance_error}
    return {"element": score.element, **score.rate.to_dict(), "agree": score.agree, **rest}


def _curve(curve: AngleCurve) -> dict[str, Any]:
    derived = {"accuracies": list(curve.accuracies), "mean": curve.mean}
    return {"count": curve.count, "angles": list(curve.angles), "correct": list(curve.correct), **derived}


def _gap(gap: Gap) -> dict[str, Any]:
    by_class = None
    if gap.by_class is not None:
        by_class = [{"seen": a.to_dict(), "unseen": b.to_dict()} for a, b in gap.by_class]
    return {"symmetry": gap.symmetry, "value": gap.value, "by_class": by_class}


def _side(rate: Rate | None) -> dict[str, Any] | None:
    """Nothing where nothing was counted: an accuracy of 0 would be read as one."""
    return rate.to_dict() if rate is not None and rate.count else None


def _read(fields: Mapping[str, Any]) -> Report:
    group, data = Group.parse(str(fields["group"])), fields["data"]
    if [str(e) for e in group.elements] != (named := [score["element"] for score in fields["elements"]]):
        raise ValueError(f"{len(named)} elements that are not those of {group}")
    if not fields["classes"]:
        raise ValueError("no classes")
    return Report(
        name=str(fields["name"]),
        data=str(data["name"]),
        classes=tuple(map(str, fields["classes"])),
        size=int(fields["size"]),
        fill=str(fields["fill"]),
        upright=_rate(fields["upright"]),
        by_class=tuple(_rate(rate) for rate in fields["by_class"]),
        group=str(group),
        elements=tuple(
            ElementScore(e["element"], _rate(e), int(e["agree"]), float(e["invariance"]), float(e["invariance_error"]))
            for e in fields["elements"]
        ),
        curve=None if fields["curve"] is None else _read_curve(fields["curve"]),
        gap=None if fields["gap"] is None else _read_gap(fields["gap"], fields["seen"], fields["unseen"]),
        structure=None if fields["structure"] is None else Structure.from_dict(fields["structure"]),
        logits=tuple(tuple(map(float, row)) for row in fields["logits"]),
        note=str(fields["note"]),
        split=_text(data.get("split")),
        manifest_sha256=_text(data.get("manifest_sha256")),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _read_curve(curve: Mapping[str, Any]) -> AngleCurve:
    angles, correct = tuple(map(float, curve["angles"])), tuple(map(int, curve["correct"]))
    if not angles or len(angles) != len(correct) or int(curve["count"]) < 1:
        raise ValueError(f"a curve of {len(angles)} angles, {len(correct)} counts and {curve['count']} images")
    if not all(map(isfinite, angles)) or not 0 <= min(correct) <= max(correct) <= int(curve["count"]):
        raise ValueError(f"a curve with counts from {min(correct)} to {max(correct)} of {curve['count']} images")
    return AngleCurve(angles, correct, int(curve["count"]))


def _read_gap(gap: Mapping[str, Any], seen: Any, unseen: Any) -> Gap:
    by_class = gap["by_class"]
    if by_class is not None:
        by_class = tuple((_rate(pair["seen"]), _rate(pair["unseen"])) for pair in by_class)
    nothing = Rate(0, 0)
    return Gap(
        str(gap["symmetry"]),
        nothing if seen is None else _rate(seen),
        nothing if unseen is None else _rate(unseen),
        by_class,
    )


def _rate(fields: Mapping[str, Any]) -> Rate:
    rate = Rate(int(fields["correct"]), int(fields["count"]))
    if not 0 <= rate.correct <= rate.count:
        raise ValueError(f"{rate.correct} of {rate.count} are right")
    return rate
