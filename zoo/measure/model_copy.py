"""A copy of a model to measure, and the images for it, a batch at a time: the model itself is never changed."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError, one_of
from zoo.errors import ModelError
from zoo.exactness.tracer import duplicate
from zoo.inference.forward import compute, device_of, rehearse
from zoo.measure.double_precision import DoublePrecision

OUTPUTS = ("logits", "softmax")
"""The output to measure: that of the model, or the softmax of it."""

UNFOLDED = 8
"""Share of a batch in float64 on a CPU, where convolutions unfold their input: 1/8 was fastest (P4CNN at 28)."""

Measurable = nn.Module | Callable[[Tensor], Tensor]
"""A model, or any function of an image batch."""


class Function(nn.Module):
    """A function as a module without weights."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class ModelCopy:
    """A copy in eval mode, in the precision of the measurement, without gradients of its weights, ready to run.

    Args:
        model: copied if it is a module.
        inputs: normalised floats (n, C, H, W), as the model takes them.
        output: one of `OUTPUTS`.
        dtype: float64, or float32 for a model that cannot compute in it.
        batch_size: images per forward; by default as many as keep the largest activation in the cache.
        derived: whether derivatives are taken, which need space in the cache too.

    Raises:
        ModelError, ShapeError: for a model or inputs that cannot be measured.
    """

    def __init__(
        self,
        model: Measurable,
        inputs: Tensor,
        output: str = "logits",
        dtype: torch.dtype = torch.float64,
        batch_size: int | None = None,
        derived: bool = False,
    ) -> None:
        self.inputs, self.dtype = checked_inputs(inputs), dtype
        self.output = one_of("output", output, OUTPUTS, ModelError)
        if dtype not in (torch.float64, torch.float32):
            raise ModelError(f"dtype is {dtype}, expected torch.float64, or torch.float32 where that cannot be")
        self.model = copied(model).to(dtype)
        self.device = device_of(self.model)
        if self.device.type == "mps" and dtype == torch.float64:  # it has no such numbers
            self.device, self.model = torch.device("cpu"), self.model.cpu()
        self.lifted = False
        """Whether it runs in float64 only where that replaces the float32 that it asks for."""
        one = self.inputs[:1].to(self.device, dtype)
        try:
            fitting, self.layout = self._rehearsed(one)
        except ModelError as error:
            self.lifted = True
            try:
                fitting, self.layout = self._rehearsed(one)
            except ModelError:
                raise error from None
        unfolded = self.device.type == "cpu" and dtype == torch.float64
        self.batch = batch_size or max(1, fitting // (4 if derived else UNFOLDED if unfolded else 1))

    @torch.no_grad()
    def _rehearsed(self, one: Tensor) -> tuple[int, torch.memory_format]:
        fitting, layout = rehearse(self.model, one, self._compute)
        if self._compute(self.model, one).dtype != self.dtype and not self.lifted and self.dtype == torch.float64:
            raise ModelError("its output is not in float64")
        return fitting, layout

    def _compute(self, model: nn.Module, images: Tensor) -> Tensor:
        with DoublePrecision() if self.lifted and self.dtype == torch.float64 else nullcontext():  # type: ignore[no-untyped-call]
            return compute(model, images)

    def batches(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows and images, a batch at a time, on the device, in the precision and layout of the copy."""
        for start in range(0, len(self.inputs), self.batch):
            rows = slice(start, start + self.batch)
            yield rows, self.laid_out(self.inputs[rows].to(self.device, self.dtype))

    def laid_out(self, images: Tensor) -> Tensor:
        """A fresh tensor in the layout of the copy: a model may work in place."""
        return images.clone(memory_format=self.layout)

    def run(self, images: Tensor) -> Tensor:
        """The output of the copy, (B, ...) in the precision of the measurement."""
        out = self._compute(self.model, self.laid_out(images))
        if out.dtype != self.dtype:
            raise ModelError(
                f"{type(self.model).__name__} gives {out.dtype} for {self.dtype} images, so it computes in that "
                "somewhere and rounding hides differences; say dtype=torch.float32, and method='jvp' for derivatives"
            )
        return out.softmax(1) if self.output == "softmax" else out


def copied(model: Any) -> nn.Module:
    """A copy of a module, or a function as a module; in eval mode, its weights without gradients."""
    if isinstance(model, nn.Module):
        return duplicate(model).requires_grad_(False)
    if not callable(model):
        raise ModelError(f"the model is a {type(model).__name__}, expected a torch module or a function of images")
    return Function(model).eval()


def checked_inputs(inputs: Any) -> Tensor:
    """The inputs, if they are normalised images (n, C, H, W) of floats, at least one; else `ShapeError`."""
    if not isinstance(inputs, Tensor):
        raise ShapeError(f"inputs are {type(inputs).__name__}, expected a tensor; use torch.as_tensor(inputs)")
    if inputs.ndim != 4 or not inputs.is_floating_point() or not len(inputs):
        got = f"{inputs.dtype} {tuple(inputs.shape)}"
        raise ShapeError(f"inputs are {got}, expected normalised floats (B, C, H, W); preprocess the images first")
    return inputs.detach()
