"""Every subsampling that a torch model does at one input size, recorded at the dispatcher.

Modules, functions, methods, scripts and escnn all end there in the same few dozen operations, with `same` padding
already spelt out. Each tensor is recorded with its sampling grid: how many input pixels a step is, how far it is out of
centre, and padding or cropping that the next window may or may not undo. Nothing is computed: the model runs on the
meta device, and on real zeros only if it cannot.

Modules that choose pixels by their input have no grid that follows from arguments. Ours declare what they do
(`zoo.layers.subsampling.polyphase.ByPhase`): their operations are not recorded, and the trace has one subsampling for
the module, whose lattice moves with the image, so that its residue is that of size by stride.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.errors import ModelError, describe_error
from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.effects import Axes, Border, Call, Step
from zoo.exactness.hooks import module_hooks
from zoo.exactness.meta_shapes import shape_only
from zoo.exactness.operations import effect_of
from zoo.exactness.sampling_grid import SamplingGrid, merge, pair
from zoo.layers.subsampling.polyphase import ByPhase

FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError)
"""What a model raises, of torch's and Python's own kinds, that cannot run on an input."""
ANYTHING = (Exception,)
"""What it may raise at one size of many, or on the meta device: errors of its own kind too."""


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
        self.device = torch.device("cpu") if parameter is None else parameter.device
        self._real = duplicate(model)
        self._meta = _on_meta(self._real)

    def trace(self, size: tuple[int, int]) -> tuple[Subsampling, ...]:
        """All subsamplings at this (height, width), in the order in which they run; `ModelError` if it cannot run."""
        if self._meta is not None:
            try:
                return self._run(self._meta, size, torch.device("meta"))
            except ANYTHING:
                pass  # the model may still run on real tensors
        try:
            found = self._run(self._real, size, self.device)
        except ANYTHING as error:
            shape = (1, self.in_chans, *size)
            raise ModelError(
                f"{type(self._real).__name__} cannot run on an input {shape}: {describe_error(error)}; "
                "give a size and a number of channels that it accepts, for example a larger --size"
            ) from error
        self._meta = None
        return found

    def _run(self, model: nn.Module, size: tuple[int, int], device: torch.device) -> tuple[Subsampling, ...]:
        images = torch.zeros(1, self.in_chans, *size, dtype=self.dtype, device=device)
        with torch.no_grad(), _Recorder(images) as recorder, module_hooks(model, recorder.leave, recorder.enter):
            outputs = model(images)
        recorder.finish(outputs)
        return tuple(recorder.found)


def _on_meta(model: nn.Module) -> nn.Module | None:
    try:
        return duplicate(model).to("meta")
    except ANYTHING:  # scripted modules, for one
        return None


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


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Subsampling] = []
        self.path = [""]  # the names of the running modules, outermost first
        self.hidden = 0  # how many of them declare what they do
        self.grids = WeakTensorKeyDictionary({images: SamplingGrid()})

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while tracing, and shielding us from dynamo costs its import, a second

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.hidden:
            return func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        inputs = [t for t in _tensors(args) if t in self.grids]
        out = shape_only(name, args) if inputs else None
        if out is None:
            out = func(*args, **(kwargs or {}))
        if inputs:
            source = inputs[0]
            grid = merge([self.grids[t] for t in inputs])
            pooled = isinstance(out, tuple | list) and "max_pool" in name  # with the positions of the maxima
            first = out[0] if pooled else out
            call = Call(name, source, args[1:], first, grid.axes)
            match effect_of(call) if isinstance(first, Tensor) else None:
                case Step() as step:
                    grid = self._record(step, grid)
                case Border() as border:
                    grid = grid.bordered(replace(border, name=self.path[-1]))
                case Axes(axes):
                    grid = replace(grid, axes=axes)
                case None:
                    grid = grid.kept(source, first)
            for tensor in _tensors([out]):
                self.grids[tensor] = grid
        return out

    def enter(self, name: str, module: nn.Module) -> None:
        """Before a module runs."""
        self.path.append(name)
        self.hidden += isinstance(module, ByPhase)

    def leave(self, name: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        """After a module has run, or failed."""
        if isinstance(module, ByPhase):
            self.hidden -= 1
            self._declare(module, args, out)
        self.path.pop()

    def _declare(self, module: ByPhase, args: tuple[Any, ...], out: Any) -> None:
        """Record one subsampling of a module's first argument, as it declares; none if it makes no map."""
        source, result = (next(_tensors([values]), None) for values in (args[:1], out))
        if not module.sampling or source is None or result is None or source not in self.grids:
            return
        (h, w), s = source.shape[-2:], module.stride
        factor, up = (h / result.shape[-2], w / result.shape[-1]), result.shape[-1] > w
        step = Step(module.sampling, (h, w), stride=(s, s), residue=(0, 0) if up else (h % s, w % s), factor=factor)
        self.grids[result] = self._record(step, self.grids[source])

    def _record(self, step: Step, grid: SamplingGrid) -> SamplingGrid:
        """Append the subsampling of a step, if it is worth a line; returns the grid after it."""
        if not (grid.is_centred or any(step.residue) or step.unknown or step.one_axis):
            # The window leaves nothing over by itself, so it does not undo the border before it.
            self.found.append(grid.as_subsampling())
            grid = grid.misaligned()
        r = pair(abs(round(r - o, 6)) for r, o in zip(step.residue, grid.offset, strict=True))
        phi = grid.phi_after(r)
        scale = pair(a * b for a, b in zip(grid.scale, step.factor, strict=True))
        axes = None if step.loses_axes else (grid.axes if step.one_axis else (-2, -1))
        after = SamplingGrid(axes, scale, phi, half=(len(self.found), step.start) if step.one_axis else None)
        if step.one_axis and grid.half is not None and (both := _joined(self.found, grid, step, r, phi)):
            self.found[grid.half[0]] = both
            return replace(after, half=None)
        alike = step.isotropic and grid.is_square
        if step.is_listed or any(r) or not alike:
            note = step.note or grid.note if any(r) or step.unknown else ""
            self.found.append(grid.subsampling(self.path[-1], step, r, alike, note))
        return after

    def finish(self, outputs: Any) -> None:
        """Record padding that no window has read: it misaligns the output itself."""
        grids = [self.grids[tensor] for tensor in _tensors([outputs]) if tensor in self.grids]
        self.found += [grid.as_subsampling() for grid in grids if grid.axes and not grid.is_centred]


def _joined(
    found: Sequence[Subsampling], grid: SamplingGrid, step: Step, r: tuple[float, float], phi: tuple[float, float]
) -> Subsampling | None:
    """Two slices, one per axis, as one subsampling; None if they are not that."""
    assert grid.half is not None
    number, start = grid.half
    axis, one = 0 if step.stride[0] > 1 else 1, found[number]
    if one.kind != step.kind or one.stride[axis] > 1:
        return None

    def both(a: Any, b: Any) -> Any:
        return (b[0], a[1]) if axis == 0 else (a[0], b[1])

    kernel, stride = both(one.kernel, step.kernel), both(one.stride, step.stride)
    note = one.note or (grid.note if any(r) and not any(step.residue) else "")
    alike = kernel[0] == kernel[1] and stride[0] == stride[1] and start == step.start
    residue = both(one.residue, r)
    return replace(one, kernel=kernel, stride=stride, residue=residue, phi=phi, isotropic=alike, note=note)


def _tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from _tensors(value)
