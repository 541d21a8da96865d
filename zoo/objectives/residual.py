"""The priors of residual pathways: two weight decays (Finzi, Benton & Wilson 2021)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from zoo.layers.relaxed.residual import ResidualConv2d
from zoo.objectives.objective import Objective, register, split_groups


@register
@dataclass
class ResidualObjective(Objective):
    """Weight decay `free_decay` of the free filters, beside the decay of the run for everything else.

    Each decay is a Gaussian prior: the larger the decay of the free filters, the more equivariant the network stays.
    """

    name: ClassVar[str] = "residual"
    acts_on = ResidualConv2d
    missing = "no layer of the model has free filters; make it with relax='residual'"

    free_decay: float = 1e-3

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        return split_groups(model, [layer.free for layer in self.modules(model)], decay, self.free_decay)
