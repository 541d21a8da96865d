"""How operations of torch's dispatcher tie the axes of what they read and write, by name.

A rule gets the tracer, the arguments and the first result, ties labels, and returns those of the first result.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.alignment.axes import Label, UntiedAxesError, fix, is_fixed, new, regroup, tie

if TYPE_CHECKING:
    from zoo.alignment.channel_tracer import ChannelTracer

Labels = Sequence[Label]
Rule = Callable[["ChannelTracer", Sequence[Any], dict[str, Any], Tensor], Labels]


def pointwise(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Every entry by itself, with broadcasting."""
    found: list[Label] = [[] for _ in out.shape]
    for value in (*args, *kwargs.values()):
        if not isinstance(value, Tensor):
            continue
        offset = out.ndim - value.ndim
        for axis, label in enumerate(tracer.labels(value), offset):
            if not label or axis < 0:
                continue
            if found[axis]:
                tie(found[axis], label)
            else:
                found[axis] = label
    return found


def convolution(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Groups of channels may be exchanged, and channels within all groups alike."""
    x, weight, bias, transposed, groups = args[0], args[1], args[2], args[6], args[8]
    before, own = tracer.labels(x), tracer.labels(weight)
    tracer.read(x, [1], own)
    fix(own[2:])
    part, into, to = new(groups), new(x.shape[1] // groups), new(out.shape[1] // groups)
    tie(before[1], [*part, *into])
    tie(own[0], [*part, *(into if transposed else to)])
    tie(own[1], to if transposed else into)
    if isinstance(bias, Tensor):
        tie(tracer.labels(bias)[0], [*part, *to])
    return [before[0], [*part, *to], *positions(out, 2)]


def product(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """mm, bmm, addmm and baddbmm: sums over the last axis of the first factor."""
    *added, a, b = args[:3] if len(args) > 2 else args[:2]
    left, right = tracer.labels(a), tracer.labels(b)
    tracer.read(a, [a.ndim - 1], right)
    tie(left[-1], right[-2])
    for one, other in zip(left[:-2], right[:-2], strict=True):
        tie(one, other)
    found = [*left[:-1], right[-1]]
    for term in added:
        for one, other in zip(reversed(tracer.labels(term)), reversed(found), strict=False):
            if one:
                tie(one, other)
    return found


def attention(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Scaled dot products of queries, keys and values (B, heads, N, d)."""
    q, k, v = (tracer.labels(tensor) for tensor in args[:3])
    for one, other in ((q[0], k[0]), (q[1], k[1]), (q[3], k[3]), (k[0], v[0]), (k[1], v[1]), (k[2], v[2])):
        tie(one, other)
    return [*q[:3], v[3]]


def batch_norm(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Weight, bias, mean and variance of every channel."""
    labels = tracer.labels(args[0])
    for own in args[1:5]:
        if isinstance(own, Tensor):
            tie(labels[1], tracer.labels(own)[0])
    return labels


def group_norm(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Channels within a group may be exchanged, in all groups alike, and groups."""
    labels, groups = tracer.labels(args[0]), int(args[6])
    tie(labels[1], [*new(groups), *new(out.shape[1] // groups)])
    for own in args[1:3]:
        if isinstance(own, Tensor):
            tie(labels[1], tracer.labels(own)[0])
    return labels


def layer_norm(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Weight and bias of every entry of the last axes."""
    labels = tracer.labels(args[0])
    for own in args[2:4]:
        if isinstance(own, Tensor):
            for one, other in zip(labels[-own.ndim :], tracer.labels(own), strict=True):
                tie(one, other)
    return labels


def view(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """The same entries in the same order."""
    return list(regroup(tracer.labels(args[0]), out.shape))


def permute(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Axes in another order."""
    labels = tracer.labels(args[0])
    return [labels[axis] for axis in args[1]]


def transpose(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Two axes exchanged."""
    labels = list(tracer.labels(args[0]))
    if len(labels) > 1:
        one, other = args[1:3] if len(args) > 1 else (0, 1)
        labels[one], labels[other] = labels[other], labels[one]
    return labels


def expand(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Entries repeated: these may be exchanged."""
    labels, more = tracer.labels(args[0]), out.ndim - args[0].ndim
    padded: list[Label] = [*([] for _ in range(more)), *labels]
    return [label or new(size) for label, size in zip(padded, out.shape, strict=True)]


def reduction(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Sums, means and extrema over some axes, whatever the order of their entries."""
    labels = tracer.labels(args[0])
    given = args[1] if len(args) > 1 else kwargs.get("dim")
    axes = range(len(labels)) if given is None or given == [] else [given] if isinstance(given, int) else given
    gone = {axis % max(len(labels), 1) for axis in axes}
    tracer.read(args[0], sorted(gone))
    if out.ndim == len(labels):
        return [[] if axis in gone else label for axis, label in enumerate(labels)]
    return [label for axis, label in enumerate(labels) if axis not in gone]


def window(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Pools, paddings and interpolations of the last two axes."""
    labels = tracer.labels(args[0])
    return [
        label if size == old and (axis < out.ndim - 2 or not is_fixed(label)) else positions_of(size, label)
        for axis, (label, size, old) in enumerate(zip(labels, out.shape, args[0].shape, strict=True))
    ]


def selection(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """Parts of axes, or their entries in another order: of those that are not permuted."""
    x = args[0]
    labels = list(tracer.labels(x))
    if out.ndim == x.ndim:
        changed = {a for a in range(x.ndim) if out.shape[a] != x.shape[a]} | _named(args, kwargs, x)
        return [positions_of(out.shape[a], label) if a in changed else label for a, label in enumerate(labels)]
    (axis,) = _named(args, kwargs, x) or {0}
    positions_of(1, labels.pop(axis))
    return labels


def _named(args: Sequence[Any], kwargs: dict[str, Any], x: Tensor) -> set[int]:
    """The axis that a selection names."""
    axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return {a % x.ndim for a in axes if isinstance(a, int)}


def part(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """A slice; one of all entries changes nothing."""
    whole = out.shape == args[0].shape
    return list(tracer.labels(args[0])) if whole else selection(tracer, args, kwargs, out)


def joined(tracer: "ChannelTracer", args: Sequence[Any], kwargs: dict[str, Any], out: Tensor) -> Labels:
    """cat: along an axis that is not permuted."""
    every = [tracer.labels(tensor) for tensor in args[0] if tensor.numel()]
    axis = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % out.ndim
    first = list(every[0])
    for labels in every:
        positions_of(1, labels[axis])
        for a, label in enumerate(labels):
            if a != axis and label:
                tie(first[a], label)
    first[axis] = new(out.shape[axis], fixed=True)
    return first


def positions(out: Tensor, start: int) -> Labels:
    """Labels of axes that are not permuted, from axis `start` on."""
    return [new(size, fixed=True) for size in out.shape[start:]]


def positions_of(size: int, label: Label) -> Label:
    """The label of what was selected from an axis; `UntiedAxesError` if its entries may be exchanged."""
    if not is_fixed(label):
        raise UntiedAxesError
    return new(size, fixed=True)


POINTWISE = (
    "abs add add_ sub sub_ rsub mul mul_ div div_ neg relu relu_ relu6 hardtanh hardtanh_ leaky_relu leaky_relu_ elu "
    "elu_ celu selu gelu silu silu_ mish sigmoid sigmoid_ hardsigmoid hardsigmoid_ hardswish hardswish_ tanh tanh_ exp "
    "log sqrt rsqrt pow square reciprocal erf softplus clamp clamp_ clamp_min clamp_max minimum maximum where sign "
    "threshold lerp addcmul addcdiv clone contiguous detach alias _to_copy to lift_fresh copy_ _softmax _log_softmax "
    "prelu _prelu_kernel native_dropout"
)
TABLE: dict[Rule, str] = {
    pointwise: POINTWISE,
    convolution: "convolution",
    product: "mm bmm addmm baddbmm",
    attention: "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention",
    batch_norm: "native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm _batch_norm_no_update",
    group_norm: "native_group_norm",
    layer_norm: "native_layer_norm",
    view: "view _unsafe_view reshape _reshape_alias unsqueeze squeeze squeeze_ unsqueeze_",
    permute: "permute",
    transpose: "transpose t",
    expand: "expand",
    reduction: "mean sum amax amin",
    window: (
        "max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest2d "
        "upsample_bilinear2d _upsample_bilinear2d_aa upsample_bicubic2d reflection_pad2d replication_pad2d "
        "constant_pad_nd"
    ),
    selection: "select index_select narrow flip roll split split_with_sizes unbind",
    part: "slice",
    joined: "cat",
}
RULES = {name: rule for rule, names in TABLE.items() for name in names.split()}
"""Operation -> its rule."""
