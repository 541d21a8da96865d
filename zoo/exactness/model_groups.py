"""Which group a model is built on, as far as its elements permute pixels, and which of its layers have left it."""

from torch import nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4
from zoo.layers.regular import lattice_group
from zoo.layers.relaxed.base import RelaxedConv2d
from zoo.layers.steerable.filters import FieldFilters

LATTICE_GROUPS = tuple(map(Group.parse, ("d4", "c4", "d2", "c2", "d1")))
"""The subgroups of d4 with more than the identity, largest first."""


def layers_group(model: nn.Module) -> Group | None:
    """The group of the first layer of ours that has more than the identity; None for a model without any."""
    groups = (getattr(module, "group", None) for module in model.modules())
    return next((g for g in groups if isinstance(g, Group) and g.is_lattice and len(g.elements) > 1), None)


def tied_group(model: nn.Module) -> Group | None:
    """The largest subgroup of d4 in the group that ties the model's weights; None if no group does."""
    own = layers_group(model) or getattr(model, "group", None)
    return largest_shared(own) if isinstance(own, Group) else None


def largest_shared(*groups: Group) -> Group | None:
    """The largest subgroup of d4 that all of them contain; None if that is the identity alone."""
    return next((part for part in LATTICE_GROUPS if all(part <= group for group in groups)), None)


def checked_group(model: nn.Module, group: Group | str | None) -> Group:
    """The group under which a model is analysed: the one that is asked for, by default that of its weights, else d4.

    Raises:
        ModelError: if the model is no module, or its weights are not tied by all of `group`.
        SymmetryError: for a group that moves pixels off their lattice.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"the model is a {type(model).__name__}, expected a torch.nn.Module; give the network itself")
    own = tied_group(model) or D4
    wanted = own if group is None else lattice_group(group)
    if not wanted <= own:
        raise ModelError(f"{type(model).__name__} is built on {own}, which does not contain {wanted}; ask for {own}")
    return wanted


def relaxed_layers(model: nn.Module) -> dict[str, RelaxedConv2d | FieldFilters]:
    """The layers whose filters have left their group, by name; none for a model without values."""
    found = {name: m for name, m in model.named_modules() if isinstance(m, RelaxedConv2d | FieldFilters)}
    return {name: m for name, m in found.items() if not any(p.is_meta for p in m.parameters()) and not m.is_strict}


def is_typed(module: nn.Module) -> bool:
    """Whether a module is one of escnn, whose inputs and outputs are typed tensors; recognised without importing it."""
    classes = type(module).__mro__
    return any(c.__name__ == "EquivariantModule" and c.__module__.startswith("escnn.") for c in classes)


def has_typed_layers(model: nn.Module) -> bool:
    """Whether layers of escnn are in a model: hooks get typed tensors from them, and no feature map."""
    return any(map(is_typed, model.modules()))


def defines_fields(model: nn.Module) -> bool:
    """Whether the model says what an element of d4 does to its last feature map, by `act`, as `FieldNet` does."""
    return callable(getattr(model, "act", None)) and callable(getattr(model, "features", None))
