"""The result of an evaluation: numbers, their text, their picture, and the same as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symdata.display import Result, Table, plain, plain_fields
from symdata.errors import one_line
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.evaluation.class_scores import ClassScores
from zoo.evaluation.pose_mismatch import PoseMismatch
from zoo.evaluation.report_parts import AngleCurve as AngleCurve
from zoo.evaluation.report_parts import ClassGap as ClassGap
from zoo.evaluation.report_parts import ElementScore as ElementScore
from zoo.evaluation.report_parts import Gap as Gap
from zoo.evaluation.report_parts import percent as percent
from zoo.evaluation.structure import Structure
from zoo.measure.estimates import Rate
from zoo.measure.plain_data import read_fields

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
"""Version of the JSON; a reader refuses others."""
MAX_ROWS = 16
"""Rows of a table of elements or classes; of more, those with the lowest accuracy are shown."""


@dataclass(frozen=True)
class Report(Result):
    """What a model does on a set of images, upright and moved; the result of `zoo.evaluate`.

    Example:
        >>> from zoo import evaluate
        >>> report = evaluate("p4cnn_28.mnist-none", "glyphs:digits", elements="c4", limit=20, angles=0, probe=0)
        >>> [score.agreement for score in report.elements]
        [1.0, 1.0, 1.0, 1.0]
        >>> Report.from_dict(report.to_dict()) == report
        True
    """

    name: str
    """Of the model."""
    data: str
    """Where the images came from, as text for a reader."""
    classes: tuple[str, ...]
    size: int
    """Side of the images that the model takes, in pixels."""
    fill: str
    """What a moved image shows outside of the original: `background` or `zero`."""
    upright: Rate
    by_class: tuple[Rate, ...]
    """Accuracy upright, per class."""
    group: str
    """Its elements are those of `elements`, in this order."""
    elements: tuple[ElementScore, ...]
    curve: AngleCurve | None
    gap: Gap | None
    """None if it is not known what training showed."""
    structure: Structure | None
    """Equivariance, predicted and measured; None if it was not asked for."""
    logits: tuple[tuple[float, ...], ...]
    """Upright, of the first images, so that another machine can compare its own."""
    note: str = ""
    """What the numbers do not say."""
    split: str | None = None
    """Of the data; None where it has no splits, and in older reports."""
    manifest_sha256: str | None = None
    """Hash of the manifest of the dataset folder, which identifies the images; None for any other source."""
    scores: ClassScores | None = None
    """Of the upright images, by class; None in older reports."""
    mismatch: PoseMismatch | None = None
    """Another element than the identity under which the model does far better; None if there is none."""

    def __post_init__(self) -> None:
        if [str(e) for e in Group.parse(self.group).elements] != [score.element for score in self.elements]:
            raise ValueError(f"{len(self.elements)} elements that are not those of {self.group}")
        if not self.classes:
            raise ValueError("no classes")
        gaps: list[Gap | ClassGap] = [] if self.gap is None else [self.gap, *(self.gap.by_class or ())]
        sides = [rate for gap in gaps for rate in (gap.seen, gap.unseen)]
        for rate in (self.upright, *self.by_class, *(score.rate for score in self.elements), *sides):
            if not 0 <= rate.correct <= rate.count:
                raise ValueError(f"{rate.correct} of {rate.count} are right")
        if self.scores is not None and self.scores.confusion is not None:
            counted = tuple(Rate(row[k], sum(row)) for k, row in enumerate(self.scores.confusion))
            if counted != self.by_class:
                raise ValueError("a confusion matrix of other images than those of by_class")

    @property
    def count(self) -> int:
        """Images."""
        return self.upright.count

    def parts(self) -> Iterator[str | Table]:
        """A mismatch of poses; accuracy upright, under elements and over angles; predicted and measured equivariance;
        classes."""
        if self.mismatch is not None:
            yield str(self.mismatch)
        low, high = self.upright.interval
        place = f" on {self.data}" if self.data else ""
        yield (
            f"{self.name}{place}: {self.count:,} images at {self.size}x{self.size}, {len(self.classes)} "
            f"classes\nupright {percent(self.upright.value)} (95 %: {100 * low:.2f} to {100 * high:.2f})"
            + ("" if self.scores is None else f"\n{self.scores}")
        )
        yield self._element_table()
        lines = []
        if (curve := self.curve) is not None:
            lines = [f"angles   {curve} ({len(curve.angles)} angles on {curve.count:,} images, fill {self.fill})"]
        unknown = "not known: the model does not say what it was trained on"
        yield "\n".join([*lines, f"gap      {unknown if self.gap is None else self.gap}"])
        if self.structure is not None:
            yield from self.structure.parts()
        yield self._class_table()
        if self.scores is not None:
            yield from self.scores.tables(self.classes)
        if self.note:
            yield f"Note: {self.note}."

    def data_rows(self) -> list[dict[str, Any]]:
        """A row for each element."""
        rows = [score.to_dict() for score in self.elements]
        for row in rows:
            row["low"], row["high"] = row.pop("interval")
        return rows

    def _element_table(self) -> Table:
        shown = [0, *(k + 1 for k in _lowest([score.rate for score in self.elements[1:]], MAX_ROWS - 1))]
        more = f"({len(self.elements)} elements of {self.group}; the worst)"
        scored = all(score.macro_f1 is not None for score in self.elements)
        rows = [
            (
                score.element,
                *score.rate.cells,
                *([f"{100 * (score.balanced_accuracy or 0):.2f}", f"{100 * (score.macro_f1 or 0):.2f}"] * scored),
                f"{100 * score.agreement:.2f}",
                f"{score.invariance:.1e}",
                f"{score.invariance_error:.0e}",
            )
            for score in (self.elements[k] for k in shown)
        ]
        header = ("element", "accuracy %", "+-", *["balanced %", "macro F1 %"] * scored, "same answer %")
        return Table((*header, "logits moved by", "+-"), rows, notes=[more] if len(shown) < len(self.elements) else [])

    def _class_table(self) -> Table:
        known = [(name, rate) for name, rate in zip(self.classes, self.by_class, strict=True) if rate.count]
        shown = [known[k] for k in _lowest([rate for _, rate in known], MAX_ROWS)]
        return Table(
            ("class", "images", "upright %"),
            [(one_line(name), f"{rate.count:,}", f"{100 * rate.value:.2f}") for name, rate in shown],
            notes=[f"({len(known)} classes; the worst)"] if len(known) > len(shown) else [],
        )

    def plot(self, *others: "Report") -> "Figure":
        """The accuracy curve on a dial, beside those of other reports; without others also the elements, as points."""
        from zoo.evaluation.picture import draw

        return draw([self, *others])

    def deviation(self, other: "Report") -> float:
        """The largest difference between the logits of two reports; `ModelError` if they are of other images."""
        pairs = [p for rows in zip(self.logits, other.logits, strict=False) for p in zip(*rows, strict=False)]
        if (len(self.logits), self.classes) != (len(other.logits), other.classes):
            raise ModelError(f"the reports on {self.name!r} and {other.name!r} keep other logits; evaluate on the same")
        return max((abs(a - b) for a, b in pairs), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, derived numbers included."""
        data = {"name": self.data, "split": self.split, "manifest_sha256": self.manifest_sha256}
        sides = (None, None) if self.gap is None else (self.gap.seen, self.gap.unseen)
        # None where nothing was counted: an accuracy of 0 would be read as one.
        seen, unseen = (rate.to_dict() if rate is not None and rate.count else None for rate in sides)
        later = plain_fields(self, "mismatch", "scores")  # older reports have neither, and stay as they are
        return {
            "format": FORMAT,
            "name": self.name,
            "data": {key: value for key, value in data.items() if value is not None},
            **{key: value for key, value in later.items() if value is not None},
            **plain_fields(self, "count", "size", "fill", "classes", "upright", "by_class"),
            **plain_fields(self, "group", "elements"),
            "mean": None if self.curve is None else self.curve.mean,
            "curve": plain(self.curve),
            "seen": seen,
            "unseen": unseen,
            **plain_fields(self, "gap", "structure", "logits", "note"),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Report":
        """The inverse of `to_dict`; `ModelError` for anything else."""
        if not isinstance(fields, Mapping) or fields.get("format") != FORMAT:
            got = fields.get("format") if isinstance(fields, Mapping) else type(fields).__name__
            raise ModelError(f"the report has format {got!r}, expected {FORMAT}; evaluate again with this version")
        try:
            data, gap = fields["data"], fields["gap"]
            sides = {side: fields[side] or {"correct": 0, "count": 0} for side in ("seen", "unseen")}
            names = {"data": data["name"], "split": data.get("split"), "manifest_sha256": data.get("manifest_sha256")}
            return read_fields(cls, {**fields, **names, "gap": None if gap is None else {**gap, **sides}})
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"the report is not whole ({type(error).__name__}: {error}); evaluate again") from None


def _lowest(rates: Sequence[Rate], count: int) -> list[int]:
    """Positions of the `count` lowest rates, in the order of the positions."""
    return sorted(sorted(range(len(rates)), key=lambda k: rates[k].value)[:count])
