"""The seven-layer networks of the rotation experiments: as logged, as committed, and the P4CNN before them."""

from collections import OrderedDict
from typing import Any

from torch import nn

from symdata.groups import Group
from zoo.layers import GroupAvgPool2d, GroupBatchNorm2d
from zoo.layers.regular import order
from zoo.layers.relaxed import convolutions
from zoo.layers.subsampling.downsampling import downsampling, mode_of, on_torus
from zoo.models.choices import COSET_POOL, DOWNSAMPLE, DROPOUT, RELAX
from zoo.models.family import ABUSING, comparable, family
from zoo.models.network import Network
from zoo.models.spec import NetworkSpec

LAYERS = 7
LAST_KERNEL = 4
DROPPED = (1, 3, 4, 5)
"""The layers that are followed by dropout, counted from 1."""


FACTS: dict[str, Any] = {"width": comparable(20), "choices": (COSET_POOL, DROPOUT, DOWNSAMPLE, RELAX)}
CW: dict[str, Any] = {"in_chans": 1, "padding": 0, "description": "seven convolutions without padding, one max pool"}
CW["paper"] = "Cohen & Welling 2016, arXiv 1602.07576"


@family("cnn", sizes=(28, 27, 29), period=2, description="seven convolutions, one max pool", paper=ABUSING, **FACTS)
@family(
    "cnn2",
    sizes=(28, 27, 29),
    period=4,
    pools=2,
    description="seven convolutions, two max pools",
    paper=ABUSING,
    **FACTS,
)
@family("cwcnn", sizes=(28, 29), period=2, **CW, **FACTS)
class CNN(Network):
    """Six 3x3 convolutions and a 4x4 one, each with norm and ReLU; mean over space, maximum over the group, classifier.

    Images (B, in_chans, H, W) -> features (B, |G| fields, H/2 - 3, W/2 - 3), with one pool and padding ->
    (B, num_classes).

    Families:
        cnn: padding 1, a 2x2 max pool after layer 2. The network of every logged number of "Using and Abusing
            Equivariance" (Edixhoven, Lengyel & van Gemert 2023), rotated-MNIST experiments. 24,990 parameters for p4
            with 10 fields, 25,570 for z2 with 20. Exact at even sizes, from 8 on.
        cnn2: a second 2x2 max pool after layer 3, as its code was committed; as many parameters. Exact at multiples of
            4, from 16 on.
        cwcnn: no padding, one pool, one channel: P4CNN of Cohen & Welling (2016). 24,810 parameters for p4 with 10
            fields, 25,210 for z2 with 20. Exact at even sizes, from 28 on.

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        fields: of every layer.
        in_chans: channels of the images.
        pools: 1, after layer 2, or 2, after layers 2 and 3.
        padding: of the 3x3 convolutions; the 4x4 one has none.
        dropout: rate after layers 1, 3, 4 and 5; it acts in training only.
        downsample: what replaces each pool, see `zoo.layers.subsampling.downsampling`; None is `max`.
        padding_mode: `circular` takes images for tori: every 3x3 convolution is padded by 1, and the 4x4 one by 2. Its
            map is a pixel larger and periodic, half a pixel off; a 2x2 mean brings it back to the size and the place of
            its input. Default: `circular` with `aps` and `equivariant`, which need it, and `zeros` otherwise.
        relax: how all convolutions may leave the group, a word of `zoo.layers.relaxed.RELAXATIONS`, or `none`.
        head: `num_classes` and `coset_pool`, as in `Network`.
    """

    def __init__(
        self,
        group: Group | str,
        fields: int = 10,
        *,
        in_chans: int = 3,
        pools: int = 1,
        padding: int = 1,
        dropout: float = 0.0,
        downsample: str | None = None,
        padding_mode: str | None = None,
        relax: str = "none",
        **head: Any,
    ) -> None:
        mode, (lifting, hidden) = mode_of(downsample, padding_mode), convolutions(relax)
        torus = mode == "circular"
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(1, LAYERS + 1):
            before = in_chans if i == 1 else fields
            conv = lifting if i == 1 else hidden
            last = i == LAYERS
            kernel, border = (LAST_KERNEL, 2 * torus) if last else (3, 1 if torus else padding)
            layers[f"conv{i}"] = conv(group, before, fields, kernel, padding=border, padding_mode=mode)
            if last and torus:
                layers[f"centre{i}"] = GroupAvgPool2d(2, 1)
            layers[f"norm{i}"] = GroupBatchNorm2d(group, fields)
            layers[f"relu{i}"] = nn.ReLU()
            if dropout and i in DROPPED:
                layers[f"dropout{i}"] = nn.Dropout(dropout)
            if i in (2, 3)[:pools]:
                layers[f"pool{i}"] = downsampling(downsample or "max", group, fields, padding_mode=mode)
        super().__init__(
            group,
            nn.Sequential(layers),
            in_chans=in_chans,
            fields=fields,
            minimum=minimum_size(pools, 1 if torus else padding, downsample, 2 if torus else LAST_KERNEL),
            divisor=1 << pools if on_torus(downsample) else 1,
            **head,
        )

    @classmethod
    def trunk_count(cls, spec: NetworkSpec) -> int:
        lifting, hidden = convolutions(spec.choices["relax"])
        size, fields = order(spec.group), spec.widths[0]
        filters = lifting.count(size, spec.in_chans, fields, 3)
        filters += (LAYERS - 2) * hidden.count(size, fields, fields, 3)
        filters += hidden.count(size, fields, fields, LAST_KERNEL)
        return filters + LAYERS * 3 * fields  # a bias, and weight and bias of a norm


def minimum_size(pools: int, padding: int, downsample: str | None = None, last: int = LAST_KERNEL) -> int:
    """The smallest side that leaves `last` pixels for the last convolution, found from the last layer to the first."""
    size = last
    for i in range(LAYERS - 1, 0, -1):
        before = 2 * size - (downsample == "stride")
        size = (before if i in (2, 3)[:pools] else size) + 2 - 2 * padding
    return size
