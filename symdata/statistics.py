"""Do the recorded elements follow the spec? Chi-square tests, for each class and for a whole split.

The cells of a test come from the measure. Where it has atoms only (a finite group), they are the elements. Where it is
continuous, they are arcs of equal probability, for rotations and for mirrored elements, and the identity is a cell of
its own if the measure puts mass on it: one test then covers the angles, the mirror's coin and the gate of `-partial`.
An element that the measure cannot give refutes it, p = 0.

Convention:
    Degrees, counter-clockwise as displayed. Arcs are half open, [a, b).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from symdata.errors import SymdataError
from symdata.groups import SNAP_DEG, Element, Elements, Group, wrap
from symdata.measures import Arc, Atoms, Gaussian, Measure, Partial
from symdata.symmetry import Symmetry

FEWEST = 5.0
"""Cells that expect fewer than this are merged: below, the chi-square law is no good approximation (Cochran 1954)."""
MAX_ARCS = 24
"""Most arcs of a test of angles, for each of rotations and mirrored elements."""
SIGNIFICANCE = 1e-3
"""A split whose p-values stay above this agrees with its spec."""
SHOWN_ARCS = 8
"""Arcs of a histogram that has no finite group to count in."""


class Labelled(Protocol):
    """What is read of a dataset here: a split as `symdata.load` gives it."""

    classes: tuple[str, ...]
    symmetry: Symmetry
    group: Group

    @property
    def labels(self) -> Any:
        """(n,) int64."""
        ...

    @property
    def elements(self) -> Elements:
        """n elements, as numpy arrays."""
        ...


@dataclass(frozen=True)
class ChiSquare:
    """The outcome of a chi-square test."""

    statistic: float
    """Sum of (observed - expected)^2 / expected; infinite if something impossible was observed."""
    dof: int
    """Degrees of freedom; with 0 there was nothing to compare and p is 1, unless the impossible was observed."""
    p_value: float
    """Probability of a statistic at least as large if the spec is followed."""


@dataclass(frozen=True)
class Histogram:
    """How often each element occurs in each class."""

    names: tuple[str, ...]
    """Of the columns: elements (`e`, `r90`, `r90m`), or arcs (`0-45`, `0-45 m`) with the identity `e` counted apart."""
    counts: np.ndarray
    """(classes, columns) int64."""


def element_counts(dataset: Labelled, most: int | None = None) -> Histogram:
    """How often each element moved the images of each class; arcs if there are more than `most` elements."""
    n, labels = len(dataset.classes), np.asarray(dataset.labels)
    if dataset.group.is_finite and (most is None or dataset.group.order <= most):
        names, column = tuple(map(str, dataset.group.elements)), dataset.group.indices(dataset.elements)
    else:
        names, column = _arcs(dataset.elements, dataset.group.flips)
    counts = np.bincount(labels * len(names) + column, minlength=n * len(names))
    return Histogram(names, counts.reshape(n, len(names)))


def _arcs(elements: Elements, flips: bool) -> tuple[tuple[str, ...], np.ndarray]:
    width = 360 // SHOWN_ARCS
    names = [f"{a}-{a + width}{m}" for m in ("", " m")[: 1 + flips] for a in range(0, 360, width)]
    arc = 1 + np.floor(elements.angle / width).astype(np.int64) + SHOWN_ARCS * elements.flip
    return ("e", *names), np.where(is_identity(elements), 0, arc)


def is_identity(elements: Elements) -> np.ndarray:
    """(n,) bool: which elements are the identity, exactly."""
    return np.asarray((elements.angle == 0.0) & ~elements.flip)


def chi_square(counts: Sequence[float] | np.ndarray, probabilities: Sequence[float] | np.ndarray) -> ChiSquare:
    """Pearson's chi-square test of counts against probabilities.

    Cells that expect fewer than `FEWEST` are merged, in the order of what they expect and whatever they hold.

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
    """Cells pooled from the rarest up until each expects `FEWEST`; what is left over joins the last."""
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
    """P(X >= statistic) under the chi-square law: Q(dof / 2, statistic / 2), the regularised incomplete gamma."""
    if dof == 0:
        return 1.0 if statistic <= 0.0 else 0.0
    if math.isinf(statistic):
        return 0.0
    half = torch.tensor([dof, statistic], dtype=torch.float64) / 2.0
    return float(torch.special.gammaincc(half[0], half[1]))


def combine(tests: Sequence[ChiSquare]) -> ChiSquare:
    """One test from independent ones: a sum of chi-square variables is one, with the degrees of freedom summed."""
    statistic, dof = sum(t.statistic for t in tests), sum(t.dof for t in tests)
    return ChiSquare(statistic, dof, survival(statistic, dof))


def worst(tests: Sequence[ChiSquare]) -> float:
    """The smallest p-value, corrected for looking at many: 1 - (1 - p)^m over the m tests that compare (Sidak 1967)."""
    if any(math.isinf(t.statistic) for t in tests):
        return 0.0
    p = [t.p_value for t in tests if t.dof]
    return 1.0 if not p or min(p) == 1.0 else -math.expm1(len(p) * math.log1p(-min(p)))


def goodness(measure: Measure, elements: Elements) -> ChiSquare:
    """Whether elements look drawn from `measure`."""
    return chi_square(*law_cells(measure, elements))


