"""Group convolutions with separable filters: over the group (g), and over group and channels (gc).

Knigge, Romero & Bekkers 2022. Both are exact where the full convolution is, with fewer free weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.layers.bank import BankedConv2d, bank_index, gather
from zoo.layers.regular import order


class _Separable(BankedConv2d):
    """What the two share: a pointwise weight over group and channels, a spatial one, and a bias per field."""

    pointwise_index: Tensor
    spatial_index: Tensor
    filters_per_output: int | None

    def make_weights(self) -> None:
        depth, k = self.filters_per_output or self.in_fields, self.kernel_size
        self.pointwise = nn.Parameter(torch.empty(self.out_fields, self.in_channels, 1, 1))
        self.spatial = nn.Parameter(torch.empty(self.out_fields, depth, k, k))
        pointwise = bank_index(self.group, self.out_fields, self.in_fields, 1, lifting=False)
        spatial = bank_index(self.group, self.out_fields, depth, k, lifting=True)
        self.register_buffer("pointwise_index", pointwise, persistent=False)
        self.register_buffer("spatial_index", spatial, persistent=False)

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in) of each factor: |G| C for the pointwise one, k k for the spatial one."""
        for tensor, fan in ((self.pointwise, self.in_channels), (self.spatial, self.kernel_size**2)):
            nn.init.uniform_(tensor, -1 / math.sqrt(fan), 1 / math.sqrt(fan))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_channels * self.kernel_size**2)
            nn.init.uniform_(self.bias, -bound, bound)

    def _banks(self) -> tuple[Tensor, Tensor, Tensor | None]:
        size = order(self.group)
        bias = None if self.bias is None else self.bias.repeat(size)
        pointwise = gather(self.pointwise, self.pointwise_index, size)  # (|G| O, |G| C, 1, 1)
        return pointwise, gather(self.spatial, self.spatial_index, size), bias


class GGroupConv2d(_Separable):
    """The g-separable group convolution: W[o, (h, c)](p) = spatial[o, c](p) . pointwise[o, (h, c)].

    One spatial filter per pair of fields, shared by all input orientations, and one number per orientation. Computed
    as a full convolution with the product. Shapes and arguments as in `GroupConv2d`.
    """

    filters_per_output = None

    def expand(self) -> tuple[Tensor | None, ...]:
        pointwise, spatial, bias = self._banks()
        return pointwise * spatial.repeat(1, order(self.group), 1, 1), bias  # (|G| O, |G| C, k, k), (|G| O,)

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x, self.in_channels)
        weight, bias = self.bank(x)
        assert weight is not None
        return F.conv2d(self.wrapped(x), weight, bias, self.stride, self.zeros, self.dilation)


class GCGroupConv2d(_Separable):
    """The gc-separable group convolution: W[o, (h, c)](p) = spatial[o](p) . pointwise[o, (h, c)].

    Computed in two steps: a 1x1 group convolution, then one moved k x k filter per output channel, which carries
    stride, padding, dilation and bias. Shapes and arguments as in `GroupConv2d`.
    """

    filters_per_output = 1

    def expand(self) -> tuple[Tensor | None, ...]:
        return self._banks()

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x, self.in_channels)
        pointwise, spatial, bias = self.bank(x)
        assert pointwise is not None
        assert spatial is not None
        mixed = self.wrapped(F.conv2d(x, pointwise))  # (B, |G| O, H, W)
        return F.conv2d(mixed, spatial, bias, self.stride, self.zeros, self.dilation, groups=len(spatial))
