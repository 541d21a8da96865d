"""Feature maps as images: which outputs of layers have a grid, and how a motion of the image moves them.

A map (B, C, h, w) is taken for an image of the same field of view: it turns, scales and shears about its own centre,
and a shift of the image by a pixel shifts it by a pixel over its stride. Channels are scalars: a motion leaves their
values as they are. The tokens of a transformer are such a map in another order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt, log

from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.tracing import Tracer

ToGrid = Callable[[Tensor], Tensor | None]
"""What makes a map (B, C, h, w) of a layer's output, by picking and reordering; None for an output without a grid."""


def default_grid(features: Tensor) -> Tensor | None:
    """Maps (B, C, h, w) as they are; tokens (B, N, C) as (B, C, h, h), for N = h h, or N = h h + 1.

    The latter begin with a class token, which is left out, so that it should not move. None for anything else.
    """
    if features.ndim == 4:
        return features
    if features.ndim != 3:
        return None
    b, n, c = features.shape
    side = isqrt(n)
    extra = n - side * side
    if not side or extra > 1:
        return None
    return features[:, extra:].transpose(1, 2).reshape(b, c, side, side)


@dataclass(frozen=True)
class Frame:
    """How the grids of feature maps lie in the image."""

    size: tuple[int, int]
    """(height, width) of the image."""
    strides: tuple[tuple[float, float], ...] = ()
    """Pixels of the image per pixel of a map, (high, wide), as they occur in the model; empty where not known."""

    @classmethod
    def of(cls, model: nn.Module | None, inputs: Tensor) -> "Frame":
        """The strides that the tracer meets in a model on its way through images (B, C, H, W); none without a model."""
        size = (inputs.shape[-2], inputs.shape[-1])
        if model is None:
            return cls(size)
        try:
            layers = Tracer(model, inputs.shape[1]).trace(size)
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
