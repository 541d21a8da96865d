"""Convolutions with a learned likelihood over the group (Veefkind & Cesa 2024).

    K_lambda = sum_h lambda(h) (h K) / |lambda|_2,    (h K)(p) = rho_out(h) K(h^-1 p) rho_in(h)^-1

K is unconstrained, with |G| times the numbers of a tied one. A uniform lambda projects it on the equivariant filters, a
point mass at the identity leaves it as it is, and one that is uniform on a subgroup makes the layer exactly equivariant
under that, and in general no more. Dividing by the norm keeps the scale of the outputs while lambda sharpens: white K
gives K_lambda of its own variance.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from symdata.errors import SymmetryError
from symdata.groups import Group
from zoo.layers.regular import order
from zoo.layers.relaxed.base import RelaxedConv2d, in_format_of, mixed
from zoo.layers.relaxed.distribution import GroupLikelihood as GroupLikelihood


class LikelihoodConv2d(RelaxedConv2d):
    """What the two share: `weight` (|G| O, J C, k, k), as of an ordinary convolution, and `likelihood`."""

    relaxation: ClassVar[str] = "likelihood"

    def __init__(
        self,
        group: Group | str,
        *args: Any,
        likelihood: GroupLikelihood | None = None,
        bandlimit: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(group, *args, **kwargs)
        self.likelihood = GroupLikelihood(self.group, bandlimit) if likelihood is None else likelihood
        if self.likelihood.group != self.group:
            raise SymmetryError(f"the likelihood is over {self.likelihood.group}, expected {self.group}, the layer's")

    def make_weights(self) -> None:
        super().make_weights()
        k, rows = self.kernel_size, order(self.group) * self.out_fields
        self.weight = nn.Parameter(torch.empty(rows, self.in_channels, k, k))

    def expand(self) -> tuple[Tensor | None, ...]:
        chance = self.likelihood.probabilities()
        bank = mixed(self.weight, chance / chance.norm(), self.orbit, self.inputs)
        bias = None if self.bias is None else self.bias.repeat(order(self.group))
        return in_format_of(bank, self.weight), bias  # (|G| O, J C, k, k), (|G| O,)

    def watched(self) -> Iterable[Tensor | None]:
        return (*self._parameters.values(), *self.likelihood._parameters.values())


class LikelihoodLiftingConv2d(LikelihoodConv2d):
    """Images to fields, as equivariant as its likelihood is uniform. Arguments as in `LiftingConv2d`, and:

    Args:
        likelihood: one that is shared with other layers; by default its own, uniform.
        bandlimit: of its own likelihood.
    """

    lifting = True


class LikelihoodGroupConv2d(LikelihoodConv2d):
    """Fields to fields, as equivariant as its likelihood is uniform. Arguments as in `LikelihoodLiftingConv2d`."""
