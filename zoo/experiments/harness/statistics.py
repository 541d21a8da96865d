"""Means over seeds, and how far two of them are apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Figure(NamedTuple):
    """A published mean over seeds."""

    mean: float
    sd: float | None
    """Population standard deviation over seeds; None where none is known."""
    n: int
    """Seeds."""


def summarise(values: Sequence[float]) -> Figure:
    """Mean and population standard deviation, as in the published tables; one value has no spread."""
    n = len(values)
    mean = math.fsum(values) / n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / n) if n > 1 else None
    return Figure(mean, sd, n)


@dataclass(frozen=True)
class Difference:
    """The difference of two independent means, after Welch: the two spreads need not be equal."""

    value: float
    error: float
    """Standard error."""
    dof: float
    """Degrees of freedom of t, after Welch and Satterthwaite."""

    @property
    def t(self) -> float:
        """Difference in standard errors."""
        return self.value / self.error if self.error else math.copysign(math.inf, self.value)


def difference(a: Figure, b: Figure) -> Difference | None:
    """a - b with its standard error; None if one of them has no spread to judge by."""
    if a.sd is None or b.sd is None or min(a.n, b.n) < 2:
        return None
    # sd^2 / (n - 1): the unbiased variance, sd^2 n / (n - 1), of a mean of n
    va, vb = a.sd**2 / (a.n - 1), b.sd**2 / (b.n - 1)
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
