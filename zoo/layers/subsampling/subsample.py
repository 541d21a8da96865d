"""Group equivariant subsampling and upsampling (Xu, Kim, Rainforth & Teh 2021, arXiv 2106.05886).

A feature map f on the group G of circular shifts of an n x n torus and a lattice group H is kept on a coset p K of a
subgroup K: the shifts that are multiples of the stride, and a subgroup H' of H. The coset is that of an equivariant
index of f itself, so that for every g of G

    S(g f) = k S(f)    with    S(f) = Res_K(p^-1 f),  p' = g p k^-1,  k in K:

the smaller map of a moved map is the smaller map, moved by K. So S(f) is as equivariant as any feature map, on the
smaller torus and over H', and (S(f), p) moves under all of G: p holds what K cannot. Fixed lattices of pixels, p = 0,
are not equivariant.

Convention:
    p is a phase (row, column), each from 0 to s - 1, and an element r of H, the first of its coset r H' by index. First
    pixels x[..., row::s, column::s] are taken, then the smaller map is moved by r^-1, and its fields of H' are kept. A
    turn about the centre of the torus is then one about the centre of the smaller torus.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import wrapped
from zoo.layers.regular import act_on_features, fields, flat, inverses, lattice_group, order, products
from zoo.layers.subsampling.indexing import GroupIndex, act_on_index, checked_window, group_index
from zoo.layers.subsampling.polyphase import ByPhase, checked_stride, polyphase


class _Cosets(ByPhase):
    """The stride, H, H', and the first element of every coset r H', for both directions."""

    usual_smooth: ClassVar[int]
    """`smooth` where it is not given."""

    def __init__(
        self, stride: int = 2, group: Group | str = "c4", fiber: Group | str | None = None, smooth: int | None = None
    ) -> None:
        super().__init__()
        self.stride, self.group = checked_stride(stride), lattice_group(group)
        self.smooth = self.usual_smooth if smooth is None else checked_window(smooth)
        self.fiber = self.group if fiber is None else lattice_group(fiber)
        if not self.fiber <= self.group:
            raise ShapeError(f"fiber is {self.fiber}, expected a subgroup of {self.group}, for example c1")
        self.kept = [self.group.index(e) for e in self.fiber.elements]
        """Index in H of every element of H'."""
        table = products(self.group)
        self.first = [min(table[h][k] for k in self.kept) for h in range(order(self.group))]
        """For every element h of H the first element of h H'."""
        self.cosets = sorted(set(self.first))
        self.scale = self.stride * math.sqrt(len(self.cosets))
        """Of an upsampled map, so that the mean square is kept."""

    def coset(self, index: GroupIndex) -> GroupIndex:
        """The representative of the coset of an element of G."""
        first = torch.tensor(self.first, device=index.element.device)
        return index._replace(position=index.position % self.stride, element=first[index.element])

    def chosen(self, maps: list[Tensor], element: Tensor) -> Tensor:
        """For every image the map of its own coset, from maps (B, ...), one for each coset of H'."""
        labels = torch.tensor([self.cosets.index(r) for r in self.first], device=element.device)
        return torch.stack(maps, 1)[torch.arange(len(element), device=element.device), labels[element]]

    def check_square(self, x: Tensor) -> None:
        """`ShapeError` for rectangles if elements of H act, which need squares."""
        if len(self.cosets) > 1 and x.shape[-1] != x.shape[-2]:
            raise ShapeError(f"feature maps are {tuple(x.shape)}, expected squares (B, C, H, H) to subsample the fibre")

    def extra_repr(self) -> str:
        fiber = "" if self.fiber == self.group else f", fiber={self.fiber}"
        return f"stride={self.stride}, {self.group}{fiber}"


