"""The equivariance error of feature maps under the elements of a group: |F(g x) - g F(x)| / |F(x)|, in float64.

Elements of d4 permute pixels, so nothing is interpolated, and the floor of the measurement is rounding: an exact model
is at 1e-15, an approximate one above 1e-3, and nothing lies between. Random logits after global pooling look invariant
when the network is not; that is why feature maps are compared.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.errors import ModelError, describe_error
from zoo.exactness.arithmetic import D4
from zoo.exactness.audits import held_against, lattice_part, model_group
from zoo.exactness.tracer import FAILURES
from zoo.inference.forward import compute, device_of
from zoo.layers.regular import act_on_features, lattice_group, move
from zoo.measure.estimates import Estimate, relative, squared
from zoo.measure.maps import LayerGrid, Layouts, ToGrid, layer_grid
from zoo.measure.model_copy import Measured, checked_inputs, copied
from zoo.measure.representation import TRIVIAL, watched

EXACT_ERROR = 1e-9
"""An error below this is rounding in float64."""
BROKEN_ERROR = 1e-3
"""An error above this is a broken grid; between the two lies nothing (measured on every network of the zoo)."""
CHUNK_PIXELS = 1 << 15
"""Pixels of input compared at a time: every feature map of them is kept, in float64."""

OUTPUT = "output"
"""Name of what is measured where the output is compared and not the feature maps."""

Act = str | Callable[[Tensor, Element], Tensor]
"""What an element does to outputs: `image`, what it does to images, or a function of (outputs, element)."""


@dataclass(frozen=True)
class FeatureError:
    """|F(g x) - g F(x)| / |F(x)|, in the L2 norm over images, channels and pixels."""

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

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "size": list(self.size),
            "group": str(self.group),
            "elements": [str(e) for e in self.group.elements],
            "images": self.images,
            "errors": {name: list(row) for name, row in self.errors.items()},
            "standard_errors": {name: list(row) for name, row in self.standard_errors.items()},
            "worst": self.worst,
        }


def equivariance_error(
    model: Measured,
    inputs: Tensor,
    group: Group | str | None = None,
    *,
    act: Act | None = None,
    to_grid: ToGrid | None = None,
) -> FeatureError:
    """How far the feature maps of a model, or its output, are from moving with its images.

    A model made of our layers has feature maps of the regular representation, those that operations without weights
    make of them included. Networks on finer groups say themselves what an element does to their last feature map. In
    any other model each channel is taken for an image that moves as the input does, which the filters of an ordinary
    network do not make so; `zoo.feature_error` is for the grids of such a model alone.

    Args:
        model: it is copied, never changed, and runs in eval mode and float64; with `act`, any function of images.
        inputs: normalised images (n, C, H, W), as the model takes them.
        group: a subgroup of d4, and of the model's own group; by default that one, and d4 for a model without.
        act: what an element does to the output, which alone is then measured: `image`, or a function of (outputs,
            element).
        to_grid: what makes a map (B, C, h, w) of a layer's output in a model that is not ours; by default those of
            `Layouts`: maps as they are or with channels last, and tokens (B, N, C) as a square grid.

    Raises:
        ModelError: if the model cannot run in float64, has no feature maps, or has a smaller group.
        SymmetryError: for a group that moves pixels off their lattice; `invariance_error` and the Lie derivative are
            for those.
        ShapeError: if the inputs are no images.
    """
    if act is None:
        if not isinstance(model, nn.Module):
            raise ModelError("a function has no feature maps; say act='image', or what an element does to its output")
        grid = layer_grid(to_grid, model, checked_inputs(inputs))
        return compared(copied(model), inputs, held_against(model, group), model_group(model), grid)
    if act != "image" and not callable(act):
        raise ModelError(f"act is {act!r}, expected 'image' or a function of (outputs, element)")
    found = _Compared(lattice_group(D4 if group is None else group))
    work = copied(model).double()

    def maps(x: Tensor) -> "_Maps":
        with torch.no_grad():
            return {OUTPUT: (compute(work, x), lambda out, e: _acted(act, out, e))}

    return found.over(inputs, device_of(work), maps)


def compared(
    model: nn.Module, inputs: Tensor, group: Group, own: Group | None, grid: LayerGrid | None = None
) -> FeatureError:
    """The same for a copy that may be used up.

    Args:
        model: brought to float64.
        inputs: normalised images (n, C, H, W).
        group: to hold it against.
        own: the group of its layers; None if they are not ours.
        grid: what makes a map of a layer's output, in a model that is not ours; by default tokens are none.
    """
    work, grid = model.double(), grid or Layouts.of(model, checked_inputs(inputs), tokens=False)
    found = _Compared(group).over(checked_inputs(inputs), device_of(work), lambda x: _features(work, x, own, grid))
    if not found.errors:
        raise ModelError(f"{type(model).__name__} made no feature map (B, C, H, W) that can be compared")
    return found


def shared_group(model: nn.Module, group: Group) -> Group:
    """The largest subgroup of d4 under which both move: the elements asked for, and a model by the group of its layers.

    c1, the identity alone, where they share nothing.
    """
    own = lattice_part(model) or D4
    return next((g for g in map(Group.parse, ("d4", "c4", "d2", "c2", "d1")) if g <= own and g <= group), Group(1))


def knows_its_fields(model: nn.Module) -> bool:
    """Whether the model says what an element of d4 does to its last feature map, as a `FieldNet` does."""
    return callable(getattr(model, "act", None)) and callable(getattr(model, "features", None))


def has_other_fields(model: nn.Module) -> bool:
    """Whether feature maps turn in a way not known here: fields of groups beyond the lattice, and those of escnn."""
    if knows_its_fields(model):
        return False
    groups = [getattr(module, "group", None) for module in model.modules()]
    beyond = any(not getattr(group, "is_lattice", True) for group in groups)
    return beyond or any(type(module).__module__.split(".")[0] == "escnn" for module in model.modules())


_Maps = dict[str, tuple[Tensor, Callable[[Tensor, Element], Tensor]]]
"""Feature maps by name, with what an element does to each."""


class _Compared:
    """Squared norms of feature maps, and of their differences per element, for every image."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.squares: dict[str, Tensor] = {}
        """Of every map (1 + |G|, n): the map itself, then its difference per element."""
        self.misshapen: set[tuple[str, int]] = set()

    def over(self, inputs: Tensor, device: torch.device, maps: Callable[[Tensor], _Maps]) -> FeatureError:
        """Run on images and on their images under every element, a few at a time."""
        n, (h, w) = len(checked_inputs(inputs)), inputs.shape[-2:]
        step = max(1, CHUNK_PIXELS // (h * w))
        for start in range(0, n, step):
            part = slice(start, min(start + step, n))
            self._add(inputs[part].to(device, torch.float64), part, n, maps)
        rows = dict(self._rows())
        errors = {name: tuple(e.value for e in row) for name, row in rows.items()}
        spread = {name: tuple(e.standard_error for e in row) for name, row in rows.items()}
        return FeatureError((h, w), self.group, errors, spread, len(inputs))

    def _add(self, x: Tensor, part: slice, n: int, maps: Callable[[Tensor], _Maps]) -> None:
        before = {name: found for name, found in maps(_plain(x)).items() if len(found[0]) == len(x)}
        for name, (features, _) in before.items():
            empty = torch.zeros(1 + len(self.group.elements), n, dtype=torch.float64)
            self.squares.setdefault(name, empty)[0, part] = squared(features)
        for k, e in enumerate(self.group.elements):
            after = maps(_plain(move(x, e)))
            for name, (features, act) in before.items():
                moved, other = act(features, e), after[name][0]
                if moved.shape == other.shape:
                    self.squares[name][1 + k, part] = squared(moved - other)
                else:  # not even the size is the same
                    self.misshapen.add((name, k))

    def _rows(self) -> Iterator[tuple[str, tuple[Estimate, ...]]]:
        """Relative errors by name, one per element; 1 where shapes differ, 0 where everything is 0."""
        for name, (norm, *differences) in self.squares.items():
            row = []
            for k, difference in enumerate(differences):
                broken = (name, k) in self.misshapen
                known = not broken and bool(norm.any())
                row.append(relative(difference, norm) if known else Estimate(float(broken), None, len(norm)))
            yield name, tuple(row)


def _features(model: nn.Module, x: Tensor, own: Group | None, grid: LayerGrid) -> _Maps:
    """Every feature map whose representation is known; one for each time that a module runs."""
    found: _Maps = {}
    runs: Counter[str] = Counter()

    def record(name: str, features: Tensor, group: Group) -> None:
        runs[name] += 1
        slot = name if runs[name] == 1 else f"{name}#{runs[name]}"
        act = move if group == TRIVIAL else lambda f, e: act_on_features(f, e, group)
        found[slot] = (features.clone(), act)  # a later operation may work in place

    with torch.no_grad():
        try:
            if knows_its_fields(model):
                return {"features": (model.features(x), model.act)}  # type: ignore[operator, dict-item]
            with watched(model, own, record, grid):
                model(x)
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
    """Laid out as usual: torch calls images of one channel contiguous in any layout, and goes by their strides."""
    return images.clone(memory_format=torch.contiguous_format)
