"""The equivariance error of feature maps under the elements of a group: |F(g x) - g F(x)| / |F(x)|, in float64.

Elements of d4 permute pixels, so nothing is interpolated, and the floor of the measurement is rounding: an exact model
is at 1e-15, an approximate one above 1e-3, with nothing between. Random logits after global pooling look invariant
when the network is not, so feature maps are compared.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import Result, Table, plain_fields
from symdata.groups import Element, Group
from zoo.errors import ModelError, describe_error
from zoo.exactness.arithmetic import D4
from zoo.exactness.hooks import RunNames
from zoo.exactness.model_groups import (
    checked_group,
    defines_fields,
    has_typed_layers,
    largest_shared,
    layers_group,
    tied_group,
)  # fmt: skip
from zoo.exactness.trace import outputs_of
from zoo.exactness.tracer import FAILURES
from zoo.inference.forward import compute, device_of
from zoo.layers.regular import act_on_features, lattice_group, move
from zoo.measure.double_precision import DoublePrecision
from zoo.measure.estimates import Estimate, relative, squared
from zoo.measure.maps import LayerGrid, Layouts, ToGrid, layer_grid
from zoo.measure.model_copy import Measurable, checked_inputs, copied
from zoo.measure.representation import TRIVIAL, recorded_maps

CHUNK_PIXELS = 1 << 14
"""Pixels of input compared at a time: every feature map of them is kept, in float64."""

OUTPUT = "output"
"""Name in place of a feature map's, where the output is compared."""

Act = str | Callable[[Tensor, Element], Tensor]
"""What an element does to outputs: `image`, what it does to images, or a function of (outputs, element)."""

Maps = Mapping[str, tuple[Tensor, Callable[[Tensor, Element], Tensor]]]
"""Feature maps by name, with what an element does to each."""


@dataclass(frozen=True)
class FeatureError(Result):
    """|F(g x) - g F(x)| / |F(x)|, in the L2 norm over images, channels and pixels.

    Example:
        >>> import zoo
        >>> broken = zoo.feature_error(zoo.create("p4cnn_28", width=2, seed=0), 27, images=2)
        >>> next(name for name, row in broken.errors.items() if max(row) > 1e-3), broken.worst > 0.1
        ('trunk.pool2', True)
    """

    size: tuple[int, int]
    """(height, width) of the input."""
    group: Group
    errors: dict[str, tuple[float, ...]]
    """Per feature map, by name of the module that made it and in the order of the forward: one error per element."""
    standard_errors: dict[str, tuple[float | None, ...]]
    """Of these errors, over the images; None for a single image."""
    images: int

    @property
    def by_element(self) -> dict[str, float]:
        """The largest error of any feature map, per element of the group."""
        worst = zip(*self.errors.values(), strict=True)
        return {str(e): max(column) for e, column in zip(self.group.elements, worst, strict=True)}

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max(max(row) for row in self.errors.values())

    def estimate(self, name: str, element: Element | str) -> Estimate:
        """The error of one feature map under one element, with its standard error."""
        k = [str(e) for e in self.group.elements].index(str(element))
        return Estimate(self.errors[name][k], self.standard_errors[name][k], self.images)

    def worst_map(self, element: Element | str) -> tuple[str, Estimate]:
        """The feature map with the largest error under one element, and that error."""
        errors = ((name, self.estimate(name, element)) for name in self.errors)
        return max(errors, key=lambda pair: pair[1].value)

    def parts(self) -> Iterable[str | Table]:
        """The worst feature map under each element."""
        found = [(str(e), *self.worst_map(e)) for e in self.group.elements]
        rows = [(element, *error.cells, name or "(forward)") for element, name, error in found]
        title = "Error of the feature maps in float64, |F(g x) - g F(x)| / |F(x)|:"
        yield Table(("element", "worst map", "+-", "which"), rows, title)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        numbers = plain_fields(self, "images", "errors", "standard_errors", "worst")
        return {"size": list(self.size), "group": str(self.group), "elements": list(self.by_element), **numbers}


def equivariance_error(
    model: Measurable,
    inputs: Tensor,
    group: Group | str | None = None,
    *,
    act: Act | None = None,
    to_grid: ToGrid | None = None,
) -> FeatureError:
    """How far the feature maps of a model, or its output, are from moving with its images.

    A model made of our layers has feature maps of the regular representation, those that operations without weights
    make of them included. Networks on finer groups define what an element does to their last feature map. In any other
    model each channel is taken for an image that moves as the input does, which the filters of an ordinary network do
    not achieve; `zoo.feature_error` measures the grids of such a model alone.

    Args:
        model: it is copied, never changed, and runs in eval mode and float64; with `act`, any function of images.
        inputs: normalised images (n, C, H, W), as the model takes them.
        group: a subgroup of d4, and of the model's own group; by default that one, and d4 for a model without.
        act: compare the output instead, on which an element does this: `image`, or a function of (outputs, element).
        to_grid: makes a map (B, C, h, w) of a layer's output in a model that is not ours; by default `Layouts` does,
            from maps as they are or with channels last, and from tokens (B, N, C) as a square grid.

    Raises:
        ModelError: if the model cannot run in float64, has no feature maps, or has a smaller group.
        SymmetryError: for a group that moves pixels off their lattice; use `invariance_error` or the Lie derivative.
        ShapeError: if the inputs are no images.

    Example:
        >>> blur = nn.AvgPool2d(3, 1, 1)
        >>> equivariance_error(blur, torch.rand(2, 1, 8, 8), act="image").worst < 1e-12
        True
    """
    if act is None:
        if not isinstance(model, nn.Module):
            raise ModelError("a function has no feature maps; say act='image', or what an element does to its output")
        grid = layer_grid(to_grid, model, checked_inputs(inputs))
        return compared_maps(copied(model), inputs, checked_group(model, group), layers_group(model), grid)
    if act != "image" and not callable(act):
        raise ModelError(f"act is {act!r}, expected 'image' or a function of (outputs, element)")
    model_copy = copied(model).double()

    def maps(x: Tensor) -> Maps:
        with torch.no_grad():
            return {OUTPUT: (compute(model_copy, x), lambda out, e: _acted(act, out, e))}

    return _compared(lattice_group(D4 if group is None else group), inputs, device_of(model_copy), maps)


