"""The degree between two bounds, for images that can be compared with upright ones of the same kind.

With upright images the share of them that look turned to a score is known, and need not be taken for 0: in the notation
of `degree`, with e = P(rank >= k) of an upright image and s = (|G| - k) / |G| that of a turned one,

    P(rank >= k) = p s + (1 - p) e,    so    p = (P(rank >= k) - e) / (s - e).

The score is fitted on half of the upright images, e is counted on their other half, P(rank >= k) on the images in
question, of which none was fitted on. Both counts are independent, so p has an estimate and an interval with two ends.
It holds if the upright images have the law that the others had before they were turned: the same camera, the same
classes. Classes may be mixed in other proportions: upright images are weighted to those of the images.
"""

import math
from collections.abc import Sequence

import numpy as np

from symdata.inspection.asymmetry.degree import SHARES, Degree, clearest
from symdata.inspection.asymmetry.ranking import Ranking, rank, rounds, second_moments
from symdata.inspection.asymmetry.two_sample import LEVEL, Halves, directions, score_table

_GRID = 401
"""Degrees from 0 to 1 that are tested."""

Count = tuple[float, float]
"""A share, and the number of independent images that it was counted on."""


def compare(
    versions: np.ndarray, labels: np.ndarray, upright: np.ndarray, upright_labels: np.ndarray, splits: Sequence[Halves]
) -> Degree:
    """The degree of images beside upright ones: an estimate, and its interval at 95 % confidence, 97.5 % at either end.

    Args:
        versions: (n, |G|, d) of one view, from `views.orbits`.
        labels: (n,) classes.
        upright, upright_labels: of the upright images, (m, |G|, d) with the same entries, and (m,).
        splits: rows of either half of the upright images.
    """
    order = versions.shape[1]
    weights = _weights(labels, upright_labels)
    low, high, estimates = [], [], []
    degrees = np.linspace(0.0, 1.0, _GRID)
    for i, one in enumerate(rounds(upright, upright_labels, splits)):
        fit = splits[i // 2][i % 2]
        k, share = _choose(one.inside)
        score = directions(second_moments(upright[fit]), upright[fit, 0], upright_labels[fit])
        images = rank(score_table(versions, score, labels), labels, np.arange(len(labels)))
        rows = clearest(images, k, share)
        chosen = one.outside.gaps[:, k] >= images.gaps[rows, k].min()
        turned = _share(images.ranks[rows] >= k, np.ones(len(rows)))
        e = _share(one.outside.ranks[chosen] >= k, weights[one.outside.labels[chosen]])
        s = (order - k) / order
        z = _deviations(turned, e, s, degrees)
        high.append(_normal(z))
        low.append(_normal(-z))
        if s - e[0] > 1e-9:
            estimates.append((turned[0] - e[0]) / (s - e[0]))
    kept = [degrees[2.0 * np.mean(p_values, axis=0) >= LEVEL / 2.0] for p_values in (low, high)]
    lower = float(kept[0][0]) if len(kept[0]) else 1.0
    upper = float(kept[1][-1]) if len(kept[1]) else 0.0  # the images look more upright than the upright ones
    bound = float(np.clip(np.median(estimates), 0.0, 1.0)) if estimates else 1.0
    return Degree(lower, upper, bound, len(labels))


def _weights(labels: np.ndarray, upright_labels: np.ndarray) -> np.ndarray:
    """Weight of an upright image of each class, so that the classes are mixed as in the images."""
    n = 1 + max(int(labels.max()), int(upright_labels.max()))
    wanted, given = (np.bincount(found, minlength=n) / len(found) for found in (labels, upright_labels))
    return np.asarray(np.where(given > 0.0, wanted / np.where(given > 0.0, given, 1.0), 0.0))


def _choose(inside: Ranking) -> tuple[int, float]:
    """k and the share of the images for which the estimate has the least standard error, half of them being turned."""
    order: int = inside.gaps.shape[1]

    def error(option: tuple[int, float]) -> float:
        k, share = option
        rows = clearest(inside, k, share)
        n, s = len(rows), (order - k) / order
        e = (int((inside.ranks[rows] >= k).sum()) + 1.0) / (n + 2.0)
        r = (s + e) / 2.0
        return math.sqrt((r * (1.0 - r) + e * (1.0 - e) / 4.0) / n) / max(1e-6, s - e)

    return min(((k, share) for k in range(1, order) for share in SHARES), key=error)


def _share(hits: np.ndarray, weights: np.ndarray) -> Count:
    total = float(weights.sum())
    if total <= 0.0:
        return 0.5, 0.0
    return float((hits * weights).sum()) / total, total**2 / float((weights**2).sum())


def _deviations(turned: Count, e: Count, s: float, degrees: np.ndarray) -> np.ndarray:
    """How many standard errors more images have a high rank than if so large a share were turned.

    Each share has two hits and two misses added for its variance (Agresti and Coull 1998), which is then not 0.
    """
    gap = turned[0] - degrees * s - (1.0 - degrees) * e[0]
    (vr, ve) = (p * (1.0 - p) / (n + 4.0) for p, n in (((p * n + 2.0) / (n + 4.0), n) for p, n in (turned, e)))
    return np.asarray(gap / np.sqrt(vr + (1.0 - degrees) ** 2 * ve))


def _normal(z: np.ndarray) -> np.ndarray:
    """P(Z <= z) of a normal Z: near 0 for degrees that are too high to give so few images of a high rank."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in z])
