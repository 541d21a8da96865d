"""Convolutions between fields on c8, c16, d8, so2 and o2."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers.steerable.basis import kernel_basis
from zoo.layers.steerable.fibre import Fibre
from zoo.layers.steerable.filters import FieldFilters, by_channels


@dataclass(frozen=True)
class FieldConvSpec:
    """A convolution between fields, without bias: a batch norm follows each."""

    before: Fibre
    after: Fibre
    fields_in: int
    fields_out: int
    kernel: int
    stride: int = 1
    padding: int = 0

    @property
    def in_channels(self) -> int:
        """d_in C_in."""
        return self.before.size * self.fields_in

    @property
    def out_channels(self) -> int:
        """d_out C_out."""
        return self.after.size * self.fields_out


ConvFactory = Callable[[FieldConvSpec], nn.Module]
"""What makes the convolutions of a network."""


def ordinary(spec: FieldConvSpec) -> nn.Conv2d:
    """An ordinary convolution, as exported networks have it."""
    return nn.Conv2d(spec.in_channels, spec.out_channels, spec.kernel, spec.stride, spec.padding, bias=False)


class FieldConv2d(nn.Conv2d, FieldFilters):
    """An ordinary convolution between fields whose filters may have left the group, and that measures how far."""

    def __init__(self, spec: FieldConvSpec, group: Group) -> None:
        super().__init__(spec.in_channels, spec.out_channels, spec.kernel, spec.stride, spec.padding, bias=False)
        self.before, self.after, self.symmetry = spec.before, spec.after, group

    def filters(self) -> Tensor:
        return self.weight.detach().double()


class ExpandedConv2d(nn.Module, ABC):
    """Base of the convolutions that expand coefficients to filters: (B, d_in C_in, H, W) to (B, d_out C_out, h, w).

    Coefficients are initialised as by He et al. (2015): the output of white input has twice its variance, and a ReLU
    halves that again.
    """

    def __init__(self, spec: FieldConvSpec, group: Group) -> None:
        super().__init__()
        self.spec, self.symmetry, self.before, self.after = spec, group, spec.before, spec.after
        self.in_channels, self.out_channels = spec.in_channels, spec.out_channels

    @abstractmethod
    def filter(self) -> Tensor:
        """(d_out C_out, d_in C_in, k, k), as an ordinary convolution takes it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filter(), None, self.spec.stride, self.spec.padding)

    def extra_repr(self) -> str:
        s = self.spec
        return f"{self.symmetry}, {s.fields_in}, {s.fields_out}, kernel={s.kernel}, stride={s.stride}"


class SteerableConv2d(ExpandedConv2d):
    """A convolution whose filters are sums of steerable kernels: escnn's R2Conv with another layout of channels."""

    def __init__(self, spec: FieldConvSpec, group: Group) -> None:
        super().__init__(spec, group)
        basis = kernel_basis(group, spec.before, spec.after, spec.kernel).to(torch.get_default_dtype())
        self.basis = nn.Buffer(basis, persistent=False)  # (K, d_out, d_in, k, k), shared with its likes
        self.weight = nn.Parameter(torch.empty(spec.fields_out, spec.fields_in, len(basis)))
        self.reset_parameters()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # torch would give channels_last, which has four axes, to the five of the basis too
        def flat(tensor: Tensor) -> Tensor:
            return fn(tensor.flatten(1)).view(tensor.shape) if tensor.ndim == 5 else fn(tensor)

        super()._apply(flat, recurse)  # type: ignore[no-untyped-call]
        return self

    def reset_parameters(self) -> None:
        """Draw new coefficients: their variance times the energy of a channel's filter, over all inputs, is 2."""
        energy = float(self.basis.square().sum()) * self.spec.fields_in / self.after.size
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / energy))

    def filter(self) -> Tensor:
        out, into, count = self.weight.shape
        filters = self.weight.view(-1, count) @ self.basis.view(count, -1)  # (C_out C_in, d_out d_in k k)
        return by_channels(filters.view(out, into, *self.basis.shape[1:]))
