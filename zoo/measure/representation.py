"""Which feature maps of a running model transform under a known representation of its group.

Layers of ours have a group. What follows them is known as long as it acts on every channel and pixel alike, or pools
pixels channel by channel: such operations are followed at the dispatcher, so that the sum that ends a residual block is
known too. Everything else (another convolution, a concatenation, an attention) makes a map that is not known.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from symdata.groups import Group
from zoo.exactness.hooks import module_hooks
from zoo.layers.subsampling.pooling import GroupPool
from zoo.measure.maps import LayerGrid
from zoo.measure.seen_tensors import SeenTensors

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
"""Operations that work channel by channel; what they do to the grid is what is measured."""

Record = Callable[[str, Tensor, Group], None]


@contextmanager
def recorded_maps(
    model: nn.Module, own: Group | None, record: Record, to_grid: LayerGrid | None = None
) -> Iterator[None]:
    """Within this context `record(name, map, group)` is called for every map (B, C, H, W) of known representation.

    Args:
        model: whose modules make the maps; `name` is that of the module.
        own: the group of the model's layers; None if they are not ours, and every channel is then an image by itself.
        record: gets maps that a later operation may still change in place.
        to_grid: for layers that are not ours: makes a map of an output in another order, such as tokens, given the
            module too; None if it has no grid.
    """
    groups, seen = _GroupTracker(), SeenTensors()

    def look(name: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        if not isinstance(out, Tensor):
            return
        leaf = next(module.children(), None) is None
        grid = to_grid(out, module) if to_grid is not None and own is None else out
        if grid is not out:
            if grid is not None and out not in seen:
                seen.add(out)
                record(name, grid, TRIVIAL)
            return
        if out.ndim != 4:
            return
        if leaf:
            groups[out] = _of_leaf(module, groups[args[0]] if args else None, own)
        group = groups[out]
        if group is not None and (leaf or out not in seen):
            seen.add(out)
            record(name, out, group)

    with module_hooks(model, look), groups:
        yield


def _of_leaf(module: nn.Module, before: Group | None, own: Group | None) -> Group | None:
    """The group that permutes the channels that a leaf module makes, from that of its input."""
    if own is None or isinstance(module, GroupPool):
        return TRIVIAL
    group = getattr(module, "group", None)
    if isinstance(group, Group):
        return group
    if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
        return None  # mixes or weights channels without respect to the group
    return before  # ReLU, pooling and dropout keep it


class _GroupTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Knows which group permutes the channels of each map, through every operation that keeps its representation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._groups = WeakTensorKeyDictionary()

    def __getitem__(self, features: Any) -> Group | None:
        known = isinstance(features, Tensor) and features in self._groups
        group: Group | None = self._groups[features] if known else None
        return group

    def __setitem__(self, features: Tensor, group: Group | None) -> None:
        self._groups[features] = group

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
            self[first] = self._kept(name, args, first)
        return out

    def _kept(self, name: str, args: Sequence[Any], out: Tensor) -> Group | None:
        """The group of the result of an operation; None where it is not known."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        if name in POOLS and tensors:
            return self[tensors[0]]
        if name not in POINTWISE:
            return None
        maps = [t for t in tensors if t.ndim]  # a number may come as a tensor without axes
        groups = {self[t] for t in maps}
        alike = len(groups) == 1 and all(t.shape == out.shape for t in maps)
        return groups.pop() if alike else None