def goodness_by_class(
    symmetry: Symmetry, elements: Elements, labels: np.ndarray, n_classes: int
) -> tuple[ChiSquare, ...]:
    """`goodness` for each class, against the measure that `symmetry` gives it."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=n_classes))
    rows = np.split(order, ends[:-1])
    return tuple(goodness(symmetry.measure(c), elements[rows[c]]) for c in range(n_classes))


def law_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Counts and probabilities, (k,) each, of the cells of a measure; the last cell is what it cannot give."""
    measure = measure.canonical()
    if is_discrete(measure):
        cell, p = _atom_cells(measure, elements)
    else:
        cell, p = _arc_cells(measure, elements)
    return np.bincount(cell, minlength=len(p) + 1), np.append(p, 0.0)


def is_discrete(measure: Measure) -> bool:
    """Whether the measure has finitely many elements."""
    return measure.group.is_finite or (isinstance(measure, Arc) and measure.low == measure.high)


def atoms(measure: Measure) -> Atoms:
    """The elements of a discrete measure that can occur, with their probabilities."""
    if isinstance(measure, Arc) and not measure.group.is_finite:  # one angle, and perhaps its mirror image
        sides = (False, True)[: 1 + measure.group.flips]
        return tuple((Element(measure.low, flip), 1.0 / len(sides)) for flip in sides)
    return tuple((element, p) for element, p in measure.atoms if p > 0.0)


def _atom_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each element and probability of each cell: the elements of the group, or the one angle of a point arc."""
    n, sides, own = measure.group.rotations or 1, 1 + measure.group.flips, atoms(measure)
    origin = own[0][0].angle if measure.group.rotations is None else 0.0
    turns = (elements.angle - origin) * n / 360.0
    k = np.round(turns)
    fits = (np.abs(turns - k) * 360.0 / n <= SNAP_DEG) & (measure.group.flips | ~elements.flip)
    p = np.zeros(n * sides)
    for element, share in own:
        p[round((element.angle - origin) * n / 360.0) % n + n * element.flip] += share
    return np.where(fits, k.astype(np.int64) % n + n * elements.flip, n * sides), p / p.sum()


def _arc_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each element and probability of each cell: the identity, then arcs of equal probability."""
    sides, apart = 1 + measure.group.flips, identity_mass(measure)
    arcs = int(np.clip(len(elements) * (1.0 - apart) / (2.0 * FEWEST * sides), 1, MAX_ARCS))
    u = quantile(measure, elements.angle)
    cell = 1 + np.clip(np.floor(u * arcs), 0, arcs - 1).astype(np.int64) + arcs * elements.flip
    cell = np.where((u <= 1.0) & (measure.group.flips | ~elements.flip), cell, 1 + arcs * sides)
    cell = np.where(is_identity(elements) & (apart > 0.0), 0, cell)
    return cell, np.append(apart, np.full(arcs * sides, (1.0 - apart) / (arcs * sides)))


def identity_mass(measure: Measure) -> float:
    """What a continuous measure puts on the identity alone: the closed gate of `-partial`."""
    return 1.0 - measure.weight if isinstance(measure, Partial) else 0.0


def quantile(measure: Measure, angle_deg: np.ndarray) -> np.ndarray:
    """The share of a continuous measure's angles that lies between `start(measure)` and each angle; inf off its arc."""
    turned = wrap(angle_deg - start(measure))
    if isinstance(measure, Partial):
        return np.asarray(turned / 360.0)
    if isinstance(measure, Arc):
        length = measure.high - measure.low
        turned = np.where(turned > 360.0 - SNAP_DEG, 0.0, turned)  # low itself, rounded down to float32
        return np.where(turned <= length + SNAP_DEG, np.minimum(turned / length, 1.0), math.inf)
    return _wrapped_normal(turned - 180.0, measure.std)


def start(measure: Measure) -> float:
    """The angle from which `quantile` counts: 0, the low end of the arc, or opposite the mean."""
    if isinstance(measure, Arc):
        return measure.low
    return measure.mean - 180.0 if isinstance(measure, Gaussian) else 0.0


def _wrapped_normal(x: np.ndarray, std: float) -> np.ndarray:
    """P(-180 <= X < x) for X normal with mean 0, wrapped to the circle; (n,) degrees in [-180, 180)."""
    reach = math.ceil(9.0 * std / 360.0) + 1
    turns = 360.0 * np.arange(-reach, reach + 1)
    below = torch.from_numpy((x[:, None] + turns) / std), torch.from_numpy((turns - 180.0) / std)
    return np.asarray((torch.special.ndtr(below[0]) - torch.special.ndtr(below[1])).sum(1).clamp(0.0, 1.0).numpy())


def arc_masses(measure: Measure, edges_deg: np.ndarray) -> np.ndarray:
    """(m,) what a continuous measure puts on each arc between m + 1 rising edges, the identity left out."""
    turned = edges_deg - start(measure)
    u = np.minimum(quantile(measure, np.asarray(edges_deg, dtype=np.float64)), 1.0)
    return np.asarray(np.diff(np.floor(turned / 360.0) + u) * (1.0 - identity_mass(measure)))
