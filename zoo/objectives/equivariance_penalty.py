"""The penalty that draws a network to the equivariant ones (Nordenfors & Flinth 2025, arXiv 2502.06547)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.layers.relaxed import RelaxedConv2d
from zoo.objectives.objective import Objective, register


@register
@dataclass
class EquivariancePenalty(Objective):
    """gamma/2 sum over layers of |K - P K|^2, with P the mean over the group.

    Its gradient is gamma (K - P K): alone, gradient descent with rate eta multiplies the distance by 1 - eta gamma at
    every step, so eta gamma has to stay below 2, and below 1 for a distance that only falls.
    """

    name: ClassVar[str] = "equivariance-penalty"
    acts_on = RelaxedConv2d
    missing = (
        "equivariance-penalty acts on filters that may leave their group, and {model} has none; make an unconstrained "
        "copy of an equivariant network: --start-from MODEL, or relax='free'"
    )

    gamma: float = 5.0

    def penalty(self, model: nn.Module) -> Tensor | None:
        squares = [layer.deviation().square().sum() for layer in self.modules(model)]
        total: Tensor = self.gamma / 2 * torch.stack(squares).sum()
        return total
