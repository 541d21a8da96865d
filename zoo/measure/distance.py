"""How far the weights of a network have left the equivariant ones, layer by layer: a distance, without images.

Layers with relaxed or free filters know their fields, so the nearest equivariant filters P K are known too. The
distance of a network is (sum over layers of |K - P K|^2)^1/2, Nordenfors, Ohlsson & Flinth (arXiv 2303.13458).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.pictures.figure import INK, LINE, TURNED, new_figure
from zoo.errors import ModelError
from zoo.layers.relaxed import FreeConv2d, RelaxedConv2d

if TYPE_CHECKING:
    from matplotlib.figure import Figure

L = TypeVar("L", bound=RelaxedConv2d)


@dataclass(frozen=True)
class EquivariantDistance(Result):
    """|K - P K| of every layer whose filters may leave its group, and of all of them together.

    Example:
        >>> import zoo
        >>> net = zoo.create("p4cnn_12", width=2, relax="free", seed=0)
        >>> found = equivariant_distance(net)
        >>> found.total, len(found.layers)
        (0.0, 7)
    """

    layers: Mapping[str, float]
    """Path of the layer -> the distance of its filters, in the L2 norm."""
    norms: Mapping[str, float]
    """Path of the layer -> |K|."""

    @property
    def total(self) -> float:
        """The distance of the network."""
        return math.hypot(*self.layers.values())

    def parts(self) -> Iterable[str | Table]:
        """The distance of the network, and a row for each layer."""
        yield f"distance to the equivariant networks: {self.total:.3e}"
        rows = [
            (name, f"{value:.3e}", f"{value / (self.norms[name] or 1.0):.3e}") for name, value in self.layers.items()
        ]
        yield Table(("layer", "|K - P K|", "of |K|"), rows)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"total": self.total, "layers": dict(self.layers), "norms": dict(self.norms)}

    def plot(self) -> "Figure":
        """The relative distance of every layer, on a logarithmic axis."""
        figure = new_figure(6.0, 3.0, layout="constrained")
        axes: Any = figure.add_subplot()
        values = [max(value / (self.norms[name] or 1.0), 1e-17) for name, value in self.layers.items()]
        axes.plot(range(len(values)), values, color=TURNED, marker="o")
        axes.set_xticks(range(len(values)), list(self.layers), rotation=30, ha="right", color=INK)
        axes.set_yscale("log")
        axes.set_title("|K - P K| / |K|", fontsize=11, color=INK)
        axes.grid(color=LINE)
        return figure


def equivariant_distance(model: nn.Module) -> EquivariantDistance:
    """The distance of a network to the equivariant ones, in the precision of its weights.

    The filters are those of evaluation: nothing is drawn, whatever the mode.

    Args:
        model: with convolutions of `zoo.layers.relaxed`, as `zoo.create(relax="free")` has them.

    Raises:
        ModelError: for a model without such layers.

    Example:
        >>> import zoo
        >>> net = zoo.create("p4cnn_12", width=2, relax="free", seed=0)
        >>> net.trunk.conv2.weight.data[0, 0, 0, 0] += 1.0  # one filter of one orientation: 1 and its mean 1/4
        >>> found = equivariant_distance(net)
        >>> f"{found.total:.4f}", found.total == found.layers["trunk.conv2"]
        ('0.8660', True)
    """
    layers = _layers(model, RelaxedConv2d)
    with torch.no_grad():
        norms = [tensor.norm() for layer in layers.values() for tensor in _deviation_and_filters(layer)]
        found = torch.stack(norms).double().tolist()  # read once: a device waits once
    return EquivariantDistance(dict(zip(layers, found[::2], strict=True)), dict(zip(layers, found[1::2], strict=True)))


def _deviation_and_filters(layer: RelaxedConv2d) -> tuple[Tensor, Tensor]:
    """K - P K and K, the filters of evaluation."""
    filters = layer.filters().to(next(layer.parameters()).dtype)
    return filters - layer.project(filters), filters


def project_(model: nn.Module) -> nn.Module:
    """Move every free layer of a model to its nearest equivariant filters, in place; the model itself is returned.

    Raises:
        ModelError: for a model without free layers.

    Example:
        >>> import zoo
        >>> net = zoo.create("p4cnn_12", width=2, relax="free", seed=0)
        >>> _ = torch.nn.init.normal_(net.trunk.conv2.weight)
        >>> equivariant_distance(net).total > 1, equivariant_distance(project_(net)).total < 1e-6
        (True, True)
    """
    for layer in _layers(model, FreeConv2d).values():
        layer.project_()
    return model


def _layers(model: nn.Module, kind: type[L]) -> dict[str, L]:
    """Path -> layer, of the layers of that kind; `ModelError` if there is none."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, kind)}
    if not found:
        raise ModelError(
            f"no layer of the {type(model).__name__} has filters that may leave its group, so there is no distance to "
            "measure; make an unconstrained copy: --start-from MODEL, or relax='free'"
        )
    return found
