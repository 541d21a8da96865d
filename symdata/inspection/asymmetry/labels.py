"""Does the label turn with the image? How a simple classifier of unmoved images labels moved ones."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from symdata.groups import Group
from symdata.inspection.asymmetry.exact import paired_interval
from symdata.inspection.asymmetry.exchanges import MOST, RIDGE, SWAPPED, Exchanges, distances
from symdata.inspection.asymmetry.two_sample import Halves, Z, generators, powers
from symdata.inspection.asymmetry.views import flat

FAINT = "something like it is seen in some images, which may be chance; raise --limit or add images"


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
    p_values: tuple[float, ...] = ()
    """Of each cycle, corrected for all elements and pairs of classes."""
    unsure: str = ""
    """Why the images are too few to tell if it exchanges other classes; empty if they are enough."""


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
    truth = labels[test]
    rows = np.concatenate(halves)[:MOST]
    exchanges = Exchanges(flat([field[rows] for field in fields], 0).numpy(), labels[rows], n_classes)
    few = exchanges.too_few()

    def guesses(index: int) -> np.ndarray:
        moved = flat([field[test] for field in fields], index).numpy()
        return np.asarray((np.exp(-distances(moved, known) / square) @ weights).argmax(1))

    before, out = guesses(0), []
    tested = generators(group)
    for g in tested:
        after = guesses(indices[g])
        gaps = (before == truth).astype(float) - (after == truth).astype(float)
        low, high = paired_interval(gaps, Z)
        moved = flat([field[rows] for field in fields], indices[g]).numpy()
        seen = exchanges.find(moved, len(powers(group, g)), len(tested))
        told = [found for found in seen if found.is_told(n_classes)]
        unsure = few or (FAINT if len(told) < len(seen) else "")
        if high < 2.0 * SWAPPED / n_classes:  # an exchange of two classes would cost more accuracy
            unsure = ""
        values = (float((before == truth).mean()), float((after == truth).mean()), low, high)
        found = tuple(one.cycle for one in told), tuple(one.p_value for one in told)
        out.append(LabelTest(str(group.elements[g]), *values, *found, unsure))
    return tuple(out)


def _kernel_ridge(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Kernel ridge regression with a Gaussian kernel: its square width, the median distance, and the weights."""
    gaps = distances(x, x)
    square = float(np.median(gaps)) or 1.0
    return square, np.linalg.solve(np.exp(-gaps / square) + RIDGE * np.eye(len(x)), y)
