"""The penalty of partial group convolutions (Romero & Lohit 2022)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo.layers.relaxed.partial import PartialGroupConv2d
from zoo.objectives.likelihood import LR_SCALE
from zoo.objectives.objective import Objective, register, split_groups


@register
@dataclass
class PartialObjective(Objective):
    """monotone sum_l,g relu(p_l+1(g) - p_l(g)) over layers and elements.

    No layer should keep an element that an earlier one dropped.
    """

    name: ClassVar[str] = "partial"
    acts_on = PartialGroupConv2d
    missing = "no layer of the model has a learned subset of its group; make it with relax='partial'"

    monotone: float = 0.1

    def penalty(self, model: nn.Module) -> Tensor | None:
        each = [layer.probabilities() for layer in self.modules(model)]
        rises = [(after - before).relu().sum() for before, after in pairwise(each)]
        total: Tensor = self.monotone * sum(rises, each[0].new_zeros(()))
        return total

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        return split_groups(model, [layer.keep for layer in self.modules(model)], decay, 0.0, LR_SCALE)
