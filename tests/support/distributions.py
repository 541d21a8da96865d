"""Distributions tested as distributions."""

import numpy as np
from scipy import stats

from symdata import Elements, Group
from symdata.measures import Atoms

ALPHA = 0.001
"""Below this p-value a test fails; the seeds are fixed, so a green test stays green."""


def chi_square(elements: Elements, atoms: Atoms, group: Group) -> float:
    """The p-value of elements of a finite group against their probabilities; 0 if one came that cannot."""
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
