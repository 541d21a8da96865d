"""The bonus for wide augmentation: what makes an averaged network as invariant as its task allows.

    cross-entropy - reg |w|,        w_i = 2 h_i the width of the i-th coefficient's distribution

(Benton, Finzi, Izmailov & Wilson 2020, arXiv 2010.11882, equation 5). Where the labels do not change, the cross-entropy
is flat in the widths and the bonus widens them; where they do, it resists. The learned range is wider than the true one
for a large `reg`, and narrower for a small one or a short run.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.models.averaged import InvarianceAverage
from zoo.objectives.objective import Batches, Objective, register, split_groups


@register
@dataclass
class AugerinoObjective(Objective):
    """Mean cross-entropy, minus `reg` times the Euclidean norm of the widths of every averaged network in the model.

    The bonus of a width that has reached its cap (180 degrees, a factor e, half of the half side) is off, since nothing
    else stops a width that no label depends on; the paper's code switches it off beyond 10 for the same reason.
    """

    name: ClassVar[str] = "augerino"
    acts_on = InvarianceAverage
    missing = (
        "augerino learns the widths of an average, and {model} has none; make it with average='rotation' "
        "(--average rotation)"
    )

    reg: float = 0.05
    """The paper's lambda; per radian of full width, for a rotation."""
    lr_scale: float = 5.0
    """Learning rate of the widths, as a multiple of that of the weights. They have no weight decay."""

    def penalty(self, model: nn.Module) -> Tensor:
        widths = torch.cat([2 * average.range.capped() for average in self.modules(model)])
        norm: Tensor = torch.linalg.vector_norm(widths)
        return -self.reg * norm

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        widths = [average.range.half_width for average in self.modules(model)]
        return split_groups(model, widths, decay, 0.0, self.lr_scale)

    def after_epoch(self, model: nn.Module, epoch: int, batches: Batches) -> dict[str, float]:
        """The half-widths, in the units of `InvarianceAverage.half_widths`, as `half_width rotation`."""
        found = [average.half_widths() for average in self.modules(model)]
        return {f"half_width {name}": round(width, 4) for widths in found for name, width in widths.items()}
