"""Inspect a dataset folder: counts, elements against the spec, degree of symmetry, and traces of resampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symdata.display import Result, Table
from symdata.errors import one_line
from symdata.inspection.drawing import elements_figure
from symdata.inspection.goodness import ChiSquare, Histogram, combine, element_counts, goodness_by_class, sidak
from symdata.inspection.leakage import Trace, leakage, strongest
from symdata.inspection.source_audit import SourceAudit
from symdata.pictures.figure import Figure
from symdata.store import ImageDataset, load, read_manifest

SIGNIFICANCE = 1e-3
"""A split whose p-values are above this agrees with its spec."""
MAX_COLUMNS = 16
"""Elements that get a column each; more are summed up as identity, turned and mirrored."""
MAX_ROWS = 40
"""Classes that get a row each; of more, those that agree least with the spec."""


@dataclass(frozen=True, eq=False)
class SplitReport(Result):
    """One split."""

    split: str
    classes: tuple[str, ...]
    symmetry: str
    """Canonical text of what the elements were drawn from."""
    group: str
    """Name of the smallest group that holds every element."""
    degree: float
    """How full the symmetry is: 0 for the identity alone, 1 for Haar."""
    histogram: Histogram
    """How often each element moved the images of each class."""
    tests: tuple[ChiSquare, ...]
    """Elements against the spec, for each class."""
    traces: tuple[Trace, ...]
    """How well traces of resampling reveal the element; empty if no class leaves anything to guess."""

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images of each class."""
        return tuple(self.histogram.counts.sum(1).tolist())

    @property
    def count(self) -> int:
        """Images."""
        return sum(self.class_counts)

    @property
    def overall(self) -> ChiSquare:
        """The tests of all classes as one."""
        return combine(self.tests)

    @property
    def worst(self) -> float:
        """The smallest p-value of a class, corrected for the number of classes."""
        return sidak(self.tests)

    @property
    def agrees(self) -> bool:
        """Whether the elements agree with the spec, all together and in the worst class."""
        return min(self.overall.p_value, self.worst) > SIGNIFICANCE

    @property
    def leaks(self) -> bool:
        """Whether any trace is a leak."""
        return any(trace.verdict == "LEAK" for trace in self.traces)

    def parts(self) -> list[str | Table]:
        symmetry = f"symmetry {self.symmetry}, degree {self.degree:.3f}, elements in {self.group}"
        return [f"{self.split}: {self.count:,} images, {symmetry}", self._counts(), self._verdict(), self._leakage()]

    def _counts(self) -> Table:
        """Counts of elements: one row for each class, and their sum."""
        names, counts = self.histogram.names, self.histogram.counts  # (classes, columns)
        if len(names) > MAX_COLUMNS:
            identity, mirrored = counts[:, 0], counts[:, [name.endswith("m") for name in names]].sum(1)
            names = ("e", "turned", "mirrored")
            counts = np.stack([identity, counts.sum(1) - identity - mirrored, mirrored], axis=1)
        shown = sorted(range(len(self.classes)), key=lambda c: self.tests[c].p_value)[:MAX_ROWS]
        rows = [
            (one_line(self.classes[c]), str(self.class_counts[c]), *map(str, counts[c]), str(self.tests[c]))
            for c in sorted(shown)
        ]
        total = ("all", str(self.count), *map(str, counts.sum(0)), str(self.overall))
        notes = (f"({len(self.classes)} classes; these agree least)",) if len(self.classes) > MAX_ROWS else ()
        return Table(("class", "images", *names, "p"), [*rows, total], notes=notes)

    def _verdict(self) -> str:
        t = self.overall
        if not t.dof and self.agrees:
            return "Every element is one that the symmetry gives."
        verdict = "agree" if self.agrees else "DISAGREE"
        numbers = f"chi-square {t.statistic:.1f} on {t.dof} degrees of freedom, p = {t.p_value:.3g}"
        return f"The elements {verdict} with the symmetry: {numbers}; worst class p = {self.worst:.3g}"

    def _leakage(self) -> str | Table:
        if not self.traces:
            return "Leakage: no class has both moved and unmoved images, so there is nothing to guess."
        rows = [
            (
                t.question,
                t.trace,
                f"{t.auc:.3f}",
                _interval(t),
                "" if t.p_value is None else f"{t.p_value:.3f}",
                t.verdict,
            )
            for t in self.traces
        ]
        most, looked_for = strongest(self.traces), dict.fromkeys(t.trace for t in self.traces)
        notes = (
            f"Strongest trace: {most.trace}, for the question {most.question}: AUC {most.auc:.3f}, 95 % interval "
            f"{_interval(most)}, {most.verdict}.",
            f"Looked for: {', '.join(looked_for)}. Others may exist.",
        )
        title = "Leakage: the element guessed from traces of resampling alone"
        return Table(("question", "trace", "AUC", "95 % interval", "p", "verdict"), rows, title, notes)

    def to_dict(self) -> dict[str, Any]:
        names = ("split", "symmetry", "group", "degree", "count", "worst", "agrees", "leaks")
        return {name: getattr(self, name) for name in names} | {
            "class_counts": list(self.class_counts),
            "elements": {"names": list(self.histogram.names), "counts": self.histogram.counts.tolist()},
            "tests": [test.to_dict() for test in self.tests],
            "overall": self.overall.to_dict(),
            "traces": [trace.to_dict() for trace in self.traces],
            "strongest": strongest(self.traces).to_dict() if self.traces else None,
        }


