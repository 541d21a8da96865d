"""Feature maps as images: which outputs of layers have a grid, and how a motion of the image moves them.

A map (B, C, h, w) is taken for an image of the same field of view: it turns, scales and shears about its own centre,
and a shift of the image by a pixel shifts it by a pixel over its stride. Channels are scalars: a motion does not change
their values. The tokens of a transformer are such a map in another order, and so are maps (B, h, w, C), which some
networks have inside their blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt, log

from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.exactness.tracer import Tracer

ToGrid = Callable[[Tensor], Tensor | None]
"""Makes a map (B, C, h, w) of a layer's output, by picking and reordering; None for an output without a grid."""
LayerGrid = Callable[[Tensor, nn.Module], Tensor | None]
"""The same, given the module that made the output."""

CHANNELS_FIRST = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    nn.GroupNorm,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)
"""Modules that make maps (B, C, h, w), whatever their shape."""


def default_grid(features: Tensor) -> Tensor | None:
    """Maps (B, C, h, w) as they are; tokens (B, N, C) as (B, C, h, h), for C > 1 and N = h h, or N = h h + 1.

    The latter begin with a class token, which is left out. None for anything else: (B, N, 1) is a vector that a pool
    made.
    """
    if features.ndim == 4:
        return features
    if features.ndim != 3:
        return None
    b, n, c = features.shape
    side = isqrt(n)
    extra = n - side * side
    if not side or extra > 1 or c == 1:
        return None
    return features[:, extra:].transpose(1, 2).reshape(b, c, side, side)


@dataclass(frozen=True)
class Layouts:
    """Where the outputs of a model's layers have their channels: (B, C, h, w), (B, h, w, C), or tokens.

    The shape decides where the image is square and two axes of three are equal; else the module. Where that may have
    either, as an activation: channels come first in a network without layer norms, and are not known in others, whose
    blocks may have them last.
    """

    square: bool
    """Whether the images are square."""
    plain: bool
    """Whether no layer is a layer norm."""
    tokens: bool
    """Whether tokens count as maps."""

    @classmethod
    def of(cls, model: nn.Module, inputs: Tensor, *, tokens: bool = True) -> "Layouts":
        """The layouts of a model for images (B, C, H, W)."""
        norms = any("layernorm" in type(module).__name__.lower() for module in model.modules())
        return cls(inputs.shape[-2] == inputs.shape[-1], not norms, tokens)

    def __call__(self, features: Tensor, module: nn.Module) -> Tensor | None:
        """A map (B, C, h, w) of the output of a module; None if it has no grid, or none that is known."""
        if features.ndim != 4:
            return default_grid(features) if self.tokens else None
        last = self._channels_last(features.shape, module)
        if last is None:
            return None
        return features.permute(0, 3, 1, 2) if last else features

    def _channels_last(self, shape: Sequence[int], module: nn.Module) -> bool | None:
        if isinstance(module, CHANNELS_FIRST):
            return False
        _, a, b, c = shape
        if self.square and (a == b) != (b == c):
            return a == b
        # Subclasses of LayerNorm may permute axes inside, so the exact type counts.
        if type(module) is nn.Linear or (type(module) is nn.LayerNorm and module.normalized_shape == (c,)):
            return True
        return False if self.plain else None


def layer_grid(to_grid: ToGrid | None, model: nn.Module, inputs: Tensor) -> LayerGrid:
    """A function of the user, which gets the output alone, or by default the layouts of the model."""
    if to_grid is None:
        return Layouts.of(model, inputs)
    return lambda features, module: to_grid(features)


@dataclass(frozen=True)
class ImageFrame:
    """How the grids of feature maps lie in the image."""

    size: tuple[int, int]
    """(height, width) of the image."""
    strides: tuple[tuple[float, float], ...] = ()
    """Pixels of the image per pixel of a map, (high, wide), that occur in the model; empty where not known."""

    @classmethod
    def of(cls, model: nn.Module | None, inputs: Tensor) -> "ImageFrame":
        """With the strides of a model for images (B, C, H, W), as the tracer records them; without a model, none."""
        size = (inputs.shape[-2], inputs.shape[-1])
        if model is None:
            return cls(size)
        try:
            layers = Tracer(model, inputs.shape[1]).trace(size, ()).layers
        except ModelError:
            return cls(size)
        found = [(a.scale[0] * a.stride[0], a.scale[1] * a.stride[1]) for a in layers]
        return cls(size, ((1.0, 1.0), *dict.fromkeys(found)))

    def pixel(self, grid: Tensor) -> tuple[float, float]:
        """Pixels of the image per pixel of a map: the stride that fits its size best, else the ratio of the sizes.

        Not the ratio where a stride is known: a convolution without padding loses a border and keeps its stride.
        """
        ratio = (self.size[0] / grid.shape[-2], self.size[1] / grid.shape[-1])
        return min(
            self.strides, key=lambda s: sum(abs(log(a / b)) for a, b in zip(s, ratio, strict=True)), default=ratio
        )
