"""Chi-square tests: do the recorded elements follow the spec, in each class and in a whole split?

The cells of a test come from the measure. If it is discrete (a finite group), they are its elements. If it is
continuous, they are arcs of equal probability, for rotations and for mirrored elements, and the identity if it has
positive probability: one test then covers the angles, the mirrors and the share of `-partial`. An element that the
measure cannot give refutes it, p = 0.

Convention:
    Degrees, counter-clockwise as displayed. Arcs are half open, [a, b).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from symdata.errors import SymdataError
from symdata.groups import Elements
from symdata.laws import FEWEST, is_identity, law_cells
from symdata.measures import Measure
from symdata.store import ImageDataset
from symdata.symmetry import Symmetry

SHOWN_ARCS = 8
"""Arcs of a histogram for a continuous or very large group."""


@dataclass(frozen=True)
class ChiSquare:
    """The outcome of a chi-square test."""

    statistic: float
    """Sum of (observed - expected)^2 / expected; infinite if something impossible was observed."""
    dof: int
    """Degrees of freedom; with 0 there is nothing to compare, and p is 1 unless something impossible was observed."""
    p_value: float
    """Probability of a statistic at least as large if the elements follow the spec."""

    def __str__(self) -> str:
        """The p-value; a dash if there was nothing to compare."""
        return f"{self.p_value:.3g}" if self.dof or self.p_value == 0.0 else "-"

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as plain data for JSON; an infinite statistic becomes None."""
        return asdict(self) | {"statistic": None if math.isinf(self.statistic) else self.statistic}


@dataclass(frozen=True)
class Histogram:
    """How often each element occurs in each class."""

    names: tuple[str, ...]
    """Names of the columns: elements (`e`, `r90`, `r90m`), or the identity `e` and arcs (`0-45`, `0-45 m`)."""
    counts: np.ndarray
    """(classes, columns) int64."""


def element_counts(dataset: ImageDataset, most: int | None = None) -> Histogram:
    """Count how often each element moved the images of each class; arcs if there are more than `most` elements."""
    n, labels, elements = len(dataset.classes), np.asarray(dataset.labels), dataset.elements.cpu()
    if dataset.group.is_finite and (most is None or dataset.group.order <= most):
        names, column = tuple(map(str, dataset.group.elements)), dataset.group.indices(elements)
    else:
        names, column = _arcs(elements, dataset.group.flips)
    counts = np.bincount(labels * len(names) + column, minlength=n * len(names))
    return Histogram(names, counts.reshape(n, len(names)))


def _arcs(elements: Elements, flips: bool) -> tuple[tuple[str, ...], np.ndarray]:
    width = 360 // SHOWN_ARCS
    names = [f"{a}-{a + width}{m}" for m in ("", " m")[: 1 + flips] for a in range(0, 360, width)]
    arc = 1 + np.floor(elements.angle / width).astype(np.int64) + SHOWN_ARCS * elements.flip
    return ("e", *names), np.where(is_identity(elements), 0, arc)


def chi_square(counts: Sequence[float] | np.ndarray, probabilities: Sequence[float] | np.ndarray) -> ChiSquare:
    """Pearson's chi-square test of counts against probabilities.

    Cells that expect fewer than `FEWEST` are merged, from the rarest up, without a look at what they hold.

    Args:
        counts: (k,) how often each cell was observed.
        probabilities: (k,) of the cells; they sum to 1.
    """
    observed, p = np.asarray(counts, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if observed.shape != p.shape or observed.ndim != 1:
        raise SymdataError(
            f"counts have shape {observed.shape} and probabilities {p.shape}; expected one of each per cell"
        )
    if (p < 0.0).any() or abs(p.sum() - 1.0) > 1e-6:
        raise SymdataError(f"probabilities sum to {p.sum():g}, expected 1; divide them by their sum")
    possible = p > 0.0
    if observed[~possible].any():
        return ChiSquare(math.inf, max(0, int(possible.sum()) - 1), 0.0)
    o, e = _merged(observed[possible], observed.sum() * p[possible])
    statistic = float(((o - e) ** 2 / e).sum()) if len(o) > 1 else 0.0
    return ChiSquare(statistic, len(o) - 1, survival(statistic, len(o) - 1))


def _merged(observed: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pool cells from the rarest up until each pool expects `FEWEST`; a remainder joins the last pool."""
    pools: list[list[int]] = [[]]
    held = 0.0
    for cell in np.argsort(expected, kind="stable").tolist():
        if held >= FEWEST:
            pools.append([])
            held = 0.0
        pools[-1].append(cell)
        held += float(expected[cell])
    if held < FEWEST and len(pools) > 1:
        short = pools.pop()
        pools[-1] += short
    return np.array([observed[p].sum() for p in pools]), np.array([expected[p].sum() for p in pools])


def survival(statistic: float, dof: int) -> float:
    """P(X >= statistic) for chi-square X: Q(dof / 2, statistic / 2), the regularised incomplete gamma function."""
    if dof == 0:
        return 1.0 if statistic <= 0.0 else 0.0
    if math.isinf(statistic):
        return 0.0
    half = torch.tensor([dof, statistic], dtype=torch.float64) / 2.0
    return float(torch.special.gammaincc(half[0], half[1]))


def combine(tests: Sequence[ChiSquare]) -> ChiSquare:
    """One test from independent ones: chi-square variables add up, and so do their degrees of freedom."""
    statistic, dof = sum(t.statistic for t in tests), sum(t.dof for t in tests)
    return ChiSquare(statistic, dof, survival(statistic, dof))


def sidak(tests: Sequence[ChiSquare]) -> float:
    """The smallest p-value, corrected for the m tests that compare something: 1 - (1 - p)^m (Sidak 1967)."""
    if any(math.isinf(t.statistic) for t in tests):
        return 0.0
    p = [t.p_value for t in tests if t.dof]
    return 1.0 if not p or min(p) == 1.0 else -math.expm1(len(p) * math.log1p(-min(p)))


def goodness(measure: Measure, elements: Elements) -> ChiSquare:
    """Test whether elements were drawn from `measure`."""
    return chi_square(*law_cells(measure, elements))


def goodness_by_class(
    symmetry: Symmetry, elements: Elements, labels: np.ndarray, n_classes: int
) -> tuple[ChiSquare, ...]:
    """`goodness` of each class, for the measure that `symmetry` gives it."""
    return tuple(goodness(symmetry.measure(c), elements[labels == c]) for c in range(n_classes))
