"""What a report has measured of a model in float64: errors under elements, and along motions, layer by layer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from symdata.groups import Group
from symdata.transforms.generators import current_name
from zoo.errors import ModelError, describe_error
from zoo.exactness.model_groups import has_typed_layers
from zoo.exactness.tracer import FAILURES
from zoo.measure.equivariance import FeatureError
from zoo.measure.estimates import Estimate
from zoo.measure.invariance import invariance_error
from zoo.measure.motions.flows import MOTIONS
from zoo.measure.motions.layerwise import TYPED, LayerTerm, LayerwiseError, layerwise_equivariance_error
from zoo.measure.motions.lie import LocalError, local_equivariance_error
from zoo.measure.shared_elements import comparable_errors

SPLIT = ("rotation", "translate_x")
"""Motions that are split among the layers."""
STEPS = 2 + len(MOTIONS) + len(SPLIT)
"""Times that `measure` goes through all images."""


@dataclass(frozen=True)
class Worst:
    """The largest of several relative errors."""

    error: Estimate
    where: str
    """The element; of feature maps, the name of the map and the element."""
    group: str
    """Whose elements were looked at."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"error": self.error.to_dict(), "where": self.where, "group": self.group}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Worst":
        """The inverse of `to_dict`."""
        return cls(estimate(fields["error"]), str(fields["where"]), str(fields["group"]))


@dataclass(frozen=True)
class MotionError:
    """The local equivariance error E |L f|^2 / dim(output) along one motion."""

    generator: str
    unit: str
    """Of t."""
    value: Estimate
    """Per unit squared."""
    relative: Estimate
    """E |L f|^2 / E |f|^2, with t in coordinates that go from -1 to 1 over the image: neither the scale of the logits
    nor the size of the image is in it, so that models and motions can be compared. Of a softmax it would be nearly 0
    where a model is sure of itself, and hang on the few images where it is not."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        numbers = {"value": self.value.to_dict(), "relative": self.relative.to_dict()}
        return {"generator": self.generator, "unit": self.unit, **numbers}

    @classmethod
    def of(cls, found: LocalError | Mapping[str, Any]) -> "MotionError":
        """From a measurement, or the inverse of `to_dict`."""
        if isinstance(found, LocalError):
            return cls(found.generator, found.unit, found.value, found.relative.scaled(found.half_image**2))
        numbers = (estimate(found[name]) for name in ("value", "relative"))
        return cls(str(found["generator"]), str(found["unit"]), *numbers)


@dataclass(frozen=True)
class Split:
    """The same along one motion, split among the layers."""

    generator: str
    layers: tuple[LayerTerm, ...]
    """In the order in which they run; their shares add up to 1."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"generator": self.generator, "layers": [layer.to_dict() for layer in self.layers]}

    @classmethod
    def of(cls, found: LayerwiseError | Mapping[str, Any]) -> "Split":
        """From a measurement, or the inverse of `to_dict`."""
        if isinstance(found, LayerwiseError):
            return cls(found.generator, found.layers)
        layers = tuple(
            LayerTerm(str(one["name"]), str(one["kind"]), estimate(one["value"]), estimate(one["share"]))
            for one in found["layers"]
        )
        return cls(str(found["generator"]), layers)


@dataclass(frozen=True)
class Measures:
    """How far one model is from a symmetry."""

    images: int
    """That were measured on."""
    invariance: Worst
    """|f(g x) - f(x)| / |f(x)| of the logits."""
    features: Worst | None
    """|F(g x) - g F(x)| / |F(x)| of the feature maps; None where none can be compared."""
    motions: tuple[MotionError, ...]
    """Of the logits."""
    splits: tuple[Split, ...]
    """Of the logits; fewer where a layer has no derivative, or is one of escnn."""
    note: str
    """What the numbers do not say."""

    def lee(self, *generators: str) -> float | None:
        """The mean relative local equivariance error of these motions; None if one was not measured."""
        found = {current_name(motion.generator): motion.relative.value for motion in self.motions}
        return sum(found[g] for g in generators) / len(generators) if set(generators) <= found.keys() else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "images": self.images,
            "invariance": self.invariance.to_dict(),
            "features": None if self.features is None else self.features.to_dict(),
            "motions": [motion.to_dict() for motion in self.motions],
            "splits": [split.to_dict() for split in self.splits],
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Measures":
        """The inverse of `to_dict`."""
        return cls(
            int(fields["images"]),
            Worst.from_dict(fields["invariance"]),
            None if fields["features"] is None else Worst.from_dict(fields["features"]),
            tuple(map(MotionError.of, fields["motions"])),
            tuple(map(Split.of, fields["splits"])),
            str(fields["note"]),
        )


def measure(
    model: nn.Module, inputs: Tensor, group: Group, progress: Callable[[int], None] = lambda images: None
) -> Measures:
    """Measure one model.

    Args:
        model: images (B, C, H, W) to logits (B, classes); it is copied, never changed.
        inputs: normalised images (n, C, H, W), as the model takes them.
        group: finite; its elements move the images.
        progress: called with the number of images that were gone through since the last call.

    Raises:
        ModelError: if the model cannot run in float64.
    """

    def done(found: Any) -> Any:
        progress(len(inputs))
        return found

    changes = done(invariance_error(model, inputs, group)).by_element
    worst = max(changes, key=lambda name: changes[name].value)
    maps, note = done(comparable_errors(model, inputs, group))
    motions = tuple(MotionError.of(done(local_equivariance_error(model, inputs, name))) for name in MOTIONS)
    typed = has_typed_layers(model)
    splits, notes = (
        [],
        [text for text in (note, f"layers were not told apart: {TYPED}" if typed else "") if text],
    )
    for name in () if typed else SPLIT:
        try:
            splits.append(Split.of(done(layerwise_equivariance_error(model, inputs, name))))
        except (ModelError, *FAILURES) as error:  # an operation of somebody else's without a derivative
            notes.append(f"layers were not told apart along {name}: {describe_error(error)}")
    features = None if maps is None else _worst_map(maps)
    return Measures(
        len(inputs), Worst(changes[worst], worst, str(group)), features, motions, tuple(splits), "; ".join(notes)
    )


def estimate(fields: Mapping[str, Any]) -> Estimate:
    """The inverse of `Estimate.to_dict`."""
    error = fields["standard_error"]
    return Estimate(float(fields["value"]), None if error is None else float(error), int(fields["images"]))


def _worst_map(found: FeatureError) -> Worst:
    """The feature map and the element with the largest error."""
    pairs = [(name, str(element)) for name in found.errors for element in found.group.elements]
    name, element = max(pairs, key=lambda pair: found.estimate(*pair).value)
    return Worst(found.estimate(name, element), f"{name or 'forward'} under {element}", str(found.group))
