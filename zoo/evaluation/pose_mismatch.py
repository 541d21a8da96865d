"""Whether a model knows the images in another pose: whether another element than the identity does far better.

A network that was trained on transposed images is right on half of the upright ones and on nearly all transposed ones.
Its low accuracy is then a fault of how the images are read, not of the network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symdata.display import PlainData
from zoo.measure.estimates import Rate

LEAST = 0.1
"""Difference of accuracies from which on an element does far better."""
ALPHA = 1e-3
"""Largest p-value, corrected for the number of elements, at which it counts as better."""
ALIKE = 0.02
"""Elements whose accuracy is this close to the best are named too."""
CAUSES = {
    "r90m": "exchanges rows and columns",
    "r180m": "turns images upside down, rows from bottom to top",
    "m": "mirrors images left-right",
    "r180": "turns images by 180 degrees",
    "r90": "turns images by 90 degrees counter-clockwise",
    "r270": "turns images by 90 degrees clockwise",
    "r270m": "exchanges rows and columns along the other diagonal",
}
"""What the elements of d4 do. Of several that are as good, the first of this list is proposed: the way in which images
are most often misread."""


@dataclass(frozen=True)
class PoseMismatch(PlainData):
    """An element under which a model does far better than on the images as they are.

    Example:
        >>> print(PoseMismatch("r90m", ("m",), Rate(52, 100), Rate(96, 100), 3e-12))
        The images may be in another pose than those of training: 52.00 % are right as they are, 96.00 % under r90m ...
    """

    json_fields = ("element", "alike", "upright", "moved", "p_value")
    element: str
    """`r90m`: mirror left-right first, then turn counter-clockwise as displayed."""
    alike: tuple[str, ...]
    """Other elements that do about as well."""
    upright: Rate
    moved: Rate
    """Accuracy under the element."""
    p_value: float
    """Of the hypothesis that the element does no better: McNemar's exact test on the same images, one-sided, times the
    number of elements that were tried."""

    def __str__(self) -> str:
        also = f" (and about as many under {', '.join(self.alike)})" if self.alike else ""
        p = "p < 1e-12" if self.p_value < 1e-12 else f"p = {self.p_value:.1g}"
        does = f" {self.element} {CAUSES[self.element]}." if self.element in CAUSES else ""
        return (
            f"The images may be in another pose than those of training: {100 * self.upright.value:.2f} % are right as "
            f"they are, {100 * self.moved.value:.2f} % under {self.element}{also}, {p}.{does} If so, move them first: "
            f'symdata.act(images, symdata.Element("{self.element}")), or `symdata make DATA --symmetry {self.element} '
            "--out moved`."
        )


def find_mismatch(right: Tensor, elements: Sequence[str]) -> PoseMismatch | None:
    """The element under which a model does far better than under the identity; None if there is none.

    Args:
        right: (E, n) bool, which of n images are put into the right class under each element; the identity is first.
        elements: the names of the E elements.
    """
    counts = right.sum(1)
    k, n, upright = int(counts.argmax()), right.shape[1], Rate.of(right[0])
    if Rate.of(right[k]).value - upright.value < LEAST:
        return None
    close = [j for j in range(1, len(elements)) if int(counts[k] - counts[j]) <= ALIKE * n]
    order = list(CAUSES)
    k = min(close, key=lambda j: (order.index(elements[j]) if elements[j] in order else len(order), -int(counts[j])))
    moved = Rate.of(right[k])
    p = min(1.0, (len(elements) - 1) * mcnemar(right[k], right[0]))
    if p > ALPHA or moved.value - upright.value < LEAST:
        return None
    return PoseMismatch(elements[k], tuple(elements[j] for j in close if j != k), upright, moved, p)


def mcnemar(first: Tensor, second: Tensor) -> float:
    """The p-value of the hypothesis that `first` (n,) is True no more often than `second`, on the same n images.

    Exact and one-sided (McNemar 1947): of the images on which they differ, each is True on one side with probability
    1/2.
    """
    more, less = int((first & ~second).sum()), int((second & ~first).sum())
    n = more + less
    k = torch.arange(more, n + 1, dtype=torch.float64)
    terms = math.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1) - n * math.log(2.0)
    return min(1.0, float(terms.exp().sum()))
