"""Mixtures of measures, and the point mass at one element: a mixture of elements gives each its own probability."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np

from symdata.errors import SymmetryError
from symdata.groups import MAX_ORDER, Element, Elements, Group, namespace
from symdata.measures.base import Atoms, Measure, choose, look_up, number
from symdata.measures.uniform import NONE, Partial

ROUNDING = 5e-6
"""How far the sum of weights may be from 1; they are divided by it."""


@dataclass(frozen=True)
class Point(Measure):
    """One element, always."""

    element: Element
    group: Group = field(init=False, compare=False, repr=False)
    """The smallest of the groups c_n, d_n, so2, o2 that contains it."""

    def __post_init__(self) -> None:
        orders = range(1, MAX_ORDER + 1)
        n = next((n for n in orders if abs(math.remainder(self.element.angle * n, 360.0)) < 1e-9 * n), None)
        object.__setattr__(self, "group", Group(n, self.element.flip))

    def __str__(self) -> str:
        e = self.element
        return (f"r{number(e.angle)}" if e.angle else "") + ("m" if e.flip else "") or "none"

    def canonical(self) -> Measure:
        return NONE if self.element == Element() else self

    @property
    def points(self) -> Atoms:
        return ((self.element, 1.0),)


@dataclass(frozen=True)
class Mixture(Measure):
    """A draw from one of several measures, each with its probability."""

    parts: tuple[tuple[float, Measure], ...]
    """(weight, measure); the weights sum to 1, up to `ROUNDING`."""
    group: Group = field(init=False, compare=False, repr=False)
    shares: tuple[float, ...] = field(init=False, compare=False, repr=False)
    """The weights, divided by their sum."""

    def __post_init__(self) -> None:
        weights = [weight for weight, _ in self.parts]
        if wrong := [w for w in weights if not 0.0 <= w <= 1.0]:
            raise SymmetryError(f"weight {number(wrong[0])} is outside [0, 1]; write 0.5@none+0.5@d4")
        if not abs((total := math.fsum(weights)) - 1.0) <= ROUNDING:
            scaled = "+".join(f"{number(w / total)}@{m}" for w, m in self.parts) if total else "0.5@none+0.5@d4"
            raise SymmetryError(f"weights sum to {total:g}, expected 1; write {scaled}")
        object.__setattr__(self, "group", reduce(Group.__or__, (m.group for w, m in self.parts if w)))
        object.__setattr__(self, "shares", tuple(w / total for w in weights))

    def __str__(self) -> str:
        return "+".join(f"{number(weight)}@{measure}" for weight, measure in self.parts)

    def canonical(self) -> Measure:
        """Parts in the order of their texts, each once; a part of `none` and one of a group are `-partial`."""
        shares: dict[Measure, float] = {}
        for weight, measure in self.parts:
            for share, part in _opened(measure.canonical()):
                shares[part] = shares.get(part, 0.0) + weight * share
        parts = [(w, m) for m, w in sorted(shares.items(), key=lambda item: (item[0] != NONE, str(item[0]))) if w > 0.0]
        last = parts[-1][1]
        if len(parts) == 1:
            return last
        if len(parts) == 2 and parts[0][1] == NONE and isinstance(last, Partial):
            return Partial(last.group, parts[1][0] / (parts[0][0] + parts[1][0]))
        return Mixture(tuple((min(w, 1.0), m) for w, m in parts))

    def draw(self, u: Sequence[Any]) -> Elements:
        xp, k = namespace(u[0]), choose(u[3], self.shares)
        points = [m.element if isinstance(m, Point) else Element() for _, m in self.parts]
        angle = look_up([e.angle for e in points], k, u[0])
        flip = look_up([float(e.flip) for e in points], k, u[0]) > 0.5
        # Within the share that was chosen, the place is a uniform number again: a part that is a mixture needs one.
        starts = [0.0, *accumulate(self.shares[:-1])]
        place = ((u[3] - look_up(starts, k, u[0])) / look_up(self.shares, k, u[0])).clip(0.0, 1.0 - 2.0**-53)
        for index, (_, measure) in enumerate(self.parts):
            if not isinstance(measure, Point):
                here, drawn = k == index, measure.draw([*u[:3], place])
                angle, flip = xp.where(here, drawn.angle, angle), xp.where(here, drawn.flip, flip)
        return Elements(angle, flip)

    @property
    def points(self) -> Atoms:
        shares: dict[Element, float] = {}
        for share, (_, measure) in zip(self.shares, self.parts, strict=True):
            for element, p in measure.points:
                shares[element] = shares.get(element, 0.0) + share * p
        return tuple((element, p) for element, p in shares.items() if p > 0.0)

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        parts = zip(self.shares, self.parts, strict=True)
        return np.asarray(sum(share * measure.cumulative(angle_deg, flip) for share, (_, measure) in parts))

    @property
    def jumps(self) -> tuple[float, ...]:
        return tuple(angle for _, measure in self.parts for angle in measure.jumps)


def _opened(measure: Measure) -> Iterator[tuple[float, Measure]]:
    """A measure as a mixture of measures that are no mixtures."""
    if isinstance(measure, Mixture):
        yield from measure.parts
    elif isinstance(measure, Partial) and measure.weight < 1.0:
        yield 1.0 - measure.weight, NONE
        yield measure.weight, Partial(measure.group)
    else:
        yield 1.0, measure
