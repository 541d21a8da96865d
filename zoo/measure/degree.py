"""How much of its symmetry every layer of a model has kept: from its filters, and from what a relaxed layer learned.

With P the projection of filters K on the equivariant ones, `zoo.measure.kernels.averaged`,

    degree = 1 - |K - P K| / (|P K| sqrt(|G| - 1)), at least 0:

1 for equivariant filters, 0 on average for white ones, and w for white ones averaged over the group with probability
w uniform and 1 - w at the identity. So it is on the scale of `symdata.Symmetry.degree`, and can be compared with that
of the data.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4
from zoo.exactness.tracer import duplicate
from zoo.layers.bank import BankedConv2d
from zoo.layers.regular import lattice_group, order
from zoo.layers.relaxed.base import RelaxedConv2d, degree
from zoo.layers.relaxed.distribution import GroupLikelihood
from zoo.layers.relaxed.partial import PartialGroupConv2d
from zoo.layers.steerable.filters import FieldFilters
from zoo.measure.kernels import Fields, FieldsOf, averaged, filters_of, kernel_deviation


@dataclass(frozen=True)
class LayerDegree(Result):
    """How much of its group one convolution has kept.

    Example:
        >>> from zoo.layers import LiftingConv2d
        >>> print(degree_of_equivariance(LiftingConv2d("c2", 1, 2, 3))[0])
        strict filters, degree 1.000 in c2
        <BLANKLINE>
        element  |g K - K| / |K|
        -------  ---------------
        e        0.000
        r180     0.000
    """

    name: str
    """Path of the module."""
    kind: str
    """`likelihood`, `residual`, `banks`, `bias` or `partial`; `strict` with tied filters, `plain` without."""
    group: str
    degree: float
    """Of the filters, in [0, 1]."""
    deviation: dict[str, float]
    """|g K - K| / |K| per element: 0 where the filters are equivariant under it."""
    likelihood: dict[str, float] | None = None
    """Probability per element, where the layer has learned one."""
    likelihood_degree: float | None = None
    """1 - TV(likelihood, uniform) / TV(identity, uniform)."""
    kept: tuple[str, ...] | None = None
    """The elements on which a partial convolution has outputs."""

    def parts(self) -> Iterable[str | Table]:
        """The degree, and the change of the filters under each element, beside what was learned."""
        name = f"{self.name}: " if self.name else ""
        yield f"{name}{self.kind} filters, degree {self.degree:.3f} in {self.group}"
        columns = {"|g K - K| / |K|": self.deviation} | ({"likelihood": self.likelihood} if self.likelihood else {})
        rows = [(e, *(f"{column[e]:.3f}" for column in columns.values())) for e in self.deviation]
        yield Table(("element", *columns), rows, notes=[f"keeps {', '.join(self.kept)}"] if self.kept else [])


def degree_of_equivariance(
    model: nn.Module, group: Group | str | None = None, fields: FieldsOf | None = None
) -> tuple[LayerDegree, ...]:
    """The degree of every convolution of a model with square filters, in the order of its modules.

    The filters are those of evaluation; the model is copied, never changed. `model_degree` summarises the layers.
    Convolutions with a learned likelihood on finer groups than the pixels have are compared under the part of these
    that permutes pixels, c4 or d4.

    Args:
        model: its group convolutions are compared under their own group, ordinary ones under `group`.
        group: a subgroup of d4, for the ordinary convolutions; d4 by default.
        fields: the channels before and after an ordinary convolution, as in `kernel_deviations`; scalars by default.
            For a network that should learn a group convolution, regular fields: `lambda name, conv: ("c4", "c4")`.

    Example:
        >>> import zoo
        >>> layers = degree_of_equivariance(zoo.create("p4cnn_28", width=2, relax="likelihood", seed=0))
        >>> {layer.kind for layer in layers}, round(model_degree(layers), 3)
        ({'likelihood'}, 1.0)
    """
    wanted = lattice_group(D4 if group is None else group)
    found = []
    for name, module in duplicate(model).named_modules():
        for weight, own, before, after in filters_of(name, module, wanted, fields):
            found.append(_degree(name, module, weight, own, before, after))
    return tuple(found)


def model_degree(layers: Iterable[LayerDegree]) -> float:
    """The smallest degree of all layers: later layers cannot restore equivariance that an earlier one broke.

    Example:
        >>> from zoo.layers import LiftingConv2d
        >>> model_degree(degree_of_equivariance(nn.Sequential(LiftingConv2d("d4", 1, 2, 3), nn.ReLU())))
        1.0
    """
    degrees = [layer.degree for layer in layers]
    if not degrees:
        raise ModelError("the model has no convolution with square filters, expected one at least: it has no degree")
    return min(degrees)


def _degree(name: str, module: nn.Module, weight: Tensor, group: Group, before: Fields, after: Fields) -> LayerDegree:
    filters = weight.detach().double()
    value = degree(filters, averaged(filters, group, before, after), order(group))
    deviation = kernel_deviation(filters, group, before, after).by_element
    return LayerDegree(name, _kind(module), str(group), value, deviation, *_learned(module))


def _kind(module: nn.Module) -> str:
    if isinstance(module, RelaxedConv2d):
        return module.relaxation
    if isinstance(module, FieldFilters):
        return "likelihood"
    return "strict" if isinstance(module, BankedConv2d) and order(module.group) > 1 else "plain"


def _learned(module: nn.Module) -> tuple[dict[str, float] | None, float | None, tuple[str, ...] | None]:
    """The likelihood per element, its degree, and the elements kept, as far as the layer has them."""
    likelihood = getattr(module, "likelihood", None)
    if isinstance(likelihood, GroupLikelihood):
        with torch.no_grad():
            chances = likelihood.probabilities().tolist()
        names = map(str, likelihood.points.elements)
        return dict(zip(names, chances, strict=True)), likelihood.degree(), None
    if isinstance(module, PartialGroupConv2d):
        kept = zip(module.group.elements, module.kept().tolist(), strict=True)
        return None, None, tuple(str(element) for element, stays in kept if stays)
    return None, None, None
