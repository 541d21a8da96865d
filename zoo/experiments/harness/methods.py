"""The methods that are held against each other, as small networks of 14 pixels: what each is made of."""

from typing import Any

SIZE = 14
"""Pixels; exact for these networks, whose one pool halves it."""

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
"""Name -> fields of its `TrainConfig`; objectives are their defaults, learned widths start at 8.6 degrees."""

LEARNED = tuple(name for name in METHODS if name not in ("strict", "plain"))
"""Those that find out how much symmetry there is."""

LEARNING: dict[str, Any] = {"batch_size": 64, "lr": 0.01, "weight_decay": 1e-5, "validation": 0.0}
"""What all runs share, but for the number of epochs."""
