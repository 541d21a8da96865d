"""The priors of residual pathways: two weight decays (Finzi, Benton & Wilson 2021)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from zoo.errors import ModelError
from zoo.layers.relaxed.residual import ResidualConv2d
from zoo.objectives.objective import Objective, modules_of, split_groups


@dataclass
class ResidualObjective(Objective):
    """Weight decay `free_decay` of the free filters, beside the decay of the run for everything else.

    A Gaussian prior each: the larger the decay, the narrower the prior, the more equivariant what explains the data.
    """

    name: ClassVar[str] = "residual"
    free_decay: float = 1e-3

    def check(self, model: nn.Module) -> None:
        if not modules_of(model, ResidualConv2d):
            raise ModelError("no layer of the model has free filters; make it with relax='residual'")

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        return split_groups(model, [layer.free for layer in modules_of(model, ResidualConv2d)], decay, self.free_decay)
