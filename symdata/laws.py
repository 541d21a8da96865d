"""Probabilities of a measure: of cells for chi-square tests, and of arcs."""

from functools import lru_cache

import numpy as np

from symdata.groups import SNAP_DEG, Element, Elements
from symdata.measures import Atoms, Measure, is_discrete

FEWEST = 5.0
"""Cells with a smaller expected count are merged: below it, the chi-square approximation is poor (Cochran 1954)."""

MAX_ARCS = 24
"""Most arcs in a test of angles; rotations and mirrored elements have as many each."""

EXACT_DEG = 1e-4
"""Degrees within which an angle is that of a single element, in a measure that also has a density."""

_GRID = np.arange(7201) / 20.0
"""Angles at which gaps of a density are looked for."""


def is_identity(elements: Elements) -> np.ndarray:
    """(n,) bool: which elements are the identity, exactly."""
    return np.asarray((elements.angle == 0.0) & ~elements.flip)


def law_cells(measure: Measure, elements: Elements) -> tuple[np.ndarray, np.ndarray]:
    """Observed counts and probabilities, (k,) each, of the cells of a measure.

    The cells are the elements with a probability of their own; if the measure has a density, the identity comes first,
    and then arcs of equal probability, of the rotations and of the mirrored elements. The last cell counts the elements
    that cannot occur; its probability is 0.
    """
    measure = measure.canonical()
    if is_discrete(measure):
        points, within = measure.points, SNAP_DEG
    else:
        others = tuple((e, p) for e, p in measure.points if e != Element())
        points, within = ((Element(), identity_mass(measure)), *others), EXACT_DEG
    cell, p = _point_cells(points, elements, within), [p for _, p in points]
    for flip in measure.group.sides:
        here = (cell < 0) & (elements.flip == flip)
        arcs, masses = _arc_cells(measure, elements.angle, flip)
        cell = np.where(here & (arcs >= 0), len(p) + arcs, cell)
        p += masses
    counts = np.bincount(np.where(cell < 0, len(p), cell), minlength=len(p) + 1)
    return counts, np.append(np.array(p) / sum(p), 0.0)


def _point_cells(points: Atoms, elements: Elements, within: float) -> np.ndarray:
    """(n,) the index of each element among single ones; -1 for what is farther than `within` degrees from all."""
    found = np.full(len(elements), -1)
    for flip in (False, True):
        own = sorted((e.angle, k) for k, (e, p) in enumerate(points) if e.flip == flip and p > 0.0)
        if not own:
            continue
        angle, index = np.array([a for a, _ in own]), np.array([k for _, k in own])
        angle = np.concatenate([angle[-1:] - 360.0, angle, angle[:1] + 360.0])  # the neighbours across 0 degrees
        index = np.concatenate([index[-1:], index, index[:1]])
        above = np.clip(np.searchsorted(angle, elements.angle), 1, len(angle) - 1)
        nearest = np.where(elements.angle - angle[above - 1] < angle[above] - elements.angle, above - 1, above)
        hit = (np.abs(elements.angle - angle[nearest]) <= within) & (elements.flip == flip)
        found = np.where(hit, index[nearest], found)
    return found


def _arc_cells(measure: Measure, angle_deg: np.ndarray, flip: bool) -> tuple[np.ndarray, list[float]]:
    """Which of some arcs of equal probability holds each angle, -1 where the density is 0; and their probabilities."""
    mass = float(_mass_below(measure, np.array([360.0]), flip)[0])
    if mass <= 1e-12:
        return np.full(len(angle_deg), -1), []
    arcs = int(np.clip(len(angle_deg) * mass / (2.0 * FEWEST), 1, MAX_ARCS))
    start = _start(measure, flip)
    ahead = start + (angle_deg - start) % 360.0
    share = (_mass_below(measure, ahead, flip) - _mass_below(measure, np.array([start]), flip)) / mass
    near = [_mass_below(measure, angle_deg + step, flip) for step in (-SNAP_DEG, SNAP_DEG)]  # angles are float32
    cell = np.clip(np.floor(share * arcs), 0, arcs - 1).astype(np.int64)
    return np.where(near[1] - near[0] > 1e-15, cell, -1), [mass / arcs] * arcs


def _mass_below(measure: Measure, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
    """Probability of the density from 0 to each angle, which may be any number of turns."""
    turns = np.floor(angle_deg / 360.0)
    ends = measure.cumulative(np.array([0.0, 360.0]), flip)
    return np.asarray(measure.cumulative(angle_deg - 360.0 * turns, flip) - ends[0] + turns * (ends[1] - ends[0]))


@lru_cache(maxsize=128)
def _start(measure: Measure, flip: bool) -> float:
    """An angle in the longest gap of the density, from which arcs are counted, so that none spans it; else 0."""
    full = np.flatnonzero(np.diff(measure.cumulative(_GRID, flip)) > 1e-15)
    gaps = np.diff(np.append(full, full[0] + len(_GRID) - 1))
    longest = int(gaps.argmax())
    return 0.0 if gaps[longest] == 1 else float((full[longest] + gaps[longest]) / 20.0 % 360.0)


def identity_mass(measure: Measure) -> float:
    """Probability of the identity itself."""
    return dict(measure.points).get(Element(), 0.0)


def arc_masses(measure: Measure, edges_deg: np.ndarray, flip: bool) -> np.ndarray:
    """(m,) probability of each arc between m + 1 increasing edges from 0 to 360, without the identity.

    Args:
        measure: a measure on O(2).
        edges_deg: (m + 1,).
        flip: of the mirrored elements, or of the rotations.
    """
    own = [(e.angle, p) for e, p in measure.points if e.flip == flip and e != Element()]
    single = np.histogram([a for a, _ in own], edges_deg, weights=[p for _, p in own])[0]
    return np.asarray(np.diff(_mass_below(measure, np.asarray(edges_deg, dtype=np.float64), flip)) + single)
