"""The results of expensive operations on the image, of which only the shape counts: nothing is computed.

While a model is traced its image is blank, and what becomes of it is known by other means than its values.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor


def shape_only(name: str, args: Sequence[Any]) -> Any:
    """A result of operation `name` of the right shape, filled with zeros; None if torch has to compute it."""
    make = SHAPES.get(name)
    return None if make is None else make(*args)


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    extra: Sequence[int],
    groups: int,
    *rest: Any,
) -> Tensor | None:
    n = weight.ndim - 2
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    reads = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.ndim != weight.ndim or x.shape[1] != reads or x.dtype != weight.dtype:
        return None  # torch says what is wrong
    stride, padding, dilation, extra = (list(v) * (n if len(v) == 1 else 1) for v in (stride, padding, dilation, extra))
    size = []
    for i, k, s, p, d, e in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, extra, strict=True):
        window = d * (k - 1) + 1
        if not transposed and window > i + 2 * p:
            return None
        size.append((i - 1) * s - 2 * p + window + e if transposed else (i + 2 * p - window) // s + 1)
    return x.new_zeros(x.shape[0], channels, *size)


def _product(a: Tensor, b: Tensor) -> Tensor | None:
    fits = a.ndim == b.ndim and a.shape[-1] == b.shape[-2] and a.shape[:-2] == b.shape[:-2] and a.dtype == b.dtype
    return a.new_zeros(*a.shape[:-1], b.shape[-1]) if fits else None


def _added(c: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    return _product(a, b)


SHAPES: dict[str, Callable[..., Tensor | None]] = {
    "convolution": _convolution,
    "mm": _product,
    "bmm": _product,
    "addmm": _added,
    "baddbmm": _added,
}
"""Operation -> what makes the result."""