def _interval(trace: Trace) -> str:
    low, high = trace.interval
    return f"{low:.3f} to {high:.3f}"


@dataclass(frozen=True, eq=False)
class InspectionReport(Result):
    """A dataset folder."""

    json_fields = ("folder", "name", "classes", "shape", "agrees", "leaks", "splits")
    folder: Path
    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W)."""
    splits: tuple[SplitReport, ...]
    audit: SourceAudit | None = None
    """Of the pixels, if it was asked for."""

    @property
    def agrees(self) -> bool:
        """Whether the elements of every split agree with the spec."""
        return all(split.agrees for split in self.splits)

    @property
    def leaks(self) -> bool:
        """Whether any trace of any split is a leak."""
        return any(split.leaks for split in self.splits)

    def parts(self) -> list[str | Table]:
        c, h, w = self.shape
        head = f"{self.name}: {len(self.classes)} classes, images {c} x {h} x {w} (channels, height, width)"
        audited = [] if self.audit is None else self.audit.parts()
        return [head, *(part for split in self.splits for part in split.parts()), *audited]

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | ({} if self.audit is None else {"audit": self.audit.to_dict()["audit"]})

    def plot(self) -> Figure:
        """Polar histogram of the elements of every split; the folder is read again for it."""
        return elements_figure([load(self.folder, split.split) for split in self.splits])


def inspect_folder(folder: Path | str, splits: Sequence[str] | None = None) -> InspectionReport:
    """Count a dataset, test its elements against the spec, and look for traces of resampling.

    Args:
        folder: the dataset.
        splits: which splits; None: all of them.

    Raises:
        StoreError: if the folder is not a complete dataset, or has no such split.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "turned", symmetry="c4", count=160, size=8)
        >>> report = inspect_folder("turned", ["train"])
        >>> report.agrees, report.splits[0].degree
        (True, 1.0)
    """
    said = read_manifest(folder)
    reports = tuple(inspect_split(load(folder, split)) for split in (said["splits"] if splits is None else splits))
    return InspectionReport(Path(folder), said["name"], tuple(said["classes"]), tuple(said["shape"]), reports)


def inspect_split(dataset: ImageDataset) -> SplitReport:
    """Inspect one split."""
    labels = np.asarray(dataset.labels)
    return SplitReport(
        split=dataset.split,
        classes=dataset.classes,
        symmetry=str(dataset.symmetry),
        group=dataset.group.name,
        degree=dataset.symmetry.degree,
        histogram=element_counts(dataset),
        tests=goodness_by_class(dataset.symmetry, dataset.drawn.cpu(), labels, len(dataset.classes)),
        traces=leakage(dataset),
    )
