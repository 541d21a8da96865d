"""Networks for c8, c16, d8, so2 and o2: with steerable convolutions in training, with ordinary ones once exported.

A steerable network has convolutions that expand learned coefficients in a basis of escnn; an exported one has the same
layers with ordinary convolutions that hold the expanded filters. Both are exact under the multiples of 90 degrees of
their group (and its mirrors, for d8 and o2) at exact sizes, to float rounding, and approximate under all other
elements, up to the sampling of pixels (and of the group, see `zoo.layers.steerable.fibre`).

All filters are 5x5, as in the steerable wide ResNets of Weiler & Cesa (2019) for more than four rotations: a 3x3 filter
has too few rings of pixels to be turned by less than 90 degrees.
"""

from dataclasses import replace
from reprlib import repr as short
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.layers.regular import move
from zoo.layers.steerable.convolution import ConvFactory, FieldConvSpec, ordinary
from zoo.layers.steerable.fibre import IMAGE, Fibre, FibrePool, FieldNonlinearity, mix
from zoo.models.choices import COSET_POOL, DROPOUT, RELAX
from zoo.models.family import family
from zoo.models.network import Network
from zoo.models.spec import NetworkSpec
from zoo.models.steerable import conv_factory


class FieldBlock(nn.Module):
    """Pre-activation; the shortcut is the input, or a 1x1 convolution of the activations where the shape changes."""

    def __init__(self, fibre: Fibre, before: int, after: int, stride: int, dropout: float, make: ConvFactory) -> None:
        super().__init__()
        self.bend1, self.bend2 = FieldNonlinearity(fibre, before), FieldNonlinearity(fibre, after, dropout=dropout)
        self.conv1 = make(FieldConvSpec(fibre, fibre, before, after, 5, stride, 2))
        self.conv2 = make(FieldConvSpec(fibre, fibre, after, after, 5, 1, 2))
        changes = stride != 1 or before != after
        self.shortcut = make(FieldConvSpec(fibre, fibre, before, after, 1, stride)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.bend1(x)
        shortcut = x if self.shortcut is None else self.shortcut(active)
        return cast(Tensor, shortcut + self.conv2(self.bend2(self.conv1(active))))


def cnn(spec: NetworkSpec, fibre: Fibre, make: ConvFactory) -> nn.Sequential:
    """Seven convolutions, each with a nonlinearity, a max pool in the second, no padding in the last."""
    layers: list[nn.Module] = []
    width, dropout = spec.widths[0], spec.choices["dropout"]
    for i in range(7):
        before, fields = (IMAGE, spec.in_chans) if i == 0 else (fibre, width)
        layers.append(make(FieldConvSpec(before, fibre, fields, width, 5, 1, 0 if i == 6 else 2)))
        layers.append(FieldNonlinearity(fibre, width, 2 if i == 1 else 1, dropout if i in (0, 2, 3, 4) else 0.0))
    return nn.Sequential(*layers)


def wrn16(spec: NetworkSpec, fibre: Fibre, make: ConvFactory) -> nn.Sequential:
    """A stem, three stages of two blocks, a nonlinearity."""
    fields = spec.widths[0]
    layers: list[nn.Module] = [make(FieldConvSpec(IMAGE, fibre, spec.in_chans, fields, 5, 1, 2))]
    for stage, width in enumerate(spec.widths):
        for block in range(2):
            stride = 2 if stage and not block else 1
            layers.append(FieldBlock(fibre, fields, width, stride, spec.choices["dropout"], make))
            fields = width
    return nn.Sequential(*layers, FieldNonlinearity(fibre, fields))


def _relax(spec: NetworkSpec, word: Any) -> str:
    if word not in ("none", "likelihood"):
        raise ModelError(f"relax is {short(word)} and {spec.name} is on a finer group, expected none or likelihood")
    return cast(str, word)


FACTS: dict[str, Any] = {
    "paper": "Weiler & Cesa 2019, arXiv 1911.08251",
    "choices": (COSET_POOL, DROPOUT, replace(RELAX, check=_relax)),
    "forms": ("steerable", "exported"),
}
CNN_WIDTHS = {"c8": 7, "c16": 5, "d8": 5, "so2": 8, "o2": 6}
"""As many parameters as p4cnn has, within 15 %."""
WRN16_WIDTHS = {"c8": 8, "c16": 4, "d8": 4, "so2": 9, "o2": 5}
"""About the 64 channels of WRN-16-4."""


@family(
    "cnn",
    CNN_WIDTHS,
    sizes=(28,),
    width=lambda name: CNN_WIDTHS[name.group_word],
    description="seven steerable convolutions, one max pool",
    minimum=10,
    body=cnn,
    **FACTS,
)
@family(
    "wrn16",
    WRN16_WIDTHS,
    sizes=(29,),
    width=lambda name: WRN16_WIDTHS[name.group_word],
    description="3 stages of 2 residual blocks of steerable convolutions",
    stages=3,
    body=wrn16,
    **FACTS,
)
class FieldNet(Network):
    """A network on fields of c8, c16, d8, so2 or o2: images (B, in_chans, H, W) to logits (B, num_classes).

    Families:
        cnn: the CNN of the rotation experiments with one pool, as p4cnn: seven convolutions, a 2x2 max pool after the
            second, no padding in the last. Exact at even sizes.
        wrn16: a wide ResNet-16 (Zagoruyko & Komodakis 2016): a stem, three stages of two pre-activation blocks, strides
            1, 2, 2, widths w, 2 w, 4 w. Exact at sizes 1 mod 4.

    Args:
        spec: the architecture.
        make: what makes its convolutions; by default that of its `form`.
    """

    TRUNK = "body"
    max_parameters = 2**26  # 256 MiB in float32

    def __init__(self, spec: NetworkSpec, make: ConvFactory | None = None) -> None:
        body, fibre = spec.family.arguments["body"], Fibre(spec.group)
        super().__init__(
            spec.group,
            body(spec, fibre, make or conv_factory(spec)),
            in_chans=spec.in_chans,
            fields=spec.widths[-1],
            num_classes=spec.num_classes,
            coset_pool=spec.choices["coset_pool"],
            coset_first=spec.family.stages > 1,
            minimum=spec.family.minimum,
        )
        self.spec, self.fibre = spec, fibre

    @staticmethod
    def pooling(group: Group) -> tuple[nn.Module, int]:
        return FibrePool(Fibre(group)), Fibre(group).size

    def reset_classifier(self, num_classes: int) -> None:
        super().reset_classifier(num_classes)
        self.spec = replace(self.spec, num_classes=num_classes)

    @property
    def is_steerable(self) -> bool:
        """Whether there is something to export."""
        return not self.spec.in_plain_torch

    def act(self, features: Tensor, element: Element) -> Tensor:
        """`features` of the image moved by an element of d4 that the group contains, at exact sizes."""
        return mix(self.fibre.action(element).to(features), move(features, element))

    @classmethod
    def from_spec(cls, spec: NetworkSpec) -> Self:
        net = cls(spec)
        return net.eval() if spec.form == "exported" else net

    @classmethod
    def parameter_count(cls, spec: NetworkSpec) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in cls(spec, ordinary).parameters())

    @classmethod
    def filter_count(cls, spec: NetworkSpec) -> int:
        return 0  # parameters of an exported network are its expanded filters

    @classmethod
    def largest_map(cls, spec: NetworkSpec, side: int) -> int:
        """In samples of the fields, on which the nonlinearity acts."""
        points = len(Fibre(spec.group).points)
        return max(points * width * (-(-side >> stage)) ** 2 for stage, width in enumerate(spec.widths))
