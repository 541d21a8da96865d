"""The difference of two methods over the same seeds: its mean, and two p-values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symdata.display import PlainData
from zoo.errors import ModelError
from zoo.measure.statistics import summarise

MOST_SEEDS = 20
"""Of the exact test, which goes through 2^n signs."""
LEAST_P = 1e-12
"""Smaller p-values of t are rounding."""


@dataclass(frozen=True)
class PairedDifference(PlainData):
    """What two methods differ by, seed by seed.

    Example:
        >>> found = PairedDifference.of([0.91, 0.93, 0.92], [0.90, 0.91, 0.92])
        >>> round(found.mean, 3), round(found.t_p, 3), found.flip_p, found.smallest_p
        (0.01, 0.225, 0.5, 0.25)
    """

    json_fields = ("mean", "sd", "n", "t_p", "flip_p", "smallest_p")
    mean: float
    """Mean of the differences."""
    sd: float
    """Their sample standard deviation, over seeds."""
    n: int
    """Seeds."""
    t_p: float | None
    """Two-sided p-value of Student's paired t test, which takes the differences as normal; None if they do not vary."""
    flip_p: float | None
    """Exact two-sided p-value of the sign-flip test, which takes them as symmetric about 0 under the null hypothesis:
    the share of all 2^n choices of signs with a mean at least as far from 0. None for more than 20 seeds."""

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that the sign-flip test can give with so many seeds: 2 / 2^n."""
        return 2.0 ** (1 - self.n)

    @classmethod
    def of(cls, a: Sequence[float], b: Sequence[float]) -> "PairedDifference":
        """a - b, whose values belong to the same seeds in the same order.

        Raises:
            ModelError: for series of different length, or of less than 2.
        """
        if len(a) != len(b) or len(a) < 2:
            raise ModelError(f"{len(a)} and {len(b)} values are paired, expected as many of both, for 2 or more seeds")
        differences = [x - y for x, y in zip(a, b, strict=True)]
        mean, sd, n = summarise(differences)
        assert sd is not None
        size = max(map(abs, (*a, *b)))
        varies = sd > 1e-12 * size  # what is below is rounding
        t_p = max(t_pvalue(mean / (sd / math.sqrt(n)), n - 1), LEAST_P) if varies else None
        return cls(mean, sd, n, t_p, sign_flip_pvalue(differences, 1e-9 * size) if n <= MOST_SEEDS else None)


def t_pvalue(t: float, dof: int) -> float:
    """Two-sided p-value of Student's t with a whole number of degrees of freedom.

    The distribution function is then a finite sum (Abramowitz & Stegun, 26.7.3 and 26.7.4). Its error is that of
    rounding, 1e-15, whatever the p-value.

    Example:
        >>> round(t_pvalue(2.776445, 4), 4)
        0.05
    """
    theta = math.atan(abs(t) / math.sqrt(dof))
    square = math.cos(theta) ** 2
    odd = dof % 2
    term = math.cos(theta) if odd else 1.0
    total = 0.0
    for k in range(dof // 2):
        total += term
        term *= square * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    inside = 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total
    return min(max(1.0 - inside, 0.0), 1.0)


def sign_flip_pvalue(differences: Sequence[float], tolerance: float = 0.0) -> float:
    """The share of all choices of signs for which the sum of the differences is at least as far from 0 as it is.

    Args:
        differences: at most `MOST_SEEDS`.
        tolerance: sums that are closer than this count as equal.

    Example:
        >>> sign_flip_pvalue([1, 2, 3, 4])
        0.125
    """
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return float((np.abs(sums) >= abs(math.fsum(differences)) - tolerance).mean())
