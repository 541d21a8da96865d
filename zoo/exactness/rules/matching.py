"""Which permutation of a layer's outputs answers a motion of its inputs: read off the values of its weights."""

from collections.abc import Iterable

import torch
from torch import Tensor

ROUNDING = 1e-5
"""Weights that differ by less than this, relative to the largest, count as equal: filters expanded in float32."""


def matched(moved: Tensor, rows: Tensor, guesses: Iterable[Tensor] = ()) -> Tensor | None:
    """The permutation p with moved[i] = rows[p[i]] for all i, up to rounding; None if there is none.

    Args:
        moved: (n, m), the weights of each output after the inputs have moved.
        rows: (n, m), the weights of each output.
        guesses: permutations to try first; equal rows leave a choice.
    """
    bound = ROUNDING * float(rows.abs().max()) if rows.numel() else 0.0
    still = torch.arange(len(rows))
    for guess in (*guesses, still):
        if len(guess) == len(rows) and _close(moved, rows[guess], bound):
            return guess
    generator = torch.Generator().manual_seed(0)
    direction = torch.rand(rows.shape[1], generator=generator, dtype=torch.float64) + 0.5
    moved, rows = moved.double(), rows.double()
    from_moved, from_rows = (moved @ direction).argsort(stable=True), (rows @ direction).argsort(stable=True)
    found = torch.empty_like(from_moved)
    found[from_moved] = from_rows
    return found if _close(moved, rows[found], bound) else None


def _close(a: Tensor, b: Tensor, bound: float) -> bool:
    return bool(((a - b).abs() <= bound).all())
