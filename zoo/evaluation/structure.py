"""Equivariance as arithmetic predicts it at the size of the model, compared with what is measured on real images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from symdata.display import Result, Table
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4, EXACT_ERROR
from zoo.exactness.audits import audit
from zoo.exactness.model_groups import tied_group
from zoo.exactness.tracer import duplicate
from zoo.measure.equivariance import has_other_fields
from zoo.measure.feature_error import feature_error
from zoo.measure.invariance import invariance_error

# Files hold these notes, and `agrees` and the tables depend on them: they stay as they are.
FOREIGN = (
    "architecture not of our layers: this is said of its grids only, measured with isotropic filters; what its own "
    "filters do, the logits show, and `symdata measure`"
)
RELAXED = "convolutions that may leave their group did: what is predicted holds for the grids alone"
FIELDS = "its fields are not those of a lattice group: only the logits are measured"


@dataclass(frozen=True)
class Structure(Result):
    """Equivariance, predicted and measured, per element of the model's group."""

    json_fields = (
        "group",
        "elements",
        "verdict",
        "survivors",
        "phi",
        "images",
        "agrees",
        "layers",
        "logits",
        "note",
    )
    group: str
    """d4 where the model has no lattice group of its own."""
    elements: tuple[str, ...]
    verdict: str
    """The prediction as a sentence."""
    survivors: tuple[str, ...]
    """The elements under which the model is predicted to be exact."""
    phi: tuple[float, float]
    """Misalignment of the deepest grid, (height, width), in input pixels."""
    images: int
    """Number of images in the measurement, which is in float64."""
    layers: Mapping[str, tuple[float, ...]]
    """|F(g x) - g F(x)| / |F(x)| of every feature map, per element; empty where it cannot be measured."""
    logits: tuple[float, ...]
    """|f(g x) - f(x)| / |f(x)| of the logits, per element."""
    note: str = ""
    """What the numbers do not say."""
    undecided: tuple[str, ...] = ()
    """The elements of which nothing is predicted."""

    @property
    def by_element(self) -> dict[str, float]:
        """The largest error of any feature map, per element; empty if none could be measured."""
        if not self.layers:
            return {}
        worst = map(max, zip(*self.layers.values(), strict=True))
        return dict(zip(self.elements, worst, strict=True))

    @property
    def agrees(self) -> bool | None:
        """Whether the elements measured as exact are those predicted; None if there is no prediction or no measurement
        of feature maps."""
        decided = {element: error for element, error in self.by_element.items() if element not in self.undecided}
        if not decided or self._is_unknown or self.note == RELAXED:
            return None
        return {element for element, error in decided.items() if error < EXACT_ERROR} == set(self.survivors)

    @property
    def exact(self) -> bool:
        """Whether every element is predicted to be exact."""
        return set(self.survivors) == set(self.elements)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data for JSON; what is undecided only where something is."""
        return super().to_dict() | ({"undecided": list(self.undecided)} if self.undecided else {})

    @property
    def _is_unknown(self) -> bool:
        return self.verdict.startswith("unknown")

    def parts(self) -> Iterator[Table]:
        """A row for each element: the prediction, the worst feature map, the logits."""
        grids_only, measured = self.note == FOREIGN, self.by_element
        verdict = f"its grids are {self.verdict}" if grids_only else self.verdict
        rows = []
        for element, moved in zip(self.elements, self.logits, strict=True):
            unknown = element in self.undecided or (self._is_unknown and element not in self.survivors)
            predicted = "unknown" if unknown else "exact" if element in self.survivors else "broken"
            rows.append((element, predicted, f"{measured[element]:.1e}" if measured else "-", f"{moved:.1e}"))
        sentences = [self.note] if self.note else []
        if self.agrees is not None:
            maps = "Its grids" if grids_only else "Feature maps"
            sentences.insert(0, f"{maps} {'agree' if self.agrees else 'DISAGREE'} with the prediction.")
        yield Table(
            (
                "element",
                "grids" if self.note in (FOREIGN, RELAXED) else "predicted",
                "maps of its grids" if grids_only else "feature maps",
                "logits",
            ),
            rows,
            title=f"{verdict[0].upper()}{verdict[1:]}.\nMeasured in float64 on {self.images} images:",
            notes=[" ".join(sentences)] if sentences else [],
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
            layers = feature_error(twin, group=group, inputs=inputs, output=True).errors
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
        undecided=tuple(str(e) for e in predicted.undecided),
    )
