"""The pre-activation residual block of group-equivariant networks."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.bank import BankedConv2d
from zoo.layers.convolution import GroupConv2d
from zoo.layers.norm import GroupBatchNorm2d
from zoo.layers.relaxed import convolutions
from zoo.layers.separable import GCGroupConv2d, GGroupConv2d
from zoo.layers.subsampling.downsampling import downsampling, mode_of
from zoo.layers.subsampling.polyphase import Phase2d, PhaseChoice2d

HIDDEN: dict[str, type[GroupConv2d] | type[GGroupConv2d] | type[GCGroupConv2d]] = {
    "": GroupConv2d,
    "g": GGroupConv2d,
    "gc": GCGroupConv2d,
}
"""The 3x3 convolutions of each variant; stem and shortcuts are always full ones."""


def hidden(variant: str, relax: str) -> type[BankedConv2d]:
    """The 3x3 convolution of a variant, or of a relaxation; `ModelError` for both at once, and an unknown variant."""
    if variant and relax != "none":
        raise ModelError(f"relax is {relax!r} and the filters are {variant}-separable, expected one of the two")
    if variant not in HIDDEN:
        raise ModelError(f"variant is {variant!r}, expected '' for full filters, 'g' or 'gc'")
    return HIDDEN[variant] if relax == "none" else convolutions(relax)[1]


class GroupResidualBlock(nn.Module):
    """Two 3x3 group convolutions, each after a norm and a ReLU, added to the input; nothing comes after the sum.

    (B, |G| in_fields, H, W) to (B, |G| out_fields, ceil(H / stride), ceil(W / stride)):

        y = conv2(relu(norm2(conv1(relu(norm1(x)))))) + shortcut(x)

    The shortcut is x itself, and where stride or width change a strided 1x1 convolution of x and a norm. Its condition
    on the input size is that of the 3x3 convolution beside it: with stride 2, odd. No convolution has a bias.

    Another way to downsample than the stride comes after the first convolution, and before that of the shortcut; pixels
    that are chosen by the image are the same in both.

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        in_fields: fields of the input.
        out_fields: fields of the output.
        stride: of the first convolution and of the shortcut.
        variant: "" for full 3x3 convolutions, "g" or "gc" for separable ones.
        downsample: what replaces the stride, see `zoo.layers.subsampling.downsampling`; None is `stride`.
        padding_mode: `zeros`, or `circular` for images on a torus.
        relax: a word of `zoo.layers.relaxed.RELAXATIONS`, or `none`.

    Raises:
        ShapeError: for an unknown way to downsample, padding mode or relaxation.
        ModelError: for an unknown variant, and separable filters that are relaxed.

    Example:
        >>> import torch
        >>> from symdata import Element
        >>> from zoo.layers import act_on_features
        >>> block, x, turn = GroupResidualBlock("d4", 2, 3, stride=2), torch.randn(4, 16, 9, 9), Element(90, True)
        >>> moved, expected = block(act_on_features(x, turn, "d4")), act_on_features(block(x), turn, "d4")
        >>> moved.shape, torch.allclose(moved, expected, atol=1e-4)
        (torch.Size([4, 24, 5, 5]), True)
    """

    def __init__(
        self,
        group: Group | str,
        in_fields: int,
        out_fields: int,
        stride: int = 1,
        variant: str = "",
        downsample: str | None = None,
        padding_mode: str | None = None,
        relax: str = "none",
    ) -> None:
        super().__init__()
        conv, mode = hidden(variant, relax), mode_of(downsample, padding_mode)
        apart = stride != 1 and downsample not in (None, "stride")
        step = 1 if apart else stride
        self.norm1 = GroupBatchNorm2d(group, in_fields)
        self.conv1 = conv(group, in_fields, out_fields, 3, step, padding=1, bias=False, padding_mode=mode)
        self.norm2 = GroupBatchNorm2d(group, out_fields)
        self.conv2 = conv(group, out_fields, out_fields, 3, padding=1, bias=False, padding_mode=mode)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_fields != out_fields:
            pointwise = convolutions(relax)[1](group, in_fields, out_fields, 1, step, bias=False)
            self.shortcut = nn.Sequential(
                OrderedDict[str, nn.Module](conv=pointwise, norm=GroupBatchNorm2d(group, out_fields))
            )
        self.down = self.down_shortcut = self.choice = None
        if apart and downsample:
            self.down = downsampling(downsample, group, out_fields, stride, mode)
            self.down_shortcut = downsampling(downsample, group, in_fields, stride, mode)
            self.choice = PhaseChoice2d(self.down) if isinstance(self.down, Phase2d) else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.norm1(x)))
        if self.down is not None and self.down_shortcut is not None:
            chosen = () if self.choice is None else (self.choice(out),)
            out, x = self.down(out, *chosen), self.down_shortcut(x, *chosen)
        out = self.conv2(F.relu(self.norm2(out)))
        total: Tensor = out + self.shortcut(x)
        return total
