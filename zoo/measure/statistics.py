"""Means over seeds, how they are written, and how far two of them are apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class MeanOverSeeds(NamedTuple):
    """A mean over seeds."""

    mean: float
    sd: float | None
    """Sample standard deviation over seeds (n - 1 in the denominator); None where none is known."""
    n: int
    """Number of seeds."""

    def text(self, digits: int = 2) -> str:
        """`97.69±0.17`; without a deviation, the mean alone."""
        spread = "" if self.sd is None else f"±{self.sd:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


def summarise(values: Sequence[float]) -> MeanOverSeeds:
    """Mean and sample standard deviation; a single value has no deviation.

    Example:
        >>> summarise([1.0, 3.0])
        MeanOverSeeds(mean=2.0, sd=1.4142135623730951, n=2)
    """
    n = len(values)
    mean = math.fsum(values) / n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
    return MeanOverSeeds(mean, sd, n)


def plus_minus(values: Sequence[float], digits: int = 2) -> str:
    """Mean and sample standard deviation of some values as text; `-` for none."""
    return summarise(values).text(digits) if values else "-"


@dataclass(frozen=True)
class Difference:
    """The difference of two independent means, after Welch: the two deviations may differ."""

    value: float
    error: float
    """Standard error."""
    dof: float
    """Degrees of freedom of t, after Welch and Satterthwaite."""

    @property
    def t(self) -> float:
        """The difference in standard errors."""
        return self.value / self.error if self.error else math.copysign(math.inf, self.value)


def difference(a: MeanOverSeeds, b: MeanOverSeeds) -> Difference | None:
    """a - b with its standard error; None if one of them has no deviation."""
    if a.sd is None or b.sd is None or min(a.n, b.n) < 2:
        return None
    va, vb = a.sd**2 / a.n, b.sd**2 / b.n
    spread = va + vb
    dof = spread**2 / (va**2 / (a.n - 1) + vb**2 / (b.n - 1)) if spread else float(a.n + b.n - 2)
    return Difference(a.mean - b.mean, math.sqrt(spread), dof)


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Rank correlation of two series of one length, with mean ranks for ties; nan if one of them is constant."""
    ranks = [_ranks(values) for values in (a, b)]
    centred = [[r - math.fsum(rank) / len(rank) for r in rank] for rank in ranks]
    norms = [math.sqrt(math.fsum(c * c for c in rank)) for rank in centred]
    product = math.fsum(x * y for x, y in zip(*centred, strict=True))
    return product / (norms[0] * norms[1]) if all(norms) else math.nan


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]
