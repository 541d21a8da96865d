"""The penalty of relaxed group convolutions (Wang, Walters & Yu 2022)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.layers.relaxed.filter_mixtures import BanksConv2d
from zoo.objectives.objective import Objective, register


@register
@dataclass
class BanksObjective(Objective):
    """alpha sum over layers and banks of |w_l(g) - w_l(h)|, over all pairs of elements.

    Each number has 2 (|G| - 1) such terms, which the gradient of the cross-entropy must outweigh for it to move at all:
    with alpha = 0.1 nothing moves.
    """

    name: ClassVar[str] = "banks"
    acts_on = BanksConv2d
    missing = "no layer of the model mixes banks of filters; make it with relax='banks'"

    alpha: float = 1e-3

    def penalty(self, model: nn.Module) -> Tensor | None:
        return self.alpha * torch.stack([layer.spread() for layer in self.modules(model)]).sum()
