"""Which elements a model saw in training.

Two symmetries act one after the other: the dataset's moved the images first, augmentation moved them again. The support
of each is a union of arcs (a single element is an arc of length 0), and arcs are closed under composition:

    r(a) m^f . r(b) m^g = r(a + (-1)^f b) m^(f xor g)

Convention:
    Degrees, counter-clockwise as displayed; an element mirrors left-right first, then turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import SNAP_DEG, Elements
from symdata.measures import Arc, Gaussian, Law, Measure, Mixture, Partial, Point, is_discrete
from symdata.measures.base import CELLS
from symdata.symmetry import Symmetry

SIGMAS = 3.0
"""Elements beyond so many standard deviations of a Gaussian (0.3 % of them) count as not seen."""
SHARE = 0.997
"""The same of other densities: the least likely angles, which together have 0.3 % of the probability, count as not
seen."""


class Span(NamedTuple):
    """All angles from `low` over `length` degrees, with or without the mirror."""

    low: float
    length: float
    flip: bool


@dataclass(frozen=True)
class TrainingSupport:
    """The elements that a model saw in training, class by class."""

    steps: tuple[Symmetry, ...]
    """Symmetries in the order in which they moved an image: the dataset's, then that of augmentation."""

    @classmethod
    def of(cls, seen: Symmetry | str | Sequence[Symmetry | str]) -> "TrainingSupport":
        """From one symmetry or several, or their texts."""
        steps = [seen] if isinstance(seen, str | Symmetry) else list(seen)
        return cls(tuple(Symmetry.parse(step) for step in steps))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainingSupport | None":
        """From the `dataset` and `training` of a model's config; None if either has no symmetry."""
        texts = [_symmetry(config.get(part)) for part in ("dataset", "training")]
        try:
            return None if None in texts else cls.of([text for text in texts if text is not None])
        except SymmetryError:
            return None

    def __str__(self) -> str:
        return " then ".join(str(step) for step in self.steps if str(step) != "none") or "none"

    @property
    def is_per_class(self) -> bool:
        return any(step.is_per_class for step in self.steps)

    def spans(self, label: int) -> frozenset[Span]:
        """The support of class `label`."""
        found = frozenset({Span(0.0, 0.0, False)})
        for step in self.steps:
            found = frozenset(_compose(later, span) for later in support(step.measure(label)) for span in found)
        return found

    def contains(self, elements: Elements, labels: np.ndarray) -> np.ndarray:
        """(n,) bool: whether each element may have moved an image of that class in training."""
        batch, labels = elements.cpu(), np.asarray(labels)
        found = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels) if self.is_per_class else [0]:
            rows = labels == label if self.is_per_class else np.ones(len(labels), dtype=bool)
            for span in self.spans(int(label)):
                ahead = (batch.angle[rows] - span.low + SNAP_DEG) % 360.0
                found[rows] |= (ahead <= span.length + 2 * SNAP_DEG) & (batch.flip[rows] == span.flip)
        return found


def support(measure: Measure) -> list[Span]:
    """The elements that a measure draws, as arcs."""
    group, flips = measure.group, (False, True)[: 1 + measure.group.flips]
    if isinstance(measure, Law):
        return support(measure.measure)
    if isinstance(measure, Mixture):
        return list(dict.fromkeys(span for weight, part in measure.parts if weight for span in support(part)))
    if isinstance(measure, Gaussian):
        reach = SIGMAS * measure.std
        if not group.is_finite:
            return [Span(measure.mean - reach, min(2 * reach, 360.0), flip) for flip in flips]
        # The element nearest to a drawn angle acts, so each element stands for the angles within half a step of it.
        reach += 180.0 / (group.rotations or 1)
        near = [e for e, _ in measure.atoms if abs((e.angle - measure.mean + 180.0) % 360.0 - 180.0) <= reach]
        return [Span(e.angle, 0.0, e.flip) for e in near]
    if isinstance(measure, Arc | Partial | Point) and is_discrete(measure):
        return [Span(e.angle, 0.0, e.flip) for e, _ in measure.atoms]
    if isinstance(measure, Partial):
        return [Span(0.0, 360.0, flip) for flip in flips]
    if isinstance(measure, Arc):
        return [Span(measure.low, min(measure.high - measure.low, 360.0), flip) for flip in flips]
    return _likely(measure)


def _likely(measure: Measure) -> list[Span]:
    """The most likely single elements, and the arcs of highest density, each up to `SHARE` of the probability."""
    p = np.array([p for _, p in measure.points])
    spans = [Span(e.angle, 0.0, e.flip) for (e, _), seen in zip(measure.points, _most_likely(p), strict=True) if seen]
    edges, sides = np.arange(CELLS + 1) / (CELLS / 360.0), measure.group.sides
    masses = np.stack([np.diff(measure.cumulative(edges, flip)) for flip in sides])  # (sides, CELLS)
    for flip, seen in zip(sides, _most_likely(masses.ravel()).reshape(masses.shape), strict=True):
        if seen.all():
            spans.append(Span(0.0, 360.0, flip))
            continue
        first = int(seen.argmin())  # runs are counted from a cell that is not seen, so that none spans the end
        change = np.flatnonzero(np.diff(np.append(np.roll(seen, -first), False).astype(int))) + 1
        for start, stop in change.reshape(-1, 2).tolist():
            spans.append(Span((first + start) / (CELLS / 360.0) % 360.0, (stop - start) / (CELLS / 360.0), flip))
    return spans


def _most_likely(masses: np.ndarray) -> np.ndarray:
    """(n,) bool: the largest of these probabilities that together have `SHARE` of all, and those as large."""
    if masses.sum() <= 1e-12:
        return np.zeros(len(masses), dtype=bool)
    falling = np.sort(masses)[::-1]
    enough = int(np.searchsorted(np.cumsum(falling), SHARE * masses.sum()))
    return np.asarray(masses >= falling[min(enough, len(masses) - 1)] * (1.0 - 1e-6))


def _compose(later: Span, first: Span) -> Span:
    """The arc of all `b` then `a`, for b in `first` and a in `later`."""
    low = later.low - first.low - first.length if later.flip else later.low + first.low
    return Span(round(low % 360.0, 6) % 360.0, min(later.length + first.length, 360.0), later.flip ^ first.flip)


def _symmetry(part: Any) -> str | None:
    """The symmetry in a part of a config, which is a text, or one for each split."""
    found = part.get("symmetry") if isinstance(part, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get(part.get("split", "train"))
    return found if isinstance(found, str) else None
