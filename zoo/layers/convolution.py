"""The lifting convolution, from images to fields over a group, and the group convolution, from fields to fields."""

import math

import torch
from torch import Tensor, nn

from zoo.layers.bank import BankedConv2d, bank_index, gather
from zoo.layers.regular import order


class TiedConv2d(BankedConv2d):
    """A convolution whose one free weight is the first orientation of its bank, shape (O, J C / groups, k, k).

    The weight has the shape of a plain convolution's, so that any initialiser of `torch.nn.init` finds a fan-in that
    counts the group, and `.to(memory_format=torch.channels_last)` works. There is one bias per field.

    With `groups` the fields are divided, each with all its orientations: channels are ordered (group, element, field)
    for the ordinary grouped convolution, and (element, field) again after it.
    """

    filters_per_field = 1
    """Free filters of an output field."""

    def make_weights(self) -> None:
        rows, k = self.filters_per_field * self.out_fields, self.kernel_size
        self.weight = nn.Parameter(torch.empty(rows, self.in_channels // self.groups, k, k))
        index = bank_index(self.group, rows, self.in_fields // self.groups, k, lifting=self.lifting)
        if self.groups > 1:
            divided = index.view(order(self.group), self.groups, -1, *index.shape[1:])  # (g, part, filters, ...)
            index = divided.transpose(0, 1).flatten(0, 2)
        self.index = nn.Buffer(index, persistent=False)

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in), as `torch.nn.Conv2d` of the expanded channels has it."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def expand(self) -> tuple[Tensor, Tensor | None]:
        size = order(self.group)
        if size == 1:
            return self.weight, self.bias
        return gather(self.weight, self.index, size), self.expanded_bias  # (|G| O, J C / groups, k, k), (|G| O,)

    def filters(self) -> Tensor:
        filters = self.by_output(super().filters())
        if self.groups == 1:
            return filters
        size, inputs, k = order(self.group), self.in_channels // self.in_fields, self.kernel_size
        outs, ins = self.out_fields // self.groups, self.in_fields // self.groups
        parts = filters.view(self.groups, size, outs, inputs, ins, k, k)
        every = parts.new_zeros(size, self.groups, outs, inputs, self.groups, ins, k, k)
        for part in range(self.groups):
            every[:, part, :, :, part] = parts[part]
        return every.view(size * self.out_fields, self.in_channels, k, k)

    def by_output(self, bank: Tensor) -> Tensor:
        """A bank that `expand` made, with its outputs on the first axis."""
        return bank

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x)
        weight, bias = self.bank(x)
        size = order(self.group)
        if self.groups == 1 or size == 1:
            return self.convolve(x, weight, bias, self.groups)
        divided = x if self.lifting else exchanged(x, size, self.groups)
        return exchanged(self.convolve(divided, weight, bias, self.groups), self.groups, size)

    @classmethod
    def count(cls, size: int, in_fields: int, out_fields: int, kernel_size: int) -> int:
        return out_fields * in_fields * kernel_size**2 * (1 if cls.lifting else size)


def exchanged(x: Tensor, first: int, second: int) -> Tensor:
    """(B, C, H, W) whose channels are ordered (first, second, field), in the order (second, first, field)."""
    b, channels, h, w = x.shape
    split = (first, second, channels // (first * second))
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():  # and so is the result
        return x.permute(0, 2, 3, 1).view(b, h, w, *split).transpose(3, 4).flatten(3).permute(0, 3, 1, 2)
    return x.view(b, *split, h, w).transpose(1, 2).flatten(1, 3)


class LiftingConv2d(TiedConv2d):
    """Images (B, in_fields, H, W) to fields (B, |G| out_fields, H', W').

    Orientation g correlates the image with the filter moved by g. Weight: (out_fields, in_fields / groups, k, k).

    Args:
        group: one of c1, c2, c4, d1, d2, d4, by value or name; also of the output.
        in_fields: channels of the image.
        out_fields: fields of the output.
        kernel_size: of a square window, odd or even.
        stride: exactness depends on it and on the input size; see `zoo.exactness.audits`.
        padding: pixels on each of the four sides, or `same` to keep the size: for odd windows and stride 1.
        dilation: distance of the filter's pixels.
        bias: whether to add one number per field.
        padding_mode: `zeros`, or `circular` for images on a torus, where circular shifts are symmetries too.
        groups: a divisor of in_fields and out_fields: field o of the output reads the in_fields / groups fields of its
            own part. Parts are made of whole fields, with all their orientations.

    Raises:
        ShapeError: for arguments out of range, `same` with an even window, and groups that do not divide the fields.

    Example:
        >>> layer = LiftingConv2d("c4", 3, 8, kernel_size=5, padding=2)
        >>> layer(torch.zeros(1, 3, 28, 28)).shape, layer.weight.shape
        (torch.Size([1, 32, 28, 28]), torch.Size([8, 3, 5, 5]))
    """

    lifting = True
    divides_fields = True


class GroupConv2d(TiedConv2d):
    """Fields (B, |G| in_fields, H, W) to fields (B, |G| out_fields, H', W'): the full group convolution.

    Orientation g correlates with the filter moved by g, in space and over the group axis. Weight:
    (out_fields, |G| in_fields / groups, k, k), its second axis group-major like a feature map. Arguments as in
    `LiftingConv2d`; with groups=in_fields it is depthwise: every field is convolved by itself, over all orientations.

    Example:
        >>> from symdata import Element
        >>> from zoo.layers import act_on_features
        >>> layer, x, turn = GroupConv2d("c4", 2, 3, kernel_size=3, padding=1), torch.randn(1, 8, 9, 9), Element(90)
        >>> moved, expected = layer(act_on_features(x, turn, "c4")), act_on_features(layer(x), turn, "c4")
        >>> torch.allclose(moved, expected, atol=1e-5)
        True
        >>> GroupConv2d("c4", 16, 16, 3, padding="same", groups=16).weight.shape  # depthwise
        torch.Size([16, 4, 3, 3])
    """

    divides_fields = True
