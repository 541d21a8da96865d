"""Bands: what must come out if the paper holds here, fixed before the runs.

A condition bounds one series of numbers, one number per seed, or the difference of two: `p4cnn_27 180 - p4cnn_27 90` is
at most 0. It holds for the mean over seeds, or for every seed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Series = Mapping[str, Sequence[float]]
"""Name -> one number for each seed, in the order of the seeds."""


@dataclass(frozen=True)
class Condition:
    """One band."""

    band: str
    """Name of the claim, such as B1."""
    text: str
    measure: str
    """Name of a series, or two of them as `a - b`."""
    low: float = -math.inf
    high: float = math.inf
    every: bool = False
    """Whether it must hold for every seed; otherwise for the mean."""
    budget: str | None = None
    """The only budget to which it applies; None: all."""


@dataclass(frozen=True)
class Verdict:
    """A condition, and what was measured."""

    condition: Condition
    values: tuple[float, ...]
    """The number of every seed, or the mean alone; empty if a series was not measured."""

    @property
    def inside(self) -> bool | None:
        """Whether all values are in the band, which NaN never is; None if nothing was measured."""
        if not self.values:
            return None
        return all(self.condition.low <= value <= self.condition.high for value in self.values)

    @property
    def word(self) -> str:
        """`inside`, `OUTSIDE` or `not measured`."""
        return {True: "inside", False: "OUTSIDE", None: "not measured"}[self.inside]

    @property
    def row(self) -> tuple[str, ...]:
        """Cells of a table: the band, its text, what was measured, the verdict."""
        c, values = self.condition, self.values
        measured = "-" if not values else _short(values[0])
        if len(values) > 1:
            measured = f"{_short(min(values))} .. {_short(max(values))} over {len(values)} seeds"
        return c.band, c.text, measured, self.word

    def to_dict(self, part: str) -> dict[str, Any]:
        """The verdict on a part as plain data for JSON."""
        c = self.condition
        facts = {"band": c.band, "part": part, "text": c.text, "every_seed": c.every}
        bounds = {name: v if math.isfinite(v) else None for name, v in (("low", c.low), ("high", c.high))}
        return facts | bounds | {"values": list(self.values), "verdict": self.word}


def judge(series: Series, budget: str, conditions: Iterable[Condition]) -> tuple[Verdict, ...]:
    """The verdicts on those conditions that apply to this budget."""
    return tuple(Verdict(c, _values(c, series)) for c in conditions if c.budget in (None, budget))


def _values(condition: Condition, series: Series) -> tuple[float, ...]:
    found = [series.get(name, ()) for name in condition.measure.split(" - ")]
    if not all(found):
        return ()
    if not condition.every:
        found = [[math.fsum(values) / len(values)] for values in found]
    return tuple(first - sum(rest) for first, *rest in zip(*found, strict=True))


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
