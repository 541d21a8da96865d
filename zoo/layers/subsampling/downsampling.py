"""The ways to lower the resolution of feature maps, by name: (B, |G| C, H, W) to (B, |G| C, h, w).

    stride: pixels 0, s, 2s, ... of either axis.
    max, avg: the ordinary pools of s x s windows.
    blur: a binomial filter of 2 s pixels (2 s - 1 for odd s), then every s-th of them (Zhang 2019).
    aps: the phase of largest norm (Chaman & Dokmanic 2021), `zoo.layers.subsampling.polyphase`.
    equivariant: the phase of an equivariant position (Xu, Kim, Rainforth & Teh 2021), in the same file.

Max, avg and blur are exact under turns where s divides the size, stride where it divides the size - 1; none of the four
is under circular shifts that are not multiples of s. The last two are exact under both, on sizes that s divides.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import checked_mode
from zoo.layers.regular import lattice_group, order
from zoo.layers.subsampling.polyphase import AdaptivePolyphase2d, EquivariantPolyphase2d, checked_stride
from zoo.layers.subsampling.pooling import BlurPool2d, GroupAvgPool2d, GroupMaxPool2d


class Stride2d(nn.Module):
    """Every `stride`-th pixel of either axis, from the first on."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride, :: self.stride]

    def extra_repr(self) -> str:
        return f"{self.stride}"


@dataclass(frozen=True)
class DownsamplingKind:
    """One way to downsample."""

    make: Callable[[int, Group, int, str], nn.Module]
    """(stride, group, fields, padding mode) to a module; arguments are checked already."""
    on_torus: bool = False
    """Whether it takes images for tori, as what chooses pixels by its input must: paddings are circular then."""


KINDS = {
    "stride": DownsamplingKind(lambda s, *_: Stride2d(s)),
    "max": DownsamplingKind(lambda s, *_: GroupMaxPool2d(s)),
    "avg": DownsamplingKind(lambda s, *_: GroupAvgPool2d(s)),
    "blur": DownsamplingKind(lambda s, g, c, mode: BlurPool2d(order(g) * c, 2 * s - s % 2, s, s // 2, mode)),
    "aps": DownsamplingKind(lambda s, *_: AdaptivePolyphase2d(s), on_torus=True),
    "equivariant": DownsamplingKind(lambda s, g, *_: EquivariantPolyphase2d(s, g), on_torus=True),
}
"""Word -> way to downsample."""


def downsampling(kind: str, group: Group | str, fields: int, stride: int = 2, padding_mode: str = "zeros") -> nn.Module:
    """The module that lowers the resolution of feature maps of `fields` fields over `group` by `stride`.

    Args:
        kind: one of `KINDS`.
        group: one of c1, c2, c4, d1, d2, d4.
        fields: C; only blur needs it.
        stride: s, from 1 on; 2 or 3 for blur.
        padding_mode: of blur, the only one that pads: `zeros` or `circular`.

    Raises:
        ShapeError: for another kind, stride or mode.

    Example:
        >>> import torch
        >>> [tuple(downsampling(kind, "c4", 3)(torch.randn(1, 12, 8, 8)).shape[2:]) for kind in ("max", "aps")]
        [(4, 4), (4, 4)]
    """
    checked_mode(padding_mode)
    if kind not in KINDS:
        raise ShapeError(f"downsampling {kind!r} is unknown, expected one of {', '.join(KINDS)}")
    return KINDS[kind].make(checked_stride(stride), lattice_group(group), fields, padding_mode)


def on_torus(kind: str | None) -> bool:
    """Whether a network with this downsampling takes images for tori, on sizes that its total stride divides."""
    return kind in KINDS and KINDS[kind].on_torus


def mode_of(kind: str | None, padding_mode: str | None = None) -> str:
    """The padding mode of a network with this downsampling: by default `circular` on a torus, and `zeros` elsewhere.

    Raises:
        ShapeError: for `zeros` with a kind that needs a torus.
    """
    if on_torus(kind) and padding_mode == "zeros":
        raise ShapeError(f"padding_mode is 'zeros' and downsample {kind!r}, which needs 'circular'; leave it out")
    return checked_mode(padding_mode or ("circular" if on_torus(kind) else "zeros"))
