"""What "Using and Abusing Equivariance" measured: the numbers of published.yaml, which says where they come from."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zoo.measure.statistics import MeanOverSeeds

_DATA: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def _figures(cells: str, seeds: int) -> dict[str, MeanOverSeeds]:
    """Means, and sample standard deviations: published are those of the population."""
    sample = math.sqrt(seeds / (seeds - 1))
    first, *rest = cells.split()
    pairs = [(first if cell == "=" else cell).split("±") for cell in (first, *rest)]
    figures = [MeanOverSeeds(float(mean), float(sd) * sample, seeds) for mean, sd in pairs]
    return dict(zip(MEASURES, figures, strict=True))


MODELS: tuple[str, ...] = tuple(_DATA["models"])
MEASURES: tuple[str, ...] = tuple(_DATA["measures"])
DIAGONAL: dict[str, list[int]] = {regime: facts["diagonal"] for regime, facts in _DATA["regimes"].items()}
"""Regime -> the angles, in degrees, whose mean is called `diagonal`."""
SEEDS: dict[str, int] = {regime: facts["seeds"] for regime, facts in _DATA["regimes"].items()}
"""Regime -> runs of each model."""
ACCURACY: dict[str, dict[str, dict[str, MeanOverSeeds]]] = {
    regime: {model: _figures(cells, facts["seeds"]) for model, cells in facts["accuracy"].items()}
    for regime, facts in _DATA["regimes"].items()
}
"""Regime -> model -> measure -> accuracy in percent."""
CURVES: dict[str, dict[str, tuple[float, ...]]] = {
    regime: {model: tuple(map(float, curve.split())) for model, curve in facts.get("curves", {}).items()}
    for regime, facts in _DATA["regimes"].items()
}
"""Regime -> model -> mean accuracy in percent at 0, 10, ..., 350 degrees."""

PARAMETERS: dict[str, tuple[int, int | None]] = {name: tuple(pair) for name, pair in _DATA["parameters"].items()}
"""Model -> parameters, with coset pooling and without; None where the authors have it always."""


class KnightRow(NamedTuple):
    """One row of the network that learns its own rotation."""

    size: int
    """Pixels."""
    kernel: int
    stride: int
    padding: int

    @property
    def residue(self) -> int:
        """Pixels left over by the stride; 0 is exact."""
        return (self.size + 2 * self.padding - self.kernel) % self.stride

    @property
    def name(self) -> str:
        """`32 px, 3x3 s2 p1`."""
        return f"{self.size} px, {self.kernel}x{self.kernel} s{self.stride} p{self.padding}"


KNIGHT = tuple(KnightRow(*map(int, row.split())) for row in _DATA["knight"])
KNIGHT_LOG: dict[int, float] = _DATA["knight log"]
"""Epoch -> loss at 32 px."""

SIZES = (*range(20, 101), 224, 225)
"""Input sizes in pixels at which exactness is predicted and measured."""
EXACT: dict[str, tuple[int, int]] = {kind: tuple(rule) for kind, rule in _DATA["exact"].items()}
"""Architecture -> (modulus, remainder) of its exact input sizes."""


def exact_sizes(architecture: str) -> tuple[int, ...]:
    """Those of SIZES at which the rule of EXACT holds."""
    modulus, remainder = EXACT[architecture]
    return tuple(size for size in SIZES if size % modulus == remainder)
