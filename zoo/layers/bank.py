"""The filter bank of a group convolution: one gather from the free weight, kept while the layer is in eval mode.

A group convolution is an ordinary one whose filters are tied. With free weight W of one orientation,

    bank[(g, o), (h, c)](p) = W[o, (g^-1 h, c)](g^-1 p)          Cohen & Welling 2016, eqs. 10 and 11

every entry of the bank is an entry of W, so the bank is exact in any dtype and its gradient is the sum over the group.
"""

from abc import abstractmethod
from functools import lru_cache
from math import gcd
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Group
from zoo.layers.bank_cache import BankedLayer
from zoo.layers.regular import lattice_group, left_translation, move, order

PADDING_MODES = ("zeros", "circular")
"""What lies beyond the border: nothing, or the opposite side, as on a torus."""

MOST = 1 << 20
"""Largest number of fields, and of pixels of a window, stride, padding or dilation."""

ROW_FIELDS = 32
"""From this many input fields on, the gather copies rows of them: as fast (measured), and the index stays small."""


class BankedConv2d(BankedLayer):
    """Base of the group convolutions: their arguments, and the convolution with expanded filters.

    Subclasses make and draw the free weights, count them, and `expand` them.
    """

    lifting = False
    """Whether the input is an image, whose channels the group does not permute."""
    divides_fields: ClassVar[bool] = False
    """Whether it takes `groups` other than 1."""

    def __init__(
        self,
        group: Group | str,
        in_fields: int,
        out_fields: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | Literal["same"] = 0,
        dilation: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.group = lattice_group(group)
        self.in_fields = whole("in_fields", in_fields, 1, MOST)
        self.out_fields = whole("out_fields", out_fields, 1, MOST)
        self.kernel_size = whole("kernel_size", kernel_size, 1, MOST)
        self.stride = whole("stride", stride, 1, MOST)
        self.dilation = whole("dilation", dilation, 1, MOST)
        self.padding = self._checked_padding(padding)
        self.groups = self._checked_groups(groups)
        self.padding_mode = checked_mode(padding_mode)
        self.in_channels = in_fields * (1 if self.lifting else order(self.group))
        self.make_weights()
        self.bias = nn.Parameter(torch.empty(out_fields)) if bias else None
        self.reset_parameters()

    @abstractmethod
    def make_weights(self) -> None:
        """Register the free weights, empty, and the indices by which the bank is gathered from them."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw the free weights and the bias."""

    @classmethod
    @abstractmethod
    def count(cls, size: int, in_fields: int, out_fields: int, kernel_size: int) -> int:
        """Number of free weights of such a layer over a group of `size` elements, without its bias."""

    @property
    def is_strict(self) -> bool:
        """Whether the present filters are equivariant, to rounding: tied ones always are."""
        return True

    def filters(self) -> Tensor:
        """The bank (|G| O, J C, k, k) that evaluation uses, in float64 and without gradient."""
        with torch.no_grad():
            return self.expand()[0].double()  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x)
        weight, bias = self.bank(x)
        return self.convolve(x, weight, bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
        """An ordinary convolution with the stride, padding and dilation of the layer."""
        padding = self.padding
        if self.padding_mode == "circular":
            x, padding = wrapped(x, padding), 0
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, groups)

    def check_channels(self, x: Tensor) -> None:
        """`ShapeError` unless `x` is (B, in_channels, H, W)."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            expected = f"(B, {self.in_channels}, H, W): {self.in_fields} input fields over {self.group}"
            raise ShapeError(f"{type(self).__name__} got {tuple(x.shape)}, expected {expected}")

    def extra_repr(self) -> str:
        return (
            f"{self.group}, {self.in_fields}, {self.out_fields}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, bias={self._parameters.get('bias') is not None}"
            + ("" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}")
            + ("" if self.groups == 1 else f", groups={self.groups}")
        )

    def _checked_padding(self, padding: int | str) -> int:
        """Pixels on each side; `same` keeps the size, which takes as many pixels on both sides."""
        if padding != "same":
            return whole("padding", padding, 0, MOST, mend=", or 'same'")
        total = self.dilation * (self.kernel_size - 1)
        if self.stride != 1:
            mend = f"which does not keep the size; say the pixels, for example padding={total // 2}"
            raise ShapeError(f"padding is 'same' and stride {self.stride}, {mend}")
        if total % 2:
            why = f"kernel_size {self.kernel_size}, which needs one pixel more on one side than on the other"
            mend = f"and so breaks equivariance; take an odd kernel_size, for example {self.kernel_size + 1}"
            raise ShapeError(f"padding is 'same' and {why} {mend}")
        return total // 2

    def _checked_groups(self, groups: int) -> int:
        """Parts into which the fields are divided, with all their orientations."""
        whole("groups", groups, 1, MOST)
        if groups > 1 and not self.divides_fields:
            raise ShapeError(f"groups is {groups}, and {type(self).__name__} mixes all fields; take groups=1")
        if self.in_fields % groups or self.out_fields % groups:
            got = f"groups is {groups}, in_fields {self.in_fields} and out_fields {self.out_fields}"
            both = gcd(self.in_fields, self.out_fields)
            raise ShapeError(f"{got}; groups divide fields, not channels: take a divisor of both, for example {both}")
        return groups


def checked_mode(padding_mode: str) -> str:
    """One of `PADDING_MODES`; `ShapeError` for anything else."""
    if padding_mode not in PADDING_MODES:
        raise ShapeError(f"padding_mode is {padding_mode!r}, expected {' or '.join(map(repr, PADDING_MODES))}")
    return padding_mode


def wrapped(x: Tensor, padding: int) -> Tensor:
    """(B, C, H, W) with `padding` pixels of the opposite side around it."""
    return F.pad(x, (padding,) * 4, mode="circular") if padding else x


def is_channels_last(tensor: Tensor) -> bool:
    """Whether convolutions take (N, C, H, W) for channels_last: by its strides, for filters of one channel too.

    `is_contiguous` is True for both formats where C or H W is 1; torch then decides by the strides, and so does this.
    """
    low = 0
    for axis in (1, 3, 2, 0):
        stride = tensor.stride(axis)
        if stride < low or (axis == 0 and low == tensor.stride(1)):
            return False
        low = stride * tensor.shape[axis]
    return True


def in_format_of(bank: Tensor, weight: Tensor) -> Tensor:
    """The same numbers, channels_last if `weight` is."""
    if is_channels_last(weight):
        return bank if is_channels_last(bank) else bank.clone(memory_format=torch.channels_last)
    return bank.contiguous()


def gather(weight: Tensor, index: Tensor, size: int) -> Tensor:
    """The bank (|G| O, J C, k, k) of a free weight (O, J C, k, k), in the weight's memory format.

    Args:
        weight: free weight; J is |G| for a group convolution and 1 for a lifting one.
        index: from `bank_index`: 1-D for single values, (., 1) for rows of C.
        size: |G|.
    """
    o, jc, k, _ = weight.shape
    if index.ndim == 1:
        bank = weight.reshape(-1).index_select(0, index).view(size * o, jc, k, k)
        # `contiguous` would leave the strides of filters of one channel as they are
        return bank.clone(memory_format=torch.channels_last) if is_channels_last(weight) else bank
    rows = weight.permute(0, 2, 3, 1).reshape(o * k * k * index.shape[1], -1)  # (O k k J, C)
    bank = rows.index_select(0, index.flatten()).view(size * o, k, k, jc).permute(0, 3, 1, 2)
    return bank if is_channels_last(weight) else bank.contiguous()


@lru_cache(maxsize=128)
def bank_index(group: Group, out_fields: int, in_fields: int, k: int, *, lifting: bool) -> Tensor:
    """Where each entry of the bank comes from in the flattened free weight: int32.

    Below `ROW_FIELDS` input fields (|G| O J C k k,), single values in the order of the bank. From there on
    (|G| O k k, J), rows of C values of the weight laid out as (O, k, k, J, C).
    """
    size = order(group)
    inputs = 1 if lifting else size
    pixels = torch.arange(k * k).view(k, k)
    # (g W)(p) = W(g^-1 p): moving the pixel numbers by g puts the number of g^-1 p at p.
    pixel = torch.stack([move(pixels, g).flatten() for g in group.elements])  # (g, p)
    field = torch.tensor([left_translation(group, g)[:inputs] for g in range(size)]) * (not lifting)  # (g, h) -> g^-1 h
    o, c = torch.arange(out_fields), torch.arange(in_fields)
    if in_fields >= ROW_FIELDS:
        block = (pixel[:, None, :, None] * inputs) + field[:, None, None, :]  # (g, 1, p, h)
        return (o.view(1, -1, 1, 1) * (k * k * inputs) + block).reshape(-1, inputs).int()
    channel = field[:, None, :, None, None] * in_fields + c.view(1, 1, 1, -1, 1)  # (g, 1, h, c, 1)
    filters = o.view(1, -1, 1, 1, 1) * (inputs * in_fields) + channel  # (g, o, h, c, 1)
    return (filters * (k * k) + pixel[:, None, None, None, :]).flatten().int()
