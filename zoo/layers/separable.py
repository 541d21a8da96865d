"""Group convolutions with separable filters: over the group (g), and over group and channels (gc).

Knigge, Romero & Bekkers 2022. Both are exact where the full convolution is, with fewer free weights.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.layers.bank import BankedConv2d, bank_index, gather
from zoo.layers.regular import order


class _Separable(BankedConv2d):
    """A pointwise weight over group and channels, a spatial one, and a bias per field."""

    filters_per_output: int | None
    """Spatial filters of an output field; None for one per input field."""

    def make_weights(self) -> None:
        depth, k = self.filters_per_output or self.in_fields, self.kernel_size
        self.pointwise = nn.Parameter(torch.empty(self.out_fields, self.in_channels, 1, 1))
        self.spatial = nn.Parameter(torch.empty(self.out_fields, depth, k, k))
        pointwise = bank_index(self.group, self.out_fields, self.in_fields, 1, lifting=False)
        spatial = bank_index(self.group, self.out_fields, depth, k, lifting=True)
        self.pointwise_index = nn.Buffer(pointwise, persistent=False)
        self.spatial_index = nn.Buffer(spatial, persistent=False)

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in) of each factor: |G| C for the pointwise one, k k for the spatial one."""
        for tensor, fan in (
            (self.pointwise, self.in_channels),
            (self.spatial, self.kernel_size**2),
            (self.bias, self.in_channels * self.kernel_size**2),
        ):
            if tensor is not None:
                nn.init.uniform_(tensor, -1 / math.sqrt(fan), 1 / math.sqrt(fan))

    def expand(self) -> tuple[Any, ...]:
        size = order(self.group)
        pointwise = gather(self.pointwise, self.pointwise_index, size)  # (|G| O, |G| C, 1, 1)
        return pointwise, gather(self.spatial, self.spatial_index, size), self.expanded_bias

    @classmethod
    def count(cls, size: int, in_fields: int, out_fields: int, kernel_size: int) -> int:
        return out_fields * (in_fields * size + (cls.filters_per_output or in_fields) * kernel_size**2)


class GGroupConv2d(_Separable):
    """The g-separable group convolution: W[o, (h, c)](p) = spatial[o, c](p) . pointwise[o, (h, c)].

    One spatial filter per pair of fields, shared by all input orientations, and one number per orientation. Computed
    as a full convolution with the product. Shapes and arguments as in `GroupConv2d`.

    Example:
        >>> from zoo.layers import GroupConv2d
        >>> [sum(p.numel() for p in kind("c4", 8, 8, 3).parameters()) for kind in (GroupConv2d, GGroupConv2d)]
        [2312, 840]
    """

    filters_per_output = None

    def expand(self) -> tuple[Tensor, Tensor | None]:
        pointwise, spatial, bias = super().expand()
        return pointwise * spatial.repeat(1, order(self.group), 1, 1), bias  # (|G| O, |G| C, k, k), (|G| O,)


class GCGroupConv2d(_Separable):
    """The gc-separable group convolution: W[o, (h, c)](p) = spatial[o](p) . pointwise[o, (h, c)].

    Computed in two steps: a 1x1 group convolution, then one moved k x k filter per output channel, which carries
    stride, padding, dilation and bias. Shapes and arguments as in `GroupConv2d`.

    Example:
        >>> from zoo.layers import GroupConv2d
        >>> [sum(p.numel() for p in kind("c4", 8, 8, 3).parameters()) for kind in (GroupConv2d, GCGroupConv2d)]
        [2312, 336]
    """

    filters_per_output = 1

    def filters(self) -> Tensor:
        with torch.no_grad():
            pointwise, spatial, _ = self.expand()
            return (pointwise * spatial).double()  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x)
        pointwise, spatial, bias = self.bank(x)
        return self.convolve(F.conv2d(x, pointwise), spatial, bias, groups=len(spatial))
