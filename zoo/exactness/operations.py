"""What single torch operations do to the sampling grid, read from their arguments at the dispatcher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zoo.exactness.arithmetic import residue

Pair = tuple[int, int]
Axes = tuple[int, int] | None

WINDOWS = {
    "convolution": "conv",
    "_convolution": "conv",
    "max_pool2d_with_indices": "max pool",
    "max_pool3d_with_indices": "max pool",
    "avg_pool2d": "avg pool",
    "avg_pool3d": "avg pool",
    "im2col": "unfold",
}
ADAPTIVE = {"_adaptive_avg_pool2d": "adaptive avg pool", "adaptive_max_pool2d": "adaptive max pool"}
GLOBAL = {"mean": "global mean", "amax": "global max", "sum": "global sum"}
PADS = ("constant_pad_nd", "reflection_pad2d", "replication_pad2d")
UNKNOWN = {
    "grid_sampler_2d": "grid_sample moves pixels by data",
    "fractional_max_pool2d": "its windows are drawn at random",
    "roll": "rolling moves the centre",
    "pixel_unshuffle": "space to depth permutes channels when the image turns",
}


@dataclass(frozen=True)
class Step:
    """One operation on the grid; pairs are (height, width)."""

    kind: str
    size: Pair
    """Pixels of its input."""
    kernel: Pair = (1, 1)
    """Extent of the window, dilation counted."""
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    residue: tuple[float, float] = (0.0, 0.0)
    """Pixels left over at the end of each axis."""
    factor: tuple[float, float] = (1.0, 1.0)
    """Pixels of its input per pixel of its output."""
    border: tuple[Pair, Pair] = ((0, 0), (0, 0))
    """For padding: pixels added at the (start, end) of height and width; cropping counts negative."""
    isotropic: bool = True
    """Whether both axes are treated alike."""
    samples: bool = True
    """Whether it places windows; padding and cropping do not."""
    note: str = ""
    unknown: bool = False
    loses_axes: bool = False
    one_axis: bool = False
    """Whether it takes one axis and leaves the other to a second step, as slices do."""
    start: int = 0
    """For a slice: its first pixel."""

    @property
    def worth_telling(self) -> bool:
        """Whether a reader wants to see it even if it is exact."""
        return (
            self.unknown
            or not self.isotropic
            or self.factor != (1.0, 1.0)
            or self.kind in {*ADAPTIVE.values(), *GLOBAL.values()}
        )


def step_of(name: str, source: Tensor, args: Sequence[Any], out: Tensor, axes: Axes) -> Step | None:
    """The step that operation `name` takes on the image batch `source`, or None if the grid stays as it is.

    Args:
        name: of the operation at the dispatcher, without overload.
        source: its input.
        args: its arguments after the input.
        out: its result.
        axes: the spatial axes of `source`, counted from the end, where they are known.
    """
    if name in WINDOWS and source.ndim >= 4:
        return _window(name, source, args, out)
    if axes is None or source.ndim < 4:
        return None
    size = (source.shape[axes[0]], source.shape[axes[1]])
    if name in ADAPTIVE:
        ratio = (size[0] / out.shape[-2], size[1] / out.shape[-1])
        return Step(ADAPTIVE[name], size, factor=ratio, isotropic=out.shape[-2] == out.shape[-1])
    if name in GLOBAL and args and isinstance(args[0], list | tuple):
        reduced = {int(a) % source.ndim - source.ndim for a in args[0]}
        return Step(GLOBAL[name], size, loses_axes=True) if set(axes) <= reduced else None
    if name in PADS and axes == (-2, -1):
        w0, w1, h0, h1 = (*args[0], 0, 0, 0, 0)[:4]
        return Step("padding", size, border=((h0, h1), (w0, w1)), samples=False)
    if name in ("slice", "unfold", "index_select", "select"):
        return _slice(name, source, args, out, axes)
    if "upsample_" in name and axes == (-2, -1):
        return _resize(name, args, size, (out.shape[-2], out.shape[-1]))
    if name in UNKNOWN:
        return _unknown(name, source, args, size, axes)
    return None


def _unknown(name: str, source: Tensor, args: Sequence[Any], size: Pair, axes: Pair) -> Step | None:
    if name == "roll":
        rolled = {int(a) % source.ndim - source.ndim for a in (args[1] if len(args) > 1 else [])}
        if rolled and not rolled & set(axes):
            return None  # the group axis may be rolled at will
    return Step(name, size, note=UNKNOWN[name], unknown=True)


def _window(name: str, source: Tensor, args: Sequence[Any], out: Tensor) -> Step | None:
    size = (source.shape[-2], source.shape[-1])
    if name.endswith("convolution"):
        weight, _, stride, padding, dilation, transposed, output_padding = args[:7]
        if weight.ndim < 4:
            return None
        kernel, stride, padding, dilation = (_last(v) for v in (weight.shape[2:], stride, padding, dilation))
        if transposed:
            return _transposed(size, kernel, stride, padding, dilation, _last(output_padding))
    elif name == "im2col":
        kernel, dilation, padding, stride = (_last(v) for v in args[:4])
    else:
        kernel = _last(args[0])
        stride = _last(args[1]) if len(args) > 1 and args[1] else kernel
        padding = _last(args[2]) if len(args) > 2 else (0, 0)
        dilation = _last(args[3]) if len(args) > 3 and name.startswith("max_pool") else (1, 1)
    r = [residue(*axis) for axis in zip(size, kernel, stride, padding, dilation, strict=True)]
    extent = _extent(kernel, dilation)
    # At stride 1 a filter may be half of a separable pair: what its shape means is a matter of weights, not of grids.
    lost, free = name == "im2col", WINDOWS[name] == "conv" and stride == (1, 1)
    shrink = (extent[0] - 2 * padding[0], extent[1] - 2 * padding[1])
    alike = all(a == b for a, b in ([shrink] if free else [extent, stride, padding]))
    kind = WINDOWS[name]
    return Step(
        kind, size, extent, stride, padding, dilation, (r[0], r[1]), stride, isotropic=alike, loses_axes=lost
    )  # fmt: skip


def _extent(kernel: Pair, dilation: Pair) -> Pair:
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def _transposed(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, extra: Pair) -> Step:
    """The windows of the output are symmetric but for the rows and columns that `output_padding` adds at the end."""
    r = (extra[0] / stride[0], extra[1] / stride[1])  # output pixels, in pixels of the input
    note = "output_padding is on one side only" if any(extra) else ""
    factor = (1 / stride[0], 1 / stride[1])
    extent = _extent(kernel, dilation)
    alike = all(a == b for a, b in (kernel, stride, padding, extra))
    return Step("transposed conv", size, extent, stride, padding, dilation, r, factor, isotropic=alike, note=note)


def _slice(name: str, source: Tensor, args: Sequence[Any], out: Tensor, axes: Pair) -> Step | None:
    if name in ("select", "index_select"):
        return None
    axis = int(args[0] if args else 0) % source.ndim - source.ndim
    if axis not in axes:
        return None
    which = axes.index(axis)
    size = (source.shape[axes[0]], source.shape[axes[1]])
    i = size[which]
    if name == "unfold":
        kernel, stride = int(args[1]), int(args[2])
        r = residue(i, kernel, stride)
        return Step("unfold", size, _at(which, kernel, 1), _at(which, stride, 1), residue=_at(which, r, 0),
                    factor=_at(which, stride, 1), isotropic=False, one_axis=True)  # fmt: skip
    start, stop, _ = slice(args[1] if len(args) > 1 else None, None).indices(i)
    step = int(args[3]) if len(args) > 3 else 1
    o = out.shape[axis]
    # Positions start + step t: twice the centre of the grid minus twice that of the image.
    shift = 2 * start + step * (o - 1) - (i - 1)
    if step == 1:
        cut = (-start, start + o - stop)
        border = (cut, (0, 0)) if which == 0 else ((0, 0), cut)
        return Step("cropping", size, border=border, samples=False) if o < stop else None
    strides, lag = _at(which, step, 1), _at(which, -shift, 0)
    return Step("slice", size, stride=strides, residue=lag, factor=strides, isotropic=False, one_axis=True, start=start)


def _resize(name: str, args: Sequence[Any], size: Pair, out: Pair) -> Step:
    scales = [v for v in args if v is None or (isinstance(v, float) and not isinstance(v, bool))][-2:]
    scales = [*scales, None, None][:2]
    nearest = "nearest" in name
    r = [
        _nearest(i, o, scale, "exact" in name) if nearest else _linear(i, o, scale, args)
        for i, o, scale in zip(size, out, scales, strict=True)
    ]
    kind = next(word for word in ("nearest", "bilinear", "bicubic", "upsample") if word in name) + " resize"
    note = "nearest interpolation rounds towards one side" if nearest else "scale_factor and size disagree"
    factor = (size[0] / out[0], size[1] / out[1])
    alike = (
        out[0] == out[1] if size[0] == size[1] else abs(factor[0] / factor[1] - 1) < 0.1
    )  # of sides rounded to pixels
    return Step(kind, size, residue=(r[0], r[1]), factor=factor, isotropic=alike, note=note)


def _nearest(i: int, o: int, scale: float | None, centred: bool) -> float:
    ratio = 1 / scale if scale else i / o
    picks = [min(int((t + 0.5 * centred) * ratio), i - 1) for t in range(o)]
    return max(abs(a + b - (i - 1)) for a, b in zip(picks, reversed(picks), strict=True))


def _linear(i: int, o: int, scale: float | None, args: Sequence[Any]) -> float:
    align_corners = bool(args[1]) if len(args) > 1 and isinstance(args[1], bool) else False
    return i - o / scale if scale and not align_corners else 0.0


def _last(value: Any) -> Pair:
    """The numbers of height and width from an argument of one, two or three numbers."""
    values = [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]
    return values[-2] if len(values) > 1 else values[-1], values[-1]


def _at(which: int, value: int, other: int) -> Pair:
    return (value, other) if which == 0 else (other, value)
