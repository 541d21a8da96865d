"""Every subsampling that a torch model does at one input size, seen at the dispatcher.

There all roads meet: modules, functions, methods, scripts and escnn end in the same few dozen operations, with `same`
padding already spelt out. Each tensor carries its grid: how many input pixels a step is, how far it is out of centre,
and padding or cropping that the next window may or may not undo. Nothing is computed: the model runs on the meta
device, and on real zeros only if it cannot.

Modules that choose pixels by their input have no grid that arguments could tell. Ours say what they do
(`zoo.layers.subsampling.polyphase.ByPhase`): it is not looked at, and stands in the trace as one subsampling whose
lattice moves with the image, so that its residue is that of size by stride.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.errors import ModelError, describe_error
from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.meta_shapes import shape_only
from zoo.exactness.operations import Step, step_of
from zoo.exactness.sampling_grid import SamplingGrid, follow, merge, pair
from zoo.layers.subsampling.polyphase import ByPhase

FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError)
"""What a model raises, of torch's and Python's own kinds, that cannot run on an input."""
ANYTHING = (Exception,)
"""What it may raise at one size of many, or on the meta device: errors of its own kind too."""


class Tracer:
    """A model ready to be traced at any number of sizes.

    Args:
        model: any `nn.Module` that takes one image batch (B, C, H, W); it is copied, never changed.
        in_chans: C; found from the first convolution where it is not given.

    Raises:
        ModelError: if the model cannot be copied or its number of channels cannot be found.
    """

    def __init__(self, model: nn.Module, in_chans: int | None = None) -> None:
        self.in_chans = input_channels(model) if in_chans is None else in_chans
        parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
        self.dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        self.device = torch.device("cpu") if parameter is None else parameter.device
        self._real = duplicate(model)
        self._meta = _on_meta(self._real)

    def trace(self, size: tuple[int, int]) -> tuple[Subsampling, ...]:
        """All subsamplings at this (height, width), in the order in which they run; `ModelError` if it cannot run."""
        if self._meta is not None:
            try:
                return self._run(self._meta, size, torch.device("meta"))
            except ANYTHING:
                found = self._run_real(size)
                self._meta = None  # the real model can do what it cannot on the meta device
                return found
        return self._run_real(size)

    def _run_real(self, size: tuple[int, int]) -> tuple[Subsampling, ...]:
        try:
            return self._run(self._real, size, self.device)
        except ANYTHING as error:
            shape = (1, self.in_chans, *size)
            raise ModelError(
                f"{type(self._real).__name__} cannot run on an input {shape}: {describe_error(error)}; "
                "give a size and a number of channels that it accepts, for example a larger --size"
            ) from error

    def _run(self, model: nn.Module, size: tuple[int, int], device: torch.device) -> tuple[Subsampling, ...]:
        images = torch.zeros(1, self.in_chans, *size, dtype=self.dtype, device=device)
        with torch.no_grad(), _Recorder(images) as recorder, _names(model, recorder):
            outputs = model(images)
        recorder.finish(outputs)
        return tuple(recorder.found)


def _on_meta(model: nn.Module) -> nn.Module | None:
    try:
        return duplicate(model).to("meta")
    except ANYTHING:  # scripted modules, for one
        return None


def duplicate(model: nn.Module) -> nn.Module:
    """A deep copy in eval mode; `ModelError` for a model that has none."""
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


@contextmanager
def _names(model: nn.Module, recorder: "_Recorder") -> Iterator[None]:
    """While this lasts, the recorder's `path` holds the names of the modules that are running, outermost first, and
    `hidden` counts those among them that declare what they do."""

    def enter(name: str, module: nn.Module) -> None:
        recorder.path.append(name)
        recorder.hidden += isinstance(module, ByPhase)

    def leave(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        if isinstance(module, ByPhase):
            recorder.hidden -= 1
            recorder.declare(module, args, out)
        recorder.path.pop()

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks; what it does is seen all the same
                continue
            hooks.callback(module.register_forward_pre_hook(lambda m, _, name=name: enter(name, m)).remove)
            hooks.callback(module.register_forward_hook(leave, always_call=True).remove)
        yield


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Subsampling] = []
        self.path: list[str] = []
        self.hidden = 0
        _mark(images, SamplingGrid())

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while tracing, and shielding us from dynamo costs its import, a second

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.hidden:
            return func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        inputs = [t for t in _tensors(args) if _place(t) is not None]
        out = shape_only(name, args) if inputs else None
        if out is None:
            out = func(*args, **(kwargs or {}))
        if inputs:
            source = inputs[0]
            place = merge([_place(t) for t in inputs])
            pooled = isinstance(out, tuple | list) and "max_pool" in name  # and where the maxima were
            first = out[0] if pooled else out
            if isinstance(first, Tensor) and (step := step_of(name, source, args[1:], first, place.axes)):
                place = self._record(step, place)
            else:
                place = follow(name, source, args[1:], first, place)
            for tensor in _tensors([out]):
                _mark(tensor, place)
        return out

    def declare(self, module: ByPhase, args: tuple[Any, ...], out: Any) -> None:
        """What a module said of itself: one subsampling of its first argument, or nothing if it makes no map."""
        source, result = (next(_tensors([values]), None) for values in (args[:1], out))
        if not module.sampling or source is None or result is None or (place := _place(source)) is None:
            return
        (h, w), s = source.shape[-2:], module.stride
        factor, up = (h / result.shape[-2], w / result.shape[-1]), result.shape[-1] > w
        step = Step(module.sampling, (h, w), stride=(s, s), residue=(0, 0) if up else (h % s, w % s), factor=factor)
        _mark(result, self._record(step, place))

    def _record(self, step: Step, place: SamplingGrid) -> SamplingGrid:
        name = self.path[-1] if self.path else ""
        if not step.samples:
            return place.bordered(step, name)
        if not (place.is_even or any(step.residue) or step.unknown or step.one_axis):
            # the window is in step with what it is given
            self.found.append(place.blamed())
            place = place.settled()
        r = pair(abs(round(r - o, 6)) for r, o in zip(step.residue, place.offset, strict=True))
        phi = pair(p + a * b for p, a, b in zip(place.phi, r, place.scale, strict=True))
        scale = pair(a * b for a, b in zip(place.scale, step.factor, strict=True))
        axes = None if step.loses_axes else (place.axes if step.one_axis else (-2, -1))
        after = SamplingGrid(axes, scale, phi, half=(len(self.found), step.start) if step.one_axis else None)
        if step.one_axis and place.half is not None and (both := _joined(self.found, place, step, r, phi)):
            self.found[place.half[0]] = both
            return replace(after, half=None)
        alike = step.isotropic and place.border[0] == place.border[1]
        note = step.note or place.why
        if step.worth_telling or any(r) or not alike:
            self.found.append(
                Subsampling(
                    name=name,
                    kind=step.kind,
                    size=step.size,
                    kernel=step.kernel,
                    stride=step.stride,
                    padding=step.padding,
                    dilation=step.dilation,
                    residue=r,
                    scale=place.scale,
                    phi=phi,
                    isotropic=alike,
                    note=note if any(r) or step.unknown else "",
                    unknown=step.unknown,
                )
            )
        return after

    def finish(self, outputs: Any) -> None:
        """Padding that no window has read is out of centre in the output itself."""
        for tensor in _tensors([outputs]):
            place = _place(tensor)
            if place is not None and place.axes and not place.is_even:
                self.found.append(place.blamed())


def _joined(
    found: Sequence[Subsampling], place: SamplingGrid, step: Step, r: tuple[float, float], phi: tuple[float, float]
) -> Subsampling | None:
    """Two slices, one per axis, as one subsampling; None if they are not that."""
    assert place.half is not None
    number, start = place.half
    axis, one = 0 if step.stride[0] > 1 else 1, found[number]
    if one.kind != step.kind or one.stride[axis] > 1:
        return None

    def both(a: Any, b: Any) -> Any:
        return (b[0], a[1]) if axis == 0 else (a[0], b[1])

    kernel, stride = both(one.kernel, step.kernel), both(one.stride, step.stride)
    note = one.note or (place.why if any(r) and not any(step.residue) else "")
    alike = kernel[0] == kernel[1] and stride[0] == stride[1] and start == step.start
    residue = both(one.residue, r)
    return replace(one, kernel=kernel, stride=stride, residue=residue, phi=phi, isotropic=alike, note=note)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, dict):
        values = values.values()
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from _tensors(value)


def _mark(tensor: Tensor, place: SamplingGrid) -> None:
    tensor._symdata_place = place  # type: ignore[attr-defined]


def _place(tensor: Tensor) -> SamplingGrid | None:
    return getattr(tensor, "_symdata_place", None)
