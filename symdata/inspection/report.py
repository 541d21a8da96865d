"""What is in a dataset folder: counts, elements against the spec, degree of symmetry, and what resampling betrays."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from symdata.errors import StoreError
from symdata.groups import Elements
from symdata.inspection.asymmetry.audit import AsymmetryAudit, audit
from symdata.inspection.goodness import (
    SIGNIFICANCE,
    ChiSquare,
    Histogram,
    combine,
    element_counts,
    goodness_by_class,
    worst,
)
from symdata.inspection.leakage import Trace, leakage
from symdata.keys import permutation
from symdata.measures import Measure
from symdata.pictures.contact_sheet import Picture, choose, contact_sheet
from symdata.pictures.polar import Panel, polar_histogram
from symdata.sources import Source, open_source
from symdata.store import ImageDataset, load, read_manifest
from symdata.store.manifest import MANIFEST
from symdata.symmetry import Symmetry

LIMIT = 2000
"""Images of an audit: it then takes seconds and finds what tells images apart with 55 % accuracy."""
_BATCH = 256
"""Images that an audit decodes at a time."""
MAX_PANELS = 16
"""Dials of one polar histogram; what is beyond is left out, and only the picture suffers."""


@dataclass(frozen=True, eq=False)
class SplitReport:
    """One split."""

    split: str
    symmetry: str
    """Canonical text of what the elements were drawn from."""
    group: str
    """Name of the smallest group that holds every element."""
    degree: float
    """How full the symmetry is: 0 for the identity alone, 1 for Haar."""
    count: int
    """Images."""
    class_counts: tuple[int, ...]
    """Images of each class."""
    histogram: Histogram
    """How often each element moved the images of each class."""
    tests: tuple[ChiSquare, ...]
    """Elements against the spec, for each class."""
    overall: ChiSquare
    """The tests of all classes as one."""
    worst: float
    """The smallest p-value of a class, corrected for the number of classes."""
    traces: tuple[Trace, ...]
    """How well traces of resampling tell the element; empty if no class leaves anything to guess."""

    @property
    def agrees(self) -> bool:
        """Whether the elements agree with the spec, all together and in the worst class."""
        return min(self.overall.p_value, self.worst) > SIGNIFICANCE

    @property
    def leaks(self) -> bool:
        return any(trace.verdict == "LEAK" for trace in self.traces)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON; an infinite statistic (an impossible element) becomes None."""
        fields = {
            name: getattr(self, name)
            for name in ("split", "symmetry", "group", "degree", "count", "worst", "agrees", "leaks")
        }
        return fields | {
            "class_counts": list(self.class_counts),
            "elements": {"names": list(self.histogram.names), "counts": self.histogram.counts.tolist()},
            "tests": [_plain(test) for test in self.tests],
            "overall": _plain(self.overall),
            "traces": [trace.to_dict() for trace in self.traces],
        }


@dataclass(frozen=True, eq=False)
class InspectionReport:
    """A dataset folder."""

    folder: Path
    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W)."""
    splits: tuple[SplitReport, ...]

    @property
    def agrees(self) -> bool:
        """Whether the elements of every split agree with the spec."""
        return all(split.agrees for split in self.splits)

    @property
    def leaks(self) -> bool:
        """Whether any trace of any split is a leak."""
        return any(split.leaks for split in self.splits)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return {
            "folder": str(self.folder),
            "name": self.name,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "agrees": self.agrees,
            "leaks": self.leaks,
            "splits": [split.to_dict() for split in self.splits],
        }


def inspect(folder: Path | str, splits: Sequence[str] | None = None) -> InspectionReport:
    """Count a dataset, test its elements against the spec, and look for traces of resampling.

    Args:
        folder: the dataset.
        splits: which splits; None: all of them.

    Raises:
        StoreError: if the folder is not a whole dataset, or has no such split.

    Example:
        report = symdata.inspect("glyphs-d4-partial_at_0p5")
        report.agrees, report.leaks, report.splits[0].overall.p_value
    """
    manifest = read_manifest(folder)
    wanted = list(manifest["splits"]) if splits is None else list(splits)
    reports = tuple(inspect_split(load(folder, split)) for split in wanted)
    return InspectionReport(
        Path(folder), manifest["name"], tuple(manifest["classes"]), tuple(manifest["shape"]), reports
    )


@dataclass(frozen=True)
class SourceAudit:
    """How symmetric the images of any source are, and which images those were."""

    place: str
    split: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W)."""
    audit: AsymmetryAudit

    def to_dict(self) -> dict[str, Any]:
        """The numbers and the sentences, ready for JSON."""
        return {
            "place": self.place,
            "split": self.split,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "audit": self.audit.to_dict(),
        }


