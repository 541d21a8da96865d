"""Convolutions that raise the resolution of feature maps: the transposed one, and one after an interpolation.

Both are exactly equivariant at every input size: their grids are symmetric about the centre of the map.
"""

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, one_of, whole
from symdata.groups import Group
from zoo.layers.bank import MOST, in_format_of
from zoo.layers.convolution import GroupConv2d, TiedConv2d

LARGEST_SCALE = 16
"""Of an interpolation; up to here the nearest pixels that torch chooses are the right ones at every size (measured)."""


class GroupConvTranspose2d(TiedConv2d):
    """Fields (B, |G| in_fields, H, W) to (B, |G| out_fields, H', W'), H' = (H - 1) stride - 2 padding + window.

    The window is dilation (kernel_size - 1) + 1. Each input pixel adds a filter to the output,

        y[g, o](q) = b[o] + sum over h, c, p of x[h, c](p) W[o, (g^-1 h, c)](g^-1 (q - stride p)),

    with the tied filters of `GroupConv2d`. Sizes: kernel_size=2, stride=2, or 4, 2 and padding=1, make 2 H; 3, 2 and
    padding=1 make 2 H - 1, the inverse of a stride of 2 at the odd sizes where that is exact.

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        in_fields: fields of the input.
        out_fields: fields of the output.
        kernel_size: of a square window, odd or even.
        stride: distance of the filters in the output.
        padding: pixels that are cut off on each of the four sides.
        dilation: distance of the filter's pixels.
        bias: whether to add one number per field.
        groups: as in `LiftingConv2d`.
        output_padding: 0. Anything else adds pixels on one side only, and is refused.

    Raises:
        ShapeError: for arguments out of range, and for output_padding.

    Example:
        >>> import torch
        >>> from symdata import Element
        >>> from zoo.layers import act_on_features
        >>> layer = GroupConvTranspose2d("c4", 2, 3, kernel_size=4, stride=2, padding=1)
        >>> x, turn = torch.randn(1, 8, 7, 7), Element(90)
        >>> moved, expected = layer(act_on_features(x, turn, "c4")), act_on_features(layer(x), turn, "c4")
        >>> moved.shape, torch.allclose(moved, expected, atol=1e-5)
        (torch.Size([1, 12, 14, 14]), True)
    """

    divides_fields = True

    def __init__(
        self,
        group: Group | str,
        in_fields: int,
        out_fields: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        groups: int = 1,
        output_padding: int = 0,
    ) -> None:
        if output_padding != 0:
            why = "which adds pixels on one side only and so breaks equivariance"
            raise ShapeError(f"output_padding is {output_padding!r}, {why}; for 2 H take kernel_size=4, padding=1")
        pixels = whole("padding", padding, 0, MOST)  # `same` would be the size of another convolution
        super().__init__(group, in_fields, out_fields, kernel_size, stride, pixels, dilation, bias, groups=groups)

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in), the most numbers that one output is a sum of: |G| C ceil(k / stride)^2."""
        fan_in = self.weight.shape[1] * math.ceil(self.kernel_size / self.stride) ** 2
        for tensor in (self.weight, self.bias):
            if tensor is not None:
                nn.init.uniform_(tensor, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def expand(self) -> tuple[Tensor, Tensor | None]:
        bank, bias = super().expand()
        return in_format_of(self._transposed(bank), self.weight), bias  # (|G| C, |G| O / groups, k, k), (|G| O,)

    def by_output(self, bank: Tensor) -> Tensor:
        return self._transposed(bank)

    def _transposed(self, bank: Tensor) -> Tensor:
        """(groups A, B, k, k) as (groups B, A, k, k): inputs and outputs of each part are exchanged."""
        return bank.view(self.groups, -1, *bank.shape[1:]).transpose(1, 2).flatten(0, 1)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
        """The transposed convolution with the stride, padding and dilation of the layer."""
        return F.conv_transpose2d(x, weight, bias, self.stride, self.padding, 0, groups, self.dilation)


class GroupUpsampleConv2d(GroupConv2d):
    """An interpolation, then a convolution: (B, |G| in_fields, H, W) to (B, |G| out_fields, H', W').

    A whole `scale` s places the new pixels symmetrically, and d4 moves them with the image: exact at every size.

        nearest                           H' = s H            every pixel s x s times
        bilinear                          H' = s H            pixels are areas, each divided in s x s
        bilinear with align_corners=True  H' = s (H - 1) + 1  pixels are points, with s - 1 new ones between two

    The last is the inverse of a stride of s at the sizes where that is exact. (`nn.Upsample` makes s H pixels of it:
    symmetric under d4 too, but a shift of its input by a pixel is no shift of its output by whole pixels.)

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        in_fields: fields of the input.
        out_fields: fields of the output.
        kernel_size: of the convolution, odd; it keeps the size, with stride 1.
        scale: s, from 1 to 16.
        mode: `nearest` or `bilinear`.
        align_corners: whether corners stay where they are; for `bilinear` only.
        bias: whether to add one number per field.
        groups: as in `LiftingConv2d`.

    Raises:
        ShapeError: for arguments out of range, an even window, and align_corners with `nearest`.

    Example:
        >>> import torch
        >>> from symdata import Element
        >>> from zoo.layers import act_on_features
        >>> layer, x, turn = GroupUpsampleConv2d("d4", 2, 1, mode="bilinear"), torch.randn(1, 16, 7, 7), Element(90)
        >>> moved, expected = layer(act_on_features(x, turn, "d4")), act_on_features(layer(x), turn, "d4")
        >>> moved.shape, torch.allclose(moved, expected, atol=1e-5)
        (torch.Size([1, 8, 14, 14]), True)
    """

    def __init__(
        self,
        group: Group | str,
        in_fields: int,
        out_fields: int,
        kernel_size: int = 3,
        scale: int = 2,
        mode: Literal["nearest", "bilinear"] = "nearest",
        align_corners: bool = False,
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        self.scale = whole("scale", scale, 1, LARGEST_SCALE, mend=", for example 2")
        self.mode = one_of("mode", mode, ("nearest", "bilinear"), ShapeError)
        if align_corners and mode == "nearest":
            raise ShapeError("align_corners is True and mode 'nearest', which has no corners; take mode='bilinear'")
        self.align_corners = align_corners
        super().__init__(group, in_fields, out_fields, kernel_size, padding="same", bias=bias, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x)
        h, w = x.shape[-2:]
        less = self.scale - 1 if self.align_corners else 0
        size = (self.scale * h - less, self.scale * w - less)
        corners = None if self.mode == "nearest" else self.align_corners
        return super().forward(F.interpolate(x, size, mode=self.mode, align_corners=corners))

    def extra_repr(self) -> str:
        corners = ", align_corners=True" if self.align_corners else ""
        return f"{super().extra_repr()}, scale={self.scale}, mode={self.mode}{corners}"
