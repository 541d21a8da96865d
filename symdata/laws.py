"""Probabilities of a measure: of cells for chi-square tests, of arcs, and quantiles."""

import math

import numpy as np
import torch

from symdata.groups import SNAP_DEG, Elements, wrap
from symdata.measures import Arc, Gaussian, Measure, Partial, is_discrete

FEWEST = 5.0
"""Cells with a smaller expected count are merged: below it, the chi-square approximation is poor (Cochran 1954)."""

MAX_ARCS = 24
"""Most arcs in a test of angles; rotations and mirrored elements have as many each."""


def is_identity(elements: Elements) -> np.ndarray:
    """(n,) bool: which elements are the identity, exactly."""
    return np.asarray((elements.angle == 0.0) & ~elements.flip)


def law_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Observed counts and probabilities, (k,) each, of the cells of a measure.

    The last cell counts the elements that cannot occur; its probability is 0.
    """
    measure = measure.canonical()
    if is_discrete(measure):
        cell, p = _atom_cells(measure, elements)
    else:
        cell, p = _arc_cells(measure, elements)
    return np.bincount(cell, minlength=len(p) + 1), np.append(p, 0.0)


def _atom_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each element and probability of each cell: a cell for each element of the group, or of a point arc."""
    n, sides, atoms = measure.group.rotations or 1, len(measure.group.sides), measure.atoms
    origin = 0.0 if measure.group.is_finite else atoms[0][0].angle
    turns = (elements.angle - origin) * n / 360.0
    k = np.round(turns)
    fits = (np.abs(turns - k) * 360.0 / n <= SNAP_DEG) & (measure.group.flips | ~elements.flip)
    p = np.zeros(n * sides)
    for element, share in atoms:
        p[round((element.angle - origin) * n / 360.0) % n + n * element.flip] += share
    return np.where(fits, k.astype(np.int64) % n + n * elements.flip, n * sides), p / p.sum()


def _arc_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each element and probability of each cell: the identity, then arcs of equal probability."""
    sides, still = len(measure.group.sides), identity_mass(measure)
    arcs = int(np.clip(len(elements) * (1.0 - still) / (2.0 * FEWEST * sides), 1, MAX_ARCS))
    u = quantile(measure, elements.angle)
    cell = 1 + np.clip(np.floor(u * arcs), 0, arcs - 1).astype(np.int64) + arcs * elements.flip
    cell = np.where((u <= 1.0) & (measure.group.flips | ~elements.flip), cell, 1 + arcs * sides)
    cell = np.where(is_identity(elements) & (still > 0.0), 0, cell)
    return cell, np.append(still, np.full(arcs * sides, (1.0 - still) / (arcs * sides)))


def identity_mass(measure: Measure) -> float:
    """Probability that a continuous measure gives to the identity: that of `-partial` not drawing from the group."""
    return 1.0 - measure.weight if isinstance(measure, Partial) else 0.0


def quantile(measure: Measure, angle_deg: np.ndarray) -> np.ndarray:
    """Share of a continuous measure's angles between `start(measure)` and each angle; infinite outside its arc."""
    turned = wrap(angle_deg - start(measure))
    if isinstance(measure, Partial):
        return np.asarray(turned / 360.0)
    if isinstance(measure, Arc):
        length = measure.high - measure.low
        turned = np.where(turned > 360.0 - SNAP_DEG, 0.0, turned)  # `low`, rounded down to float32
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
    """(m,) probability of each arc between m + 1 increasing edges in a continuous measure, without the identity."""
    turned = edges_deg - start(measure)
    u = np.minimum(quantile(measure, np.asarray(edges_deg, dtype=np.float64)), 1.0)
    return np.asarray(np.diff(np.floor(turned / 360.0) + u) * (1.0 - identity_mass(measure)))
