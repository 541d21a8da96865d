"""What each torch operation does to the sampling grid: one table, by the operation's name at the dispatcher.

`OPERATIONS` maps a name to a function that reads the arguments of a call and returns its effect:

    Step    places windows (convolution, pooling, strided slice, resizing)
    Border  pads or crops
    Axes    permutes the axes of the tensor
    None    leaves the grid as it is

An operation that is not in the table leaves the grid as it is if its result has as many pixels as its input.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from zoo.exactness.arithmetic import residue
from zoo.exactness.effects import Axes, Border, Effect, GridCall, Pair, Step, last_two


def effect_of(call: GridCall) -> Effect:
    """What a call does to the grid of its input."""
    read = OPERATIONS.get(call.name)
    if read is None or (call.axes is None and call.name not in WINDOWS):
        return None
    return read(call) if call.source.ndim >= 4 or call.name in ("permute", "transpose") else None


def _convolution(call: GridCall) -> Step | None:
    weight, _, stride, padding, dilation, transposed, output_padding = call.args[:7]
    if weight.ndim < 4:
        return None
    kernel, stride, padding, dilation = (last_two(v) for v in (weight.shape[2:], stride, padding, dilation))
    if transposed:
        return _transposed(call, kernel, stride, padding, dilation, last_two(output_padding))
    return _windows(call, "conv", kernel, stride, padding, dilation)


def _pool(call: GridCall, kind: str) -> Step:
    args = call.args
    kernel = last_two(args[0])
    stride = last_two(args[1]) if len(args) > 1 and args[1] else kernel
    padding = last_two(args[2]) if len(args) > 2 else (0, 0)
    dilation = last_two(args[3]) if len(args) > 3 and kind == "max pool" else (1, 1)
    return _windows(call, kind, kernel, stride, padding, dilation)


def _unfolded_image(call: GridCall) -> Step:
    kernel, dilation, padding, stride = (last_two(v) for v in call.args[:4])
    return _windows(call, "unfold", kernel, stride, padding, dilation)


def _windows(call: GridCall, kind: str, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Step:
    size = (call.source.shape[-2], call.source.shape[-1])
    h, w = (residue(*axis) for axis in zip(size, kernel, stride, padding, dilation, strict=True))
    extent = _extent(kernel, dilation)
    # At stride 1 a filter may be half of a separable pair: what its shape means is a matter of weights, not of grids.
    shrink = (extent[0] - 2 * padding[0], extent[1] - 2 * padding[1])
    compared = [shrink] if kind == "conv" and stride == (1, 1) else [extent, stride, padding]
    alike = all(a == b for a, b in compared)
    lost = kind == "unfold"
    return Step(kind, size, extent, stride, padding, dilation, (h, w), stride, isotropic=alike, loses_axes=lost)


def _extent(kernel: Pair, dilation: Pair) -> Pair:
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def _transposed(call: GridCall, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, extra: Pair) -> Step:
    """The windows of the output are symmetric but for the rows and columns that `output_padding` adds at the end."""
    size = (call.source.shape[-2], call.source.shape[-1])
    r = (extra[0] / stride[0], extra[1] / stride[1])  # output pixels, in pixels of the input
    note = "output_padding is on one side only" if any(extra) else ""
    factor = (1 / stride[0], 1 / stride[1])
    extent = _extent(kernel, dilation)
    alike = all(a == b for a, b in (kernel, stride, padding, extra))
    return Step("transposed conv", size, extent, stride, padding, dilation, r, factor, isotropic=alike, note=note)


def _adaptive(call: GridCall, kind: str) -> Step:
    (h, w), (h_out, w_out) = call.size, call.last
    return Step(kind, call.size, factor=(h / h_out, w / w_out), isotropic=h_out == w_out)


def _reduction(call: GridCall, kind: str) -> Step | None:
    if not call.args or not isinstance(call.args[0], list | tuple):
        return None
    reduced = {int(a) % call.source.ndim - call.source.ndim for a in call.args[0]}
    return Step(kind, call.size, loses_axes=True) if set(call.axes or ()) <= reduced else None


def _padding(call: GridCall) -> Border | None:
    left, right, top, bottom = (*call.args[0], 0, 0, 0, 0)[:4]
    return Border("padding", call.size, ((top, bottom), (left, right))) if call.axes == (-2, -1) else None


def _slice(call: GridCall) -> Step | Border | None:
    args, which = call.args, _which(call)
    if which is None or call.axes is None:
        return None
    i, o = call.size[which], call.out.shape[call.axes[which]]
    start, stop, _ = slice(args[1] if len(args) > 1 else None, None).indices(i)
    step = int(args[3]) if len(args) > 3 else 1
    if step == 1:
        cut = (-start, start + o - stop)
        sides = (cut, (0, 0)) if which == 0 else ((0, 0), cut)
        return Border("cropping", call.size, sides) if o < stop else None
    # Positions start + step t: twice the centre of the grid minus twice that of the image.
    shift = 2 * start + step * (o - 1) - (i - 1)
    return _one_axis(call, "slice", which, 1, step, -shift, start)


def _unfolded_axis(call: GridCall) -> Step | None:
    if (which := _which(call)) is None:
        return None
    kernel, stride = int(call.args[1]), int(call.args[2])
    return _one_axis(call, "unfold", which, kernel, stride, residue(call.size[which], kernel, stride))


def _which(call: GridCall) -> int | None:
    """Whether the operation works along height (0), width (1) or another axis (None)."""
    axis = int(call.args[0] if call.args else 0) % call.source.ndim - call.source.ndim
    return call.axes.index(axis) if call.axes and axis in call.axes else None


def _one_axis(call: GridCall, kind: str, which: int, kernel: int, stride: int, r: int, start: int = 0) -> Step:
    def at(value: int, other: int) -> Pair:
        return (value, other) if which == 0 else (other, value)

    return Step(
        kind,
        call.size,
        kernel=at(kernel, 1),
        stride=at(stride, 1),
        residue=at(r, 0),
        factor=at(stride, 1),
        isotropic=False,
        one_axis=True,
        start=start,
    )


def _resize(call: GridCall, kind: str) -> Step | None:
    if call.axes != (-2, -1):
        return None
    size, out, args = call.size, call.last, call.args
    given = [v for v in args if v is None or isinstance(v, float)][-2:]
    scales = [*given, None, None][:2]
    nearest = kind == "nearest"
    r = [
        _nearest(i, o, scale, "exact" in call.name) if nearest else _linear(i, o, scale, args)
        for i, o, scale in zip(size, out, scales, strict=True)
    ]
    note = "nearest interpolation rounds towards one side" if nearest else "scale_factor and size disagree"
    factor = (size[0] / out[0], size[1] / out[1])
    # The sides of a rectangle are rounded to pixels, each by itself.
    alike = out[0] == out[1] if size[0] == size[1] else abs(factor[0] / factor[1] - 1) < 0.1
    return Step(f"{kind} resize", size, residue=(r[0], r[1]), factor=factor, isotropic=alike, note=note)


def _nearest(i: int, o: int, scale: float | None, centred: bool) -> float:
    ratio = 1 / scale if scale else i / o
    picks = [min(int((t + 0.5 * centred) * ratio), i - 1) for t in range(o)]
    return max(abs(a + b - (i - 1)) for a, b in zip(picks, reversed(picks), strict=True))


def _linear(i: int, o: int, scale: float | None, args: Sequence[Any]) -> float:
    align_corners = len(args) > 1 and args[1] is True
    return i - o / scale if scale and not align_corners else 0.0


def _permuted(call: GridCall) -> Axes:
    n = call.source.ndim
    order = list(range(n))
    if call.name == "permute":
        order = [int(a) % n for a in call.args[0]]
    else:
        a, b = (int(a) % n for a in call.args[:2])
        order[a], order[b] = order[b], order[a]
    h, w = (order.index(a % n) - n for a in call.axes or ())
    return Axes((h, w))


WINDOWS: Mapping[str, Callable[[GridCall], Effect]] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "max_pool2d_with_indices": partial(_pool, kind="max pool"),
    "max_pool3d_with_indices": partial(_pool, kind="max pool"),
    "avg_pool2d": partial(_pool, kind="avg pool"),
    "avg_pool3d": partial(_pool, kind="avg pool"),
    "im2col": _unfolded_image,
}
"""Operations whose windows lie on the last two axes, whatever was known of these before."""

RESIZES = {
    "nearest": "upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d _upsample_nearest_exact3d",
    "bilinear": "upsample_bilinear2d _upsample_bilinear2d_aa",
    "bicubic": "upsample_bicubic2d _upsample_bicubic2d_aa",
    "lanczos": "_upsample_lanczos2d_aa",
    "trilinear": "upsample_trilinear3d",
}
"""Interpolation -> the operations that resize by it."""

OPERATIONS: Mapping[str, Callable[[GridCall], Effect]] = {
    **WINDOWS,
    "_adaptive_avg_pool2d": partial(_adaptive, kind="adaptive avg pool"),
    "adaptive_max_pool2d": partial(_adaptive, kind="adaptive max pool"),
    "mean": partial(_reduction, kind="global mean"),
    "amax": partial(_reduction, kind="global max"),
    "sum": partial(_reduction, kind="global sum"),
    "constant_pad_nd": _padding,
    "reflection_pad2d": _padding,
    "replication_pad2d": _padding,
    "slice": _slice,
    "unfold": _unfolded_axis,
    **{name: partial(_resize, kind=kind) for kind, names in RESIZES.items() for name in names.split()},
    "permute": _permuted,
    "transpose": _permuted,
}
"""Name of an operation at the dispatcher -> its effect on the grid."""
