"""The base of the relaxed convolutions, their table, and the degree to which filters are equivariant.

A relaxed convolution is a group convolution whose filters may leave the equivariant ones while it is trained. It
differs from a strict one only in how its bank of filters is expanded, so that in evaluation it costs the same.

Degree:
    With P the projection on the equivariant filters, the mean over the group of the moved filters g K,

        degree = 1 - |K - P K| / (|P K| sqrt(|G| - 1)), at least 0.

    It is 1 for equivariant filters, 0 on average for white ones, and w for white ones averaged over the group with
    probability w uniform and 1 - w at the identity, which is the scale of `symdata.Symmetry.degree`.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import bank_index
from zoo.layers.convolution import GroupConv2d, LiftingConv2d, TiedConv2d
from zoo.layers.regular import left_translation, order

STRICT = 1e-6
"""Filters whose distance |K - P K| / |K| is at most this are equivariant: float32 rounds to a tenth of it."""


@lru_cache(maxsize=64)
def orbit_index(group: Group, k: int, *, lifting: bool) -> Tensor:
    """Where (e K)[g, h](p) = K[e^-1 g, e^-1 h](e^-1 p) comes from: (|G|, |G| J k k) numbers of [g, h, p], J = 1 or |G|.

    With `lifting` the inputs are scalars, and h is left out.
    """
    filters = bank_index(group, 1, 1, k, lifting=lifting).view(order(group), -1)  # (e, (h, p)) -> (e^-1 h, e^-1 p)
    back = torch.tensor([left_translation(group, e) for e in range(order(group))])  # (e, g) -> e^-1 g
    return (back[:, :, None] * filters.shape[1] + filters[:, None, :]).flatten(1)


def mixed(bank: Tensor, weights: Tensor, index: Tensor, inputs: int) -> Tensor:
    """sum_e weights(e) (e K) of filters K (|G| O, J C, k, k): same shape; `index` from `orbit_index`."""
    (out, into, k, _), size = bank.shape, len(index)
    split = bank.reshape(size, out // size, inputs, into // inputs, k, k).permute(0, 2, 4, 5, 1, 3)  # (g, h, p, o, c)
    rows = split.reshape(index.shape[1], -1)  # (|G| J k k, O C): the group moves whole rows
    moved = rows.index_select(0, index.flatten()).view(size, -1)  # (|G|, |G| J k k O C)
    # not a product of matrices: autocast would round it, and equivariance with it
    total = (weights.to(bank.dtype)[:, None] * moved).sum(0)
    return total.view(split.shape).permute(0, 4, 1, 5, 2, 3).reshape(bank.shape)


def degree(filters: Tensor, mean: Tensor, size: float) -> float:
    """The degree of equivariance of filters K, given P K and |G|; see the top of this module."""
    if size == 1 or equivariant(filters, mean):
        return 1.0
    distance, norm = float((filters - mean).norm()), float(mean.norm())
    return max(0.0, 1.0 - distance / (norm * math.sqrt(size - 1))) if norm else 0.0


def equivariant(filters: Tensor, mean: Tensor) -> bool:
    """Whether filters K are P K, to rounding."""
    return float((filters - mean).norm()) <= STRICT * float(filters.norm())


class RelaxedConv2d(TiedConv2d):
    """Base of the convolutions whose filters need not be equivariant. Arguments as in `LiftingConv2d`.

    Example:
        >>> from zoo.layers.relaxed import BiasGroupConv2d
        >>> layer = BiasGroupConv2d("c4", 2, 2, 3)
        >>> isinstance(layer, RelaxedConv2d), layer.degree
        (True, 1.0)
        >>> _ = torch.nn.init.normal_(layer.taps)
        >>> layer.is_strict, layer.degree < 1
        (False, True)
    """

    relaxation: ClassVar[str]
    """Its word in `RELAXATIONS`."""
    count_relaxed: ClassVar[Callable[[int, int, int], int]]
    """Free weights, from those of the tied layer, |G| and the pixels of a filter."""

    def make_weights(self) -> None:
        super().make_weights()
        self.orbit = nn.Buffer(orbit_index(self.group, self.kernel_size, lifting=self.lifting), persistent=False)

    @classmethod
    def count(cls, size: int, in_fields: int, out_fields: int, kernel_size: int) -> int:
        return cls.count_relaxed(super().count(size, in_fields, out_fields, kernel_size), size, kernel_size**2)

    @property
    def inputs(self) -> int:
        """J: orientations of the input, 1 for images."""
        return 1 if self.lifting else order(self.group)

    def project(self, filters: Tensor) -> Tensor:
        """P K of filters K (|G| O, J C, k, k): the mean over the group of g K, the nearest equivariant ones."""
        size = order(self.group)
        uniform = torch.full((size,), 1 / size, dtype=filters.dtype, device=filters.device)
        return mixed(filters, uniform, self.orbit, self.inputs)

    def projected(self) -> Tensor:
        """The nearest equivariant filters, in float64."""
        return self.project(self.filters())

    def deviation(self) -> Tensor:
        """K - P K of the present filters, (|G| O, J C, k, k) in the precision of the weights, with their gradients."""
        filters: Tensor = self.expand()[0]
        return filters - self.project(filters)

    @property
    def is_strict(self) -> bool:
        """Whether the present filters are equivariant, to rounding."""
        return equivariant(self.filters(), self.projected())

    @property
    def degree(self) -> float:
        """Of the present filters, in [0, 1]."""
        return degree(self.filters(), self.projected(), order(self.group))


RELAXATIONS: dict[str, tuple[type[TiedConv2d], type[TiedConv2d]]] = {}
"""Word -> the lifting and the group convolution, in the order of the words."""

R = TypeVar("R", bound=RelaxedConv2d)


def relaxation(
    word: str, count: Callable[[int, int, int], int], lifting: type[TiedConv2d] = LiftingConv2d
) -> Callable[[type[R]], type[R]]:
    """Register a relaxed group convolution in `RELAXATIONS`.

    Args:
        word: for `zoo.create(..., relax=word)`.
        count: number of its free weights, from those of the tied layer, |G| and the pixels of a filter.
        lifting: the lifting convolution of the same network; by default a strict one.
    """

    def register(group: type[R]) -> type[R]:
        if word in RELAXATIONS:
            raise ValueError(f"there are two relaxations {word}")
        RELAXATIONS[word] = lifting, group
        for known in sorted(RELAXATIONS):
            RELAXATIONS[known] = RELAXATIONS.pop(known)
        for layer in (lifting, group):
            if issubclass(layer, RelaxedConv2d):
                layer.relaxation, layer.count_relaxed = word, staticmethod(count)
        return group

    return register


def convolutions(relax: str = "none") -> tuple[type[TiedConv2d], type[TiedConv2d]]:
    """The lifting and the group convolution of that word, the strict ones for `none`; `ShapeError` for any other.

    Example:
        >>> [layer.__name__ for layer in convolutions("partial")]
        ['LiftingConv2d', 'PartialGroupConv2d']
    """
    if relax == "none":
        return LiftingConv2d, GroupConv2d
    if relax not in RELAXATIONS:
        raise ShapeError(f"relaxation {relax!r} is unknown, expected none or one of {', '.join(RELAXATIONS)}")
    return RELAXATIONS[relax]
