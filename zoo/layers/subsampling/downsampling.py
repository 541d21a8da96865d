"""The ways to lower the resolution of feature maps, by name: (B, |G| C, H, W) to (B, |G| C, h, w).

    stride: pixels 0, s, 2s, ... of either axis.
    max, avg: the ordinary pools of s x s windows.
    blur: a binomial filter of 2 s pixels (2 s - 1 for odd s), then every s-th of them (Zhang 2019).
    aps: the phase of largest norm (Chaman & Dokmanic 2021), `zoo.layers.subsampling.polyphase`.
    equivariant: the phase of an equivariant position (Xu, Kim, Rainforth & Teh 2021), in the same file.

Max, avg and blur are exact under turns where s divides the size, stride where it divides the size - 1; none of the four
is under circular shifts that are not multiples of s. The last two are exact under both, on sizes that s divides.
"""

from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import checked_mode
from zoo.layers.regular import lattice_group, order
from zoo.layers.subsampling.polyphase import AdaptivePolyphase2d, EquivariantPolyphase2d, checked_stride
from zoo.layers.subsampling.pooling import BlurPool2d, GroupAvgPool2d, GroupMaxPool2d

PHASED = ("aps", "equivariant")
"""Kinds that choose pixels by their input: the lattice is a torus then, and paddings are circular."""

KINDS = ("stride", "max", "avg", "blur", *PHASED)


class Stride2d(nn.Module):
    """Every `stride`-th pixel of either axis, from the first on."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride, :: self.stride]

    def extra_repr(self) -> str:
        return f"{self.stride}"


def downsampling(kind: str, group: Group | str, fields: int, stride: int = 2, padding_mode: str = "zeros") -> nn.Module:
    """The module that lowers the resolution of feature maps of `fields` fields over `group` by `stride`.

    Args:
        kind: one of `KINDS`.
        group: one of c1, c2, c4, d1, d2, d4.
        fields: C; only blur asks for it.
        stride: s, from 1 on; 2 or 3 for blur.
        padding_mode: of blur, the only one that pads: `zeros` or `circular`.

    Raises:
        ShapeError: for another kind, stride or mode.
    """
    checked_mode(padding_mode)
    if kind not in KINDS:
        raise ShapeError(f"downsampling {kind!r} is unknown, expected one of {', '.join(KINDS)}")
    checked_stride(stride)
    if kind == "blur":
        channels = order(lattice_group(group)) * fields
        return BlurPool2d(channels, 2 * stride - stride % 2, stride, stride // 2, padding_mode)
    simple = {"stride": Stride2d, "max": GroupMaxPool2d, "avg": GroupAvgPool2d, "aps": AdaptivePolyphase2d}
    return simple[kind](stride) if kind in simple else EquivariantPolyphase2d(stride, group)


def mode_of(kind: str | None, padding_mode: str | None = None) -> str:
    """How a network with this downsampling pads: as it was told, otherwise `circular` for `PHASED` and `zeros`.

    Raises:
        ShapeError: for `zeros` with a kind that needs a torus.
    """
    if kind in PHASED and padding_mode == "zeros":
        raise ShapeError(f"padding_mode is 'zeros' and downsample {kind!r}, which needs 'circular'; leave it out")
    return checked_mode(padding_mode or ("circular" if kind in PHASED else "zeros"))
