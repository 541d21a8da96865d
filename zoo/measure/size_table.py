"""Exactness by input size, as a table: the prediction of arithmetic beside the measured error of feature maps.

>>> [(row.size, row.phi, row.exact, row.agrees) for row in size_table("p4cnn_28", (28, 29), width=2)]
[(28, 0.0, True, True), (29, 1.0, False, True)]
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from symdata.display import PlainData
from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import BROKEN_ERROR, D4, EXACT_ERROR
from zoo.exactness.by_size import predicted
from zoo.exactness.judge import Judge
from zoo.exactness.model_groups import layers_group
from zoo.exactness.tracer import input_channels
from zoo.layers import GroupBatchNorm2d
from zoo.measure.feature_error import feature_error
from zoo.models.family import Width


@dataclass(frozen=True)
class SizeRow(PlainData):
    """One input size."""

    json_fields = ("size", "phi", "exact", "error", "agrees")
    size: int
    """Pixels."""
    phi: float
    """Predicted misalignment of the deepest grid, in input pixels; 0 is exact."""
    exact: bool
    """Whether arithmetic predicts that every element of the group survives."""
    error: float
    """Largest relative error of any feature map under any element, measured in float64."""

    @property
    def agrees(self) -> bool:
        """Whether the measured error is what was predicted: rounding, or far above it."""
        return self.error < EXACT_ERROR if self.exact else self.error > BROKEN_ERROR


def size_table(
    model: nn.Module | str, sizes: Iterable[int], *, width: Width | None = None, images: int = 2, seed: int = 0
) -> tuple[SizeRow, ...]:
    """Predicted and measured exactness of one network at square sizes, in their order.

    Args:
        model: a module, measured as it is; or a name of the zoo, made with random weights and norms; the size in the
            name does not matter.
        sizes: pixels.
        width: of a network made by name; exactness does not depend on it, so two fields are enough.
        images: of white noise.
        seed: of the weights and the noise.

    Raises:
        ModelError: for an unknown name, a group finer than the pixels, or a size at which the network cannot run.
    """
    sizes = tuple(sizes)
    if isinstance(model, str):
        model = _random_network(model, width, seed, min(32, max(sizes, default=32)))
    elif width is not None:
        raise ShapeError(f"width is {width} and the model is made already; give its name, for example p4cnn_28")
    own = getattr(model, "group", None)
    if isinstance(own, Group) and not own.is_lattice:
        raise ModelError(
            f"the network is built on {own}, whose feature maps are not compared; take p4cnn_28 or another"
        )
    group = layers_group(model) or D4
    judge = Judge(model, group)
    rows = []
    for size in sizes:
        phi, exact = predicted(judge, size)
        rows.append(SizeRow(size, phi, exact, feature_error(model, size, group, images, seed=seed).worst))
    return tuple(rows)


def _random_network(name: str, width: Width | None, seed: int, size: int) -> nn.Module:
    """Fresh weights, random norms, and the running statistics of a batch, so that no activation is constant."""
    from zoo.models.registry import create, seeded

    model = create(name, width=width, seed=seed)
    norms = [module for module in model.modules() if isinstance(module, GroupBatchNorm2d)]
    with seeded(seed), torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(0.0, 1.0)
            norm.momentum, norm.synchronised = 1.0, False
        model.train()(torch.randn(8, input_channels(model), size, size))
    for norm in norms:
        norm.momentum, norm.synchronised = 0.1, True
    return model.eval()
