"""The local equivariance errors along several motions, and the layers in which they arise."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.transforms.generators import current_name
from zoo.errors import ModelError, describe_error
from zoo.exactness.model_groups import has_typed_layers
from zoo.exactness.tracer import FAILURES
from zoo.measure.estimates import Estimate
from zoo.measure.metrics import Request, metric
from zoo.measure.motions.layerwise import (
    TYPED,
    LayerTerm,
    LayerwiseError,
    layerwise_equivariance_error,
    layerwise_equivariance_errors,
)
from zoo.measure.motions.lie import LocalError, local_equivariance_error, local_table


@dataclass(frozen=True)
class LocalErrors(Result):
    """The local equivariance error along each of several motions."""

    errors: tuple[LocalError, ...]

    def parts(self) -> Iterable[str | Table]:
        """A row for each motion."""
        if self.errors:
            yield local_table(self.errors)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"local": [error.to_dict() for error in self.errors]}


@dataclass(frozen=True)
class MotionError:
    """The local equivariance error E |L f|^2 / dim(output) along one motion."""

    generator: str
    """As it was spelled when it was measured."""
    unit: str
    """Of t."""
    value: Estimate
    """Per unit squared."""
    relative: Estimate
    """E |L f|^2 / E |f|^2 per unit squared, with t in coordinates that go from -1 to 1 over the image: per half image
    squared for a translation, per radian squared for a rotation. It does not depend on the scale of the logits or the
    size of the image, so that models can be compared. Of a softmax it would be nearly 0 where a model is confident, and
    depend on the few images where it is not."""


@dataclass(frozen=True)
class MotionErrors:
    """What a report keeps of the local equivariance errors."""

    motions: tuple[MotionError, ...]

    @classmethod
    def of(cls, found: LocalErrors) -> Self:
        """From all that was measured."""
        errors = ((e, e.relative.scaled(e.half_image**2)) for e in found.errors)
        return cls(tuple(MotionError(e.generator, e.unit, e.value, relative) for e, relative in errors))

    def lee(self, *generators: str) -> str:
        """The mean relative error of these motions as a cell; `-` if one was not measured."""
        found = {current_name(motion.generator): motion.relative.value for motion in self.motions}
        if not set(generators) <= found.keys():
            return "-"
        return f"{sum(found[g] for g in generators) / len(generators):.2g}"


@metric(
    "motions",
    kept=MotionErrors,
    columns={
        "LEE turning / rad²": lambda kept: kept.lee("rotation"),
        "LEE shifting / (half image)²": lambda kept: kept.lee("translate_x", "translate_y"),
    },
    legend="local equivariance errors (LEE) of the logits, relative: E|Lf|²/E|f|², per radian squared for turning and "
    "per half image squared for shifting",
    passes=lambda generators, split: len(generators),
)
def local_errors(model: nn.Module, inputs: Tensor, request: Request) -> LocalErrors:
    """The local equivariance error along every motion of the request."""
    found = []
    for name in request.generators:
        found.append(local_equivariance_error(model, inputs, name, **request.options))
        request.progress(len(inputs))
    return LocalErrors(tuple(found))


@dataclass(frozen=True)
class LayerErrors(Result):
    """The same, split among the layers."""

    errors: tuple[LayerwiseError, ...]
    note: str = ""
    """Which could not be split."""

    def parts(self) -> Iterable[str | Table]:
        """A table for each motion."""
        for error in self.errors:
            yield from error.parts()
        yield self.note and f"Note: {self.note}."

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"layers": [error.to_dict() for error in self.errors]}


@dataclass(frozen=True)
class Split:
    """The local equivariance error along one motion, split among the layers."""

    generator: str
    layers: tuple[LayerTerm, ...]
    """In the order in which they run; their shares add up to 1."""


@dataclass(frozen=True)
class Splits:
    """What a report keeps of them; fewer where a layer has no derivative, or is one of escnn."""

    splits: tuple[Split, ...]

    @classmethod
    def of(cls, found: LayerErrors) -> Self:
        """From all that was measured."""
        return cls(tuple(Split(error.generator, error.layers) for error in found.errors))


@metric("splits", kept=Splits, passes=lambda generators, split: len(split))
def layer_errors(model: nn.Module, inputs: Tensor, request: Request) -> LayerErrors:
    """The local equivariance error along the motions to split, layer by layer."""
    found, notes = [], []
    if request.lenient and request.split and has_typed_layers(model):
        return LayerErrors((), f"layers were not separated: {TYPED}")
    try:
        found = list(layerwise_equivariance_errors(model, inputs, request.split, **request.options))
        request.progress(len(inputs) * len(request.split))
        return LayerErrors(tuple(found))
    except (ModelError, *FAILURES):  # an operation without a derivative, in a model that is not ours
        if not request.lenient:
            raise
    for name in request.split:  # one at a time: others may work
        try:
            found.append(layerwise_equivariance_error(model, inputs, name, **request.options))
        except (ModelError, *FAILURES) as error:
            notes.append(f"layers were not separated along {name}: {describe_error(error)}")
        request.progress(len(inputs))
    return LayerErrors(tuple(found), "; ".join(notes))
