"""Does the label turn with the image? How a simple classifier of unmoved images labels moved ones."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from symdata.groups import Group
from symdata.inspection.asymmetry.exact import paired_interval
from symdata.inspection.asymmetry.two_sample import Halves, Z, generators, powers
from symdata.inspection.asymmetry.views import flat

SWAPPED = 0.4
"""Labels are exchanged if this share of each class turns into the next class of a cycle, in the geometric mean."""
ODD = 0.1
"""Share of the images of a class that resemble it least; an image that scores lower is not typical of the class.
Without this bar, a moved image that resembles no class would count for the class that it is mistaken for."""
_RIDGE = 0.3


@dataclass(frozen=True)
class LabelTest:
    """How an element changes the labels that a classifier of unmoved images gives."""

    element: str
    unmoved: float
    """Accuracy of the classifier on unmoved images that it was not fitted on."""
    moved: float
    """Its accuracy on the same images, moved."""
    drop_low: float
    """95 % interval of unmoved minus moved."""
    drop_high: float
    cycles: tuple[tuple[int, ...], ...]
    """Classes that the element turns into one another, such as (6, 9)."""


def label_tests(
    fields: list[Tensor], labels: np.ndarray, n_classes: int, group: Group, indices: list[int], halves: Halves
) -> tuple[LabelTest, ...]:
    """One test for each element of the group, and one for an element and its inverse together.

    Args:
        fields: of the view to classify by, (n, c, s, s') each.
        labels, n_classes: classes.
        group, indices: elements, and their indices in d4.
        halves: rows to fit on, rows to test on.
    """
    fit, test = halves
    known = flat([field[fit] for field in fields], 0).numpy()
    square, weights = _kernel_ridge(known, np.eye(n_classes)[labels[fit]])
    truth, count = labels[test], np.bincount(labels[test], minlength=n_classes)

    def scores(index: int) -> np.ndarray:
        moved = flat([field[test] for field in fields], index).numpy()
        return np.asarray(np.exp(-_distances(moved, known) / square) @ weights)

    as_came = scores(0)
    before = as_came.argmax(1)
    usual = _rates(truth, before, n_classes)
    typical = np.array([np.quantile(as_came[truth == c, c], ODD) if count[c] else np.inf for c in range(n_classes)])
    out = []
    for g in generators(group):
        moved = scores(indices[g])
        after = moved.argmax(1)
        gaps = (before == truth).astype(float) - (after == truth).astype(float)
        known_look = moved[np.arange(len(after)), after] >= typical[after]
        shares = _rates(truth[known_look], after[known_look], n_classes) - usual
        cycles = _cycles(shares / np.maximum(count, 1)[:, None], len(powers(group, g)))
        values = (float((before == truth).mean()), float((after == truth).mean()), *paired_interval(gaps, Z))
        out.append(LabelTest(str(group.elements[g]), *values, cycles))
    return tuple(out)


def _rates(truth: np.ndarray, guess: np.ndarray, n_classes: int) -> np.ndarray:
    """(classes, classes) counts of guesses for each true class."""
    return np.bincount(truth * n_classes + guess, minlength=n_classes**2).reshape(n_classes, n_classes)


def _kernel_ridge(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Kernel ridge regression with a Gaussian kernel: its square width, the median distance, and the weights."""
    distances = _distances(x, x)
    square = float(np.median(distances)) or 1.0
    kernel = np.exp(-distances / square)
    return square, np.linalg.solve(kernel + _RIDGE * np.eye(len(x)), y)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) squared distances."""
    return np.asarray((x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2.0 * x @ y.T).clip(min=0.0)


def _cycles(shares: np.ndarray, order: int) -> tuple[tuple[int, ...], ...]:
    """Cycles a -> b -> ... -> a, where most of a turns into b; their length divides the order.

    Args:
        shares: (classes, classes) share of each class that turns into typical images of another, less the share that
            is mistaken for it without being moved.
        order: of the element.
    """
    target, found = shares.argmax(1), []
    for start in range(len(shares)):
        cycle = [start]
        while len(cycle) < order and int(target[cycle[-1]]) not in cycle:
            cycle.append(int(target[cycle[-1]]))
        closes = int(target[cycle[-1]]) == start == min(cycle) and len(cycle) > 1 and order % len(cycle) == 0
        steps = np.array([max(0.0, shares[a, target[a]]) for a in cycle])
        if closes and float(np.prod(steps)) ** (1.0 / len(steps)) >= SWAPPED:
            found.append(tuple(cycle))
    return tuple(found)
