"""The invariance loss: a network that is trained to answer moved images as it answers them upright."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.regular import lattice_group, move, order
from zoo.objectives.objective import Objective, register


@register
@dataclass
class InvarianceObjective(Objective):
    """cross-entropy + weight |f(x) - f(g x)|_2, the mean over images, g one element for each step.

    f are the logits, and g is uniform on the group without its identity (Bökman & Kahl 2023, arXiv 2305.17017). Layers
    of networks that are trained so become nearly equivariant up to a permutation of their channels, which
    `zoo.measure.layerwise_alignment` measures. A step runs the network twice.

    Example:
        >>> from zoo.objectives import parse_objective
        >>> parse_objective("invariance:weight=0.1,group=d1")
        InvarianceObjective(weight=0.1, group='d1')
    """

    name: ClassVar[str] = "invariance"

    weight: float = 0.3
    """lambda."""
    group: str = "d4"
    """A subgroup of d4 with two elements or more: c2, c4, d1, d2, d4."""

    def __post_init__(self) -> None:
        try:
            small = order(lattice_group(self.group)) < 2
        except SymmetryError as error:
            raise ModelError(f"group of objective 'invariance': {error}") from None
        if small:
            raise ModelError(f"group of objective 'invariance' is {self.group!r}, which moves nothing: group=d4")

    def per_image(self, logits_of: Callable[[Tensor], Tensor], images: Tensor, logits: Tensor) -> Tensor | None:
        elements = Group.parse(self.group).elements[1:]
        element = elements[int(torch.randint(len(elements), ()))]
        moved = move(images, element)
        if moved.shape != images.shape:
            raise ShapeError(
                f"images are {tuple(images.shape)}, and {element} of {self.group} makes them {tuple(moved.shape)}; "
                "take squares, or group=d2"
            )
        # not `norm`, whose gradient is not a number where both are the same
        return self.weight * ((logits_of(moved) - logits).square().sum(1) + 1e-12).sqrt()
