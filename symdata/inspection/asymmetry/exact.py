"""Exact p-values of sums over orbits, Holm's correction, and intervals of proportions.

Null hypothesis: the distribution of the images is invariant under g. Then an image is equally likely to be at any place
of its orbit under the powers of g. Given the orbits, a score that was fitted on other images takes each of its K values
along the orbit with probability 1 / K, independently for each image. The distribution of the sum is a convolution, and
no permutations need to be drawn.
"""

import math

import numpy as np

SMALLEST_P = 1e-12
"""Smallest p-value that is returned: below it, the Fourier transform gives rounding errors."""


def orbit_p_value(scores: np.ndarray) -> float:
    """P(sum >= observed) if every image takes one of its scores at random.

    Args:
        scores: (n, K) integers, small; column 0 was observed.
    """
    scores = np.asarray(scores, dtype=np.int64)
    if not scores.size or not scores.any():
        return 1.0
    reach = int(np.abs(scores).max(1).sum())
    patterns, counts = np.unique(np.sort(scores, axis=1), axis=0, return_counts=True)
    # The characteristic function, at the frequencies of a cyclic convolution that is long enough not to wrap.
    size = 2 * reach + 1
    unit = np.exp(2j * np.pi * np.arange(size) / size)
    law = np.ones(size, dtype=np.complex128)
    for pattern, count in zip(patterns, counts.tolist(), strict=True):
        law *= (sum(unit**value for value in pattern.tolist()) / len(pattern)) ** count
    mass = np.fft.fft(law).real / size  # mass[s mod size] = P(sum = s)
    observed = int(scores[:, 0].sum())
    tail = mass[np.arange(observed, reach + 1) % size].sum()
    return float(min(1.0, max(SMALLEST_P, tail)))


def holm(p_values: list[float]) -> list[float]:
    """p-values corrected for multiple tests (Holm 1979): compare each with the level of a single test."""
    p = np.array(p_values, dtype=np.float64)
    order, corrected = np.argsort(p, kind="stable"), np.empty_like(p)
    corrected[order] = np.maximum.accumulate(np.minimum(np.arange(len(p), 0, -1) * p[order], 1.0))
    return list(corrected.tolist())


def wilson(successes: float, n: float, z: float) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927); (0, 1) if n is 0."""
    if n <= 0:
        return 0.0, 1.0
    p, zz = successes / n, z * z / n
    centre, half = p + zz / 2.0, z * math.sqrt(p * (1.0 - p) / n + zz / (4.0 * n))
    return max(0.0, (centre - half) / (1.0 + zz)), min(1.0, (centre + half) / (1.0 + zz))


def binomial_cdf(successes: int, n: int, p: float) -> float:
    """P(X <= successes) for X binomial of n trials with probability p; 1 if there are no trials.

    Example:
        >>> round(binomial_cdf(1, 2, 0.5), 9)
        0.75
    """
    if successes >= n or p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    found = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(successes + 1)]
    logs = np.array(found) + np.arange(successes + 1) * (math.log(p) - math.log1p(-p)) + n * math.log1p(-p)
    return min(1.0, float(np.exp(logs).sum()))


def paired_interval(differences: np.ndarray, z: float) -> tuple[float, float]:
    """Interval of the mean of differences in [-1, 1], with two added observations +1 and -1 (Bonett and Price 2012).

    Without them the interval would have no width if all differences are equal.
    """
    n = len(differences) + 2
    mean = float(differences.sum()) / n
    spread = math.sqrt(max(0.0, (float((differences**2).sum()) + 2.0) / n - mean * mean) / n)
    return max(-1.0, mean - z * spread), min(1.0, mean + z * spread)
