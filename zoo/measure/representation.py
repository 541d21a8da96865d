"""Which feature maps of a running model move under a known representation of its group.

The layers of ours say what they make. What follows is known as long as it acts on every channel and pixel alike, or
pools pixels channel by channel: such operations are followed at the dispatcher, so that the sum that ends a residual
block is known too. Everything else (another convolution, a concatenation, an attention) makes a map that is not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from symdata.groups import Group
from zoo.layers.subsampling.pooling import GroupPool

TRIVIAL = Group(1)
"""Of a feature map whose channels the group does not permute."""

POINTWISE = frozenset(
    "relu leaky_relu elu gelu silu hardtanh hardswish hardsigmoid sigmoid tanh softplus mish threshold clamp clamp_min "
    "clamp_max add sub rsub mul div maximum minimum neg abs exp log sqrt rsqrt square pow clone detach "
    "alias _to_copy".split()
)
"""Operations that treat every value alike; of two maps of one representation they make a map of it."""
POOLS = frozenset(
    "max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d upsample_bilinear2d "
    "_upsample_bilinear2d_aa upsample_bicubic2d upsample_nearest2d constant_pad_nd".split()
)
"""Operations that work channel by channel; what they do to the grid is what is to be measured."""

Record = Callable[[str, Tensor, Group], None]


@contextmanager
def watched(
    model: nn.Module,
    own: Group | None,
    record: Record,
    to_grid: Callable[[Tensor, nn.Module], Tensor | None] | None = None,
) -> Iterator[None]:
    """While this lasts, `record(name, map, group)` is called for every map (B, C, H, W) of known representation.

    Args:
        model: whose modules make them; `name` is that of the module.
        own: the group of the model's layers; None if they are not ours, and every channel is then taken by itself.
        record: gets maps that a later operation may still change in place.
        to_grid: for layers that are not ours: what makes a map of an output in another order, such as
            tokens, given the module too.
    """

    def look(name: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        leaf = next(module.children(), None) is None
        if not isinstance(out, Tensor):
            return
        grid = to_grid(out, module) if to_grid is not None and own is None else out
        if grid is not out:
            if grid is not None and getattr(out, "_symdata_told", None) != out._version:
                out._symdata_told = out._version  # type: ignore[attr-defined]
                record(name, grid, TRIVIAL)
            return
        if out.ndim != 4:
            return
        kind = _of_leaf(module, args, own) if leaf else known(out)
        if leaf:
            _mark(out, kind)
        told = getattr(out, "_symdata_told", None)
        if kind is not None and (leaf or told != out._version):  # a container often hands on what its last layer made
            out._symdata_told = out._version  # type: ignore[attr-defined]
            record(name, out, kind)

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
                continue
            handle = module.register_forward_hook(lambda m, a, o, name=name: look(name, m, a, o))
            stack.callback(handle.remove)
        stack.enter_context(_Follower())
        yield


def known(features: Any) -> Group | None:
    """The group that permutes the channels of a map seen by `watched`; None where that is not known."""
    return getattr(features, "_symdata_group", None)


def _mark(features: Tensor, kind: Group | None) -> None:
    features._symdata_group = kind  # type: ignore[attr-defined]


def _of_leaf(module: nn.Module, args: tuple[Any, ...], own: Group | None) -> Group | None:
    """What the group does to the channels that a leaf module makes."""
    if own is None or isinstance(module, GroupPool):
        return TRIVIAL
    group = getattr(module, "group", None)
    if isinstance(group, Group):
        return group
    if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
        return None  # mixes or weighs channels by its own lights
    return known(args[0]) if args else None  # ReLU, pooling and dropout keep what they get


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands the mark of its inputs on to the result of every operation that keeps it, and takes it from all others."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and shielding us from dynamo costs its import, a second

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.removesuffix("_") or func.overloadpacket.__name__
        first = out[0] if isinstance(out, tuple | list) and out else out
        if isinstance(first, Tensor) and first.ndim == 4:
            _mark(first, _kept(name, args, first))
        return out


def _kept(name: str, args: Sequence[Any], out: Tensor) -> Group | None:
    """The representation of the result of an operation; None where it is not known."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    if name in POOLS and tensors:
        return known(tensors[0])
    if name not in POINTWISE:
        return None
    maps = [t for t in tensors if t.ndim]  # a number may come as a tensor without axes
    kinds = {known(t) for t in maps}
    alike = len(kinds) == 1 and all(t.shape == out.shape for t in maps)
    return kinds.pop() if alike else None
