"""Convolutions with a learned likelihood over the group (Veefkind & Cesa 2024).

    K_lambda = sum_h lambda(h) (h K) / |lambda|_2,    (h K)(p) = rho_out(h) K(h^-1 p) rho_in(h)^-1

K is unconstrained, with |G| times the numbers of a tied one. A uniform lambda projects it on the equivariant filters, a
point mass at the identity leaves it as it is, and one that is uniform on a subgroup makes the layer exactly equivariant
under that, and in general no more. Dividing by the norm keeps the scale of the outputs while lambda sharpens: white K
gives K_lambda of its own variance.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import SymmetryError
from zoo.layers.bank import in_format_of
from zoo.layers.regular import order
from zoo.layers.relaxed.base import RelaxedConv2d, mixed, relaxation
from zoo.layers.relaxed.distribution import GroupLikelihood


class LikelihoodConv2d(RelaxedConv2d):
    """`weight` (|G| O, J C, k, k), as of an ordinary convolution, and `likelihood`."""

    def __init__(
        self, *args: Any, likelihood: GroupLikelihood | None = None, bandlimit: int | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.likelihood = GroupLikelihood(self.group, bandlimit) if likelihood is None else likelihood
        if self.likelihood.group != self.group:
            raise SymmetryError(f"the likelihood is over {self.likelihood.group}, expected {self.group}, the layer's")

    def make_weights(self) -> None:
        super().make_weights()
        k, rows = self.kernel_size, order(self.group) * self.out_fields
        self.weight = nn.Parameter(torch.empty(rows, self.in_channels, k, k))

    def expand(self) -> tuple[Tensor, Tensor | None]:
        probabilities = self.likelihood.probabilities()
        bank = mixed(self.weight, probabilities / probabilities.norm(), self.orbit, self.inputs)
        return in_format_of(bank, self.weight), self.expanded_bias  # (|G| O, J C, k, k), (|G| O,)

    def watched(self) -> Iterable[Tensor | None]:
        return (*self._parameters.values(), *self.likelihood._parameters.values())


class LikelihoodLiftingConv2d(LikelihoodConv2d):
    """Images to fields, as equivariant as its likelihood is uniform. Arguments as in `LiftingConv2d`, and:

    Args:
        likelihood: one that is shared with other layers; by default its own, uniform.
        bandlimit: of its own likelihood.

    Example:
        >>> LikelihoodLiftingConv2d("c4", 1, 8, 3).likelihood.probabilities().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    lifting = True


@relaxation("likelihood", lambda tied, size, _: size * tied + size - 1, LikelihoodLiftingConv2d)
class LikelihoodGroupConv2d(LikelihoodConv2d):
    """Fields to fields, as equivariant as its likelihood is uniform. Arguments as in `LikelihoodLiftingConv2d`.

    Example:
        >>> layer = LikelihoodGroupConv2d("c4", 2, 2, 3)
        >>> layer.likelihood.assign(torch.tensor([0.5, 0.0, 0.5, 0.0]))  # half turns alone are a symmetry
        >>> layer.is_strict, 0 < layer.degree < 1
        (False, True)
    """
