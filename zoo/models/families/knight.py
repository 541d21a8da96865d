"""The smallest network that learns its own rotation: one strided convolution of one field."""

from collections import OrderedDict
from dataclasses import replace
from typing import Any

from torch import nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers import LiftingConv2d
from zoo.layers.regular import order
from zoo.layers.relaxed import convolutions
from zoo.layers.subsampling.downsampling import downsampling, mode_of, on_torus
from zoo.models.choices import COSET_POOL, DOWNSAMPLE, DROPOUT, RELAX, relaxation_word
from zoo.models.family import ABUSING, family
from zoo.models.network import Network
from zoo.models.spec import NetworkSpec


def _relax(spec: NetworkSpec, value: Any) -> str:
    word = relaxation_word(spec, value)
    if word != "none" and convolutions(word)[0] is LiftingConv2d:
        mend = "has a lifting layer alone, which stays a full one; take 'bias'"
        raise ModelError(f"relax is {word!r} and {spec.name} {mend}")
    return word


CHOICES = (COSET_POOL, replace(DROPOUT, fixed=True), DOWNSAMPLE, replace(RELAX, check=_relax))


@family(
    "knight",
    sizes=(33, 32),
    width=lambda name: 1,
    description="one strided convolution of one field, for two classes",
    paper=ABUSING,
    num_classes=2,
    in_chans=1,
    period=2,
    first=1,
    choices=CHOICES,
)
class Knight(Network):
    """One lifting convolution, mean over space, maximum over the group, classifier: 14 parameters for p4 of one field.

    Images (B, in_chans, H, W) -> features (B, |G| fields, ceil(H / 2), ceil(W / 2)) -> (B, num_classes). There is no
    norm and no ReLU. Exact at odd sizes: there an image and its quarter turn have the same logits whatever was learned,
    and at even sizes training makes them different ("Using and Abusing Equivariance", Edixhoven, Lengyel & van Gemert
    2023, learning un-equivariance).

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        fields: of the one feature map.
        in_chans: channels of the images.
        num_classes: number of logits.
        coset_pool: whether to take the maximum over the group.
        kernel: side of the filter.
        stride: of the convolution.
        padding: of the convolution; exact where (size + 2 padding - kernel) mod stride is 0.
        downsample: what replaces the stride, see `zoo.layers.subsampling.downsampling`; None is `stride`.
        padding_mode: `zeros` or `circular`, as in `CNN`.
        relax: as in `CNN`; `partial` relaxes nothing here, for its lifting convolution is a full one.
    """

    def __init__(
        self,
        group: Group | str = "c4",
        fields: int = 1,
        *,
        in_chans: int = 1,
        num_classes: int = 2,
        coset_pool: bool = True,
        kernel: int = 3,
        stride: int = 2,
        padding: int = 1,
        downsample: str | None = None,
        padding_mode: str | None = None,
        relax: str = "none",
    ) -> None:
        mode, apart = mode_of(downsample, padding_mode), downsample not in (None, "stride")
        if mode == "circular" and 2 * padding != kernel - 1:
            got = f"kernel is {kernel} and padding {padding}, which does not keep the size of a torus"
            raise ModelError(f"{got}; expected an odd kernel and half of it, for example kernel=3, padding=1")
        step = 1 if apart else stride
        layers = OrderedDict[str, nn.Module]()
        layers["conv"] = convolutions(relax)[0](group, in_chans, fields, kernel, step, padding, padding_mode=mode)
        if apart and downsample:
            layers["down"] = downsampling(downsample, group, fields, stride, mode)
        super().__init__(
            group,
            nn.Sequential(layers),
            in_chans=in_chans,
            fields=fields,
            num_classes=num_classes,
            coset_pool=coset_pool,
            minimum=max(1, kernel - 2 * padding) + (stride - 1) * apart,
            divisor=stride if on_torus(downsample) else 1,
        )

    @classmethod
    def trunk_count(cls, spec: NetworkSpec) -> int:
        lifting, _ = convolutions(spec.choices["relax"])
        return lifting.count(order(spec.group), spec.in_chans, spec.widths[0], 3) + spec.widths[0]