class EquivariantSubsample2d(_Cosets):
    """Feature maps (B, |H| C, n, n) to (B, |H'| C, n/s, n/s), and the coset on which they were kept.

    Args:
        stride: s, of both axes; the sides must be multiples of it.
        group: H, one of c1, c2, c4, d1, d2, d4.
        fiber: H', the subgroup that is kept; by default all of H, and only pixels are subsampled.
        smooth: side of the window of `group_index`, odd, in pixels; by default 5.

    Example:
        >>> layer = EquivariantSubsample2d(2, "c4", fiber="c2")
        >>> y, coset = layer(torch.randn(1, 4 * 3, 8, 8))
        >>> y.shape, coset.position.shape
        (torch.Size([1, 6, 4, 4]), torch.Size([1, 2]))
    """

    sampling, usual_smooth = "equivariant subsample", 5

    def forward(self, x: Tensor, index: GroupIndex | None = None) -> tuple[Tensor, GroupIndex]:
        """The smaller maps and their cosets; `index` is an equivariant element of G, by default `group_index(x)`."""
        self.check_square(x)
        if index is None:
            index = group_index(x, self.group, self.smooth, element=len(self.cosets) > 1)
        coset = self.coset(index)
        y = polyphase(x, coset.position, self.stride)
        if self.fiber == self.group:
            return y, coset
        undone = [self.group.elements[inverses(self.group)[r]] for r in self.cosets]
        maps = [flat(fields(act_on_features(y, e, self.group), self.group)[:, self.kept]) for e in undone]
        return self.chosen(maps, coset.element), coset

    def descend(self, index: GroupIndex, size: int) -> GroupIndex:
        """The element of K that `index` is on the smaller torus, for the next subsampling of the same maps.

        Args:
            index: an element of G, equivariant.
            size: n, of the torus before this layer.
        """
        device = index.element.device
        inverse = torch.tensor(inverses(self.group), device=device)[self.coset(index).element]
        below = index._replace(position=index.position.div(self.stride, rounding_mode="floor"))
        moved = act_on_index(below, inverse, self.group, size // self.stride)  # its element is in H'
        place = torch.tensor(self.kept, device=device) == moved.element[:, None]
        return moved._replace(element=place.int().argmax(1))


class EquivariantUpsample2d(_Cosets):
    """Feature maps (B, |H'| C, m, m) and a coset to (B, |H| C, s m, s m): the transposed operation, scaled.

    Values go to their places on the coset, zeros everywhere else, times s sqrt(|H| / |H'|), which keeps the mean
    square. Moving the coset by an element of G moves the result, up to an element of K in the argument.

    Args:
        stride: s, of both axes.
        group: H, one of c1, c2, c4, d1, d2, d4.
        fiber: H', the group of the input's fields; by default H.
        smooth: side of a window of the torus over which the result is averaged, odd; 1, the default, is no average.

    Example:
        >>> down, up = EquivariantSubsample2d(2, "c4"), EquivariantUpsample2d(2, "c4")
        >>> y, coset = down(torch.randn(1, 4, 8, 8))
        >>> torch.equal(down(up(y, coset), coset)[0], 2 * y)  # scaled so that the mean square is kept
        True
    """

    sampling, usual_smooth = "equivariant upsample", 1

    def forward(self, y: Tensor, coset: GroupIndex) -> Tensor:
        self.check_square(y)
        if self.fiber != self.group:
            whole = flat(self._extended(y))
            moved = [act_on_features(whole, self.group.elements[r], self.group) for r in self.cosets]
            y = self.chosen(moved, coset.element)
        x = self._inserted(y, coset.position) * self.scale
        return x if self.smooth == 1 else F.avg_pool2d(wrapped(x, self.smooth // 2), self.smooth, 1)

    def _extended(self, y: Tensor) -> Tensor:
        """(B, |H|, C, m, m): zeros for the elements that are not in H'."""
        parts = fields(y, self.fiber)
        whole = parts.new_zeros(len(parts), order(self.group), *parts.shape[2:])
        return whole.index_copy(1, torch.tensor(self.kept, device=y.device), parts)

    def _inserted(self, y: Tensor, phase: Tensor) -> Tensor:
        """(B, C, s h, s w): zeros for the pixels of other phases."""
        (b, c, h, w), s = y.shape, self.stride
        row, column = (phase % s).unbind(1)
        spread = y.new_zeros(b, s, s, c, h, w)
        spread = spread.index_put((torch.arange(b, device=y.device), row, column), y)
        return spread.permute(0, 3, 4, 1, 5, 2).reshape(b, c, h * s, w * s)  # (B, C, h, s, w, s)
