"""Settings of a Lie derivative, and the motion itself: of images, of outputs, and of the maps in between."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from symdata.display import plain_fields
from symdata.errors import one_of
from symdata.transforms.generators import Generator
from zoo.errors import ModelError
from zoo.measure.maps import ImageFrame, ToGrid
from zoo.measure.model_copy import Measurable, ModelCopy
from zoo.measure.motions.flows import find_generator, flow, tangent

METHODS = ("central", "jvp", "double-backward")
ACTIONS = ("invariant", "image")

STEP_PIXELS = {torch.float64: 1e-4, torch.float32: 1e-2}
"""How far the fastest pixel moves in a central difference: far enough for rounding, near enough for the derivative."""


@dataclass(frozen=True)
class LieDerivativeSettings:
    """How a Lie derivative is computed.

    Example:
        >>> LieDerivativeSettings(method="jvp").to_dict()["method"]
        'jvp'
    """

    output: str = "logits"
    """`logits`, the model's output, or the `softmax` of that."""
    out_action: str | Callable[[Tensor, float], Tensor] = "invariant"
    """What a motion does to outputs: `invariant`, nothing; `image`, what it does to images; or T'(outputs, t)."""
    method: str = "central"
    """`central` differences, 2 forwards; `jvp`, forward-mode differentiation, 3; `double-backward`, 4 to 5."""
    step: float | None = None
    """t of a central difference in the generator's unit; by default the fastest pixel moves by 0.0001 pixels."""
    kernel: str = "bicubic"
    """Between pixels an image is the `bicubic` spline through them; `bilinear` has a kink where t is 0."""
    padding: str = "reflection"
    """Outside of an image it is its `reflection`, its `border` or `zeros`."""
    batch_size: int | None = None
    """Images per forward; by default as many as keep the largest activation in the cache."""
    dtype: torch.dtype = torch.float64
    """Of the computation; float32 is for models that cannot compute in float64."""

    def __post_init__(self) -> None:
        one_of("method", self.method, METHODS, ModelError)
        if self.out_action not in ACTIONS and not callable(self.out_action):
            raise ModelError(
                f"out_action is {self.out_action!r}, expected {' or '.join(ACTIONS)}, or a function of (outputs, t)"
            )
        if self.step is not None and not (isfinite(self.step) and self.step > 0):
            raise ModelError(f"step is {self.step}, expected a number above 0, for example 1e-4")

    def to_dict(self) -> dict[str, str]:
        """As plain data for JSON: those that matter to a reader."""
        action = self.out_action if isinstance(self.out_action, str) else "function"
        return {"output": self.output, "out_action": action, **plain_fields(self, "method", "kernel", "padding")}


class Motion:
    """A generator, acting on the images and the outputs of one model.

    Args:
        model: copied, ready to run on the images as `model_copy`.
        inputs: the images.
        generator: by value or name.
        settings: of the Lie derivative.
        maps: whether the maps in between are moved too.
    """

    def __init__(
        self,
        model: Measurable,
        inputs: Tensor,
        generator: Generator | str,
        settings: LieDerivativeSettings,
        maps: bool = False,
    ) -> None:
        derived = settings.method != "central"
        self.model_copy = ModelCopy(model, inputs, settings.output, settings.dtype, settings.batch_size, derived)
        self.generator, self.settings = find_generator(generator), settings
        strided = maps or settings.out_action == "image"  # otherwise no trace of the model is needed
        self.frame = ImageFrame.of(self.model_copy.model if strided else None, self.model_copy.inputs)
        fastest = self.generator.fastest(self.frame.size)
        self.step = settings.step or STEP_PIXELS[settings.dtype] / max(fastest, 1.0)  # t of a central difference

    @property
    def _sampling(self) -> dict[str, Any]:
        return {"kernel": self.settings.kernel, "padding": self.settings.padding}

    def moved(self, images: Tensor, t: float) -> Tensor:
        """T_t x."""
        return flow(images, self.generator, t, **self._sampling)

    def velocity(self, images: Tensor) -> Tensor:
        """d/dt T_t x at t = 0."""
        return tangent(images, self.generator, **self._sampling)

    def outputs_moved(self, out: Tensor, t: float) -> Tensor:
        """T'_t y."""
        action = self.settings.out_action
        if action == "invariant":
            return out
        if callable(action):
            return action(out, t)
        return flow(out, self.generator, t, pixel=self.frame.pixel(_image(out)), **self._sampling)

    def outputs_velocity(self, out: Tensor) -> Tensor:
        """d/dt T'_t y at t = 0."""
        if self.settings.out_action == "invariant":
            return torch.zeros_like(out)
        if self.settings.out_action == "image":
            return tangent(out, self.generator, pixel=self.frame.pixel(_image(out)), **self._sampling)
        return (self.outputs_moved(out, self.step) - self.outputs_moved(out, -self.step)) / (2 * self.step)

    def map_velocity(self, features: Tensor, to_grid: ToGrid) -> Tensor:
        """How fast a layer's output should move, in its own shape; 0 for one without a grid."""
        with torch.enable_grad():
            leaf = features.detach().requires_grad_()
            grid = to_grid(leaf)
        if grid is None:
            return torch.zeros_like(features)
        if not isinstance(grid, Tensor) or grid.ndim != 4:
            got = tuple(grid.shape) if isinstance(grid, Tensor) else type(grid).__name__
            raise ModelError(f"to_grid made {got} of {tuple(features.shape)}, expected (B, C, h, w), or None")
        velocity = tangent(grid.detach(), self.generator, pixel=self.frame.pixel(grid), **self._sampling)
        if grid is leaf:
            return velocity
        # The transpose of picking and reordering puts every value back, and 0 where nothing was picked.
        (back,) = torch.autograd.grad(grid, leaf, velocity)
        return back


def _image(out: Tensor) -> Tensor:
    if out.ndim == 4:
        return out
    raise ModelError(
        f"outputs {tuple(out.shape)} are no images, so out_action='image' cannot move them; "
        "use 'invariant', or a function of (outputs, t)"
    )
