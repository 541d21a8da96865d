"""The measured side of exactness: the equivariance error of every feature map, in float64.

Random logits after global pooling look equivariant when the network is not, so feature maps are compared, over many
images, in double precision: an exact model is at 1e-15, an approximate one above 1e-3, and nothing lies between.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.exactness import model_group
from zoo.grid import D4
from zoo.layers.pooling import GroupPool
from zoo.layers.regular import act_on_features, lattice_group, move
from zoo.tracing import FAILURES, duplicate, input_channels

TRIVIAL = Group(1)
"""Of a feature map whose channels the group does not permute."""


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
    size: int | tuple[int, int],
    group: Group | str | None = None,
    images: int = 8,
    channels: int | None = None,
    seed: int = 0,
) -> FeatureError:
    """Measure how far the feature maps of `model` are from moving with its input.

    A model made of our layers is measured as it is, its feature maps under the regular representation. Any other model
    is measured with every filter averaged over d4, so that what remains is the error of its grids alone.

    Args:
        model: any module that takes an image batch; it is copied, never changed, and runs in eval mode and float64.
        size: pixels, or (height, width); the model must run at (width, height) too.
        group: subgroup of the model's own; by default that one, and d4 for a model without our layers.
        images: how many images of white noise; one alone may hide an error.
        channels: of the images; by default read from the first convolution.
        seed: of the noise.

    Raises:
        ModelError: if the model cannot run in float64 at this size, has no feature maps, or has a smaller group.
    """
    own = model_group(model)
    group = lattice_group(group) if group is not None else own or D4
    if not group <= (own or D4):
        raise ModelError(f"{type(model).__name__} is built on {own}, which does not contain {group}; ask for {own}")
    h, w = (size, size) if isinstance(size, int) else size
    work = duplicate(model).double()
    if own is None:
        isotropise(work)
    generator = torch.Generator().manual_seed(seed)
    shape = (images, input_channels(model) if channels is None else channels, h, w)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    before = _features(work, x, own)
    if not before:
        raise ModelError(f"{type(model).__name__} made no feature map (B, C, H, W) that can be compared")
    columns = [_errors(before, _features(work, move(x, e), own), e) for e in group.elements]
    return FeatureError((h, w), group, {name: tuple(c[name] for c in columns) for name in before})


def isotropise(model: nn.Module) -> None:
    """Replace, in place, every filter of a plain convolution by its average over d4."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                elements = D4.elements if module.kernel_size[0] == module.kernel_size[1] else Group(2, True).elements
                mean = torch.stack([move(module.weight, e) for e in elements]).mean(0)
                module.weight.copy_(mean)


def _errors(
    before: dict[str, tuple[Tensor, Group]], after: dict[str, tuple[Tensor, Group]], e: Element
) -> dict[str, float]:
    found = {}
    for name, (features, group) in before.items():
        moved = move(features, e) if group == TRIVIAL else act_on_features(features, e, group)
        other = after[name][0]
        if moved.shape != other.shape:  # not even the size is the same
            found[name] = 1.0
            continue
        norm = float(features.norm())
        found[name] = float((moved - other).norm()) / norm if norm else 0.0
    return found


def _features(model: nn.Module, x: Tensor, own: Group | None) -> dict[str, tuple[Tensor, Group]]:
    """Every feature map whose representation is known, with the group that permutes its channels."""
    found: dict[str, tuple[Tensor, Group]] = {}
    with _watch(model, found, own), torch.no_grad():
        try:
            model(x)
        except FAILURES as error:
            shape = tuple(x.shape)
            raise ModelError(f"{type(model).__name__} cannot run on float64 images {shape}: {error}") from error
    return found


@contextmanager
def _watch(model: nn.Module, found: dict[str, tuple[Tensor, Group]], own: Group | None) -> Iterator[None]:
    def hook(name: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        kind = _representation(module, args, own)
        if kind is not None and isinstance(out, Tensor) and out.ndim == 4:
            out._symdata_group = kind  # type: ignore[attr-defined]
            found[name] = (out.clone(), kind)  # a later operation may work in place

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if next(module.children(), None) is None:
                handle = module.register_forward_hook(lambda m, a, o, name=name: hook(name, m, a, o))
                hooks.callback(handle.remove)
        yield


def _representation(module: nn.Module, args: tuple[Any, ...], own: Group | None) -> Group | None:
    """What the group does to the channels that a leaf module makes; None where that is not known."""
    if own is None or isinstance(module, GroupPool):
        return TRIVIAL
    group = getattr(module, "group", None)
    if isinstance(group, Group):
        return group
    if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
        return None  # mixes or weighs channels by its own lights
    known: Group | None = getattr(args[0], "_symdata_group", None) if args else None
    return known  # ReLU, pooling and dropout keep what they get
