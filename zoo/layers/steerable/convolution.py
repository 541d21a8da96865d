"""Convolutions between fields on c8, c16, d8, so2 and o2."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers.steerable.basis import kernel_basis
from zoo.layers.steerable.fibre import Fibre
from zoo.layers.steerable.filters import FieldFilters


@dataclass(frozen=True)
class Conv:
    """A convolution between fields, without bias: a batch norm follows each."""

    before: Fibre
    after: Fibre
    fields_in: int
    fields_out: int
    kernel: int
    stride: int = 1
    padding: int = 0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of its filter: (d_out C_out, d_in C_in, kernel, kernel)."""
        return (
            self.after.size * self.fields_out,
            self.before.size * self.fields_in,
            self.kernel,
            self.kernel,
        )


Maker = Callable[[Conv], nn.Module]
"""What makes the convolutions of a skeleton."""


def plain(conv: Conv) -> nn.Conv2d:
    """The maker of exported networks: an ordinary convolution."""
    out, into, kernel, _ = conv.shape
    return nn.Conv2d(into, out, kernel, conv.stride, conv.padding, bias=False)


class FieldConv2d(nn.Conv2d, FieldFilters):
    """An ordinary convolution between fields that may have left its group, and can say how far."""

    def __init__(self, conv: Conv, group: Group) -> None:
        out, into, kernel, _ = conv.shape
        super().__init__(into, out, kernel, conv.stride, conv.padding, bias=False)
        self.before, self.after, self.symmetry = conv.before, conv.after, group

    def filters(self) -> Tensor:
        return self.weight.detach().double()


class SteerableConv2d(nn.Module):
    """A convolution whose filters are sums of steerable kernels: (B, d_in C_in, H, W) to (B, d_out C_out, h, w).

    Equal to escnn's R2Conv up to the layout of channels. Coefficients start as He et al. (2015) have it: white input
    leaves with twice its variance, which a ReLU halves.
    """

    basis: Tensor

    def __init__(self, conv: Conv, group: Group) -> None:
        super().__init__()
        self.conv, self.symmetry = conv, group
        self.out_channels, self.in_channels = conv.shape[:2]
        basis = kernel_basis(group, conv.before, conv.after, conv.kernel).to(torch.get_default_dtype())
        self.register_buffer("basis", basis, persistent=False)  # (K, d_out, d_in, k, k), shared with its likes
        self.weight = nn.Parameter(torch.empty(conv.fields_out, conv.fields_in, len(basis)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new coefficients: their variance times the energy of a channel's filter, over all inputs, is 2."""
        energy = float(self.basis.square().sum()) * self.conv.fields_in / self.conv.after.size
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / energy))

    def filter(self) -> Tensor:
        """(d_out C_out, d_in C_in, k, k), as an ordinary convolution takes it."""
        out, into, count = self.weight.shape
        filters = self.weight.view(-1, count) @ self.basis.view(count, -1)  # (C_out C_in, d_out d_in k k)
        split = filters.view(out, into, *self.basis.shape[1:])
        return split.permute(2, 0, 3, 1, 4, 5).reshape(self.conv.shape)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filter(), None, self.conv.stride, self.conv.padding)

    def extra_repr(self) -> str:
        c = self.conv
        return f"{self.symmetry}, {c.fields_in}, {c.fields_out}, kernel={c.kernel}, stride={c.stride}"