def audit_source(
    place: Path | str, split: str | None = None, group: str | None = None, limit: int = LIMIT, seed: int = 0
) -> SourceAudit:
    """How symmetric images really are, whatever is said of them: `asymmetry.audit` of a dataset folder or any source.

    Args:
        place: a dataset folder of ours, or whatever `open_source` opens. The recorded elements are not looked at.
        split: which; None: the first.
        group: as for `asymmetry.audit`.
        limit: most images to look at, drawn at random but always the same ones.
        seed: decides which, and how they are halved.

    Raises:
        SourceError, StoreError: if there are no such images.
        ShapeError, SymmetryError: if they are too few, too small, or cannot be moved by the group.

    Example:
        found = audit_source("data/mnist", group="d4").audit
        found.safe, found.degree.value, found.to_dict()["advice"]
    """
    if Path(place, MANIFEST).is_file():
        name = split if split is not None else next(iter(read_manifest(place)["splits"]))
        dataset = load(place, name)
        classes, shape, labels = dataset.classes, dataset.shape, dataset.labels
        read: Callable[[np.ndarray], Tensor] = dataset.images
    else:
        source: Source = open_source(str(place))
        name = split if split is not None else next(iter(source.splits))
        classes, shape, labels = source.classes, source.shape, source.labels(name)
        read = partial(source.read, name)
    rows = np.sort(permutation(seed, name, "audit", len(labels))[:limit])
    batches = (read(part) for part in np.split(rows, range(_BATCH, len(rows), _BATCH)))
    return SourceAudit(str(place), name, classes, shape, audit(batches, labels[rows], classes, group, seed))


def inspect_split(dataset: ImageDataset) -> SplitReport:
    """The report of one split that is already open."""
    n = len(dataset.classes)
    tests = goodness_by_class(dataset.symmetry, dataset.drawn, dataset.labels, n)
    return SplitReport(
        split=dataset.split,
        symmetry=str(dataset.symmetry),
        group=dataset.group.name,
        degree=dataset.symmetry.degree,
        count=len(dataset),
        class_counts=tuple(np.bincount(dataset.labels, minlength=n).tolist()),
        histogram=element_counts(dataset),
        tests=tests,
        overall=combine(tests),
        worst=worst(tests),
        traces=leakage(dataset),
    )


def pictures(folder: Path | str, splits: Sequence[str] | None = None) -> dict[str, Picture]:
    """File name -> picture: the contact sheet of the first split and the polar histogram of all of them."""
    if splits is not None and not splits:
        raise StoreError("no split to draw; leave splits out for all of them")
    opened = [load(folder, split) for split in (read_manifest(folder)["splits"] if splits is None else splits)]
    rows = [dials(dataset) for dataset in opened]
    panels = [panel for row in rows for panel in row][:MAX_PANELS]
    columns = len(rows[0]) if 1 < len(rows[0]) <= 4 else 4  # a row for each split, where that fits
    return {"contact-sheet.png": sheet(opened[0]), "polar.png": polar_histogram(panels, columns)}


def sheet(dataset: ImageDataset) -> Picture:
    """The contact sheet of a split; only the images on it are decoded."""
    rows = choose(dataset.labels, len(dataset.classes))
    return contact_sheet(dataset.images(rows), dataset.labels[rows], dataset.classes, dataset.elements[rows])


def dials(dataset: ImageDataset) -> list[Panel]:
    """What the symmetry of a split drew: one dial, or one for each set of classes with a measure of its own."""
    drawn, labels = dataset.drawn, dataset.labels
    if not dataset.symmetry.is_per_class:
        return [Panel(f"{dataset.split}: {dataset.symmetry}", drawn, dataset.symmetry.rest)]
    panels = []
    for name, members, measure in _clauses(dataset.symmetry, len(dataset.classes)):
        rows = np.isin(labels, members)
        panels.append(
            Panel(f"{dataset.split} {name}: {measure}", Elements(drawn.angle[rows], drawn.flip[rows]), measure)
        )
    return panels


def _clauses(symmetry: Symmetry, n_classes: int) -> list[tuple[str, list[int], Measure]]:
    """Name, classes and measure of every clause, the rest last."""
    named = [(f"{a}-{b}" if a < b else f"{a}", list(range(a, b + 1)), m) for a, b, m in symmetry.clauses]
    taken = {c for _, members, _ in named for c in members}
    rest = [c for c in range(n_classes) if c not in taken]
    return named + ([("rest", rest, symmetry.rest)] if rest and symmetry.rest is not None else [])


def _plain(test: ChiSquare) -> dict[str, Any]:
    fields = asdict(test)
    return fields | {"statistic": None if fields["statistic"] == float("inf") else fields["statistic"]}
