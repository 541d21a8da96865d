"""Measures around a mean angle: Gaussian and von Mises.

Convention:
    Degrees, counter-clockwise as displayed. In a finite group the element nearest to the angle acts; in a group with
    mirrors each element is mirrored with probability 1/2.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import Elements, Group, namespace, wrap
from symdata.measures.base import Atoms, Measure, mirrored, number, on_every_side
from symdata.measures.density import PiecewiseLinear
from symdata.measures.uniform import NONE, Arc, Partial

MOST_CONCENTRATED = 1e6
"""Largest concentration of a von Mises measure; its standard deviation is 0.06 degrees."""


class AroundMean(Measure):
    """What the measures of this module share: an angle on the real line, wrapped to the circle."""

    group: Group
    mean: float
    reach: float
    """Degrees from the mean within which all but 1e-18 of the probability lies."""

    @abstractmethod
    def angle(self, u: Sequence[Any]) -> Any:
        """Angles of n draws, not wrapped."""

    @abstractmethod
    def below(self, angle_deg: np.ndarray) -> np.ndarray:
        """Probability of an angle below each of these, not wrapped."""

    def draw(self, u: Sequence[Any]) -> Elements:
        xp, n, angle = namespace(u[0]), self.group.rotations, self.angle(u)
        if n is not None:
            angle = xp.round(angle * n / 360.0) % n * 360.0 / n
        return Elements(wrap(angle), mirrored(u[1], self.group))

    @property
    def points(self) -> Atoms:
        n = self.group.rotations
        if n is None:
            return ()
        angles, half = 360.0 * np.arange(n) / n, 180.0 / n
        masses = sum(self.below(angles + half + turn) - self.below(angles - half + turn) for turn in self._turns())
        return on_every_side(self.group, list(zip(angles.tolist(), np.asarray(masses).tolist(), strict=True)))

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        if self.group.is_finite or flip not in self.group.sides:
            return np.zeros(len(angle_deg))
        below = sum(self.below(angle_deg + turn) for turn in self._turns())
        return np.asarray(below) / len(self.group.sides)

    def _turns(self) -> list[float]:
        """The multiples of 360 degrees near which the probability lies."""
        most = math.ceil((abs(self.mean) + self.reach) / 360.0) + 1
        return [360.0 * turn for turn in range(-most, most + 1)]


@dataclass(frozen=True)
class Gaussian(AroundMean):
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

    def canonical(self) -> Measure:
        n = self.group.rotations
        if n == 1:
            return Partial(self.group)
        if self.std > 0.0:
            return self
        angle = self.mean if n is None else 360.0 * round(self.mean * n / 360.0) / n
        return Arc(self.group, angle, angle).canonical()

    @property
    def reach(self) -> float:  # type: ignore[override]
        return 9.0 * self.std

    def angle(self, u: Sequence[Any]) -> Any:
        xp = namespace(u[0])
        # Box and Muller (1958); 1 - u is in (0, 1], so the logarithm is finite.
        z = xp.sqrt(-2.0 * xp.log(1.0 - u[0])) * xp.cos(2.0 * math.pi * u[2])
        return self.mean + self.std * z

    def below(self, angle_deg: np.ndarray) -> np.ndarray:
        if self.std == 0.0:
            return np.asarray(angle_deg > self.mean, dtype=np.float64)
        with np.errstate(over="ignore"):  # a deviation next to 0 gives infinity, whose erf is 1
            z = (angle_deg - self.mean) / (self.std * math.sqrt(2.0))
        return 0.5 * (1.0 + np.array([math.erf(value) for value in z]))


@dataclass(frozen=True)
class VonMises(AroundMean):
    """An angle with density in proportion to exp(kappa cos(angle - mean)); in a finite group the element nearest to it.

    Numerically the density is linear between 4,097 knots, which differs from the formula by less than 1e-5 in total
    variation; draws, probabilities and the degree all follow the same table.
    """

    group: Group
    mean: float
    kappa: float
    table: PiecewiseLinear = field(init=False, compare=False, repr=False)
    """The density around 0."""

    reach = 180.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.kappa <= MOST_CONCENTRATED and -360.0 <= self.mean <= 360.0):
            raise SymmetryError(
                f"{self} needs a mean in -360..360 degrees and a concentration in 0..{MOST_CONCENTRATED:.0f}; "
                f"write {self.group}@0~k4"
            )
        # exp(kappa (cos x - 1)) is below 1e-18 where 1 - cos x is above 42 / kappa.
        end = math.degrees(math.acos(1.0 - 42.0 / self.kappa)) if self.kappa > 21.0 else 180.0
        knots = np.linspace(-end, end, 4097)
        values = np.exp(-2.0 * self.kappa * np.sin(np.deg2rad(knots) / 2.0) ** 2)
        object.__setattr__(self, "table", PiecewiseLinear.of(knots, values))

    def __str__(self) -> str:
        return f"{self.group}@{number(self.mean)}~k{number(self.kappa)}"

    def canonical(self) -> Measure:
        if self.group.rotations == 1:
            return NONE
        return self if self.kappa > 0.0 else Partial(self.group).canonical()

    def angle(self, u: Sequence[Any]) -> Any:
        return self.mean + self.table.quantile(u[0])

    def below(self, angle_deg: np.ndarray) -> np.ndarray:
        return self.table.cdf(angle_deg - self.mean)
