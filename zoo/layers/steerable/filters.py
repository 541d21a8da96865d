"""Filters between fields of c_n, d_n, so2 and o2, held against the part of the group that permutes pixels."""

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


class FieldFilters(nn.Module, ABC):
    """Base of convolutions between fields whose filters need not be equivariant: what they say of these.

    Degree and strictness are those under the part of the group that permutes pixels: the rest is sampled anyway.
    """

    before: Fibre
    after: Fibre
    symmetry: Group

    @abstractmethod
    def filters(self) -> Tensor:
        """(d_out C_out, d_in C_in, k, k) in float64, without gradient."""

    @property
    def lattice(self) -> tuple[Group, Any, Any]:
        """The group to hold the filters against, and the matrices of an element on the channels before and after."""

        def matrices(fibre: Fibre, channels: int) -> Any:
            fields = channels // fibre.size
            return lambda e: torch.kron(fibre.action(e), torch.eye(fields, dtype=torch.float64))

        out, into = self.filters().shape[:2]
        return lattice_part(self.symmetry), matrices(self.before, into), matrices(self.after, out)

    def projected(self) -> Tensor:
        """The nearest filters that the lattice part leaves as they are, in float64."""
        filters = self.filters()
        out, into, k, _ = filters.shape
        d_out, d_in = self.after.size, self.before.size
        split = filters.view(d_out, out // d_out, d_in, into // d_in, k, k).permute(1, 3, 0, 2, 4, 5)
        each = [acted(split, e, self.before, self.after) for e in lattice_part(self.symmetry).elements]
        return torch.stack(each).mean(0).permute(2, 0, 3, 1, 4, 5).reshape(filters.shape)

    @property
    def is_strict(self) -> bool:
        """Whether the present filters are equivariant under the lattice part, to rounding."""
        return equivariant(self.filters(), self.projected())

    @property
    def degree(self) -> float:
        """Of the present filters, in [0, 1]."""
        return degree(self.filters(), self.projected(), len(lattice_part(self.symmetry).elements))
