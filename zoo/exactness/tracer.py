"""Every subsampling that a torch model does at one input size, and what can be proven of the run as a whole.

The model runs once, on a blank image on the CPU (twice on a rectangle), and is watched by a `Recorder`. Convolutions
and products of what depends on the image are not computed.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from symdata.groups import Element
from zoo.errors import ModelError, describe_error
from zoo.exactness.arithmetic import D4
from zoo.exactness.calls import Call
from zoo.exactness.escapes import Escapes
from zoo.exactness.hooks import module_hooks
from zoo.exactness.memory import Memory
from zoo.exactness.recorder import Recorder
from zoo.exactness.trace import RunTrace, heads, outcome, outputs_of

FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError)
"""What a model raises, of torch's and Python's own kinds, that cannot run on an input."""
ANYTHING = (Exception,)
"""What it may raise at one size of many: errors of its own kind too."""


class Tracer:
    """A model ready to be traced at any number of sizes.

    Args:
        model: any `nn.Module` that takes one image batch (B, C, H, W); it is copied, never changed.
        in_chans: C; by default read from the first convolution.

    Raises:
        ModelError: if the model cannot be copied or its number of channels cannot be found.
    """

    def __init__(self, model: nn.Module, in_chans: int | None = None) -> None:
        self.in_chans = input_channels(model) if in_chans is None else in_chans
        parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
        self.dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        self._model = duplicate(model)
        self._answers: dict[Any, Any] = {}
        self._left = list[Tensor]()  # what the model keeps of the last image
        if parameter is not None and parameter.device.type != "cpu":
            self._model = self._model.to("cpu")

    def trace(
        self, size: tuple[int, int], elements: Iterable[Element] | None = None, *, isotropic: bool = True
    ) -> RunTrace:
        """What a run at this (height, width) shows; `ModelError` if the model cannot run.

        Args:
            size: pixels.
            elements: of d4, which to follow; by default all.
            isotropic: whether filters count as symmetric, because the question is about the grids alone; otherwise
                filters are compared with their own images.
        """
        followed = [e for e in (D4.elements if elements is None else elements) if e != D4.elements[0]]
        swaps = [e for e in followed if D4.index(e) % 2 and size[0] != size[1]]
        straight = [e for e in followed if e not in swaps]
        recorder, outputs, _ = self._run(size, straight, isotropic)
        losses, weighs = outcome(recorder, outputs), heads(recorder, outputs)
        if swaps:
            before, _, ends = self._run(size, swaps, isotropic, proves=False)
            try:
                other, outputs, _ = self._run((size[1], size[0]), swaps, isotropic, before.calls, ends)
                losses, weighs = losses | outcome(other, outputs), weighs or heads(other, outputs)
            except ModelError as error:
                losses |= _cannot_turn(recorder, swaps, error)
        return RunTrace(tuple(recorder.grids.found), losses, weighs)

    def _run(
        self,
        size: tuple[int, int],
        elements: Sequence[Element],
        isotropic: bool,
        calls: list[Call] | None = None,
        ends: list[Any] | None = None,
        proves: bool = True,
    ) -> tuple[Recorder, list[Tensor], list[Any]]:
        """The recorder of a run, its outputs, and which calls made them.

        A model that keeps something, such as positions for a size that it has not seen, runs a second time: what it
        keeps of the first image is unknown then, and so is everything if it has changed again.
        """
        image = torch.zeros(1, self.in_chans, *size, dtype=self.dtype)
        before = Memory(self._model)
        recorder, outputs = self._watched(image, elements, isotropic, calls, proves)
        after = Memory(self._model)
        if before.changed(after):
            left = {path: tensor for path, tensor in after.tensors() if recorder.state(tensor) is not None}
            self._left = list(left.values())
            recorder, outputs = self._watched(image, elements, isotropic, calls, proves)
            if again := [path for path in after.changed(Memory(self._model)) if path not in left]:
                recorder.escape(again[0], "changes in every run, and may change what the next one answers")
        return recorder, outputs, recorder.finish(outputs, ends)

    def _watched(
        self, image: Tensor, elements: Sequence[Element], isotropic: bool, calls: list[Call] | None, proves: bool
    ) -> tuple[Recorder, list[Tensor]]:
        recorder = Recorder(image, elements, isotropic, calls, proves, self._answers)
        recorder.forget(self._left)
        return recorder, self._outputs(image, recorder)

    def _outputs(self, image: Tensor, recorder: Recorder) -> list[Tensor]:
        """Those of a run on the image, which the recorder watches."""
        fast = torch.backends.mha.get_fastpath_enabled()
        try:
            torch.backends.mha.set_fastpath_enabled(False)  # it is one operation for a whole block
            with (
                torch.no_grad(),
                Escapes(recorder),
                recorder,
                module_hooks(self._model, recorder.leave, recorder.enter),
            ):
                return list(outputs_of(self._model(image)))
        except ANYTHING as error:
            raise ModelError(
                f"{type(self._model).__name__} cannot run on an input {tuple(image.shape)}: {describe_error(error)}; "
                "give a size and a number of channels that it accepts, for example a larger --size"
            ) from error
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


def _cannot_turn(recorder: Recorder, elements: Sequence[Element], error: ModelError) -> dict[Element, Any]:
    loss = recorder.last_loss()(f"cannot run on the turned rectangle ({error})", True)
    return dict.fromkeys(elements, loss)


def duplicate(model: nn.Module) -> nn.Module:
    """A deep copy of the model in eval mode; `ModelError` if it cannot be copied."""
    # Tensors with a history (the filters that escnn expands, those of weight_norm) refuse to be copied: detach them.
    held = [t for m in model.modules() for t in (*m.__dict__.values(), *m._buffers.values()) if isinstance(t, Tensor)]
    memo = {id(t): t.detach().clone() for t in held if not t.is_leaf}
    try:
        with torch.no_grad():
            return copy.deepcopy(model, memo).eval()
    except ANYTHING as error:
        raise ModelError(
            f"{type(model).__name__} cannot be copied: {describe_error(error)}; give a model made of parameters"
        ) from error


def known_size(model: nn.Module) -> int | tuple[int, int]:
    """The input size that a model says: of its preprocessing, of its name in the zoo, or as timm and transformers do.

    Raises:
        ModelError: for a model that says none.
    """
    made = getattr(model, "architecture", None) or {}
    name = str(made.get("network", made).get("name", ""))  # an average names its network
    timm = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    said = (
        getattr(getattr(model, "preprocessing", None), "size", None),
        int(name.rpartition("_")[2]) if name.rpartition("_")[2].isdigit() else None,
        tuple(timm["input_size"][1:]) if isinstance(timm, Mapping) and "input_size" in timm else None,
        getattr(getattr(model, "config", None), "image_size", None),
    )
    found: int | tuple[int, int] | None = next((size for size in said if size is not None), None)
    if found is None:
        raise ModelError(f"{type(model).__name__} does not say its input size; give it, as in size=32")
    return found


def input_channels(model: nn.Module) -> int:
    """The channels that the first convolution reads; `ModelError` where there is none to ask."""
    for module in model.modules():
        if isinstance(channels := getattr(module, "in_channels", None), int):
            return channels
        if isinstance(size := getattr(getattr(module, "in_type", None), "size", None), int):  # escnn
            return size
    raise ModelError(
        f"{type(model).__name__} has no convolution to read the number of channels from; say in_chans=3 (--channels 3)"
    )
