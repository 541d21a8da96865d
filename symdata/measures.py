"""Probability measures on O(2): mixtures of Haar with the identity, arcs, Gaussians.

A measure has a group, turns uniform numbers into elements, lists its atoms if it has finitely many, and computes its
overlap with the Haar measure of a group. It generates no random numbers itself.

Convention:
    Angles are degrees, counter-clockwise as displayed. Arcs and Gaussians restrict the angle; in a group with mirrors
    each element is mirrored with probability 1/2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import Element, Elements, Group, namespace, wrap

UNIFORMS = 3
"""Uniform numbers per draw: angle, mirror, and the gate of `Partial` or the second number of a Gaussian."""

Atoms = tuple[tuple[Element, float], ...]
"""The elements that can occur, each once, with their probabilities."""


@dataclass(frozen=True)
class Partial:
    """With probability `weight` an element drawn from the Haar measure of `group`, else the identity."""

    group: Group
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1.0:
            raise SymmetryError(f"weight {number(self.weight)} is outside [0, 1]; write {self.group}-partial@0.5")

    def __str__(self) -> str:
        if self.group.order == 1 or self.weight == 0.0:
            return "none"
        return self.group.name if self.weight == 1.0 else f"{self.group}-partial@{number(self.weight)}"

    def canonical(self) -> "Measure":
        return Partial(Group(1)) if str(self) == "none" else self

    def draw(self, u: list[Any]) -> Elements:
        xp, n = namespace(u[0]), self.group.rotations
        gate = u[2] < self.weight
        angle = u[0] * 360.0 if n is None else xp.floor(u[0] * n) * 360.0 / n
        return Elements(xp.where(gate, angle, 0.0), gate & _mirrored(u[1], self.group))

    @property
    def atoms(self) -> Atoms:
        share = self.weight / len(self.group.elements)
        shares = ((e, share + (i == 0) * (1.0 - self.weight)) for i, e in enumerate(self.group.elements))
        return tuple((e, p) for e, p in shares if p > 0.0)

    def density_overlap(self, cap: float) -> float:
        return min(self.weight, cap)


@dataclass(frozen=True)
class Arc:
    """Uniform on the elements of `group` whose angle lies in [low, high] degrees, ends included."""

    group: Group
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (-720.0 <= self.low <= 720.0 and -720.0 <= self.high <= 720.0):
            raise SymmetryError(f"arc {self} leaves -720..720 degrees; write {self.group}@-45..45")
        if self.low > self.high:
            start = (self.low + 180.0) % 360.0 - 180.0
            mend = f"{self.group}@{number(start)}..{number(start + (self.high - self.low) % 360.0)}"
            raise SymmetryError(f"arc {self} ends before it starts; write {mend} to go on counter-clockwise")
        if self.group.is_finite and not self.angles():
            turn = f"multiples of {360.0 / (self.group.rotations or 1):g} degrees"
            raise SymmetryError(f"arc {self} holds no element of {self.group}, whose rotations are {turn}")

    def __str__(self) -> str:
        return f"{self.group}@{number(self.low)}..{number(self.high)}"

    def canonical(self) -> "Measure":
        finite = self.group.is_finite
        if self.high - self.low >= 360.0 or (finite and len(self.angles()) == self.group.rotations):
            return Partial(self.group).canonical()
        identity_only = self.angles() == [0.0] if finite else self.low == self.high == 0.0
        return Partial(Group(1)) if identity_only and not self.group.flips else self

    def angles(self) -> list[float]:
        """The angles of the arc that are rotations of a finite group, each once, in [0, 360)."""
        n = self.group.rotations or 1
        first, last = math.ceil(self.low * n / 360.0 - 1e-9), math.floor(self.high * n / 360.0 + 1e-9)
        return [360.0 * k / n for k in sorted({k % n for k in range(first, last + 1)})]

    def draw(self, u: list[Any]) -> Elements:
        if self.group.rotations is None:
            angle = wrap(self.low + (self.high - self.low) * u[0])
        else:
            angle = _pick(u[0], self.angles())
        return Elements(angle, _mirrored(u[1], self.group))

    @property
    def atoms(self) -> Atoms:
        angles = self.angles() if self.group.is_finite else [self.low]
        return _atoms(self, [(angle, 1.0 / len(angles)) for angle in angles])

    def density_overlap(self, cap: float) -> float:
        return cap * min(self.high - self.low, 360.0) / 360.0


@dataclass(frozen=True)
class Gaussian:
    """A normal angle, wrapped to the circle; in a finite group the element nearest to it."""

    group: Group
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.std <= 360.0 and -360.0 <= self.mean <= 360.0):
            raise SymmetryError(
                f"{self} needs a mean in -360..360 and a deviation in 0..360 degrees; write {self.group}@0~20"
            )

    def __str__(self) -> str:
        return f"{self.group}@{number(self.mean)}~{number(self.std)}"

    def canonical(self) -> "Measure":
        n = self.group.rotations
        if n == 1:
            return Partial(self.group)
        if self.std > 0.0:
            return self
        angle = self.mean if n is None else 360.0 * round(self.mean * n / 360.0) / n
        return Arc(self.group, angle, angle).canonical()

    def draw(self, u: list[Any]) -> Elements:
        xp = namespace(u[0])
        # Box and Muller (1958); 1 - u is in (0, 1], so the logarithm is finite.
        z = xp.sqrt(-2.0 * xp.log(1.0 - u[0])) * xp.cos(2.0 * math.pi * u[2])
        angle = self.mean + self.std * z
        if self.group.rotations is not None:
            angle = xp.round(angle * self.group.rotations / 360.0) % self.group.rotations * 360.0 / self.group.rotations
        return Elements(wrap(angle), _mirrored(u[1], self.group))

    @property
    def atoms(self) -> Atoms:
        n = self.group.rotations or 1
        angles, half = [360.0 * k / n for k in range(n)], 180.0 / n
        turns = self._turns()
        masses = [sum(self._cdf(a + half + turn) - self._cdf(a - half + turn) for turn in turns) for a in angles]
        return _atoms(self, list(zip(angles, masses, strict=True)))

    def _turns(self) -> list[float]:
        """The multiples of 360 degrees near which all but 1e-18 of the mass lies."""
        most = math.ceil((abs(self.mean) + 9.0 * self.std) / 360.0) + 1
        return [360.0 * turn for turn in range(-most, most + 1)]

    def _cdf(self, angle: float) -> float:
        if self.std == 0.0:
            return float(angle > self.mean)
        return 0.5 * (1.0 + math.erf((angle - self.mean) / (self.std * math.sqrt(2.0))))

    def density_overlap(self, cap: float) -> float:
        """Integral of min(density, cap) over the circle, in cells of 1/20 degree."""
        edges = np.arange(7201) / 20.0
        cdf = sum(np.array([self._cdf(a + turn) for a in edges]) for turn in self._turns())
        return float(np.minimum(np.diff(cdf), cap / 7200.0).sum())


Measure = Partial | Arc | Gaussian


def overlap(measure: Measure, group: Group) -> float:
    """Integral of the minimum of `measure` and the Haar measure of `group`: 1 - their total-variation distance."""
    if group.is_finite:
        return sum(min(p, 1.0 / group.order) for _, p in measure.atoms)
    if measure.group.is_finite:
        return 0.0  # atoms have no density
    return measure.density_overlap(1.0 if measure.group.flips == group.flips else 0.5)


def degree(measure: Measure, group: Group) -> float:
    """How near `measure` is to Haar: 1 - TV(measure, Haar) / TV(identity, Haar); 1 for Haar, 0 for one element."""
    single = 1.0 / group.order  # overlap of a single element; 0 for so2 and o2
    return 0.0 if single == 1.0 else min(1.0, max(0.0, (overlap(measure, group) - single) / (1.0 - single)))


def is_discrete(measure: Measure) -> bool:
    """Whether finitely many elements can occur."""
    return measure.group.is_finite or (isinstance(measure, Arc) and measure.low == measure.high)


def is_lattice(measure: Measure) -> bool:
    """Whether every element that can occur permutes the pixels of a square image."""
    return measure.group.is_lattice or (is_discrete(measure) and all(e.angle % 90.0 == 0.0 for e, _ in measure.atoms))


def number(value: float) -> str:
    """The shortest text of a float that reads back as the same number: 0.5, 45, 1e-07; -0.0 becomes 0."""
    text = repr(float(value) + 0.0)
    return text[:-2] if text.endswith(".0") else text


def _pick(u: Any, angles: list[float]) -> Any:
    xp = namespace(u)
    step = xp.floor(u * len(angles))
    table = np.asarray(angles) if xp is np else xp.tensor(angles, dtype=u.dtype, device=u.device)
    return table[step.astype(np.int64) if xp is np else step.long()]


def _mirrored(u: Any, group: Group) -> Any:
    """Which draws are mirrored: each with probability 1/2, or none in a group without mirrors."""
    return u < (0.5 if group.flips else 0.0)


def _atoms(measure: Measure, angles: Sequence[tuple[float, float]]) -> Atoms:
    """The atoms of a measure from the probabilities of its angles."""
    if not is_discrete(measure):
        raise SymmetryError(f"{measure} has infinitely many elements; use a finite group, as in c8@-90..90")
    sides = measure.group.sides
    return tuple((Element(angle, flip), p / len(sides)) for flip in sides for angle, p in angles if p > 0.0)
