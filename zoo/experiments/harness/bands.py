"""What has to come out if the paper holds here: bands, fixed before the runs, and whether a measurement lies inside.

A condition bounds a sum of named series of numbers, one number per seed: `p4cnn_27 180` minus `p4cnn_27 90` is at most
0. It holds for the means over seeds, or for every seed.
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
    """The name of the claim, such as B1."""
    part: str
    text: str
    terms: Mapping[str, float]
    """Name of a series -> its factor in the sum."""
    low: float = -math.inf
    high: float = math.inf
    every: bool = False
    """Whether it must hold for every seed; else for the mean."""
    budget: str | None = None
    """The only budget that it is meant for; None: every."""


@dataclass(frozen=True)
class Verdict:
    """A condition held against what was measured."""

    condition: Condition
    values: tuple[float, ...]
    """The sum for every seed, or its mean alone; empty if a series was not measured."""

    @property
    def inside(self) -> bool | None:
        """Whether all values are in the band; None if nothing was measured. A number that is not one is outside."""
        if not self.values:
            return None
        return all(self.condition.low <= value <= self.condition.high for value in self.values)

    @property
    def word(self) -> str:
        """`inside`, `OUTSIDE` or `not measured`."""
        return {True: "inside", False: "OUTSIDE", None: "not measured"}[self.inside]

    @property
    def row(self) -> tuple[str, ...]:
        """Cells: the band, what it says, what was measured, the verdict."""
        c, values = self.condition, self.values
        measured = "-" if not values else _short(values[0])
        if len(values) > 1:
            measured = f"{_short(min(values))} .. {_short(max(values))} over {len(values)} seeds"
        return c.band, c.text, measured, self.word

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        c = self.condition
        bounds = {"low": c.low if math.isfinite(c.low) else None, "high": c.high if math.isfinite(c.high) else None}
        facts = {"band": c.band, "part": c.part, "text": c.text, "every_seed": c.every}
        return facts | bounds | {"values": list(self.values), "verdict": self.word}


def judge(part: str, series: Series, budget: str, conditions: Iterable[Condition]) -> list[Verdict]:
    """The verdicts on those of the conditions that are about this part and budget."""
    return [Verdict(c, _values(c, series)) for c in conditions if c.part == part and c.budget in (None, budget)]


def _values(condition: Condition, series: Series) -> tuple[float, ...]:
    if any(not series.get(name) for name in condition.terms):
        return ()
    if not condition.every:
        means = {name: math.fsum(series[name]) / len(series[name]) for name in condition.terms}
        return (math.fsum(factor * means[name] for name, factor in condition.terms.items()),)
    rows = zip(*(series[name] for name in condition.terms), strict=True)
    factors = tuple(condition.terms.values())
    return tuple(math.fsum(f * v for f, v in zip(factors, row, strict=True)) for row in rows)


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
