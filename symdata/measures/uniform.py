"""Measures that are uniform: Haar and its mixtures with the identity, and arcs.

Convention:
    Degrees, counter-clockwise as displayed. An arc restricts the angle; in a group with mirrors each element is
    mirrored with probability 1/2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import Element, Elements, Group, namespace, wrap
from symdata.measures.base import Atoms, Measure, look_up, mirrored, number, on_every_side


@dataclass(frozen=True)
class Partial(Measure):
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

    def canonical(self) -> Measure:
        return NONE if str(self) == "none" else self

    def draw(self, u: Sequence[Any]) -> Elements:
        xp, n = namespace(u[0]), self.group.rotations
        gate = u[2] < self.weight
        angle = u[0] * 360.0 if n is None else xp.floor(u[0] * n) * 360.0 / n
        return Elements(xp.where(gate, angle, 0.0), gate & mirrored(u[1], self.group))

    @property
    def points(self) -> Atoms:
        elements = self.group.elements if self.group.is_finite else (Element(),)
        share = self.weight / len(elements) if self.group.is_finite else 0.0
        shares = ((e, share + (i == 0) * (1.0 - self.weight)) for i, e in enumerate(elements))
        return tuple((e, p) for e, p in shares if p > 0.0)

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        drawn = not self.group.is_finite and flip in self.group.sides
        return angle_deg * (self.weight / (360.0 * len(self.group.sides)) if drawn else 0.0)

    def density_overlap(self, group: Group) -> float:
        return min(self.weight, _most(self.group, group))


NONE = Partial(Group(1))
"""The point mass at the identity."""


@dataclass(frozen=True)
class Arc(Measure):
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

    def canonical(self) -> Measure:
        finite = self.group.is_finite
        if self.high - self.low >= 360.0 or (finite and len(self.angles()) == self.group.rotations):
            return Partial(self.group).canonical()
        identity_only = self.angles() == [0.0] if finite else self.low == self.high == 0.0
        return NONE if identity_only and not self.group.flips else self

    def angles(self) -> list[float]:
        """The angles of the arc that are rotations of a finite group, each once, in [0, 360)."""
        n = self.group.rotations or 1
        first, last = math.ceil(self.low * n / 360.0 - 1e-9), math.floor(self.high * n / 360.0 + 1e-9)
        return [360.0 * k / n for k in sorted({k % n for k in range(first, last + 1)})]

    def draw(self, u: Sequence[Any]) -> Elements:
        if self.group.rotations is None:
            angle = wrap(self.low + (self.high - self.low) * u[0])
        else:
            angle = _pick(u[0], self.angles())
        return Elements(angle, mirrored(u[1], self.group))

    @property
    def points(self) -> Atoms:
        if self.group.is_finite:
            angles = self.angles()
        else:
            angles = [self.low] if self.low == self.high else []
        return on_every_side(self.group, [(angle, 1.0 / len(angles)) for angle in angles])

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        length = self.high - self.low
        if self.group.is_finite or not length or flip not in self.group.sides:
            return np.zeros(len(angle_deg))
        turns = 360.0 * np.arange(-3, 3)[:, None]  # low and high are in -720..720
        covered = np.clip(angle_deg + turns, self.low, self.high).sum(0)
        return np.asarray(covered / (length * len(self.group.sides)))

    @property
    def jumps(self) -> tuple[float, ...]:
        return (self.low, self.high)

    def density_overlap(self, group: Group) -> float:
        return _most(self.group, group) * min(self.high - self.low, 360.0) / 360.0


def _most(own: Group, group: Group) -> float:
    """The share of Haar on `group` that lies on the sides, with and without the mirror, of a group in it."""
    return 1.0 if own.flips == group.flips else 0.5


def _pick(u: Any, angles: list[float]) -> Any:
    """Each of some angles equally often."""
    xp = namespace(u)
    step = xp.floor(u * len(angles))
    return look_up(angles, step.astype(np.int64) if xp is np else step.long(), u)
