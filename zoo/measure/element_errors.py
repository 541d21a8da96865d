"""The errors under the elements of a group: of the output, and of the feature maps as far as they can be compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from symdata.display import Result, Table, plain
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import EXACT_ERROR
from zoo.exactness.model_groups import tied_group
from zoo.measure.equivariance import FeatureError, equivariance_error, has_other_fields, shared_group
from zoo.measure.estimates import Estimate
from zoo.measure.invariance import InvarianceError, invariance_error
from zoo.measure.metrics import Request, metric

MAX_ROWS = 24
"""Elements that get a row each; of more, the worst."""


@dataclass(frozen=True)
class ElementErrors(Result):
    """What each element of a group changes, relative to the norm."""

    group: Group
    invariance: InvarianceError
    features: FeatureError | None
    """None if no feature map can be compared; the note says why."""
    note: str
    """What the numbers do not say."""

    def parts(self) -> Iterable[str | Table]:
        """A row for each element, or for the worst."""
        errors, output = self.invariance.by_element, self.invariance.output
        worst = sorted(errors, key=lambda e: errors[e].value)[-MAX_ROWS:]
        rows = [(name, *error.cells, *self._map(name)) for name, error in errors.items() if name in worst]
        notes = [f"({len(errors)} elements; the worst)"] if len(errors) > len(rows) else []
        notes += [f"Note: {self.note}."] if self.note else []
        title = f"Change of the {output} and of the feature maps, relative to their norm:"
        yield Table(("element", output, "+-", "worst map", "+-", "which"), rows, title, notes)

    def _map(self, element: str) -> tuple[str, str, str]:
        """The worst feature map under one element."""
        if self.features is None or element not in self.features.by_element:
            return "-", "", ""
        name, error = self.features.worst_map(element)
        return *error.cells, name or "(forward)"

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"invariance": self.invariance.to_dict(), "equivariance": plain(self.features)}


@dataclass(frozen=True)
class Worst:
    """The largest of several relative errors."""

    error: Estimate
    where: str
    """The element; of feature maps, the name of the map and the element."""
    group: str
    """Whose elements were measured."""

    def __str__(self) -> str:
        value = self.error.value
        return f"{value:.0e} ({self.group})" if value < EXACT_ERROR else f"{value:.2g} ({self.group})"


@dataclass(frozen=True)
class WorstErrors:
    """What a report keeps of them."""

    invariance: Worst
    """|f(g x) - f(x)| / |f(x)| of the logits."""
    features: Worst | None
    """|F(g x) - g F(x)| / |F(x)| of the feature maps; None where none can be compared."""

    @classmethod
    def of(cls, found: ElementErrors) -> Self:
        """From all errors."""
        element, error = max(found.invariance.by_element.items(), key=lambda pair: pair[1].value)
        invariance, maps = Worst(error, element, str(found.group)), found.features
        if maps is None:
            return cls(invariance, None)
        element = max(maps.by_element, key=lambda name: maps.by_element[name])
        name, error = maps.worst_map(element)
        return cls(invariance, Worst(error, f"{name or 'forward'} under {element}", str(maps.group)))


@metric(
    "invariance",
    "features",
    kept=WorstErrors,
    columns={
        "feature maps": lambda kept: "-" if kept.features is None else str(kept.features),
        "logits": lambda kept: str(kept.invariance),
    },
    legend="the largest relative error of any feature map, of the logits, each over the group in brackets",
    passes=lambda generators, split: 2,
)
def element_errors(model: nn.Module, inputs: Tensor, request: Request) -> ElementErrors:
    """The invariance error of the output, and the equivariance error of the feature maps."""
    invariance = invariance_error(model, inputs, request.elements, **request.options)
    request.progress(len(inputs))
    features, note = comparable_errors(model, inputs, request.elements)
    request.progress(len(inputs))
    return ElementErrors(request.elements, invariance, features, note)


def comparable_errors(model: nn.Module, inputs: Tensor, group: Group) -> tuple[FeatureError | None, str]:
    """The errors of the feature maps under those elements that are symmetries of them, and a note on what they omit.

    None, and why, if no map can be compared.
    """
    shared = shared_group(model, group)
    if has_other_fields(model):
        return None, "its fields are not those of a lattice group, so feature maps are not compared"
    if len(shared.elements) == 1:
        return None, f"{group} shares no element with the symmetries of its feature maps but the identity"
    note = "" if tied_group(model) else "no layer ties its weights by a group: each channel is taken for an image"
    try:
        return equivariance_error(model, inputs, shared), note
    except ModelError as error:
        return None, f"feature maps were not compared: {error}"
