"""The regularisers of learned likelihoods over a group (Veefkind & Cesa 2024)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.layers.relaxed.distribution import GroupLikelihood
from zoo.objectives.objective import Objective, modules_of, split_groups

LR_SCALE = 10.0
"""The logits of a likelihood or of a subset learn this much faster than filters, as published."""


@dataclass
class LikelihoodObjective(Objective):
    """Three terms, summed over layers l, each times its number:

        align (max_h log lambda_l(h) - log lambda_l(e)) + kl KL(lambda_l | lambda_l-1),   and uniform KL(lambda_0)

    Without the first a likelihood is known only up to a shift of the group. The second holds a layer against the
    one before it, without a gradient to that: what is lost early cannot be had later. KL in nats.
    """

    name: ClassVar[str] = "likelihood"
    align: float = 1.0
    kl: float = 0.1
    uniform: float = 0.1

    def check(self, model: nn.Module) -> None:
        if not modules_of(model, GroupLikelihood):
            raise ModelError("no layer of the model has a likelihood; make it with relax='likelihood'")

    def penalty(self, model: nn.Module) -> Tensor | None:
        each = modules_of(model, GroupLikelihood)
        total = self.uniform * each[0].kl()
        for likelihood in each:
            total = total + self.align * likelihood.misalignment()
        for before, after in pairwise(each):
            total = total + self.kl * after.kl(before, fixed=True)
        return total

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        return split_groups(model, [each.logits for each in modules_of(model, GroupLikelihood)], decay, 0.0, LR_SCALE)
