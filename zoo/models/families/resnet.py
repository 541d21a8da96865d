"""Pre-activation residual networks: ResNet44, ResNet18, and the ResNet44 of PatchCamelyon."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers import GCGroupConv2d, GGroupConv2d, GroupBatchNorm2d, GroupConv2d
from zoo.layers.bank import BankedConv2d
from zoo.layers.regular import lattice_group, order
from zoo.layers.relaxed import convolutions
from zoo.layers.subsampling.downsampling import downsampling, mode_of, on_torus
from zoo.layers.subsampling.polyphase import Phase2d, PhaseChoice2d
from zoo.models.choices import COSET_POOL, DOWNSAMPLE, DROPOUT, RELAX
from zoo.models.family import ABUSING, comparable, family
from zoo.models.network import Network
from zoo.models.spec import NetworkSpec

HIDDEN: dict[str, type[GroupConv2d] | type[GGroupConv2d] | type[GCGroupConv2d]] = {
    "": GroupConv2d,
    "g": GGroupConv2d,
    "gc": GCGroupConv2d,
}
"""The 3x3 convolutions of each variant; stem and shortcuts are always full ones."""


def hidden(variant: str, relax: str) -> type[BankedConv2d]:
    """The 3x3 convolution of a variant, or of a relaxation; `ModelError` for both at once."""
    if variant and relax != "none":
        raise ModelError(f"relax is {relax!r} and the filters are {variant}-separable, expected one of the two")
    return HIDDEN[variant] if relax == "none" else convolutions(relax)[1]


class ResidualBlock(nn.Module):
    """Two convolutions, each after its norm and ReLU, added to a shortcut; nothing after the sum.

    (B, |G| before, H, W) -> (B, |G| after, ceil(H / stride), ceil(W / stride)). Where stride or width change, the
    shortcut is a strided 1x1 convolution of the raw input and a norm. Its condition on the input size is that of the
    3x3 convolution beside it: with stride 2, odd.

    Another way to downsample than the stride comes after the first convolution, and before that of the shortcut; pixels
    that are chosen by the image are the same in both.
    """

    def __init__(
        self,
        group: Group | str,
        before: int,
        after: int,
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
        self.norm1 = GroupBatchNorm2d(group, before)
        self.conv1 = conv(group, before, after, 3, step, padding=1, bias=False, padding_mode=mode)
        self.norm2 = GroupBatchNorm2d(group, after)
        self.conv2 = conv(group, after, after, 3, padding=1, bias=False, padding_mode=mode)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            pointwise = convolutions(relax)[1](group, before, after, 1, step, bias=False)
            self.shortcut = nn.Sequential(
                OrderedDict[str, nn.Module](conv=pointwise, norm=GroupBatchNorm2d(group, after))
            )
        self.down = self.down_shortcut = self.choice = None
        if apart and downsample:
            self.down = downsampling(downsample, group, after, stride, mode)
            self.down_shortcut = downsampling(downsample, group, before, stride, mode)
            self.choice = PhaseChoice2d(self.down) if isinstance(self.down, Phase2d) else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.norm1(x)))
        if self.down is not None and self.down_shortcut is not None:
            chosen = () if self.choice is None else (self.choice(out),)
            out, x = self.down(out, *chosen), self.down_shortcut(x, *chosen)
        out = self.conv2(F.relu(self.norm2(out)))
        total: Tensor = out + self.shortcut(x)
        return total


CHOICES = (COSET_POOL, replace(DROPOUT, fixed=True), DOWNSAMPLE, RELAX)
FACTS: dict[str, Any] = {"first": 1, "variants": tuple(HIDDEN), "choices": CHOICES, "paper": ABUSING}
WIDTH44 = comparable(32, {("", 8): 12, ("gc", 4): 47, ("gc", 8): 35})
WIDTH18 = comparable(64, {("gc", 4): 90, ("gc", 8): 64})
RESNET44: dict[str, Any] = {"sizes": (33, 32), "width": WIDTH44, "stages": 3, "period": 4, "blocks": 7}
RESNET18: dict[str, Any] = {"sizes": (225, 224), "width": WIDTH18, "stages": 4, "period": 8, "blocks": 2}
PCAM: dict[str, Any] = RESNET44 | {"sizes": (97, 96), "width": comparable((8, 14, 28)), "num_classes": 2}


@family("resnet44", description="3 stages of 7 residual blocks, for small images", **RESNET44, **FACTS)
@family("resnet18", description="4 stages of 2 residual blocks, for large images", **RESNET18, **FACTS)
@family("pcamresnet44", description="a narrow resnet44, for two classes", coset_first=False, **PCAM, **FACTS)
class ResNet(Network):
    """A 3x3 stem, stages of blocks of which all but the first begin with stride 2, norm, ReLU, pooling, classifier.

    Images (B, in_chans, H, W) -> features (B, |G| widths[-1], h, w), with h = ceil(H / 2^(stages - 1)) ->
    (B, num_classes).
    The stem has stride 1, no norm, no ReLU, and no pool after it; no convolution has a bias.

    Families ("Using and Abusing Equivariance", Edixhoven, Lengyel & van Gemert 2023):
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
        in_chans: channels of the images.
        coset_first: whether that comes before the mean over space.
        variant: "" for full hidden convolutions, "g" or "gc" for separable ones; stem and shortcuts stay full.
        downsample: what replaces the strides, see `zoo.layers.subsampling.downsampling`; None is `stride`.
        padding_mode: `circular` takes images for tori. Default: `circular` with `aps` and `equivariant`, which need it,
            and `zeros` otherwise.
        relax: as in `CNN`; not with separable filters.
        head: `num_classes` and `coset_pool`, as in `Network`.
    """

    def __init__(
        self,
        group: Group | str,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 7,
        *,
        in_chans: int = 3,
        coset_first: bool = True,
        variant: str = "",
        downsample: str | None = None,
        padding_mode: str | None = None,
        relax: str = "none",
        **head: Any,
    ) -> None:
        mode, total = mode_of(downsample, padding_mode), 1 << (len(widths) - 1)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = convolutions(relax)[0](group, in_chans, widths[0], 3, padding=1, bias=False, padding_mode=mode)
        before = widths[0]
        for i, width in enumerate(widths):
            chain = []
            for stride in (2 if i else 1, *[1] * (blocks - 1)):
                chain.append(ResidualBlock(group, before, width, stride, variant, downsample, mode, relax))
                before = width
            layers[f"stage{i + 1}"] = nn.Sequential(*chain)
        layers["norm"] = GroupBatchNorm2d(group, before)
        layers["relu"] = nn.ReLU()
        super().__init__(
            group,
            nn.Sequential(layers),
            in_chans=in_chans,
            fields=before,
            coset_first=coset_first,
            minimum=1 if downsample in (None, "stride") else total,
            divisor=total if on_torus(downsample) else 1,
            **head,
        )
        if order(lattice_group(group)) == 1:
            self._initialise_plain()

    @classmethod
    def from_spec(cls, spec: NetworkSpec) -> Self:
        return cls(spec.group, spec.widths, variant=spec.name.variant, **spec.arguments)

    @classmethod
    def trunk_count(cls, spec: NetworkSpec) -> int:
        size, widths, relax = order(spec.group), spec.widths, spec.choices["relax"]
        (lifting, full), conv = convolutions(relax), hidden(spec.name.variant, relax)
        total = lifting.count(size, spec.in_chans, widths[0], 3) + 2 * widths[-1]
        for before, width in zip((widths[0], *widths), widths, strict=False):
            second = conv.count(size, width, width, 3)
            total += 2 * before + 2 * width + conv.count(size, before, width, 3) + second
            total += (spec.family.arguments["blocks"] - 1) * (4 * width + 2 * second)
        return total + sum(full.count(size, a, b, 1) + 2 * b for a, b in pairwise(widths))  # shortcuts

    @classmethod
    def filter_count(cls, spec: NetworkSpec) -> int:
        size, free = order(spec.group), cls.trunk_count(spec)
        # g-separable: |G|^2 k k from k k + |G| for each pair of fields, with k = 3
        return free * size * size * 9 // (9 + size) if spec.name.variant == "g" else free * size

    def _initialise_plain(self) -> None:
        """Kaiming-normal by fan-out, as published for the networks without a group; those with one keep our default."""
        for name, parameter in self.named_parameters():
            if name.split(".")[-1] in ("weight", "pointwise", "spatial") and parameter.ndim == 4:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
