"""Convolutions whose filters are free: ordinary ones that start as group convolutions, and remember their fields.

Nordenfors, Ohlsson & Flinth (arXiv 2303.13458) ask whether gradient descent on augmented images keeps an ordinary
network equivariant that starts so. Its filters lie in a linear space L, those that its window allows, and E, the
equivariant ones among them, is a part of L. On whole orbits the gradient at a point of E is P_L P_G of that of the
loss, with P_G the mean over the group and P_L the projection on L. It stays in E

    if P_L and P_G commute            the window is one that the group maps onto itself, and
    if the parametrisation is unitary  K = sum_i c_i B_i with orthonormal B_i: steps in c are then steps in K.

`window` and `basis` of these layers keep or break one of the two.
"""

import math
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError, one_of
from zoo.layers.bank import bank_index, gather, in_format_of
from zoo.layers.regular import move, order
from zoo.layers.relaxed.base import RelaxedConv2d, relaxation

WINDOWS = ("full", "cross", "skew")
"""The pixels that a filter has: all; the middle row and column; these without the centre, and with one corner."""
BASES = ("orthonormal", "skewed")
"""The filters B_i that the weights multiply: single pixels, or combinations of pixels that are not orthogonal."""
BASIS_SEED = 0


@lru_cache(maxsize=16)
def window_of(word: str, k: int) -> Tensor:
    """The pixels (k, k) of that window, as booleans.

    Example:
        >>> window_of("skew", 3).int().tolist()
        [[1, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    if word == "full":
        return torch.ones(k, k, dtype=torch.bool)
    centre = (2 * torch.arange(k) - (k - 1)).abs() <= 1  # two rows of an even k
    cross = centre[:, None] | centre
    if word == "cross":
        return cross
    skew = cross & ~(centre[:, None] & centre)
    skew[0, 0] = True
    return skew


@lru_cache(maxsize=16)
def basis_of(word: str, k: int) -> Tensor:
    """The filters B, (k k, k k) in float64: row i is B_i, over the pixels. The skewed ones have length 1."""
    if word == "orthonormal":
        return torch.eye(k * k, dtype=torch.float64)
    drawn = torch.randn(k * k, k * k, dtype=torch.float64, generator=torch.Generator().manual_seed(BASIS_SEED))
    rows = torch.eye(k * k, dtype=torch.float64) + 0.5 * drawn / k
    scaled: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return scaled


class FreeConv2d(RelaxedConv2d):
    """Base of the two layers: `weight`, (|G| O, J C, k, k), holds every filter of every orientation.

    Biases stay one for each field. Arguments as in `LiftingConv2d`, and two that demonstrate when gradient descent on
    whole orbits leaves the equivariant filters.

    Args:
        window: one of `WINDOWS`; the group maps `full` and `cross` onto themselves, and `skew` not.
        basis: one of `BASES`.

    Example:
        >>> from zoo.layers.relaxed import FreeGroupConv2d
        >>> layer = FreeGroupConv2d("c4", 2, 3, 3, window="cross")
        >>> layer.weight.shape, layer.is_strict, int((layer.filters()[0, 0] != 0).sum())
        (torch.Size([12, 8, 3, 3]), True, 5)
        >>> _ = torch.nn.init.normal_(layer.weight)
        >>> layer.is_strict, layer.project_().is_strict
        (False, True)
    """

    def __init__(self, *args: Any, window: str = "full", basis: str = "orthonormal", **options: Any) -> None:
        self._words = one_of("window", window, WINDOWS, ShapeError), one_of("basis", basis, BASES, ShapeError)
        super().__init__(*args, **options)

    @property
    def window(self) -> str:
        """The word of its window."""
        return self._words[0]

    @property
    def basis(self) -> str:
        """The word of its basis."""
        return self._words[1]

    def make_weights(self) -> None:
        super().make_weights()
        k, rows = self.kernel_size, order(self.group) * self.out_fields
        self.weight = nn.Parameter(torch.empty(rows, self.in_channels, k, k))
        self._set_window()

    def _set_window(self) -> None:
        """`span` (k k, k k), from weights to filters; `common` (k, k), the pixels of the window in all orientations."""
        k = self.kernel_size
        inside = window_of(self.window, k)
        rows = basis_of(self.basis, k) * (inside.flatten()[:, None] & inside.flatten())
        self.span = nn.Buffer(rows.to(self.weight), persistent=False)
        every = torch.stack([move(inside, e) for e in self.group.elements])
        self.common = nn.Buffer(every.all(0).to(self.weight), persistent=False)

    def reset_parameters(self) -> None:
        """The filters of a fresh group convolution, as far as the window has them in all orientations."""
        size, k = order(self.group), self.kernel_size
        tied = torch.empty(self.out_fields, self.in_channels, k, k)
        nn.init.kaiming_uniform_(tied, a=math.sqrt(5))
        index = bank_index(self.group, self.out_fields, self.in_fields, k, lifting=self.lifting)
        self.set_filters(gather(tied, index, size) * self.common)
        if self.bias is not None:
            bound = 1 / math.sqrt(tied[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def project(self, filters: Tensor) -> Tensor:
        """The nearest filters that are equivariant and in the window: the mean of g K, in the pixels that the window
        has in every orientation."""
        return super().project(filters) * self.common.to(filters.dtype)

    def filters(self) -> Tensor:
        return super().filters().detach().clone()  # not the weights themselves

    @torch.no_grad()
    def set_filters(self, filters: Tensor) -> None:
        """Take over filters (|G| O, J C, k, k), as far as they are in the window."""
        wanted = filters.double() * window_of(self.window, self.kernel_size).to(filters.device)
        if self._is_plain:
            self.weight.copy_(wanted)
            return
        # the rows of pixels outside of the window are 0, and so are their coefficients
        inverse = torch.linalg.pinv(self.span.double().cpu()).to(wanted)
        self.weight.copy_((wanted.flatten(2) @ inverse).view_as(wanted))

    def project_(self) -> Self:
        """Move to the nearest equivariant filters, in place."""
        self.set_filters(self.projected())
        return self

    def restrict_(self, window: str = "full", basis: str = "orthonormal") -> Self:
        """Change window and basis in place; the filters are the nearest equivariant ones that the new window has."""
        filters = self.filters()
        self._words = one_of("window", window, WINDOWS, ShapeError), one_of("basis", basis, BASES, ShapeError)
        self._set_window()
        self.set_filters(self.project(filters))
        return self

    @property
    def _is_plain(self) -> bool:
        """Whether the weights are the filters."""
        return self._words == ("full", "orthonormal")

    def expand(self) -> tuple[Tensor, Tensor | None]:
        if self._is_plain:
            return self.weight, self.expanded_bias
        filters = (self.weight.flatten(2) @ self.span.to(self.weight)).view_as(self.weight)
        return in_format_of(filters, self.weight), self.expanded_bias

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self._is_plain else f", window={self.window}, basis={self.basis}")


class FreeLiftingConv2d(FreeConv2d):
    """From images, with free filters. Arguments as in `FreeConv2d`.

    Example:
        >>> FreeLiftingConv2d("c4", 1, 8, 3).weight.shape
        torch.Size([32, 1, 3, 3])
    """

    lifting = True


@relaxation("free", lambda tied, size, _: size * tied, FreeLiftingConv2d)
class FreeGroupConv2d(FreeConv2d):
    """From fields to fields, with free filters. Arguments as in `FreeConv2d`.

    Example:
        >>> layer = FreeGroupConv2d("c4", 2, 2, 3)
        >>> _ = torch.nn.init.normal_(layer.weight)
        >>> layer.degree < 0.5
        True
    """
