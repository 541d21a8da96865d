"""Equivariance as arithmetic predicts it at the size of the model, held against what is measured on real images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4, EXACT_ERROR
from zoo.exactness.audits import audit
from zoo.exactness.model_groups import tied_group
from zoo.exactness.tracer import duplicate
from zoo.measure.equivariance import has_other_fields
from zoo.measure.feature_error import feature_error
from zoo.measure.invariance import invariance_error

FOREIGN = (
    "architecture not of our layers: this is said of its grids only, measured with isotropic filters; what its own "
    "filters do, the logits show, and `symdata measure`"
)
RELAXED = "convolutions that may leave their group did: what is predicted holds for the grids alone"
FIELDS = "its fields are not those of a lattice group: only the logits are measured"


@dataclass(frozen=True)
class Structure:
    """Equivariance, predicted and measured, per element of the model's group."""

    group: str
    """d4 where the model has no lattice group of its own."""
    elements: tuple[str, ...]
    verdict: str
    """What the arithmetic says, as a sentence."""
    survivors: tuple[str, ...]
    """The elements under which the model is predicted to be exact."""
    phi: tuple[float, float]
    """Misalignment of the deepest grid, (height, width), in input pixels."""
    images: int
    """How many were measured on, in float64."""
    layers: Mapping[str, tuple[float, ...]]
    """|F(g x) - g F(x)| / |F(x)| of every feature map, per element; empty where it cannot be measured."""
    logits: tuple[float, ...]
    """|f(g x) - f(x)| / |f(x)| of the logits, per element."""
    note: str = ""
    """What the numbers do not say."""

    @property
    def by_element(self) -> dict[str, float]:
        """The largest error of any feature map, per element; empty if none could be measured."""
        if not self.layers:
            return {}
        return {
            e: max(column) for e, column in zip(self.elements, zip(*self.layers.values(), strict=True), strict=True)
        }

    @property
    def agrees(self) -> bool | None:
        """Whether the elements measured as exact are those predicted; None if nothing could be measured, or nothing
        could be predicted."""
        measured = self.by_element
        if self.verdict.startswith("unknown") or self.note == RELAXED:
            return None
        return {e for e, error in measured.items() if error < EXACT_ERROR} == set(self.survivors) if measured else None

    @property
    def exact(self) -> bool:
        """Whether every element is predicted to be exact."""
        return set(self.survivors) == set(self.elements)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "group": self.group,
            "elements": list(self.elements),
            "verdict": self.verdict,
            "survivors": list(self.survivors),
            "phi": list(self.phi),
            "images": self.images,
            "agrees": self.agrees,
            "layers": {name: list(row) for name, row in self.layers.items()},
            "logits": list(self.logits),
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Structure":
        """The inverse of `to_dict`."""
        h, w = fields["phi"]
        return cls(
            group=str(fields["group"]),
            elements=tuple(map(str, fields["elements"])),
            verdict=str(fields["verdict"]),
            survivors=tuple(map(str, fields["survivors"])),
            phi=(float(h), float(w)),
            images=int(fields["images"]),
            layers={str(name): tuple(map(float, row)) for name, row in fields["layers"].items()},
            logits=tuple(map(float, fields["logits"])),
            note=str(fields["note"]),
        )


def structure(model: nn.Module, inputs: Tensor) -> Structure:
    """Predict and measure the equivariance of a model in float64.

    Args:
        model: it is copied, never changed.
        inputs: normalised images (B, C, H, W), H = W, as the model takes them.
    """
    own = tied_group(model)
    group = own or D4
    inputs = inputs.cpu()
    twin = duplicate(model).cpu()
    predicted = audit(twin, (inputs.shape[-2], inputs.shape[-1]), group, inputs.shape[1])
    layers: Mapping[str, tuple[float, ...]] = {}
    note = FIELDS if has_other_fields(model) else RELAXED if predicted.relaxed else "" if own else FOREIGN
    if note != FIELDS:
        try:
            layers = feature_error(twin, group=group, inputs=inputs).errors
        except ModelError as error:
            note = f"feature maps were not measured: {error}"
    return Structure(
        group=str(group),
        elements=tuple(str(e) for e in group.elements),
        verdict=predicted.verdict,
        survivors=tuple(str(e) for e in predicted.survivors),
        phi=predicted.phi,
        images=len(inputs),
        layers=dict(layers),
        logits=tuple(error.value for error in invariance_error(twin, inputs, group).errors),
        note=note,
    )
