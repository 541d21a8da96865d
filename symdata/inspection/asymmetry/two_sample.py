"""Two-sample classifier tests: can images be distinguished from the same images moved by g?

A linear score s is fitted on one half of the images so that s(x) > s(g x) as often as possible (Fisher's discriminant
of the differences). On the other half, h(y) = sign(s(y) - s(g^-1 y)) guesses whether y is an image as it came or was
moved. With a the share of correct guesses,

    2 a - 1 = P(h(x) = 1) - P(h(g x) = 1) <= TV(law of x, law of g x),

so an accuracy above one half is a lower bound of the distance between the two laws. An accuracy of one half proves
nothing: another classifier, or more images, may find a difference.

The p-value is that of a permutation test, and exact for independent images (exact.py). Copies of one picture are left
out before (copies.py). Views of one scene in both halves (frames of a film, overlapping crops) are not independent
either, and make it too small.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from symdata.groups import Element, Group
from symdata.inspection.asymmetry.exact import holm, orbit_p_value, paired_interval

LEVEL = 0.05
"""Family-wise level of the verdicts, over all elements and views together."""
Z = 1.96
"""Standard errors of a 95 % interval."""
RIDGE = 0.5
"""Ridge of every fit, in units of the mean eigenvalue of the covariance."""
PRIOR = 10.0
"""Weight, in images, with which the mean over all classes enters the mean of each class."""
BY_CLASS = "by class"
"""The view `gray` with a score for each class: it finds differences that cancel over the classes."""

Halves = tuple[np.ndarray, np.ndarray]
"""Rows to fit on and rows to test on, without a common image."""


@dataclass(frozen=True)
class Test:
    """The test of one element in one view."""

    __test__ = False  # not for pytest

    element: str
    """Name of g; it stands for its inverse too: the laws of x and g x agree if and only if those of x and g^-1 x do."""
    view: str
    accuracy: float
    """Share of correct guesses on images that the score was not fitted on; 0.5 is chance."""
    low: float
    """95 % interval of the accuracy."""
    high: float
    p_value: float
    """Probability of so many correct guesses if g does not change the law."""
    corrected: float
    """p-value after Holm's correction for all the tests of the audit."""

    @property
    def differs(self) -> bool:
        return self.corrected < LEVEL

    @property
    def distance(self) -> float:
        """Lower confidence bound of the total-variation distance between the laws of x and of g x."""
        return max(0.0, 2.0 * self.low - 1.0)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"distance_at_least": self.distance, "differs": self.differs}


def generators(group: Group) -> list[int]:
    """Indices of the elements to test: all but the identity, one of each pair of inverses."""
    return [g for g in range(1, len(group.elements)) if g <= group.inverse(g)]


def powers(group: Group, g: int) -> list[int]:
    """Indices of e, g, g^2, ... up to the order of g."""
    found = [0]
    while (k := group.product(g, found[-1])) != 0:
        found.append(k)
    return found


def guesses(versions: np.ndarray, labels: np.ndarray | None, group: Group, g: int, halves: Halves) -> np.ndarray:
    """Twice the guesses on each orbit of the test half, (m, order of g) integers in -2..2; column 0 is as it came.

    Entry k is h(g^k x) - h(g^(k+1) x): 2 if both guesses are correct, -2 if both are wrong.

    Args:
        versions: (n, |G|, d), from `views.orbits`.
        labels: (n,) classes for a score of each class; None for one score.
        group, g: the element.
        halves: rows to fit on, rows to test on.
    """
    fit, test = halves
    differences = np.concatenate([versions[fit, 0] - versions[fit, k] for k in {g, group.inverse(g)}])
    classes = None if labels is None else np.tile(labels[fit], len(differences) // len(fit))
    score = discriminant(differences, differences, classes)
    rows = np.zeros(len(test), dtype=np.int64) if labels is None else labels[test]
    values = score_table(versions[test][:, powers(group, g)], score, rows)  # (m, K)
    h = np.sign(values - np.roll(values, 1, axis=1)).astype(np.int64)
    return np.asarray(h - np.roll(h, -1, axis=1))


def discriminant(scatter: np.ndarray, means: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Ridge discriminants, (classes, d); one row if there are no labels, all zeros if nothing varies.

    Args:
        scatter: (N, d) whose second moments are the metric.
        means: (n, d) whose mean is the direction to recognise.
        labels: (n,) class of each row of `means`; the mean of a class is shrunk towards that of all.
    """
    return directions(scatter.T @ scatter / len(scatter), means, labels)


def directions(moments: np.ndarray, means: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """`discriminant` with the second moments, (d, d), of the scatter."""
    d, overall = len(moments), means.mean(0)
    size = float(np.trace(moments)) / max(1, d)
    rows = overall[None]
    if labels is not None:
        hot = np.eye(int(labels.max()) + 1)[labels]  # (n, classes)
        rows = (hot.T @ means + PRIOR * overall) / (hot.sum(0)[:, None] + PRIOR)
    if size < 1e-12:
        return np.zeros_like(rows)
    return np.asarray(np.linalg.solve(moments + RIDGE * size * np.eye(d), rows.T).T)


def score_table(versions: np.ndarray, score: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n, K) scores of (n, K, d) versions, each image by row `rows` of `score`; rounded, so that equal ones tie.

    For a class without images in the fit half, which has no row, the last row is used.
    """
    weights = score[np.minimum(rows, len(score) - 1)]
    values = np.einsum("nkd,nd->nk", versions, weights)
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    return np.asarray(np.round(values / scale, 9))


def run_tests(
    views: dict[str, np.ndarray], labels: np.ndarray, group: Group, halves: Halves
) -> tuple[tuple[Test, ...], dict[str, np.ndarray]]:
    """Test every element in every view; also the guesses of the view `by class` for each element.

    Args:
        views: view -> versions (n, |G|, d); `gray` is among them.
        labels: (n,) classes.
    """
    found: dict[tuple[str, str], np.ndarray] = {}
    for g in generators(group):
        name = str(group.elements[g])
        for view, versions in views.items():
            found[name, view] = guesses(versions, None, group, g, halves)
        found[name, BY_CLASS] = guesses(views["gray"], labels, group, g, halves)
    p_values = [orbit_p_value(scores) for scores in found.values()]
    tests = [
        _test(name, view, scores, p, corrected)
        for ((name, view), scores), p, corrected in zip(found.items(), p_values, holm(p_values), strict=True)
    ]
    return tuple(tests), {name: scores for (name, view), scores in found.items() if view == BY_CLASS}


def _test(name: str, view: str, scores: np.ndarray, p_value: float, corrected: float) -> Test:
    gaps = scores[:, 0] / 2.0
    low, high = paired_interval(gaps, Z)
    accuracy, least, most = (0.5 + value / 2.0 for value in (float(gaps.mean()), low, high))
    return Test(name, view, accuracy, least, most, p_value, corrected)


def name_pair(group: Group, element: Element) -> str:
    """`r90, r270` for an element that stands for its inverse too."""
    inverse = ~element
    return f"{element}, {inverse}" if str(inverse) != str(element) and inverse in group else str(element)
