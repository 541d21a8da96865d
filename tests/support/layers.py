"""Every layer whose weights a group ties, small, with inputs for it and its error under the elements of the group."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.layers import (
    GCGroupConv2d,
    GGroupConv2d,
    GroupConv2d,
    GroupConvTranspose2d,
    GroupLinear,
    GroupUpsampleConv2d,
    LiftingConv2d,
    act_on_features,
)
from zoo.layers.bank_cache import BankedLayer
from zoo.layers.regular import lattice_group, move, order

TIED: dict[str, Callable[[str], BankedLayer]] = {
    "lifting": lambda group: LiftingConv2d(group, 3, 2, 3, padding=1),
    "full": lambda group: GroupConv2d(group, 3, 2, 3, padding=1),
    "g": lambda group: GGroupConv2d(group, 3, 2, 3, padding=1),
    "gc": lambda group: GCGroupConv2d(group, 3, 2, 3, padding=1),
    "lifting in parts": lambda group: LiftingConv2d(group, 4, 2, 3, padding="same", groups=2),
    "full in parts": lambda group: GroupConv2d(group, 4, 6, 3, padding="same", groups=2),
    "depthwise": lambda group: GroupConv2d(group, 3, 3, 3, padding="same", groups=3),
    "transposed": lambda group: GroupConvTranspose2d(group, 3, 2, 4, stride=2, padding=1),
    "transposed in parts": lambda group: GroupConvTranspose2d(group, 4, 6, 3, stride=2, padding=1, groups=2),
    "nearest": lambda group: GroupUpsampleConv2d(group, 3, 2),
    "bilinear": lambda group: GroupUpsampleConv2d(group, 4, 2, mode="bilinear", groups=2),
    "corners": lambda group: GroupUpsampleConv2d(group, 3, 2, mode="bilinear", align_corners=True),
    "linear": lambda group: GroupLinear(group, 3, 2),
    "invariant": lambda group: GroupLinear(group, 3, 2, invariant=True),
}
"""Name -> the layer over a group."""

CONVS = {
    "lifting": LiftingConv2d,
    "full": GroupConv2d,
    "g": GGroupConv2d,
    "gc": GCGroupConv2d,
    "lifting in parts": partial(LiftingConv2d, groups=2),
    "full in parts": partial(GroupConv2d, groups=2),
    "transposed": GroupConvTranspose2d,
    "transposed in parts": partial(GroupConvTranspose2d, groups=2),
}
"""Name -> what makes a convolution of group, fields, fields, kernel size, stride, padding, dilation."""


def inputs(layer: nn.Module, dtype: torch.dtype = torch.float32, batch: int = 2, size: int = 6) -> Tensor:
    """Noise that a layer takes."""
    if isinstance(layer, GroupLinear):
        return torch.randn(batch, order(layer.group) * layer.in_fields, dtype=dtype)
    return torch.randn(batch, layer.in_channels, size, size, dtype=dtype)  # type: ignore[arg-type]


def relative(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|; 1 for other shapes."""
    return ((a - b).norm() / b.norm()).item() if a.shape == b.shape else 1.0


def act_in(layer: nn.Module, x: Tensor, element: Element) -> Tensor:
    """The input moved: an image, or fields over the layer's group."""
    return move(x, element) if isinstance(layer, LiftingConv2d) else act_on_features(x, element, layer.group)  # type: ignore[arg-type]


def act_out(y: Tensor, element: Element, group: Group | None) -> Tensor:
    """The output moved: fields over a group, or with None channels that no element changes, as maps or as numbers."""
    if group is not None:
        return act_on_features(y, element, group)
    return move(y, element) if y.ndim == 4 else y


def worst_error(layer: nn.Module, x: Tensor, out_group: Group | str | None) -> float:
    """The largest error over all elements of the group; fields of `out_group` come out, or with None scalars."""
    group = lattice_group(out_group) if isinstance(out_group, str) else out_group
    with torch.no_grad():
        y = layer(x)
        return max(
            relative(layer(act_in(layer, x, e)), act_out(y, e, group))
            for e in layer.group.elements  # type: ignore[union-attr]
        )


def error_of(layer: BankedLayer, x: Tensor) -> float:
    """The largest error of a layer of `TIED`."""
    return worst_error(layer, x, None if getattr(layer, "invariant", False) else layer.group)
