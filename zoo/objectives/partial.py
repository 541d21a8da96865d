"""The penalty of partial group convolutions (Romero & Lohit 2022)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.layers.relaxed.partial import PartialGroupConv2d
from zoo.objectives.likelihood import LR_SCALE
from zoo.objectives.objective import Objective, modules_of, split_groups


@dataclass
class PartialObjective(Objective):
    """monotone sum_l,g relu(p_l+1(g) - p_l(g)) over layers and elements: what one layer dropped, no later one keeps."""

    name: ClassVar[str] = "partial"
    monotone: float = 0.1

    def check(self, model: nn.Module) -> None:
        if not modules_of(model, PartialGroupConv2d):
            raise ModelError("no layer of the model has a learned subset of its group; make it with relax='partial'")

    def penalty(self, model: nn.Module) -> Tensor | None:
        each = [layer.probabilities() for layer in modules_of(model, PartialGroupConv2d)]
        rises = [(after - before).relu().sum() for before, after in pairwise(each)]
        return self.monotone * sum(rises, each[0].new_zeros(()))

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        return split_groups(
            model, [layer.keep for layer in modules_of(model, PartialGroupConv2d)], decay, 0.0, LR_SCALE
        )
