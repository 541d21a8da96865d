"""How symmetric are these images really? The tests of every element and view, the degree, the labels, in one report."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from symdata.inspection.asymmetry.degree import Degree, estimate
from symdata.inspection.asymmetry.exact import holm, orbit_p_value
from symdata.inspection.asymmetry.labels import LabelTest, label_tests
from symdata.inspection.asymmetry.two_sample import LEVEL, Halves, Test, name_pair, run
from symdata.inspection.asymmetry.views import Views, fields, join, orbits
from symdata.keys import permutation

FEWEST = 80
"""Images that an audit needs: on fewer, only differences that the eye sees would be found."""
NAMES = ("d4", "c4", "d2", "c2", "d1")
"""Groups that an audit may be of."""
SHAPES = "gray"
"""The view whose degree is that of the images."""
SMALLEST = 8
"""Shortest side, in pixels."""
SPLITS = 4
"""Ways to halve the images that the degree is averaged over; the tests use the first."""
FEWEST_OF_A_CLASS = 10
"""Images of a class, of those that the scores are tested on, from which it gets a test of its own."""


@dataclass(frozen=True)
class ClassAudit:
    """One class."""

    name: str
    images: int
    degree: Degree | None
    """None of a class without images."""
    differs: tuple[str, ...]
    """Elements that change its law, by a score of its own (Holm over classes and elements)."""
    told: bool
    """Whether its degree counts in the degree of the whole."""


@dataclass(frozen=True)
class AsymmetryAudit:
    """How symmetric a set of images is."""

    group: Group
    images: int
    classes: tuple[ClassAudit, ...]
    tests: tuple[Test, ...]
    labels: tuple[LabelTest, ...]
    degree: Degree
    """How full the symmetry of the shapes is, those of the view `gray`."""
    by_view: dict[str, Degree]
    """The same for every view: a trace of the camera is upright where shapes are not."""

    @property
    def differing(self) -> dict[str, list[Test]]:
        """Element -> its tests that found a difference, the strongest first; elements without any are left out."""
        found: dict[str, list[Test]] = {}
        for test in sorted(self.tests, key=lambda test: -test.low):
            if test.differs:
                found.setdefault(test.element, []).append(test)
        return {test.element: found[test.element] for test in self.tests if test.element in found}

    @property
    def is_symmetric(self) -> bool:
        """Whether no element was found to change anything."""
        return not self.differing

    @property
    def kept(self) -> tuple[str, ...]:
        """The largest subgroup none of whose elements was found to change anything, by the names of its elements."""
        g, lost = self.group, set(self.differing)
        free = [k for k, e in enumerate(g.elements) if k and not {str(e), str(~e)} & lost]
        sets = [(0, *some) for size in range(len(free) + 1) for some in combinations(free, size)]
        closed = [some for some in sets if all(g.product(a, b) in some for a in some for b in some)]
        return tuple(str(g.elements[k]) for k in max(closed, key=len))

    @property
    def safe(self) -> str:
        """The name of that subgroup, as `RandomSymmetry` takes it; of one without a name, the largest that has one."""
        kept = set(self.kept)
        named = [Group.parse(name) for name in (*NAMES, "none")]
        fitting = [group for group in named if {str(e) for e in group.elements} <= kept]
        return "none" if (best := max(fitting, key=lambda group: group.order)).order == 1 else best.name

    def to_dict(self) -> dict[str, Any]:
        """The numbers and the sentences, ready for JSON."""
        from symdata.inspection.asymmetry.advice import advice

        return {
            "group": self.group.name,
            "images": self.images,
            "is_symmetric": self.is_symmetric,
            "kept": list(self.kept),
            "safe": self.safe,
            "degree": self.degree.to_dict(),
            "by_view": {view: degree.to_dict() for view, degree in self.by_view.items()},
            "tests": [test.to_dict() for test in self.tests],
            "labels": [test.to_dict() for test in self.labels],
            "classes": [
                {
                    "name": c.name,
                    "images": c.images,
                    "degree": c.degree.to_dict() if c.degree else None,
                    "told": c.told,
                    "differs": list(c.differs),
                }
                for c in self.classes
            ],
            "advice": advice(self),
        }


def audit(
    batches: Iterable[Tensor], labels: np.ndarray, classes: tuple[str, ...], group: str | None = None, seed: int = 0
) -> AsymmetryAudit:
    """Test whether moving the images by the elements of a group changes their law, and estimate how full it is.

    Args:
        batches: the images, (B, C, H, W) uint8 at a time, C being 1 or 3; no more than one batch is held.
        labels: (n,) int64, of all of them.
        classes: names of the classes.
        group: a subgroup of d4 by its name; None: d4, or d2 (mirrors and the half turn) if the images are not square.
        seed: decides the halves.

    Raises:
        ShapeError: if the images are too few, too small, or not square where the group has quarter turns.
        SymmetryError: if the group is none of c2, c4, d1, d2, d4.

    Example:
        found = audit([dataset.images()], dataset.labels, dataset.classes, "d4")
        found.is_symmetric, found.kept, found.degree.value
    """
    if len(labels) < FEWEST:
        raise ShapeError(
            f"{len(labels)} images are too few to tell chance from difference; an audit needs {FEWEST} or more: "
            "add images, or raise --limit"
        )
    seen, chosen = _look(batches, group)
    indices = [Group(4, flips=True).index(e) for e in chosen.elements]
    splits = [_halves(seed, i, len(labels)) for i in range(SPLITS)]
    halves = splits[0]
    views = {view: orbits(parts, indices) for view, parts in seen.items()}
    tests, guesses = run(views, labels, chosen, halves)
    by_view = {view: estimate(versions, labels, len(classes), splits) for view, versions in views.items()}
    degree, by_class, told = by_view[SHAPES]
    content = [part for view in ("gray", "colour") for part in seen.get(view, [])]
    moves = label_tests(content, labels, len(classes), chosen, indices, halves)
    lost = _differing_by_class(guesses, labels[halves[1]], len(classes), chosen)
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    rows = tuple(ClassAudit(name, counts[c], by_class[c], lost[c], c in told) for c, name in enumerate(classes))
    return AsymmetryAudit(
        chosen, len(labels), rows, tests, moves, degree, {view: found[0] for view, found in by_view.items()}
    )


def _look(batches: Iterable[Tensor], text: str | None) -> tuple[Views, Group]:
    """The views of all images, and the group that they are moved by."""
    parts: list[Views] = []
    group = None
    for images in batches:
        group = group or _group(images.shape[-2], images.shape[-1], text)
        parts.append(fields(images))
    assert group is not None  # there are labels, so there are images
    return join(parts), group


def _group(h: int, w: int, text: str | None) -> Group:
    if min(h, w) < SMALLEST:
        raise ShapeError(f"images are {h}x{w}, and an audit needs sides of {SMALLEST} or more; use larger images")
    if text is None:
        return Group.parse("d4" if h == w else "d2")
    group = Group.parse(text)
    if not group.is_lattice or group.order == 1:
        raise SymmetryError(
            f"{text!r} is no group that moves pixels without interpolating; use one of {', '.join(NAMES)}, as in d4"
        )
    if h != w and group.rotations == 4:
        mend = "d2" if group.flips else "c2"
        raise ShapeError(f"images are {h}x{w}, and a quarter turn needs square ones; use --group {mend}")
    return group


def _halves(seed: int, i: int, n: int) -> Halves:
    order = permutation(seed, "audit", f"halves {i}", n)
    return order[: n // 2], order[n // 2 :]


def _differing_by_class(
    guesses: dict[str, np.ndarray], labels: np.ndarray, n_classes: int, group: Group
) -> list[tuple[str, ...]]:
    enough = [c for c in range(n_classes) if (labels == c).sum() >= FEWEST_OF_A_CLASS]
    asked = [(c, name) for c in enough for name in guesses]
    corrected = holm([orbit_p_value(guesses[name][labels == c]) for c, name in asked])
    found: list[list[str]] = [[] for _ in range(n_classes)]
    pair = {str(e): name_pair(group, e) for e in group.elements}
    for (c, name), p in zip(asked, corrected, strict=True):
        if p < LEVEL:
            found[c].append(pair[name])
    return [tuple(names) for names in found]
