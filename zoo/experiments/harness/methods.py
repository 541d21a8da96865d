"""The methods that are compared, as small networks of 14 pixels: the fields of each one's `TrainConfig`."""

from typing import Any

SIZE = 14
"""Pixels; exact for these networks, whose only pool halves it."""

_C4, _PLAIN = {"model": f"p4cnn_{SIZE}", "width": 5}, {"model": f"z2cnn_{SIZE}", "width": 10}

METHODS: dict[str, dict[str, Any]] = {
    "strict": _C4,
    "plain": _PLAIN,
    "likelihood": _C4 | {"relax": "likelihood"},
    "residual": _C4 | {"relax": "residual"},
    "banks": _C4 | {"relax": "banks"},
    "bias": _C4 | {"relax": "bias"},
    "partial": _C4 | {"relax": "partial"},
    "augerino": _PLAIN | {"average": "rotation"},
}
"""Name -> fields; objectives are their defaults, learned widths start at 8.6 degrees."""

LEARNED = tuple(name for name in METHODS if name not in ("strict", "plain"))
"""Those that learn how much symmetry there is."""


def recipe(method: str, seed: int, **fields: Any) -> dict[str, Any]:
    """The fields of a method's `TrainConfig`: what all runs share, its own, and `fields`."""
    shared = {"batch_size": 64, "lr": 0.01, "weight_decay": 1e-5, "validation": 0.0}
    return shared | METHODS[method] | fields | {"seed": seed}
