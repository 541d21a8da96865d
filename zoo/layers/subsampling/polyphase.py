"""Subsampling on the phase that each image chooses: one of the s x s lattices of pixels with step s.

On a torus whose sides are multiples of s, a symmetry of the pixels (a circular shift, a quarter turn, a mirror) moves
each of these lattices onto one of them. If the choice moves along, the smaller map is the old one moved by a symmetry
of the smaller torus, and a turn stays the same turn:

    x[..., p::s, q::s], chosen at (p, q), after `rot90` is chosen at (s - 1 - q, p), and is the `rot90` of the old one.

Two ways to choose: the lattice of largest norm (adaptive polyphase sampling, Chaman & Dokmanic 2021), and the one
through an equivariant position (Xu, Kim, Rainforth & Teh 2021). No gradient flows to the choice.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Group
from zoo.layers.bank import MOST
from zoo.layers.regular import lattice_group
from zoo.layers.subsampling.indexing import checked_window, fixed_point, group_index


def polyphase(x: Tensor, phase: Tensor, stride: int) -> Tensor:
    """(B, C, H, W) to (B, C, H/s, W/s): of image b the pixels at phase[b] + s m, m = 0, 1, ...

    Args:
        x: feature maps.
        phase: (B, 2) int64, (row, column), taken modulo the stride.
        stride: s.
    """
    split = _split(x, stride)  # (B, C, h, s, w, s)
    row, column = (phase % stride).unbind(1)
    batch = torch.arange(x.shape[0], device=x.device)
    return split.permute(0, 3, 5, 1, 2, 4)[batch, row, column]


def _split(x: Tensor, stride: int) -> Tensor:
    """(B, C, H, W) as (B, C, H/s, s, W/s, s); `ShapeError` unless s divides both sides."""
    if x.ndim != 4 or x.shape[-2] % stride or x.shape[-1] % stride:
        got = tuple(x.shape)
        raise ShapeError(f"feature maps are {got}, expected sides that are multiples of {stride}; resize the images")
    b, c, h, w = x.shape
    return x.view(b, c, h // stride, stride, w // stride, stride)


def checked_stride(stride: int) -> int:
    """A whole number from 1 on; `ShapeError` for anything else."""
    return whole("stride", stride, 1, MOST, mend=", for example 2")


class ByPhase(nn.Module):
    """Base of all modules that choose pixels by their input: an audit cannot trace them and reads these attributes."""

    sampling: ClassVar[str]
    """The kind of subsampling in an audit; empty for a module that makes no map. The chosen lattice moves with the
    image, so where the stride divides the size no symmetry of the lattice is broken."""
    stride: int


class Phase2d(ByPhase, ABC):
    """Base of the subsamplings by phase: feature maps (B, C, H, W), and optionally phases (B, 2), to (B, C, h, w).

    Args:
        stride: s; the sides must be multiples of it.
    """

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = checked_stride(stride)

    @abstractmethod
    def choose(self, x: Tensor) -> Tensor:
        """(B, 2) int64: the phase of each image."""

    def forward(self, x: Tensor, phase: Tensor | None = None) -> Tensor:
        return polyphase(x, self.choose(x) if phase is None else phase, self.stride)

    def extra_repr(self) -> str:
        return f"stride={self.stride}"


class AdaptivePolyphase2d(Phase2d):
    """The phase of largest l2 norm over all channels (Chaman & Dokmanic 2021, "Truly shift-invariant CNNs").

    Norms are sums of whole numbers, so that they do not depend on the order of pixels. Of equal ones the first is
    taken, by row and then by column.

    Example:
        >>> x = torch.zeros(1, 1, 4, 4)
        >>> x[..., 1::2, 0::2] = 5.0
        >>> AdaptivePolyphase2d()(x).flatten().tolist()
        [5.0, 5.0, 5.0, 5.0]
    """

    sampling = "adaptive polyphase"

    def choose(self, x: Tensor) -> Tensor:
        squares = fixed_point(x.detach().to(torch.float64).square(), x[:1].numel())
        best = _split(squares, self.stride).sum((1, 2, 4)).flatten(1).argmax(1)  # of (B, s s)
        return torch.stack([best // self.stride, best % self.stride], 1)


class EquivariantPolyphase2d(Phase2d):
    """The phase of `group_index`: equivariant subsampling of the translations alone, with the map as its only result.

    Args:
        stride: s; the sides must be multiples of it.
        group: whose fields the channels are, group-major.
        smooth: side of the window of `group_index`, odd, in pixels.

    Example:
        >>> layer, x = EquivariantPolyphase2d(2, "c1"), torch.randn(1, 3, 8, 8)
        >>> y, shifted = layer(x), layer(x.roll((3, 0), (2, 3)))
        >>> any(torch.equal(shifted, y.roll((row, 0), (2, 3))) for row in range(4))
        True
    """

    sampling = "equivariant subsample"

    def __init__(self, stride: int = 2, group: Group | str = "c4", smooth: int = 5) -> None:
        super().__init__(stride)
        self.group, self.smooth = lattice_group(group), checked_window(smooth)

    def choose(self, x: Tensor) -> Tensor:
        return group_index(x, self.group, self.smooth).position % self.stride

    def extra_repr(self) -> str:
        return f"stride={self.stride}, {self.group}, smooth={self.smooth}"


class PhaseChoice2d(ByPhase):
    """The phases (B, 2) that a subsampling would choose, for several feature maps that must be subsampled alike."""

    sampling = ""

    def __init__(self, layer: Phase2d) -> None:
        super().__init__()
        self.stride = layer.stride
        self._choose = layer.choose  # no submodule: it has no parameters, and would be listed twice

    def forward(self, x: Tensor) -> Tensor:
        return self._choose(x)
