"""The regularisers of learned likelihoods over a group (Veefkind & Cesa 2024)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo.layers.relaxed.distribution import GroupLikelihood
from zoo.objectives.objective import Objective, register, split_groups

LR_SCALE = 10.0
"""The logits of a likelihood or of a subset learn this much faster than filters, as published."""


@register
@dataclass
class LikelihoodObjective(Objective):
    """Three terms, summed over layers l, each times its number:

        align (max_h log lambda_l(h) - log lambda_l(e)) + kl KL(lambda_l | lambda_l-1),   and uniform KL(lambda_0)

    Without the first a likelihood is known only up to a shift of the group. The second compares a layer with the one
    before it, without a gradient to that: later layers cannot restore equivariance that an earlier one broke. KL in
    nats.
    """

    name: ClassVar[str] = "likelihood"
    acts_on = GroupLikelihood
    missing = "no layer of the model has a likelihood; make it with relax='likelihood'"

    align: float = 1.0
    kl: float = 0.1
    uniform: float = 0.1

    def penalty(self, model: nn.Module) -> Tensor | None:
        each = self.modules(model)
        total: Tensor = self.uniform * each[0].kl()
        for likelihood in each:
            total = total + self.align * likelihood.misalignment()
        for before, after in pairwise(each):
            total = total + self.kl * after.kl(before, fixed=True)
        return total

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        return split_groups(model, [each.logits for each in self.modules(model)], decay, 0.0, LR_SCALE)
