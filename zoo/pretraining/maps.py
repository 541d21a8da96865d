"""The equivariance error of the last feature maps, as a term of a pretraining."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers.regular import act_on_features, move, order
from zoo.models.network import Network
from zoo.objectives import Objective


@dataclass
class MapError(Objective):
    """weight * mean of |f(g x) - g f(x)|^2 / |f(x)|^2 over the images of a batch, for one random g in every step.

    f are the feature maps, on which g acts as on regular fields; on those of a network without a group as on images,
    under c4. It is 0, to rounding, where the network is exactly equivariant: the term is for the other sizes and
    networks (equivariance on intermediate maps, as in arXiv 2603.06693).

    Example:
        >>> import zoo
        >>> errors = []
        >>> for name in ("p4cnn_12", "z2cnn_12"):
        ...     model, term = zoo.create(name, in_chans=1, width=2, seed=0), MapError(weight=1.0)
        ...     _ = term.groups(model, 0.0), model(torch.randn(4, 1, 12, 12))
        ...     errors.append(term.penalty(model).item())
        >>> errors[0] < 1e-9, errors[1] > 1e-3
        (True, True)
    """

    name: ClassVar[str] = "map-error"

    weight: float = 0.0
    _seen: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        if self.weight:  # from here on each forward leaves its images and maps
            _trunk(model).register_forward_hook(lambda trunk, args, out: self._seen.append((args[0], out)))
        return super().groups(model, decay)

    def penalty(self, model: nn.Module) -> Tensor | None:
        if not self.weight:
            return None
        images, maps = self._seen.pop()
        group = getattr(model, "group", Group(1))
        tied = order(group) > 1
        elements = list(group.elements if tied else Group(4).elements)[1:]
        g = elements[int(torch.randint(len(elements), ()))]  # the loop seeds every epoch
        moved = _trunk(model)(move(images, g))
        self._seen.clear()
        wanted = act_on_features(maps, g, group) if tied else move(maps, g)
        change, size = ((x.flatten(1).square().sum(1)) for x in (moved - wanted, maps))
        return self.weight * (change / size.clamp(min=1e-12)).mean()


def _trunk(model: nn.Module) -> nn.Module:
    assert isinstance(model, Network)
    trunk: nn.Module = getattr(model, model.TRUNK)
    return trunk
