"""The lifting convolution, from images to fields over a group, and the group convolution, from fields to fields."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.layers.bank import BankedConv2d, bank_index, gather
from zoo.layers.regular import order


class TiedConv2d(BankedConv2d):
    """A convolution whose one free weight is the first orientation of its bank, shape (O, J C, k, k).

    The weight has the shape of a plain convolution's, so its fan-in counts the group as it must, with any initialiser
    of `torch.nn.init`, and `.to(memory_format=torch.channels_last)` means what it says. The bias is one per field.
    """

    index: Tensor

    def make_weights(self) -> None:
        self.weight = nn.Parameter(torch.empty(self.out_fields, self.in_channels, self.kernel_size, self.kernel_size))
        index = bank_index(self.group, self.out_fields, self.in_fields, self.kernel_size, lifting=self.lifting)
        self.register_buffer("index", index, persistent=False)

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in), as `torch.nn.Conv2d` of the expanded channels has it."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def expand(self) -> tuple[Tensor | None, ...]:
        size = order(self.group)
        if size == 1:
            return self.weight, self.bias
        bias = None if self.bias is None else self.bias.repeat(size)
        return gather(self.weight, self.index, size), bias  # (|G| O, J C, k, k), (|G| O,)

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x, self.in_channels)
        weight, bias = self.bank(x)
        assert weight is not None
        return F.conv2d(self.wrapped(x), weight, bias, self.stride, self.zeros, self.dilation)


class LiftingConv2d(TiedConv2d):
    """Images (B, in_fields, H, W) to fields (B, |G| out_fields, H', W').

    Orientation g correlates the image with the filter moved by g. Weight: (out_fields, in_fields, k, k).

    Args:
        group: one of c1, c2, c4, d1, d2, d4, by value or name; also of the output.
        in_fields: channels of the image.
        out_fields: fields of the output.
        kernel_size: of a square window, odd or even.
        stride: exactness depends on it and on the input size; see `zoo.exactness.audits`.
        padding: pixels on each of the four sides.
        dilation: distance of the filter's pixels.
        bias: whether to add one number per field.
        padding_mode: `zeros`, or `circular` for images on a torus, where circular shifts are symmetries too.
    """

    lifting = True


class GroupConv2d(TiedConv2d):
    """Fields (B, |G| in_fields, H, W) to fields (B, |G| out_fields, H', W'): the full group convolution.

    Orientation g correlates with the filter moved by g, in space and over the group axis. Weight:
    (out_fields, |G| in_fields, k, k), its second axis group-major like a feature map. Arguments as in `LiftingConv2d`.
    """
