"""Every subsampling that a torch model does at one input size, seen at the dispatcher.

There all roads meet: modules, functions, methods, scripts and escnn end in the same few dozen operations, with `same`
padding already spelt out. Each tensor carries its grid: how many input pixels a step is, how far it is out of centre,
and padding or cropping that the next window may or may not undo. Nothing is computed: the model runs on the meta
device, and on real zeros only if it cannot.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.errors import ModelError
from zoo.grid import Subsampling
from zoo.operations import Pair, Step, step_of
from zoo.shapes import shape_only

FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError)
"""What a model raises that cannot run at a size, or not on the meta device."""


@dataclass(frozen=True)
class Place:
    """Where the pixels of a tensor lie in the input; pairs are (height, width)."""

    axes: tuple[int, int] | None = (-2, -1)
    """The spatial axes, from the end; None where they are not known."""
    scale: tuple[float, float] = (1.0, 1.0)
    phi: tuple[float, float] = (0.0, 0.0)
    border: tuple[Pair, Pair] = ((0, 0), (0, 0))
    """Pixels padded at the (start, end) of each axis, not yet seen by a window; cropping counts negative."""
    half: tuple[int, int] | None = None
    """Number and first pixel of the last subsampling, if it took one axis only and the other may follow: a slice."""

    @property
    def offset(self) -> Pair:
        """Twice the way that the centre has moved by padding and cropping, in pixels."""
        (h0, h1), (w0, w1) = self.border
        return h1 - h0, w1 - w0


class Tracer:
    """A model ready to be traced at any number of sizes.

    Args:
        model: any `nn.Module` that takes one image batch (B, C, H, W); it is copied, never changed.
        channels: C; found from the first convolution where it is not given.

    Raises:
        ModelError: if the model cannot be copied or its number of channels cannot be found.
    """

    def __init__(self, model: nn.Module, channels: int | None = None) -> None:
        self.channels = input_channels(model) if channels is None else channels
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
            except FAILURES:
                found = self._run_real(size)
                self._meta = None  # the real model can do what it cannot on the meta device
                return found
        return self._run_real(size)

    def _run_real(self, size: tuple[int, int]) -> tuple[Subsampling, ...]:
        try:
            return self._run(self._real, size, self.device)
        except FAILURES as error:
            shape = (1, self.channels, *size)
            raise ModelError(
                f"{type(self._real).__name__} cannot run on an input {shape}: {error}. "
                "Give a size and a number of channels that it accepts, for example a larger --size"
            ) from error

    def _run(self, model: nn.Module, size: tuple[int, int], device: torch.device) -> tuple[Subsampling, ...]:
        images = torch.zeros(1, self.channels, *size, dtype=self.dtype, device=device)
        with torch.no_grad(), _Recorder(images) as recorder, _names(model, recorder.path):
            outputs = model(images)
        recorder.finish(outputs)
        return tuple(recorder.found)


def _on_meta(model: nn.Module) -> nn.Module | None:
    try:
        return duplicate(model).to("meta")
    except FAILURES:  # scripted modules, for one
        return None


def duplicate(model: nn.Module) -> nn.Module:
    """A deep copy in eval mode; `ModelError` for a model that has none."""
    # Tensors with a history (the filters that escnn expands, those of weight_norm) refuse to be copied: detach them.
    held = [t for m in model.modules() for t in (*m.__dict__.values(), *m._buffers.values()) if isinstance(t, Tensor)]
    memo = {id(t): t.detach().clone() for t in held if not t.is_leaf}
    try:
        with torch.no_grad():
            return copy.deepcopy(model, memo).eval()
    except FAILURES as error:
        raise ModelError(
            f"{type(model).__name__} cannot be copied: {error}; give a model made of parameters"
        ) from error


def input_channels(model: nn.Module) -> int:
    """The channels that the first convolution reads; `ModelError` where there is none to ask."""
    for module in model.modules():
        if isinstance(channels := getattr(module, "in_channels", None), int):
            return channels
        if isinstance(size := getattr(getattr(module, "in_type", None), "size", None), int):  # escnn
            return size
    raise ModelError(f"{type(model).__name__} has no convolution to read the number of channels from; say channels=3")


@contextmanager
def _names(model: nn.Module, path: list[str]) -> Iterator[None]:
    """While this lasts, `path` holds the names of the modules that are running, outermost first."""

    def leave(*_: Any) -> None:
        path.pop()

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks; what it does is seen all the same
                continue
            hooks.callback(module.register_forward_pre_hook(lambda *_, name=name: path.append(name)).remove)
            hooks.callback(module.register_forward_hook(leave, always_call=True).remove)
        yield


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Subsampling] = []
        self.path: list[str] = []
        _mark(images, Place())

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while tracing, and shielding us from dynamo costs its import, a second

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        inputs = [t for t in _tensors(args) if _place(t) is not None]
        out = shape_only(name, args) if inputs else None
        if out is None:
            out = func(*args, **(kwargs or {}))
        if inputs:
            source = inputs[0]
            place = _merge([_place(t) for t in inputs])
            pooled = isinstance(out, tuple | list) and "max_pool" in name  # and where the maxima were
            first = out[0] if pooled else out
            if isinstance(first, Tensor) and (step := step_of(name, source, args[1:], first, place.axes)):
                place = self._record(step, place)
            else:
                place = _follow(name, source, args[1:], first, place)
            for tensor in _tensors([out]):
                _mark(tensor, place)
        return out

    def _record(self, step: Step, place: Place) -> Place:
        if not step.samples:  # padding and cropping wait for the window that reads them
            (a, b), (c, d) = place.border
            (e, f), (g, h) = step.border
            return replace(place, border=((a + e, b + f), (c + g, d + h)))
        r = _pair(abs(round(r - o, 6)) for r, o in zip(step.residue, place.offset, strict=True))
        phi = _pair(p + a * b for p, a, b in zip(place.phi, r, place.scale, strict=True))
        scale = _pair(a * b for a, b in zip(place.scale, step.factor, strict=True))
        axes = None if step.loses_axes else (place.axes if step.one_axis else (-2, -1))
        after = Place(axes, scale, phi, half=(len(self.found), step.start) if step.one_axis else None)
        if step.one_axis and place.half is not None and (both := _joined(self.found, place.half, step, r, phi)):
            self.found[place.half[0]] = both
            return replace(after, half=None)
        alike = step.isotropic and place.border[0] == place.border[1]
        if step.worth_telling or any(r) or not alike:
            note = step.note or ("asymmetric padding or cropping before it" if any(place.offset) else "")
            self.found.append(
                Subsampling(
                    name=self.path[-1] if self.path else "",
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
            if place is not None and place.axes and (any(place.offset) or place.border[0] != place.border[1]):
                h, w = (tensor.shape[a] for a in place.axes)
                step = Step("padding", (h, w), note="asymmetric padding or cropping")
                self._record(step, place)


def _joined(
    found: Sequence[Subsampling], half: tuple[int, int], step: Step, r: tuple[float, float], phi: tuple[float, float]
) -> Subsampling | None:
    """Two slices, one per axis, as one subsampling; None if they are not that."""
    axis, one, start = 0 if step.stride[0] > 1 else 1, found[half[0]], half[1]
    if one.kind != step.kind or one.stride[axis] > 1:
        return None

    def both(a: Any, b: Any) -> Any:
        return (b[0], a[1]) if axis == 0 else (a[0], b[1])

    kernel, stride = both(one.kernel, step.kernel), both(one.stride, step.stride)
    note = one.note or ("asymmetric padding or cropping before it" if any(r) and not any(step.residue) else "")
    alike = kernel[0] == kernel[1] and stride[0] == stride[1] and start == step.start
    residue = both(one.residue, r)
    return replace(one, kernel=kernel, stride=stride, residue=residue, phi=phi, isotropic=alike, note=note)


def _follow(name: str, source: Tensor, args: Sequence[Any], out: Any, place: Place) -> Place:
    """The place of what an operation makes that is no step: the same pixels, perhaps on other axes."""
    if place.axes is None or not isinstance(out, Tensor):
        return place
    if name in ("permute", "transpose"):
        order = list(range(source.ndim))
        if name == "permute":
            order = [int(a) % source.ndim for a in args[0]]
        else:
            a, b = (int(a) % source.ndim for a in args[:2])
            order[a], order[b] = order[b], order[a]
        h, w = (order.index(a % source.ndim) - source.ndim for a in place.axes)
        return replace(place, axes=(h, w))
    kept = all(-a <= out.ndim and out.shape[a] == source.shape[a] for a in place.axes)
    return place if kept else replace(place, axes=None)


def _merge(places: Sequence[Place | None]) -> Place:
    """Branches that meet have walked the same grid; where they have not, the worse misalignment counts."""
    known = [p for p in places if p is not None]
    worst = max(known, key=lambda p: (sum(p.phi), p.axes is not None, sum(map(abs, p.offset)), sum(p.scale)))
    return replace(worst, scale=_pair(max(p.scale[a] for p in known) for a in (0, 1)))


def _pair(values: Any) -> tuple[float, float]:
    a, b = values
    return a, b


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, dict):
        values = values.values()
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from _tensors(value)


def _mark(tensor: Tensor, place: Place) -> None:
    tensor._symdata_place = place  # type: ignore[attr-defined]


def _place(tensor: Tensor) -> Place | None:
    return getattr(tensor, "_symdata_place", None)
