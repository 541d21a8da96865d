"""How full is the symmetry? Bounds of `Symmetry.degree` from pixels alone.

Let the images be drawn from (1 - p) mu + p (Haar * mu): upright ones, and a share p that was turned at random, as
`d4-partial@p` does. A score is fitted on one half of the images to rank the versions of an image by how upright they
look. Each image of the other half gets the rank of the version that came, 0 to |G| - 1. All ranks of a turned image are
equally likely; so

    P(rank >= k) >= p (|G| - k) / |G|      with equality if no upright image has a rank of k or more,

for every k, whatever the score, and also among any images that are chosen by their orbits and not by the version that
came. So a count of such ranks bounds p from above, by an exact binomial test: at 95 % confidence `upper` holds, however
poor the score is. What the count tends to, with more images, is `bound`: p and the share of upright images that look
turned. It is no estimate of p, and it lies above p by what the score cannot see.

**There is no lower bound but 0.** Every set of images can be a set of which each was taken as it stands; no number of
images refutes it (Donoho 1988, on one-sided inference; Blanchard, Lee and Scott 2010, on proportions of mixtures). What
identifies p are upright images to compare with: `reference.compare`.

The bound is close to p if some upright images look upright to the score. It is not for classes that look alike in
every version (O, X): every p gives the same images, and the bound is 1. Nor if mu itself contains turned images, as a
sky full of galaxies: 1 says that no upright was found, not that there is none. For arcs and Gaussians, p is the share
of Haar in the measure, which is at most its degree.

k, and how many of the images are counted (those in which the score sees the clearest difference between the best
version and the k-th best), are chosen within the half that the score is fitted on. Each split of the images into halves
gives two tests; the tests depend on each other, and twice the mean of their p-values is a p-value whatever that
dependence is (Rueschendorf 1982).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symdata.inspection.asymmetry.exact import binomial_cdf, wilson
from symdata.inspection.asymmetry.ranking import Ranking, Round, rounds
from symdata.inspection.asymmetry.two_sample import LEVEL, Halves

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.06)
"""Shares of the images, those with the largest gaps, among which is chosen how many are counted."""
CAUTIOUS = 4.0
"""Standard errors added to a bound before the smallest is chosen."""
_STEPS = 30  # of a bisection


@dataclass(frozen=True)
class Degree:
    """Bounds of how full the symmetry is: 0 upright, 1 as good as Haar."""

    lower: float
    """0 from images alone: any images may be as they were taken. With upright ones to compare with, at 97.5 %."""
    upper: float
    """At 95 % confidence the degree is at most this, however poor the score is; with upright images, at 97.5 %."""
    bound: float
    """What `upper` tends to with more images: the degree, and what the score does not see. With upright images to
    compare with, an estimate of the degree."""
    images: int
    """Images that were ranked."""

    @property
    def interval(self) -> str:
        """`0.00-0.32`, rounded outwards."""
        return f"{math.floor(100 * self.lower + 1e-9) / 100:.2f}-{self.at_most}"

    @property
    def at_most(self) -> str:
        """The upper end, rounded up."""
        return f"{math.ceil(100 * self.upper - 1e-9) / 100:.2f}"


@dataclass(frozen=True)
class Trial:
    """A count on images that the score was not fitted on."""

    below: int
    """Images of rank k or more."""
    images: int
    chance: float
    """Probability of rank k or more for a turned image."""


def estimate(
    versions: np.ndarray, labels: np.ndarray, n_classes: int, splits: Sequence[Halves]
) -> tuple[Degree, list[Degree | None]]:
    """Bounds of the degree over all classes, which share it, and of each class; None for a class without images.

    Args:
        versions: (n, |G|, d) of one view, from `views.orbits`.
        labels: (n,) classes.
        n_classes: how many there are.
        splits: rows of either half. Several depend less on how the images were halved.
    """
    made = list(rounds(versions, labels, splits))
    whole = bounds([_trial(one.inside, one.outside) for one in made], len(labels))
    counts = np.bincount(labels, minlength=n_classes).tolist()
    return whole, [_of_class(made, c, n) if n else None for c, n in enumerate(counts)]


def _of_class(made: Sequence[Round], label: int, images: int) -> Degree:
    return bounds([_trial(one.inside.of(label), one.outside.of(label)) for one in made], images)


def bounds(trials: Sequence[Trial], images: int) -> Degree:
    """The degrees that are not refuted: those p for which twice the mean p-value of the trials is the level or more.

    Example:
        >>> bounds([Trial(0, 100, 0.5)], 100).at_most, bounds([Trial(50, 100, 0.5)], 100).at_most
        ('0.08', '1.00')
    """
    low, high = 0.0, 1.0
    if _p_value(trials, high) >= LEVEL:
        low = high
    for _ in range(_STEPS if low < high else 0):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _p_value(trials, middle) >= LEVEL else (low, middle)
    ratios = [trial.below / (trial.images * trial.chance) for trial in trials if trial.images]
    return Degree(0.0, high, min(1.0, float(np.median(ratios))) if ratios else 1.0, images)


def _p_value(trials: Sequence[Trial], degree: float) -> float:
    """Probability of so few images of a high rank, if that share of them is turned."""
    found = [binomial_cdf(trial.below, trial.images, degree * trial.chance) for trial in trials]
    return min(1.0, 2.0 * sum(found) / len(found))


def _trial(inside: Ranking, outside: Ranking) -> Trial:
    """Count in one half by the k and the share of the images that promise the smallest bound in the other."""
    k, share = choose(inside)
    rows = clearest(outside, k, share)
    order = outside.gaps.shape[1]
    return Trial(int((outside.ranks[rows] >= k).sum()), len(rows), (order - k) / order)


def choose(inside: Ranking) -> tuple[int, float]:
    """The rank k from which images are counted, and the share of them among which."""
    order: int = inside.gaps.shape[1]
    options = [(k, share) for k in range(1, order) for share in SHARES]

    def promised(option: tuple[int, float]) -> float:
        k, share = option
        rows = clearest(inside, k, share)
        high = float((inside.ranks[rows] >= k).sum())
        return wilson(high, len(rows), CAUTIOUS)[1] * float(order / (order - k))

    return min(options, key=promised)


def clearest(ranking: Ranking, k: int, share: float) -> np.ndarray:
    """Rows of the images whose best version exceeds the k-th best by most, as their orbits say: so large a share."""
    count = min(len(ranking.ranks), math.ceil(share * len(ranking.ranks)))
    return np.argsort(-ranking.gaps[:, k], kind="stable")[:count]
