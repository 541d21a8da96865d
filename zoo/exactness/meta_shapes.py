"""The results of the commonest operations of networks on the meta device, where only shapes count.

For these torch itself goes through decompositions in Python, a millisecond each, and imports torch._dynamo for them,
which takes longer than the whole audit of a ResNet44.
"""

from typing import Any

from torch import Tensor, empty_like

UNARY = ("relu", "gelu", "silu", "sigmoid", "tanh", "leaky_relu", "elu", "hardtanh", "hardswish")


def shape_only(name: str, args: tuple[Any, ...]) -> Any:
    """The result of operation `name` on meta tensors; None if torch has to compute it."""
    x = args[0]
    if name == "addmm" and len(args) == 3 and all(isinstance(t, Tensor) and t.is_meta for t in args):
        _, a, b = args
        return a.new_empty(a.shape[0], b.shape[1]) if a.shape[1] == b.shape[0] else None
    if not isinstance(x, Tensor) or not x.is_meta:
        return None
    if name in UNARY or (name in ("add", "mul") and len(args) == 2 and _alike(x, args[1])):
        return empty_like(x)
    if name in ("relu_", "silu_", "hardtanh_"):
        return x
    if name == "native_batch_norm" and not args[5]:
        return empty_like(x), x.new_empty(0), x.new_empty(0)
    if name == "grid_sampler_2d" and isinstance(args[1], Tensor) and len(args[1]) == len(x):
        return x.new_empty(*x.shape[:2], *args[1].shape[1:3])
    if name in ("mean", "amax") and len(args) > 1 and isinstance(args[1], list | tuple) and args[1]:
        reduced, keep = {int(a) % x.ndim for a in args[1]}, len(args) > 2 and bool(args[2])
        kept = [1 if a in reduced else n for a, n in enumerate(x.shape) if keep or a not in reduced]
        return x.new_empty(kept)
    return None


def _alike(x: Tensor, y: Any) -> bool:
    return isinstance(y, Tensor) and x.shape == y.shape and x.dtype == y.dtype
