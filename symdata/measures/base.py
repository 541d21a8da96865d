"""What every probability measure on O(2) has, and what follows from it: atoms, overlap with Haar, degree.

A measure has a group, turns uniform numbers into elements, and gives its probabilities: those of single elements
(`points`), and of arcs of the rotations and of the mirrored elements (`cumulative`). It generates no random numbers.

Convention:
    Angles are degrees, counter-clockwise as displayed; a mirrored element mirrors left-right first, then rotates.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import Element, Elements, Group, namespace

UNIFORMS = 4
"""Uniform numbers per draw: angle, mirror, the gate of `Partial` or the second number of a Gaussian, and the part of a
mixture."""

Atoms = tuple[tuple[Element, float], ...]
"""Elements, each once, with their probabilities."""

CELLS = 7200
"""Cells of the circle in numeric integrals: a twentieth of a degree each."""


class Measure(ABC):
    """A probability measure on O(2). A measure of your own has `group` and `points`, and, if it has infinitely many
    elements, `draw` and `cumulative`; `register_law` gives it a text.

    Example:
        >>> from symdata import Group, Measure, Symmetry, register_law
        >>> class Geometric(Measure):
        ...     "Each further element of a group is less likely than the one before."
        ...
        ...     def __init__(self, group, ratio):
        ...         self.group, self.ratio = group, ratio
        ...
        ...     @property
        ...     def points(self):
        ...         shares = [self.ratio**k for k in range(self.group.order)]
        ...         return tuple((e, p / sum(shares)) for e, p in zip(self.group.elements, shares))
        >>> @register_law("geometric", version=1)
        ... def geometric(ratio=0.5):
        ...     return Geometric(Group("c4"), ratio)
        >>> print(Symmetry(geometric(0.25)), "or", Symmetry("law@geometric"))
        law@geometric@version=1@ratio=0.25 or law@geometric@version=1@ratio=0.5
        >>> round(Symmetry("law@geometric").degree, 3)
        0.6
    """

    group: Group
    """A group that contains every element that can occur, the smaller the better: the degree is that on this group."""

    def __str__(self) -> str:
        """The text from which the grammar reads the measure; only a registered law gives a measure of your own one."""
        return f"<{type(self).__name__} without a text: use register_law>"

    @property
    @abstractmethod
    def points(self) -> Atoms:
        """The elements that have a probability of their own: all of them, if there are finitely many."""

    def draw(self, u: Sequence[Any]) -> Elements:
        """One element for each of n draws, a pure function of their uniform numbers.

        Args:
            u: `UNIFORMS` arrays (n,) of independent numbers in [0, 1), float64, numpy or torch.
        """
        angles, flips = [e.angle for e, _ in self.atoms], [float(e.flip) for e, _ in self.atoms]
        k = choose(u[0], [p for _, p in self.atoms])
        return Elements(look_up(angles, k, u[0]), look_up(flips, k, u[0]) > 0.5)

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        """Probability of the angles from 0 to each of `angle_deg`, up to a constant and without `points`.

        Args:
            angle_deg: (n,) angles in [0, 360].
            flip: of the mirrored elements, or of the rotations.
        """
        return np.zeros(len(angle_deg))

    @property
    def jumps(self) -> tuple[float, ...]:
        """Angles at which the density jumps; integrals over the density have them as limits."""
        return ()

    def canonical(self) -> "Measure":
        """The same measure in its simplest form."""
        return self

    @property
    def atoms(self) -> Atoms:
        """All elements that can occur, with their probabilities.

        Raises:
            SymmetryError: if there are infinitely many.
        """
        if not is_discrete(self):
            raise SymmetryError(f"{self} has infinitely many elements; use a finite group, as in c8@-90..90")
        return self.points

    def density_overlap(self, group: Group) -> float:
        """Integral of the minimum of the density and that of Haar on so2 or o2, in cells of 1/20 degree."""
        cells = np.unique(np.append(np.arange(CELLS + 1.0), np.mod(self.jumps, 360.0) * (CELLS / 360.0)))
        edges, haar = cells / (CELLS / 360.0), np.diff(cells) / (CELLS * len(group.sides))
        return float(sum(np.minimum(np.diff(self.cumulative(edges, flip)), haar).sum() for flip in group.sides))


def overlap(measure: Measure, group: Group) -> float:
    """Integral of the minimum of `measure` and the Haar measure of `group`: 1 - their total-variation distance."""
    if group.is_finite:
        return sum(min(p, 1.0 / group.order) for _, p in measure.atoms)
    return 0.0 if is_discrete(measure) else measure.density_overlap(group)  # single elements have no density


def degree(measure: Measure, group: Group) -> float:
    """How near `measure` is to Haar: 1 - TV(measure, Haar) / TV(identity, Haar); 1 for Haar, 0 for one element."""
    single = 1.0 / group.order  # overlap of a single element; 0 for so2 and o2
    return 0.0 if single == 1.0 else min(1.0, max(0.0, (overlap(measure, group) - single) / (1.0 - single)))


def is_discrete(measure: Measure) -> bool:
    """Whether finitely many elements can occur."""
    return measure.group.is_finite or math.fsum(p for _, p in measure.points) > 1.0 - 1e-9


def is_lattice(measure: Measure) -> bool:
    """Whether every element that can occur permutes the pixels of a square image."""
    return measure.group.is_lattice or (is_discrete(measure) and all(e.angle % 90.0 == 0.0 for e, _ in measure.atoms))


def number(value: float) -> str:
    """The shortest text of a float that reads back as the same number: 0.5, 45, 1e-07; -0.0 becomes 0."""
    text = repr(float(value) + 0.0).replace("e+", "e")
    return text[:-2] if text.endswith(".0") else text


def choose(u: Any, shares: Sequence[float]) -> Any:
    """(n,) int64: which of some shares of the unit interval each number in [0, 1) falls into."""
    xp = namespace(u)
    edges = list(accumulate(shares[:-1]))  # without the last: rounding leaves no gap at the end
    if xp is np:
        return np.searchsorted(edges, u, side="right")
    return xp.searchsorted(xp.as_tensor(edges, dtype=u.dtype, device=u.device), u, right=True)


def look_up(values: Sequence[float] | np.ndarray, k: Any, u: Any) -> Any:
    """The values with the indices `k`, in the kind of array that `u` is."""
    xp = namespace(u)
    table = np.asarray(values) if xp is np else xp.as_tensor(values, dtype=u.dtype, device=u.device)
    return table[k]


def mirrored(u: Any, group: Group) -> Any:
    """Which draws are mirrored: each with probability 1/2, or none in a group without mirrors."""
    return u < (0.5 if group.flips else 0.0)


def on_every_side(group: Group, angles: Sequence[tuple[float, float]]) -> Atoms:
    """Elements of a measure from the probabilities of its angles, whatever the mirror."""
    sides = group.sides
    return tuple((Element(angle, flip), p / len(sides)) for flip in sides for angle, p in angles if p > 0.0)
