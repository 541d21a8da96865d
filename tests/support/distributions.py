"""Statistical tests of distributions."""

import numpy as np
from scipy import stats

from symdata import Elements, Group
from symdata.measures import Atoms

ALPHA = 0.001
"""A test fails below this p-value; seeds are fixed, so its result does not change."""


def chi_square(elements: Elements, atoms: Atoms, group: Group) -> float:
    """The p-value of elements of a finite group against their probabilities; 0 if one has probability 0."""
    expected = np.zeros(int(group.order))
    for element, p in atoms:
        expected[group.index(element)] += p
    counts = np.bincount(group.indices(elements), minlength=len(expected))
    if counts[expected == 0.0].any():
        return 0.0
    counts, expected = counts[expected > 0.0], expected[expected > 0.0]
    return 1.0 if len(counts) == 1 else float(stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue)


def fair_coin(flips: np.ndarray, p: float = 0.5) -> float:
    """The p-value of a coin that shows True with probability `p`."""
    return float(stats.binomtest(int(flips.sum()), len(flips), p).pvalue)
