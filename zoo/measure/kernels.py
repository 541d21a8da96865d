"""How far the filters of a convolution are from equivariant ones: a distance in weights, measured without images.

A convolution with filter K commutes with a group, up to its grid, if and only if every element leaves K as it is,

    (g K)(p) = rho_out(g) K(g^-1 p) rho_in(g)^-1 = K(p).

The representations are orthogonal, so the average over the group is the orthogonal projection onto the equivariant
filters, that is the nearest ones. On white noise `equivariance_error` of the layer is |g K - K| / |K| on average.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4
from zoo.layers.bank import BankedConv2d
from zoo.layers.regular import lattice_group, left_translation, move, order
from zoo.layers.steerable.filters import FieldFilters

Fields = Group | str | Callable[[Element], Tensor] | None
"""The channels on one side: None for scalars; a group for its regular representation, group-major; or a function that
gives the orthogonal matrix (C, C) of an element."""
FieldsOf = Callable[[str, nn.Module], tuple[Fields, Fields]]
"""Gives the channels before and after an ordinary convolution, from its name and itself."""


@dataclass(frozen=True)
class KernelDeviation(Result):
    """How far the filters of one convolution are from equivariant ones.

    Example:
        >>> print(kernel_deviation(torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]), "c2", name="conv"))
        conv: filters at 0.7071 from the nearest ones that are equivariant under c2
        <BLANKLINE>
        element  |g K - K| / |K|
        -------  ---------------
        e        0.0000
        r180     1.4142
    """

    name: str
    """Path of the module; empty for filters by themselves."""
    group: str
    distance: float
    """|K - mean over g of g K| / |K|, in the L2 norm: 0 for equivariant filters, at most 1."""
    by_element: dict[str, float]
    """|g K - K| / |K| per element."""

    def parts(self) -> Iterable[str | Table]:
        """The distance, and the change under each element."""
        name = f"{self.name}: " if self.name else ""
        yield f"{name}filters at {self.distance:.4f} from the nearest ones that are equivariant under {self.group}"
        yield Table(("element", "|g K - K| / |K|"), [(e, f"{change:.4f}") for e, change in self.by_element.items()])


def moved_filters(weight: Tensor, element: Element, before: Fields = None, after: Fields = None) -> Tensor:
    """g K: the filters (C_out, C_in, k, k) with their pixels moved, and their channels as the representations say."""
    turned = _channels(move(weight, element), element, after, 0)
    return _channels(turned, element, before, 1)


def averaged(weight: Tensor, group: Group | str, before: Fields = None, after: Fields = None) -> Tensor:
    """The nearest equivariant filters: the mean of g K over the group."""
    elements = lattice_group(group).elements
    return torch.stack([moved_filters(weight, e, before, after) for e in elements]).mean(0)


def kernel_deviation(
    weight: Tensor, group: Group | str = "d4", before: Fields = None, after: Fields = None, name: str = ""
) -> KernelDeviation:
    """How far filters are from equivariant ones, in float64.

    Args:
        weight: (C_out, C_in, k, k), as in `torch.nn.Conv2d`.
        group: a subgroup of d4.
        before, after: the channels of input and output: None for scalars, a group for its regular representation,
            group-major as in `zoo.layers`, or a function that gives the matrix of an element.
        name: of the convolution.

    Raises:
        ShapeError: if the filters are not square, or the channels are no such fields.

    Example:
        >>> laplace = torch.tensor([[[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]]])
        >>> kernel_deviation(laplace).distance
        0.0
    """
    group = lattice_group(group)
    if weight.ndim != 4 or weight.shape[-1] != weight.shape[-2]:
        raise ShapeError(f"filters {tuple(weight.shape)} cannot be turned, expected (C_out, C_in, k, k)")
    filters = weight.detach().double()
    size = float(filters.norm()) or 1.0
    change = {str(e): float((moved_filters(filters, e, before, after) - filters).norm()) / size for e in group.elements}
    distance = float((filters - averaged(filters, group, before, after)).norm()) / size
    return KernelDeviation(name, str(group), distance, change)


def kernel_deviations(
    model: nn.Module, group: Group | str | None = None, fields: FieldsOf | None = None
) -> tuple[KernelDeviation, ...]:
    """`kernel_deviation` of every convolution of a model with square filters, in the order of its modules.

    Args:
        model: its group convolutions are compared under their own group, which ties their weights; ordinary ones under
            `group`, d4 by default, with scalars on both sides: only isotropic filters are equivariant then.
        group: a subgroup of d4, for the ordinary convolutions.
        fields: the channels before and after an ordinary convolution, from its name and itself: for a network that
            should learn a group convolution, regular fields, `lambda name, conv: ("c4", "c4")`.

    Example:
        >>> import zoo
        >>> max(d.distance for d in kernel_deviations(zoo.create("p4cnn_28", width=2))) < 1e-6
        True
    """
    wanted = lattice_group(D4 if group is None else group)
    found = []
    for name, module in model.named_modules():
        for weight, own, before, after in filters_of(name, module, wanted, fields):
            found.append(kernel_deviation(weight, own, before, after, name))
    return tuple(found)


def filters_of(
    name: str, module: nn.Module, group: Group, fields: FieldsOf | None
) -> Iterator[tuple[Tensor, Group, Fields, Fields]]:
    """(filters, group, fields before, fields after) of one module, if it is a convolution with square filters.

    A relaxed convolution has its filters of evaluation, whatever it draws in training. One on a finer group than the
    pixels have is compared under the part that permutes pixels, c4 or d4.
    """
    if isinstance(module, FieldFilters):
        yield module.filters(), *module.lattice
    elif isinstance(module, BankedConv2d):
        own = None if order(module.group) == 1 else module.group
        yield module.filters(), own or group, None if module.lifting else own, own
    elif isinstance(module, nn.Conv2d) and module.kernel_size[0] == module.kernel_size[1]:
        before, after = (None, None) if fields is None else fields(name, module)
        if module.groups > 1 and (before is not None or after is not None):
            raise ModelError(f"{name!r} convolves its channels in {module.groups} groups, expected one for such fields")
        yield module.weight, group, before, after


def _channels(weight: Tensor, element: Element, fields: Fields, axis: int) -> Tensor:
    """rho(g) K on the axis of the outputs, or K rho(g)^-1 on that of the inputs: the same, for orthogonal rho."""
    if fields is None:
        return weight
    width = weight.shape[axis]
    if isinstance(fields, Group | str):
        group = lattice_group(fields)
        if width % order(group):
            raise ShapeError(
                f"{width} channels are no regular fields of {group}; expected a multiple of {order(group)}"
            )
        source = torch.tensor(left_translation(group, group.index(element)), device=weight.device)
        each = torch.arange(width // order(group), device=weight.device)
        return weight.index_select(axis, (source[:, None] * len(each) + each).flatten())
    matrix = fields(element).to(weight)
    if matrix.shape != (width, width):
        raise ShapeError(f"the matrix of {element} is {tuple(matrix.shape)}, expected ({width}, {width})")
    mixed: Tensor = torch.tensordot(matrix, weight, ([1], [axis]))
    return mixed.movedim(0, axis)
