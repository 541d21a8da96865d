"""Pre-activation residual networks: ResNet44, ResNet18, and the ResNet44 of PatchCamelyon."""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers import GCGroupConv2d, GGroupConv2d, GroupBatchNorm2d, GroupConv2d, LiftingConv2d
from zoo.layers.regular import lattice_group, order
from zoo.models.network import Network

HIDDEN: dict[str, type[GroupConv2d] | type[GGroupConv2d] | type[GCGroupConv2d]] = {
    "": GroupConv2d,
    "g": GGroupConv2d,
    "gc": GCGroupConv2d,
}
"""The 3x3 convolutions of each variant; stem and shortcuts are always full ones."""


class Block(nn.Module):
    """Two convolutions, each after its norm and ReLU, added to a shortcut; nothing after the sum.

    (B, |G| before, H, W) -> (B, |G| after, ceil(H / stride), ceil(W / stride)). Where stride or width change, the
    shortcut is a strided 1x1 convolution of the raw input and a norm. Its condition on the input size is that of the
    3x3 convolution beside it: with stride 2, odd.
    """

    def __init__(self, group: Group | str, before: int, after: int, stride: int = 1, variant: str = "") -> None:
        super().__init__()
        conv = HIDDEN[variant]
        self.norm1 = GroupBatchNorm2d(group, before)
        self.conv1 = conv(group, before, after, 3, stride, padding=1, bias=False)
        self.norm2 = GroupBatchNorm2d(group, after)
        self.conv2 = conv(group, after, after, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            pointwise = GroupConv2d(group, before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(
                OrderedDict[str, nn.Module](conv=pointwise, norm=GroupBatchNorm2d(group, after))
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.norm1(x)))
        out = self.conv2(F.relu(self.norm2(out)))
        total: Tensor = out + self.shortcut(x)
        return total


class ResNet(Network):
    """A 3x3 stem, stages of blocks of which all but the first begin with stride 2, norm, ReLU, pooling, classifier.

    Images (B, channels, H, W) -> features (B, |G| widths[-1], h, w) with h = ceil(H / 2^(stages - 1)) -> (B, classes).
    The stem has stride 1, no norm, no ReLU, and no pool after it; no convolution has a bias.

    Which one ("Using and Abusing Equivariance", Edixhoven, Lengyel & van Gemert 2023):
        resnet44: 3 stages of 7 blocks, for CIFAR. 2,636,458 parameters for z2 of width 32; with coset pooling 2,632,026
            for p4 of width 16 and 2,959,366 for p4m of width 12. Exact at 1 mod 4.
        resnet18: 4 stages of 2 blocks, for Flowers and ImageNet. 11,173,962 parameters for z2 of width 64, 11,165,738
            for p4 of width 32. Exact at 1 mod 8: at 225, not at 224.
        pcamresnet44: ResNet44 with free widths, maximum over the group after the mean over space, two classes.
            129,538 parameters for z2 of widths 8, 14, 28; 128,652 for p4 of widths 4, 7, 14. Exact at 1 mod 4.

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        widths: fields of each stage.
        blocks: in each stage.
        channels: of the images.
        classes: number of logits.
        coset_pool: whether to take the maximum over the group; then logits are invariant at exact sizes.
        coset_first: whether that comes before the mean over space.
        variant: "" for full hidden convolutions, "g" or "gc" for separable ones; stem and shortcuts stay full.
    """

    def __init__(
        self,
        group: Group | str,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 7,
        *,
        channels: int = 3,
        classes: int = 10,
        coset_pool: bool = True,
        coset_first: bool = True,
        variant: str = "",
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = LiftingConv2d(group, channels, widths[0], 3, padding=1, bias=False)
        before = widths[0]
        for i, width in enumerate(widths):
            chain = [Block(group, before, width, 2 if i else 1, variant)]
            chain += [Block(group, width, width, variant=variant) for _ in range(blocks - 1)]
            layers[f"stage{i + 1}"] = nn.Sequential(*chain)
            before = width
        layers["norm"] = GroupBatchNorm2d(group, before)
        layers["relu"] = nn.ReLU()
        super().__init__(
            group,
            nn.Sequential(layers),
            channels=channels,
            fields=before,
            classes=classes,
            coset_pool=coset_pool,
            coset_first=coset_first,
        )
        if order(lattice_group(group)) == 1:
            self._initialise_plain()

    def _initialise_plain(self) -> None:
        """Kaiming-normal by fan-out, as published for the networks without a group; those with one keep our default."""
        for module in self.trunk.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if name in ("weight", "pointwise", "spatial") and parameter.ndim == 4:
                    nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
