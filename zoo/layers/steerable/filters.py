"""Filters between fields of c_n, d_n, so2 and o2, and how the part of the group that permutes pixels acts on them."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.layers.regular import move
from zoo.layers.relaxed.base import degree, equivariant
from zoo.layers.steerable.fibre import Fibre


def lattice_part(group: Group) -> Group:
    """The elements of `group` that permute pixels, as a group: c4 of c8, c16 and so2, d4 of d8 and o2."""
    return Group(4, group.flips)


def acted(filters: Tensor, element: Element, before: Fibre, after: Fibre) -> Tensor:
    """rho_out(h) (h F) rho_in(h)^-1 for filters (..., d_out, d_in, k, k)."""
    out, into = (f.action(element).to(filters) for f in (after, before))
    return torch.einsum("pq,...qrxy,sr->...psxy", out, move(filters, element), into)


def lattice_mean(filters: Tensor, group: Group, before: Fibre, after: Fibre) -> Tensor:
    """Filters (..., d_out, d_in, k, k) averaged over the lattice part of `group`: the nearest ones that it leaves."""
    return torch.stack([acted(filters, e, before, after) for e in lattice_part(group).elements]).mean(0)


def by_fields(filters: Tensor, before: Fibre, after: Fibre) -> Tensor:
    """Filters (d_out C_out, d_in C_in, k, k) of an ordinary convolution as (C_out, C_in, d_out, d_in, k, k)."""
    out, into, k, _ = filters.shape
    d_out, d_in = after.size, before.size
    return filters.view(d_out, out // d_out, d_in, into // d_in, k, k).permute(1, 3, 0, 2, 4, 5)


def by_channels(filters: Tensor) -> Tensor:
    """The inverse of `by_fields`."""
    c_out, c_in, d_out, d_in, k, _ = filters.shape
    return filters.permute(2, 0, 3, 1, 4, 5).reshape(d_out * c_out, d_in * c_in, k, k)


class FieldFilters(nn.Module, ABC):
    """Base of convolutions between fields whose filters need not be equivariant.

    Degree and strictness are those under the lattice part of the group: other elements are only approximate anyway.
    """

    before: Fibre
    after: Fibre
    symmetry: Group

    @abstractmethod
    def filters(self) -> Tensor:
        """(d_out C_out, d_in C_in, k, k) in float64, without gradient."""

    @property
    def lattice(self) -> tuple[Group, Any, Any]:
        """The lattice part of the group, and its matrices on the channels before and after, for every element."""

        def matrices(fibre: Fibre, channels: int) -> Any:
            fields = channels // fibre.size
            return lambda e: torch.kron(fibre.action(e), torch.eye(fields, dtype=torch.float64))

        out, into = self.filters().shape[:2]
        return lattice_part(self.symmetry), matrices(self.before, into), matrices(self.after, out)

    def projected(self) -> Tensor:
        """The nearest filters that are equivariant under the lattice part, in float64."""
        split = by_fields(self.filters(), self.before, self.after)
        return by_channels(lattice_mean(split, self.symmetry, self.before, self.after))

    @property
    def is_strict(self) -> bool:
        """Whether the present filters are equivariant under the lattice part, to rounding."""
        return equivariant(self.filters(), self.projected())

    @property
    def degree(self) -> float:
        """Of the present filters, in [0, 1]."""
        return degree(self.filters(), self.projected(), len(lattice_part(self.symmetry).elements))