def compared_maps(
    model: nn.Module,
    inputs: Tensor,
    group: Group,
    own: Group | None,
    grid: LayerGrid | None = None,
    output: bool = False,
) -> FeatureError:
    """The errors of the feature maps of a copy, which is used up.

    Args:
        model: brought to float64.
        inputs: normalised images (n, C, H, W).
        group: under whose elements.
        own: the group of its layers; None if they are not ours.
        grid: makes a map of a layer's output, in a model that is not ours; by default tokens are not maps.
        output: whether the output of the model counts too: a map moves, a vector does not.
    """
    inputs, model = checked_inputs(inputs), model.double()
    to_grid = grid or Layouts.of(model, inputs, tokens=False)
    found = _compared(group, inputs, device_of(model), lambda x: _features(model, x, own, to_grid, output))
    if not found.errors:
        raise ModelError(f"{type(model).__name__} made no feature map (B, C, H, W) that can be compared")
    return found


def shared_group(model: nn.Module, group: Group) -> Group:
    """The largest subgroup of d4 in both `group` and the group of the model's layers; c1 if they share nothing."""
    return largest_shared(tied_group(model) or D4, group) or Group(1)


def has_other_fields(model: nn.Module) -> bool:
    """Whether it is not known how feature maps transform: fields of groups beyond the lattice, and those of escnn."""
    groups = [getattr(module, "group", None) for module in model.modules()]
    beyond = any(not getattr(group, "is_lattice", True) for group in groups)
    return not defines_fields(model) and (beyond or has_typed_layers(model))


def _compared(group: Group, inputs: Tensor, device: torch.device, maps: Callable[[Tensor], Maps]) -> FeatureError:
    """Compare the maps of images with those of the moved images, a few images at a time."""

    def made(x: Tensor) -> Maps:
        with DoublePrecision():  # type: ignore[no-untyped-call]
            return maps(x)

    n, size = len(checked_inputs(inputs)), (inputs.shape[-2], inputs.shape[-1])
    squares: dict[str, Tensor] = {}  # squared norms (1 + |G|, n): of the map, then of its difference per element
    misshapen: set[tuple[str, int]] = set()
    step = max(1, CHUNK_PIXELS // (size[0] * size[1]))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        x = inputs[rows].to(device, torch.float64)
        before = {name: found for name, found in made(_plain(x)).items() if len(found[0]) == len(x)}
        for name, (features, _) in before.items():
            empty = torch.zeros(1 + len(group.elements), n, dtype=torch.float64)
            squares.setdefault(name, empty)[0, rows] = squared(features)
        for k, e in enumerate(group.elements):
            after = made(_plain(move(x, e)))
            for name, (features, act) in before.items():
                expected, found = act(features, e), after[name][0]
                if expected.shape == found.shape:
                    squares[name][1 + k, rows] = squared(expected - found)
                else:
                    misshapen.add((name, k))
    errors, spread = {}, {}
    for name, (norm, *changes) in squares.items():
        row = [
            Estimate(1.0, None, n) if (name, k) in misshapen else relative(change, norm)
            for k, change in enumerate(changes)
        ]
        errors[name] = tuple(e.value for e in row)
        spread[name] = tuple(e.standard_error for e in row)
    return FeatureError(size, group, errors, spread, n)


def _features(model: nn.Module, x: Tensor, own: Group | None, grid: LayerGrid, output: bool) -> Maps:
    """Every feature map whose representation is known; one for each time that a module runs."""
    found = {}
    runs = RunNames()

    def record(name: str, features: Tensor, group: Group) -> None:
        act = move if group == TRIVIAL else lambda f, e: act_on_features(f, e, group)
        found[runs.next(name)] = (features.clone(), act)  # a later operation may work in place

    with torch.no_grad():
        try:
            if defines_fields(model):
                return {"features": (model.features(x), model.act)}  # type: ignore[operator, dict-item]
            with recorded_maps(model, own, record, grid):
                made = next(outputs_of(model(x)), None)
            if output and made is not None and made.ndim in (2, 4):
                found[OUTPUT] = (made, move if max(made.shape[2:], default=1) > 1 else lambda f, e: f)
        except FAILURES as error:
            shape = tuple(x.shape)
            raise ModelError(
                f"{type(model).__name__} cannot run on float64 images {shape}: {describe_error(error)}"
            ) from error
    return found


def _acted(act: Act, out: Tensor, e: Element) -> Tensor:
    moved = act(out, e) if callable(act) else move(out, e)
    if isinstance(moved, Tensor):
        return moved
    raise ModelError(f"act gave {type(moved).__name__} for outputs {tuple(out.shape)}, expected a tensor of that shape")


def _plain(images: Tensor) -> Tensor:
    """In the usual memory layout: torch calls images of one channel contiguous in any, and goes by their strides."""
    return images.clone(memory_format=torch.contiguous_format)
