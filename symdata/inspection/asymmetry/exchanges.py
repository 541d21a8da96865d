"""Does an element turn one class into another? By a classifier of unmoved images that never saw the image it labels.

The classifier is a kernel ridge regression that leaves out the image whose moved copy it labels, so that every image
serves both to fit and to test. With K the kernel matrix plus the ridge, weights A = K^-1 Y, and k the kernel of the
moved copy of image i with all images, its scores without i are

    k A - (k K^-1)_i / (K^-1)_ii A_i

A classifier of few images takes a moved 7 for a 6, and repeats that in all of them. So an exchange is only claimed if

- each class turns into the next in more than `BY_MISTAKE` of its images, in a binomial test that is corrected for all
  elements and pairs of classes, and in `SWAPPED` of them in the geometric mean over the cycle;
- each class has enough images, `fewest_of_a_class`.
"""

from dataclasses import dataclass

import numpy as np

from symdata.inspection.asymmetry.exact import binomial_cdf
from symdata.inspection.asymmetry.two_sample import LEVEL

SWAPPED = 0.4
"""Labels are exchanged if this share of each class turns into the next class of a cycle, in the geometric mean."""
BY_MISTAKE = 0.2
"""Share of a class that may look like another by mistake of the classifier."""
FEWEST, ENOUGH = 15, 150
"""Images of a class that tell an exchange from a mistake: so many for each class that there is, or so many in all. Of
MNIST's ten classes, mirrored 2s and 4s are taken for each other with 110 images of each, and no longer with 150."""
ODD = 0.1
"""Share of the images of a class that resemble it least; an image that scores lower is not typical of the class.
Without this bar, a moved image that resembles no class would count for the class that it is mistaken for."""
MOST = 3000
"""Images that are used: the time grows with their third power."""
RIDGE = 0.3


@dataclass(frozen=True)
class Exchange:
    """Classes that an element seems to turn into one another, such as (6, 9)."""

    cycle: tuple[int, ...]
    p_value: float
    """Corrected, of the weakest step of the cycle."""
    images: int
    """Of the smallest class in the cycle."""

    def is_told(self, n_classes: int) -> bool:
        """Whether that is no mistake of the classifier."""
        return self.p_value < LEVEL and self.images >= fewest_of_a_class(n_classes)


def fewest_of_a_class(n_classes: int) -> int:
    """Images that each class needs."""
    return min(FEWEST * n_classes, ENOUGH)


class Exchanges:
    """Finds the exchanges of an element, from features of all images as they came.

    Args:
        known: (n, d) features.
        labels: (n,) classes.
        n_classes: how many there are.
    """

    def __init__(self, known: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
        self.known, self.labels, self.n_classes = known, labels, n_classes
        self.count = np.bincount(labels, minlength=n_classes)
        gaps = distances(known, known)
        self.square = float(np.median(gaps)) or 1.0
        self.inverse = np.linalg.inv(np.exp(-gaps / self.square) + RIDGE * np.eye(len(known)))
        self.weights = self.inverse @ np.eye(n_classes)[labels]
        scores = self._scores(known)
        own = scores[np.arange(len(labels)), labels]
        self.usual = rates(labels, scores.argmax(1), n_classes)
        self.typical = np.array([np.quantile(own[labels == c], ODD) if n else np.inf for c, n in enumerate(self.count)])

    def _scores(self, moved: np.ndarray) -> np.ndarray:
        """(n, classes) scores of each moved image, by a classifier without that image."""
        kernel = np.exp(-distances(moved, self.known) / self.square)
        own = np.einsum("ij,ij->i", kernel, self.inverse) / np.diag(self.inverse)
        return np.asarray(kernel @ self.weights - own[:, None] * self.weights)

    def too_few(self) -> str:
        """Which class has too few images to tell an exchange from a mistake, and how many it needs; empty if none."""
        need, given = fewest_of_a_class(self.n_classes), self.count[self.count > 0]
        if given.min() >= need:
            return ""
        if need * self.n_classes > MOST:
            return (
                f"with {self.n_classes} classes it would take more than {MOST:,} images; audit fewer classes at a time"
            )
        return f"the smallest class has {given.min()}, and {need} are needed; raise --limit or add images"

    def find(self, moved: np.ndarray, order: int, tests: int) -> tuple[Exchange, ...]:
        """The exchanges of the element of this order that moved the images, told or not.

        Args:
            moved: (n, d) features of the moved images.
            order: of the element.
            tests: how many elements are tested, for the correction.
        """
        scores = self._scores(moved)
        guess = scores.argmax(1)
        known_look = scores[np.arange(len(guess)), guess] >= self.typical[guess]
        turned = rates(self.labels[known_look], guess[known_look], self.n_classes) - self.usual
        pairs = tests * self.n_classes * (self.n_classes - 1)
        found = []
        for cycle in cycles(turned / np.maximum(self.count, 1)[:, None], order):
            steps = list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
            p = max(_tail(int(turned[a, b]), int(self.count[a]), BY_MISTAKE) for a, b in steps)
            found.append(Exchange(cycle, min(1.0, pairs * p), int(self.count[list(cycle)].min())))
        return tuple(found)


def _tail(successes: int, n: int, p: float) -> float:
    """P(X >= successes) for X binomial."""
    return 1.0 - binomial_cdf(successes - 1, n, p) if successes > 0 else 1.0


def rates(truth: np.ndarray, guess: np.ndarray, n_classes: int) -> np.ndarray:
    """(classes, classes) counts of guesses for each true class."""
    return np.bincount(truth * n_classes + guess, minlength=n_classes**2).reshape(n_classes, n_classes)


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) squared distances."""
    return np.asarray((x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2.0 * x @ y.T).clip(min=0.0)


def cycles(shares: np.ndarray, order: int) -> tuple[tuple[int, ...], ...]:
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
