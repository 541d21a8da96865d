"""Pools and blurs between layers, and pooling over the group at the end."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import checked_mode, wrapped
from zoo.layers.regular import fields, lattice_group

GroupMaxPool2d = nn.MaxPool2d
"""A group-major feature map is pooled orientation by orientation by the ordinary max pool."""

GroupAvgPool2d = nn.AvgPool2d
"""A group-major feature map is pooled orientation by orientation by the ordinary average pool."""


class BlurPool2d(nn.Module):
    """A binomial low-pass filter and a stride, channel by channel (Zhang 2019): subsampling with little aliasing.

    Anti-aliasing makes the misalignment of an inexact size smaller, not zero: it is exact at the sizes at which any
    window of this size is.

    Args:
        channels: of the feature map, |G| C.
        kernel_size: 2 to 7; row n of Pascal's triangle, normalised.
        stride: distance of the outputs.
        padding: pixels on each side; by default kernel_size // 2.
        padding_mode: `zeros`, or `circular` for images on a torus.

    Example:
        >>> BlurPool2d(1)(torch.ones(1, 1, 4, 4)).flatten().tolist()
        [0.5625, 0.75, 0.75, 1.0]
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 3,
        stride: int = 2,
        padding: int | None = None,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        if not 2 <= kernel_size <= 7:
            raise ShapeError(f"kernel_size is {kernel_size}, expected 2 to 7, for example 3")
        self.channels, self.kernel_size, self.stride = channels, kernel_size, stride
        self.padding = kernel_size // 2 if padding is None else padding
        self.padding_mode = checked_mode(padding_mode)
        row = torch.tensor([math.comb(kernel_size - 1, i) for i in range(kernel_size)], dtype=torch.float32)
        row = row / row.sum()  # a power of two: the kernel is exact in every dtype
        self.kernel = nn.Buffer(row[:, None] * row[None, :], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.expand(self.channels, 1, self.kernel_size, self.kernel_size)
        padding = self.padding
        if self.padding_mode == "circular":
            x, padding = wrapped(x, padding), 0
        return F.conv2d(x, kernel, None, self.stride, padding, groups=self.channels)

    def extra_repr(self) -> str:
        mode = "" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}"
        return f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}{mode}"


class GroupPool(nn.Module):
    """Coset pooling: (B, |G| C, ...) to (B, C, ...), the maximum or the mean over the group.

    On feature maps with space the result moves with the image like any channel of it; after a global spatial pool it
    is invariant.

    Example:
        >>> GroupPool("c4")(torch.tensor([[1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0]])).tolist()  # two fields
        [[4.0, 40.0]]
    """

    def __init__(self, group: Group | str, mode: Literal["max", "mean"] = "max") -> None:
        super().__init__()
        if mode not in ("max", "mean"):
            raise ShapeError(f"mode is {mode!r}, expected 'max' or 'mean'")
        self.group, self.mode = lattice_group(group), mode

    def forward(self, x: Tensor) -> Tensor:
        stack = fields(x, self.group)
        return stack.amax(1) if self.mode == "max" else stack.mean(1)

    def extra_repr(self) -> str:
        return f"{self.group}, {self.mode}"
