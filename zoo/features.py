"""The measured side of exactness: the equivariance error of every feature map, in float64.

Random logits after global pooling look equivariant when the network is not, so feature maps are compared, over many
images, in double precision: an exact model is at 1e-15, an approximate one above 1e-3, and nothing lies between.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.exactness import held_against, model_group
from zoo.grid import D4
from zoo.layers.bank import BankedConv2d
from zoo.layers.regular import act_on_features, move
from zoo.representation import TRIVIAL, watched
from zoo.tracing import FAILURES, duplicate, input_channels

EXACT_ERROR = 1e-9
"""A feature error below this is rounding in float64."""
BROKEN_ERROR = 1e-3
"""A feature error above this is a broken grid; between the two lies nothing (measured on every network of the zoo)."""
CHUNK_PIXELS = 1 << 15
"""Pixels of input compared at a time: every feature map of them is kept, in float64."""


@dataclass(frozen=True)
class FeatureError:
    """|F(g x) - g F(x)| / |F(x)|, in the L2 norm over images, channels and pixels."""

    size: tuple[int, int]
    """(height, width) of the input."""
    group: Group
    errors: dict[str, tuple[float, ...]]
    """Per feature map, by name of the module that made it and in the order of the forward: one error per element."""

    @property
    def by_element(self) -> dict[str, float]:
        """The largest error of any feature map, per element of the group."""
        worst = zip(*self.errors.values(), strict=True)
        return {str(e): max(column) for e, column in zip(self.group.elements, worst, strict=True)}

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max(max(row) for row in self.errors.values())

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "size": list(self.size),
            "group": str(self.group),
            "elements": [str(e) for e in self.group.elements],
            "errors": {name: list(row) for name, row in self.errors.items()},
            "worst": self.worst,
        }


def feature_error(
    model: nn.Module,
    size: int | tuple[int, int] | None = None,
    group: Group | str | None = None,
    images: int = 8,
    channels: int | None = None,
    seed: int = 0,
    inputs: Tensor | None = None,
) -> FeatureError:
    """Measure how far the feature maps of `model` are from moving with its input.

    A model made of our layers is measured as it is, its feature maps under the regular representation: those of its
    layers, and those that operations without weights make of them, such as the sum that ends a residual block. Networks
    on finer groups say themselves what an element does to their last feature map, and it is measured alone. Any other
    model is measured with every filter averaged over d4, so that what remains is the error of its grids alone.

    Args:
        model: any module that takes an image batch; it is copied, never changed, and runs in eval mode and float64.
        size: pixels, or (height, width); the model must run at (width, height) too. Not needed with `inputs`.
        group: subgroup of the model's own; by default that one, and d4 for a model without our layers.
        images: how many images of white noise; one alone may hide an error.
        channels: of the images; by default read from the first convolution.
        seed: of the noise.
        inputs: images to measure on instead of noise, as the model takes them: normalised floats (B, C, H, W).

    Raises:
        ModelError: if the model cannot run in float64 at this size, has no feature maps, or has a smaller group.
    """
    own, group = model_group(model), held_against(model, group)
    if inputs is None:
        inputs = _noise(model, size, images, channels, seed)
    elif inputs.ndim != 4 or not inputs.is_floating_point() or not len(inputs):
        got = f"{inputs.dtype} {tuple(inputs.shape)}"
        raise ShapeError(f"inputs are {got}, expected normalised floats (B, C, H, W); preprocess the images first")
    work = duplicate(model).double()
    if own is None and not knows_its_fields(model):
        isotropise(work)
    total = _Total(group)
    h, w = inputs.shape[-2:]
    for part in torch.split(inputs, max(1, CHUNK_PIXELS // (h * w))):
        total.add(work, part.double(), own)
    if not total.norms:
        raise ModelError(f"{type(model).__name__} made no feature map (B, C, H, W) that can be compared")
    return FeatureError((h, w), group, dict(total.errors()))


def isotropise(model: nn.Module) -> None:
    """Replace, in place, every filter of a plain convolution by its average over d4: torch's, and ours on c1."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | BankedConv2d):
                for weight in (p for p in module.parameters(recurse=False) if p.ndim == 4):
                    elements = D4.elements if weight.shape[-1] == weight.shape[-2] else Group(2, True).elements
                    weight.copy_(torch.stack([move(weight, e) for e in elements]).mean(0))


class _Total:
    """Squared norms of feature maps, and of their differences per element, summed over images."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.norms: dict[str, float] = {}
        self.differences: dict[str, list[float]] = {}
        self.misshapen: set[tuple[str, int]] = set()

    def add(self, model: nn.Module, x: Tensor, own: Group | None) -> None:
        """Run the model on images and on their images under every element."""
        before = _features(model, x, own)
        for name, (features, _) in before.items():
            self.norms[name] = self.norms.get(name, 0.0) + _squared(features)
            self.differences.setdefault(name, [0.0] * len(self.group.elements))
        for k, e in enumerate(self.group.elements):
            after = _features(model, move(x, e).clone(memory_format=torch.contiguous_format), own)
            for name, (features, group) in before.items():
                moved = _moved(model, features, e, group)
                other = after[name][0]
                if moved.shape == other.shape:
                    self.differences[name][k] += _squared(moved - other)
                else:  # not even the size is the same
                    self.misshapen.add((name, k))

    def errors(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        """Relative errors by name, one per element; 1 where shapes differ, 0 where everything is 0."""
        for name, norm in self.norms.items():
            yield (
                name,
                tuple(
                    1.0 if (name, k) in self.misshapen else (d / norm) ** 0.5 if norm else 0.0
                    for k, d in enumerate(self.differences[name])
                ),
            )


def _squared(values: Tensor) -> float:
    return float(values.norm()) ** 2


def _noise(
    model: nn.Module, size: int | tuple[int, int] | None, images: int, channels: int | None, seed: int
) -> Tensor:
    if size is None:
        raise ModelError("neither a size nor images were given; say size=28, or inputs= with normalised images")
    h, w = (size, size) if isinstance(size, int) else size
    shape = (images, input_channels(model) if channels is None else channels, h, w)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _moved(model: Any, features: Tensor, e: Element, group: Group | None) -> Tensor:
    """What a feature map becomes when the image is moved by e, if the model is equivariant."""
    if group is None:
        moved: Tensor = model.act(features, e)
        return moved
    return move(features, e) if group == TRIVIAL else act_on_features(features, e, group)


def knows_its_fields(model: nn.Module) -> bool:
    """Whether the model says what an element of d4 does to its last feature map, as `zoo.models.exported` has it."""
    return callable(getattr(model, "act", None)) and callable(getattr(model, "features", None))


def _features(model: nn.Module, x: Tensor, own: Group | None) -> dict[str, tuple[Tensor, Group | None]]:
    """Every feature map whose representation is known, with the group that permutes its channels; None: the model."""
    found: dict[str, tuple[Tensor, Group | None]] = {}

    def record(name: str, features: Tensor, group: Group) -> None:
        found[name] = (features.clone(), group)  # a later operation may work in place

    with torch.no_grad():
        try:
            if knows_its_fields(model):
                return {"features": (model.features(x), None)}  # type: ignore[operator]
            with watched(model, own, record):
                model(x)
        except FAILURES as error:
            shape = tuple(x.shape)
            raise ModelError(f"{type(model).__name__} cannot run on float64 images {shape}: {error}") from error
    return found
