"""Densities of the angle, as tables: linear between knots, so that quantiles and probabilities are exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import Elements, Group, namespace, wrap
from symdata.measures.base import CELLS, Atoms, Measure, look_up


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """A probability density on an interval, linear between its knots."""

    knots: np.ndarray
    """(k,) increasing."""
    density: np.ndarray
    """(k,) at the knots."""
    below: np.ndarray
    """(k,) probability of what lies below each knot, from 0 to 1."""

    @classmethod
    def of(cls, knots: np.ndarray, values: np.ndarray) -> "PiecewiseLinear":
        """The density in proportion to these values."""
        masses = np.diff(knots) * (values[1:] + values[:-1]) / 2.0
        below = np.append(0.0, np.cumsum(masses))
        return cls(knots, values / below[-1], below / below[-1])

    def quantile(self, u: Any) -> Any:
        """The value below which lies the share `u` in [0, 1), numpy or torch."""
        xp = namespace(u)
        if xp is np:
            k = np.searchsorted(self.below[1:-1], u, side="right")
        else:
            k = xp.searchsorted(xp.as_tensor(self.below[1:-1], dtype=u.dtype, device=u.device), u, right=True)
        a, b = look_up(self.density[:-1], k, u), look_up(self.density[1:], k, u)
        start, step = look_up(self.knots[:-1], k, u), look_up(np.diff(self.knots), k, u)
        rest = u - look_up(self.below[:-1], k, u)
        # rest = a x + (b - a) x^2 / (2 step), solved for x without cancellation
        root = xp.sqrt((a * a + 2.0 * (b - a) * rest / step).clip(0.0))
        x = 2.0 * rest / (a + root).clip(1e-300)
        return start + xp.where(x < step, x, step)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Share of what lies below each value."""
        k = np.clip(np.searchsorted(self.knots, x, side="right") - 1, 0, len(self.knots) - 2)
        step = np.diff(self.knots)[k]
        into = np.clip(x - self.knots[k], 0.0, step)
        slope = (self.density[k + 1] - self.density[k]) / step
        return np.asarray(self.below[k] + into * (self.density[k] + slope * into / 2.0))


class Density(Measure):
    """A measure by its density over the angle, for laws of your own.

    The density is taken at every twentieth of a degree and is linear in between; only proportions count.

    Args:
        rotations: angles in degrees (n,) to densities (n,) of the rotations; None: there are none.
        mirrored: the same of the mirrored elements.

    Example:
        >>> import numpy as np
        >>> from symdata import Symmetry, register_law
        >>> @register_law("tilted", version=1)
        ... def tilted(to=20.0, power=4):
        ...     return Density(lambda angle: (1 + np.cos(np.deg2rad(angle - to))) ** power)
        >>> law = Symmetry("law@tilted@to=90")
        >>> print(law, law.group, round(law.degree, 2))
        law@tilted@version=1@to=90@power=4 so2 0.45
    """

    def __init__(
        self,
        rotations: Callable[[np.ndarray], Any] | None,
        mirrored: Callable[[np.ndarray], Any] | None = None,
    ) -> None:
        knots = np.arange(CELLS + 1) / (CELLS / 360.0)
        values = [_values(function, knots) for function in (rotations, mirrored)]
        masses = [float((side[1:] + side[:-1]).sum()) for side in values]
        if not sum(masses):
            raise SymmetryError("the density is 0 at every angle; return something positive")
        self.group = Group(None, flips=masses[1] > 0.0)
        self.shares = [mass / sum(masses) for mass in masses]
        self.tables = [
            PiecewiseLinear.of(knots, side) if mass else None for side, mass in zip(values, masses, strict=True)
        ]

    @property
    def points(self) -> Atoms:
        return ()

    def draw(self, u: Sequence[Any]) -> Elements:
        xp, flip = namespace(u[0]), u[1] < self.shares[1]
        angles = [u[0] * 0.0 if table is None else wrap(table.quantile(u[0])) for table in self.tables]
        return Elements(xp.where(flip, angles[1], angles[0]), flip)

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        table = self.tables[flip]
        return np.zeros(len(angle_deg)) if table is None else self.shares[flip] * table.cdf(angle_deg)


def _values(function: Callable[[np.ndarray], Any] | None, knots: np.ndarray) -> np.ndarray:
    if function is None:
        return np.zeros(len(knots))
    values = np.broadcast_to(np.asarray(function(knots), dtype=np.float64), knots.shape)
    if not (np.isfinite(values) & (values >= 0.0)).all():
        wrong = knots[~(np.isfinite(values) & (values >= 0.0))][0]
        raise SymmetryError(f"the density at {wrong:g} degrees is not a finite number of at least 0")
    return values
