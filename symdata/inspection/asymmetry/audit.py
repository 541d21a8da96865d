"""How symmetric are these images really? Tests of every element and view, the degree, and the labels in one audit."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.display import Result, Table
from symdata.errors import ShapeError, one_line
from symdata.groups import Group
from symdata.inspection.asymmetry.copies import without_copies
from symdata.inspection.asymmetry.degree import Degree, estimate
from symdata.inspection.asymmetry.exact import holm, orbit_p_value
from symdata.inspection.asymmetry.labels import LabelTest, label_tests
from symdata.inspection.asymmetry.reading import NAMES, read
from symdata.inspection.asymmetry.reference import compare
from symdata.inspection.asymmetry.two_sample import LEVEL, Halves, Test, name_pair, run_tests
from symdata.inspection.asymmetry.views import Views, orbits
from symdata.keys import permutation
from symdata.pictures.figure import MIRRORED, PALE, TURNED, Figure, new_figure

FEWEST = 80
"""Images that an audit needs: on fewer it would find only differences that are plain to see."""
SHAPES = "gray"
"""The view whose degree counts as that of the images."""
TOGETHER = "together"
"""All views at once, as one."""
NOTE = "95 %: at most the upper end, and from images alone at least 0. Bound: what that end tends to with more images"
"""What the degrees of the table are."""
INDEPENDENT = "p: if the images are independent of each other, as frames of one film or crops of one slide are not"
"""What the p-values assume."""
SPLITS = 4
"""Ways to halve the images, over which the degree is averaged; the tests use the first."""
FEWEST_OF_A_CLASS = 10
"""Images of a class in the test half from which the class gets its own test."""
MAX_CLASSES = 20
"""Classes that get a row each; of more, those that differ in the most elements."""


@dataclass(frozen=True)
class ClassAudit:
    """One class."""

    name: str
    images: int
    degree: Degree | None
    """Bounds from its images alone; None for a class without images."""
    differs: tuple[str, ...]
    """Elements that change its distribution, by a score of its own (Holm over classes and elements)."""


@dataclass(frozen=True)
class AsymmetryAudit(Result):
    """How symmetric a set of images is."""

    json_fields = (
        "images",
        "copies",
        "is_symmetric",
        "kept",
        "safe",
        "degree",
        "by_view",
        "compared",
        "tests",
        "labels",
        "classes",
    )
    group: Group
    images: int
    """Different ones, on which everything was computed."""
    classes: tuple[ClassAudit, ...]
    tests: tuple[Test, ...]
    labels: tuple[LabelTest, ...]
    """Empty if there is one class only."""
    degree: Degree
    """Bounds of how full the symmetry of the shapes is, in the view `gray`."""
    by_view: dict[str, Degree]
    """The same for every view: a trace of the camera may be upright where the shapes are not. `together` is of all
    views at once, and the closest bound of the share of images that were turned."""
    compared: Degree | None = None
    """The same, by all views at once, beside upright images: with two ends. None if there were none to compare with."""
    copies: int = 0
    """Images that were left out, because an earlier one is the same picture, moved or not."""

    @property
    def differing(self) -> dict[str, list[Test]]:
        """Element -> its tests that found a difference, strongest first; elements without any are left out."""
        found = [test for test in self.tests if test.differs]
        strongest = sorted(found, key=lambda test: -test.low)
        return {test.element: [other for other in strongest if other.element == test.element] for test in found}

    @property
    def is_symmetric(self) -> bool:
        """Whether no test found a difference."""
        return not self.differing

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the elements of the largest subgroup for which no test found a difference."""
        g, lost = self.group, set(self.differing)
        free = [k for k, e in enumerate(g.elements) if k and not {str(e), str(~e)} & lost]
        sets = [(0, *some) for size in range(len(free) + 1) for some in combinations(free, size)]
        closed = [some for some in sets if all(g.product(a, b) in some for a in some for b in some)]
        return tuple(str(g.elements[k]) for k in max(closed, key=len))

    @property
    def safe(self) -> str:
        """Name of that subgroup, as `RandomSymmetry` takes it; if it has none, of its largest subgroup that has one."""
        kept = set(self.kept)
        return next((name for name in NAMES if kept.issuperset(map(str, Group.parse(name).elements))), "none")

    def parts(self) -> list[str | Table]:
        return [self._tests_table(), *([self._labels_table()] if self.labels else []), self._classes_table()]

    def _tests_table(self) -> Table:
        rows = []
        for t in self.tests:
            interval, verdict = f"{t.low:.3f}-{t.high:.3f}", "DIFFERS" if t.differs else "-"
            rows.append((t.element, t.view, f"{t.accuracy:.3f}", interval, _p(t.p_value), _p(t.corrected), verdict))
        left = [f"copies of one of these images, moved or not, left out: {self.copies:,}"] if self.copies else []
        return Table(
            ("element", "view", "accuracy", "95 %", "p", "p (Holm)", "verdict"), rows, notes=[*left, INDEPENDENT]
        )

    def _labels_table(self) -> Table:
        rows = []
        for t in self.labels:
            cycles = ", ".join("/".join(one_line(self.classes[c].name) for c in cycle) for cycle in t.cycles)
            loss = f"{t.drop_low:+.3f} to {t.drop_high:+.3f}"
            told = ", ".join(filter(None, (cycles, "too few images" if t.unsure else ""))) or "-"
            rows.append((t.element, f"{t.unmoved:.3f}", f"{t.moved:.3f}", loss, told))
        title = "Accuracy of a kernel classifier of images as they came"
        return Table(("element", "unmoved", "moved", "loss, 95 %", "labels exchanged"), rows, title)

    def _classes_table(self) -> Table:
        shown = sorted(range(len(self.classes)), key=lambda c: -len(self.classes[c].differs))[:MAX_CLASSES]
        rows = [_class_row(c.name, c.images, c.degree, c.differs) for c in (self.classes[k] for k in sorted(shown))]
        rows.append(_class_row("all", self.images, self.degree, self.differing))
        left = len(self.classes) - len(shown)
        views = ", ".join(f"{view} {degree.at_most}" for view, degree in self.by_view.items())
        notes = [*([f"({left} more classes differ less)"] if left else []), f"at most, by view: {views}"]
        if self.compared is not None:
            notes.append(f"beside upright images: {self.compared.bound:.2f}, 95 %: {self.compared.interval}")
        notes.append(NOTE)
        title = f"Degree of symmetry under {self.group.name}, by shapes: 0 upright, 1 as good as moved at random"
        return Table(("class", "images", "95 %", "bound", "differs under"), rows, title, notes)

    def to_dict(self) -> dict[str, Any]:
        return {"group": self.group.name} | super().to_dict()

    def plot(self) -> Figure:
        """Draw the accuracy of every test with its 95 % interval; those that found a difference in another colour."""
        figure = new_figure(6.4, 1.0 + 0.2 * len(self.tests), "constrained")
        axes = figure.add_subplot()
        axes.axvline(0.5, color=PALE, lw=1.0)
        for k, t in enumerate(self.tests):
            colour = MIRRORED if t.differs else TURNED
            axes.plot([t.low, t.high], [k, k], color=colour, lw=1.6)
            axes.plot(t.accuracy, k, "o", color=colour, ms=4)
        axes.set_yticks(range(len(self.tests)), [f"{t.element}, {t.view}" for t in self.tests], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel("accuracy of telling moved images from images as they came")
        return figure


def _class_row(name: str, images: int, degree: Degree | None, differs: Iterable[str]) -> tuple[str, ...]:
    interval, bound = ("-", "-") if degree is None else (degree.interval, f"{degree.bound:.2f}")
    return one_line(name), str(images), interval, bound, ", ".join(differs) or "-"


def _p(value: float) -> str:
    return "<1e-9" if value < 1e-9 else f"{value:.2g}"


def audit(
    batches: Iterable[Tensor],
    labels: np.ndarray,
    classes: tuple[str, ...],
    group: str | None = None,
    seed: int = 0,
    upright: tuple[Iterable[Tensor], np.ndarray] | None = None,
) -> AsymmetryAudit:
    """Test whether moving images by the elements of a group changes their distribution, and bound the degree.

    Args:
        batches: the images in batches of (B, C, H, W) uint8, C being 1 or 3; one batch is in memory at a time.
        labels: (n,) int64, of all images.
        classes: names of the classes.
        group: name of a subgroup of d4; None: d4, or d2 (mirrors and the half turn) if the images are not square.
        seed: decides the halves.
        upright: batches and labels of upright images of the same kind, size and classes; beside them the degree has an
            estimate and two ends.

    Raises:
        ShapeError: if the images are too few, too small, or not square although the group has quarter turns.
        SymmetryError: if the group is none of c2, c4, d1, d2, d4.

    Example:
        >>> from symdata import open_source
        >>> source = open_source("glyphs:OX")  # both letters are symmetric under d4
        >>> rows = range(100)
        >>> found = audit([source.read("train", rows)], source.labels("train")[rows], source.classes, "c4")
        >>> found.is_symmetric, found.kept
        (True, ('e', 'r90', 'r180', 'r270'))
    """
    _enough(len(labels), 0)
    seen, acting = read(batches, group)
    indices = [Group(4, flips=True).index(e) for e in acting.elements]
    seen, labels, left = without_copies(seen, labels, indices)
    _enough(len(labels), left)
    splits = [_halves(seed, i, len(labels)) for i in range(SPLITS)]
    halves = splits[0]
    views = {view: orbits(parts, indices) for view, parts in seen.items()}
    tests, guesses = run_tests(views, labels, acting, halves)
    joined = {TOGETHER: np.concatenate(list(views.values()), axis=2)}
    by_view = {view: estimate(versions, labels, len(classes), splits) for view, versions in (views | joined).items()}
    degree, by_class = by_view[SHAPES]
    compared = None if upright is None else _compared(seen, labels, upright, acting, indices, seed)
    content = [part for view in ("gray", "colour") for part in seen.get(view, [])]
    moves = label_tests(content, labels, len(classes), acting, indices, halves) if len(classes) > 1 else ()
    lost = _differing_by_class(guesses, labels[halves[1]], len(classes), acting)
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    rows = tuple(ClassAudit(name, counts[c], by_class[c], lost[c]) for c, name in enumerate(classes))
    degrees = {view: found[0] for view, found in by_view.items()}
    return AsymmetryAudit(acting, len(labels), rows, tests, moves, degree, degrees, compared, left)


def _enough(images: int, left: int) -> None:
    if images < FEWEST:
        what = f"{images} images" if not left else f"{images} different images (copies of them left out: {left:,})"
        raise ShapeError(
            f"{what} are too few to tell chance from difference; an audit needs {FEWEST} or more: add images, or raise "
            "--limit"
        )


def _compared(
    seen: Views,
    labels: np.ndarray,
    upright: tuple[Iterable[Tensor], np.ndarray],
    group: Group,
    indices: list[int],
    seed: int,
) -> Degree:
    """The degree beside upright images, by all views at once."""
    batches, known = upright
    if len(known) < FEWEST:
        raise ShapeError(f"{len(known)} upright images are too few to compare with; give {FEWEST} or more")
    if lacking := sorted(set(labels.tolist()) - set(known.tolist())):
        raise ShapeError(f"there are no upright images of class {lacking[0]}; give some of every class of the images")
    reference, _ = read(batches, group.name)
    reference, known, _ = without_copies(reference, known, indices)
    shapes = [tuple(tuple(part.shape[1:]) for part in one.get(SHAPES, ())) for one in (seen, reference)]
    if list(seen) != list(reference) or shapes[0] != shapes[1]:
        raise ShapeError("the upright images have another size or other channels than the images; give images alike")
    both = {
        view: orbits([torch.cat(pair) for pair in zip(parts, reference[view], strict=True)], indices)
        for view, parts in seen.items()
    }
    versions, n = np.concatenate(list(both.values()), axis=2), len(labels)
    splits = [_halves(seed, i, len(known)) for i in range(SPLITS)]
    return compare(versions[:n], labels, versions[n:], known, splits)


def _halves(seed: int, i: int, n: int) -> Halves:
    order = permutation(seed, "audit", f"halves {i}", n)
    return order[: n // 2], order[n // 2 :]


def _differing_by_class(
    guesses: dict[str, np.ndarray], labels: np.ndarray, n_classes: int, group: Group
) -> list[tuple[str, ...]]:
    enough = [c for c in range(n_classes) if (labels == c).sum() >= FEWEST_OF_A_CLASS]
    asked = [(c, name) for c in enough for name in guesses]
    corrected = holm([orbit_p_value(guesses[name][labels == c]) for c, name in asked])
    lost = {key for key, p in zip(asked, corrected, strict=True) if p < LEVEL}
    pairs = {str(e): name_pair(group, e) for e in group.elements}
    return [tuple(pairs[name] for name in guesses if (c, name) in lost) for c in range(n_classes)]
