"""How full is the symmetry? An estimate of `Symmetry.degree` from pixels alone.

Let the images be drawn from (1 - p) mu + p (Haar * mu): upright ones, and a share p that was turned at random, as
`d4-partial@p` does. A score is fitted on one half of the images to rank the versions of an image by how upright they
look. Each image of the other half gets the rank of the version that came, 0 to |G| - 1. All ranks of a turned image are
equally likely; so

    P(rank >= k) >= p (|G| - k) / |G|      with equality if no upright image has a rank of k or more,

and every k bounds p from above, whatever the score. The smallest bound is the estimate.

p is identified if some upright images look upright to the score (Blanchard, Lee and Scott 2010). It is not identified
for classes that look alike in every version (O, X): every p gives the same images, and the estimate is 1. Nor if mu
itself contains turned images, as a sky full of galaxies: an estimate of 1 says that no upright was found, not that
there is none. For arcs and Gaussians, p is the share of Haar in the measure, which is at most its degree.

The classes share the estimate. k, and the classes whose orientation can be recognised, are chosen within the half that
the score is fitted on, so that the count on the other half is not the best of many.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symdata.inspection.asymmetry.exact import wilson
from symdata.inspection.asymmetry.two_sample import Halves, Z, discriminant, score_table

CAUTIOUS, BOLD = 3.0, 1.5
"""Standard errors added to a bound before the smallest is chosen, and those by which a class may differ from it."""


@dataclass(frozen=True)
class Degree:
    """An estimate of how full the symmetry is: 0 upright, 1 as good as Haar."""

    value: float
    low: float
    """95 % interval of the bound."""
    high: float
    images: int
    """Images that were ranked."""

    @property
    def cells(self) -> tuple[str, str]:
        """The value and its interval, for a table."""
        return f"{self.value:.2f}", f"{self.low:.2f}-{self.high:.2f}"


def estimate(
    versions: np.ndarray, labels: np.ndarray, n_classes: int, splits: Sequence[Halves]
) -> tuple[Degree, list[Degree | None], list[int]]:
    """The degree over all classes, that of each class, and the classes whose orientation was recognised.

    Both halves are ranked, each by the score of the other. The degree of a class without images is None.

    Args:
        versions: (n, |G|, d) of one view, from `views.orbits`.
        labels: (n,) classes.
        n_classes: how many there are.
        splits: rows of either half. The mean over several depends less on the classes that one of them chose.
    """
    order = versions.shape[1]
    over = (order - np.arange(order)) / order  # P(rank >= k) of a turned image
    rounds = [pair for halves in splits for pair in (halves, halves[::-1])]
    below, expected, ranked = np.zeros((3, len(rounds), n_classes))
    told = np.zeros((len(rounds), n_classes), dtype=bool)
    for i, (fit, test) in enumerate(rounds):
        ks, told[i] = _choose(versions, labels, n_classes, fit, over)
        tails = _tails(versions, labels, fit, test)
        ranked[i] = np.bincount(labels[test], minlength=n_classes)
        below[i] = np.bincount(labels[test], tails[np.arange(len(test)), ks[labels[test]]], minlength=n_classes)
        expected[i] = ranked[i] * over[ks]
        told[i] |= not (expected[i] @ told[i] > 0.0)  # if every class is rare, none may be in both halves
    counts = np.stack([below, expected, ranked]) / len(splits)  # an image counts once, however often it was ranked
    classes = [_degree(counts[:, :, c]) for c in range(n_classes)]
    spread = float(np.std((below * told).sum(1) / (expected * told).sum(1))) / math.sqrt(2.0)
    pooled = _degree(counts[:, told], spread)
    assert pooled is not None  # some class is told in every round, and has images there
    return pooled, classes, np.flatnonzero(told.mean(0) > 0.5).tolist()


def _degree(counts: np.ndarray, spread: float = 0.0) -> Degree | None:
    """The degree from (3, ...) counts: images below their rank, as many if all were turned, and all images.

    `spread` is the standard error due to the choice of classes and ranks: that of one half, divided by the root of two,
    because two halves have no image in common.
    """
    below, share, n = (float(part.sum()) for part in counts)
    if n == 0:
        return None
    value = below / share
    gaps = [bound * n / share - value for bound in wilson(below, n, Z)]
    low, high = (value + math.copysign(math.hypot(gap, Z * spread), gap) for gap in gaps)
    low, high = (min(1.0, max(0.0, bound)) for bound in (low, high))
    return Degree(min(1.0, value), low, high, round(n))


def _choose(
    versions: np.ndarray, labels: np.ndarray, n_classes: int, fit: np.ndarray, over: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rank k of each class, and whether its orientation can be recognised, from a half that is split once more."""
    tails = np.zeros((n_classes, len(over)))
    for part, rest in ((fit[::2], fit[1::2]), (fit[1::2], fit[::2])):
        np.add.at(tails, labels[rest], _tails(versions, labels, part, rest))
    expected = np.bincount(labels[fit], minlength=n_classes)[:, None] * over + 1e-9  # (classes, |G|)
    errors = np.sqrt(tails + 1.0) / expected
    ks = 1 + np.argmin((tails / expected + 2.0 * errors)[:, 1:], axis=1)
    rows = np.arange(n_classes)
    t, e = tails[rows, ks], expected[rows, ks]
    best = np.argsort((t + 2.0 * np.sqrt(t + 1.0)) / e, kind="stable")
    ct, ce = np.cumsum(t[best]), np.cumsum(e[best])
    first = int(np.argmin((ct + CAUTIOUS * np.sqrt(ct + 1.0)) / ce))
    bar = (ct[first] + BOLD * np.sqrt(ct[first] + 1.0)) / ce[first]
    told = (t - BOLD * np.sqrt(t + 1.0)) / e <= bar
    told &= e > 1e-6
    told[best[0]] = True
    return ks, told


def _tails(versions: np.ndarray, labels: np.ndarray, fit: np.ndarray, test: np.ndarray) -> np.ndarray:
    """(m, |G|): entry k is 1 if the rank of the version that came is k or more, and a share of 1 if versions tie."""
    scatter = np.concatenate(list(versions[fit].swapaxes(0, 1)))
    score = discriminant(scatter, versions[fit, 0], labels[fit])
    values = score_table(versions[test], score, labels[test])
    above = (values[:, 1:] > values[:, :1]).sum(1)[:, None]
    tied = (values[:, 1:] == values[:, :1]).sum(1)[:, None]
    k = np.arange(versions.shape[1])[None]
    return np.asarray(np.clip((above + tied + 1 - k) / (tied + 1), 0.0, 1.0))
