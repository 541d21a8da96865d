"""Sums, means and maxima over axes, and operations that normalise, sort or scan along axes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zoo.exactness.calls import Answer, Call
from zoo.exactness.rules.pointwise import Operand, combined
from zoo.exactness.sites import Loss, SiteMap, Sites, arrangement

MISSING = "reads positions, and leaves out those that they move to"
ORDER = "depends on the order of entries along an axis that moves"
ACROSS = "treats one direction of the image unlike another"


def reduced(call: Call) -> Answer:
    """One entry of all entries along some axes, whatever their order."""
    source = call.tracked[0]
    axes, keep = _axes(call)
    keep = keep or call.outs[0].ndim == source.ndim
    parts, lost = over(call, source, axes)
    gone = sorted(axes)
    kept = [p if keep else replace(p, dims=tuple(d - sum(g < d for g in gone) for d in p.dims)) for p in parts]
    first = call.answer(kept, lost)
    places = call.lose("gives places on an axis that moves") if call.states[id(source)].touching(axes) else first
    if call.operation in ("argmax", "argmin"):
        return [places]
    if len(call.outs) == 1 or call.operation in ("var_mean", "std_mean", "aminmax"):
        return [first] * len(call.outs)
    return [first, places]


def _axes(call: Call) -> tuple[set[int], bool]:
    """The axes that are reduced, from 0, and whether they are kept with size 1."""
    n, place = call.tracked[0].ndim, 2 if call.operation in ("linalg_vector_norm", "norm") else 1
    dim = call.argument(place, "dim")
    if call.operation in ("all", "any", "prod", "argmax", "argmin") and isinstance(dim, bool):
        dim = None
    listed = [dim] if isinstance(dim, int) and not isinstance(dim, bool) else list(dim or [])
    keep = bool(call.kwargs.get("keepdim", False))
    return {int(a) % n for a in listed if not isinstance(a, bool)} or set(range(n)), keep


def over(call: Call, source: Tensor, axes: set[int]) -> tuple[list[SiteMap], dict[int, Loss]]:
    """What is left of the parts of a tensor when every line along some axes becomes one entry."""
    state, parts, lost = call.states[id(source)], [], dict[int, Loss]()
    for part in state.parts:
        inside = set(part.dims) & axes
        if not inside:
            parts.append(part)
            continue
        if inside == set(part.dims):
            for k in state.alive:
                if arrangement(part, k) is None:
                    lost[k] = call.loss(MISSING, broken=True)
            continue
        left, gone = _lines(part, inside, [k for k in state.alive if k not in lost])
        lost |= {k: call.loss(why, broken=True) for k, why in gone.items()}
        parts += left
    return parts, lost


def _lines(part: SiteMap, inside: set[int], alive: Iterable[int]) -> tuple[list[SiteMap], dict[int, str]]:
    """The part on the other axes, for the elements that move lines along the axes inside to such lines."""
    places = [part.dims.index(d) for d in part.dims if d in inside]
    others = [place for place in range(len(part.dims)) if place not in places]
    here, there = tuple(part.ids.shape), tuple(part.there.shape)
    sizes, sizes_there = [here[p] for p in others], [there[p] for p in others]
    moves: list[Tensor | None] = [None] * len(part.moves)
    lost = {}
    for k in alive:
        q = arrangement(part, k)
        if q is None:
            lost[k] = MISSING
            continue
        found = torch.unravel_index(q.view(here), there)
        line = torch.zeros_like(found[0])
        for place, size in zip(others, sizes_there, strict=True):
            line = line * size + found[place]
        first = line
        for place in reversed(places):
            first = first.select(place, 0)
        if torch.equal(line, first.reshape([1 if p in places else n for p, n in enumerate(here)]).expand(here)):
            moves[k] = first.flatten()
        else:
            lost[k] = ACROSS
    ids = torch.arange(torch.Size(sizes).numel()).view(sizes)
    ids_there = ids if sizes == sizes_there else torch.arange(torch.Size(sizes_there).numel()).view(sizes_there)
    dims = tuple(d for d in part.dims if d not in inside)
    left = SiteMap(dims, ids, ids_there, tuple(moves), ids_there.numel(), part.spatial)
    return ([left] if any(move is not None for move in moves) else []), lost


def along(call: Call) -> Answer:
    """Lines along axes in, lines out, whose entries keep their places: softmax and the like."""
    source = call.tracked[0]
    axes = {int(call.argument(1, "dim")) % source.ndim}
    return _normalised(call, axes, [])


def _normalised(call: Call, axes: set[int], constants: Sequence[Tensor]) -> Sites:
    """The entries, divided by something that is made of whole lines, and then changed by constants of their place."""
    source = call.tracked[0]
    state = call.states[id(source)]
    _, lost = over(call, source, axes)
    kept = replace(state, losses=tuple(old or lost.get(k) for k, old in enumerate(state.losses)))
    kept = replace(kept, parts=tuple(p.without(lost) for p in kept.parts), base=object(), equal=frozenset())
    if not constants:
        return kept
    return _scaled(call, source, kept, constants)


def _scaled(call: Call, source: Tensor, state: Sites, constants: Sequence[Tensor]) -> Sites:
    """The state after constants, already shaped to be stretched over the source, have changed each entry."""
    there = call.twin.tracked[0]
    operands = [Operand(state.parts, source, there), *(Operand((), tensor, tensor, True) for tensor in constants)]
    answer = combined(call, operands, source.shape, there.shape)
    return replace(answer, losses=tuple(a or b for a, b in zip(state.losses, answer.losses, strict=True)))


def _only_first(call: Call) -> bool:
    """Whether the image reaches the call through its first argument alone."""
    return len(call.tracked) == 1 and call.tracked[0] is call.args[0]


def _by_channel(call: Call, values: Sequence[Tensor | None]) -> list[Tensor]:
    """Constants with one value for each channel, shaped to be stretched."""
    after = [1] * (call.args[0].ndim - 2)
    return [value.reshape(1, -1, *after) for value in values if value is not None]


def batch_norm(call: Call) -> Answer:
    """Shift and scale by channel, by known statistics or by those of the batch."""
    if not _only_first(call):
        return call.lose("normalises by values of the image")
    a = call.args
    training = bool(next((value for value in a if isinstance(value, bool)), False))
    axes = set(range(a[0].ndim)) - {1} if training else set[int]()
    constants = _by_channel(call, a[1:3] if training else a[1:5])
    return [_normalised(call, axes, constants)] + [_statistics(call) for _ in call.outs[1:]]


def _statistics(call: Call) -> Sites:
    return call.lose("its statistics are used by themselves")


def group_norm(call: Call) -> Answer:
    """Statistics over groups of channels and all positions."""
    if not _only_first(call):
        return call.lose("normalises by values of the image")
    source, groups = call.args[0], int(call.args[6])
    state, lost = call.states[id(source)], dict[int, Loss]()
    channels = source.shape[1]
    for part in state.touching({1}):
        if part.dims != (1,):
            return call.lose("normalises channels that are mixed with positions")
        for k in state.alive:
            q = arrangement(part, k)
            blocks = None if q is None else (q // (channels // groups)).view(groups, -1)
            if blocks is None or not (blocks == blocks[:, :1]).all():
                lost[k] = call.loss("normalises groups of channels that the element tears apart", broken=True)
    first = _normalised(call, set(range(2, source.ndim)), _by_channel(call, call.args[1:3]))
    losses = tuple(old or lost.get(k) for k, old in enumerate(first.losses))
    return [replace(first, losses=losses, parts=tuple(p.without(lost) for p in first.parts))] + [
        _statistics(call) for _ in call.outs[1:]
    ]


def layer_norm(call: Call) -> Answer:
    """Statistics over the last axes, and constants for each of their entries."""
    if not _only_first(call):
        return call.lose("normalises by values of the image")
    source, shape = call.args[0], list(call.args[1])
    axes = set(range(source.ndim - len(shape), source.ndim))
    constants = [t.reshape(*[1] * (source.ndim - len(shape)), *shape) for t in call.args[2:4] if isinstance(t, Tensor)]
    return [_normalised(call, axes, constants)] + [_statistics(call) for _ in call.outs[1:]]


def scanned(call: Call) -> Answer:
    """Running sums, sorting and the like: exact along axes that do not move."""
    source = call.tracked[0]
    place = 2 if call.operation == "topk" else 1
    default = None if call.operation.startswith("cum") else -1
    dim = call.argument(place, "dim", default)
    if not _only_first(call) or not isinstance(dim, int) or isinstance(dim, bool):
        return call.lose("depends on the order of entries")
    axis, state = dim % source.ndim, call.states[id(source)]
    sorts, disordered = not call.operation.startswith(("cum", "logcum")), dict[int, Loss]()
    for part in state.touching({axis}):
        for k in state.alive:
            if not _keeps_order(part, k, axis):
                disordered[k] = call.loss(ORDER, broken=not sorts)
    parts, lost = over(call, source, {axis})
    if not sorts or not disordered:  # lines are moved as they are
        return [call.answer(state.parts, lost | disordered)] * len(call.outs)
    return [call.answer(parts, lost)] + [call.lose(ORDER) for _ in call.outs[1:]]


def _keeps_order(part: SiteMap, k: int, axis: int) -> bool:
    """Whether entries of lines along an axis keep their places on it."""
    q, place = arrangement(part, k), part.dims.index(axis)
    if q is None or part.ids.shape[place] != part.there.shape[place]:
        return False
    found = torch.unravel_index(q.view(part.ids.shape), tuple(part.there.shape))[place]
    still = torch.arange(part.ids.shape[place]).view([-1 if p == place else 1 for p in range(part.ids.ndim)])
    return bool((found == still).all())


REDUCTIONS = {
    **dict.fromkeys(
        "sum mean amax amin prod var std var_mean std_mean logsumexp linalg_vector_norm norm all any nansum nanmean "
        "max min argmax argmin aminmax count_nonzero median".split(),
        reduced,
    ),
    **dict.fromkeys("softmax _softmax log_softmax _log_softmax _safe_softmax".split(), along),
    **dict.fromkeys("cumsum cumprod cummax cummin logcumsumexp sort argsort topk kthvalue".split(), scanned),
    **dict.fromkeys(
        "native_batch_norm batch_norm cudnn_batch_norm _native_batch_norm_legit_no_training "
        "_native_batch_norm_legit _batch_norm_impl_index".split(),
        batch_norm,
    ),
    "native_group_norm": group_norm,
    "native_layer_norm": layer_norm,
    "layer_norm": layer_norm,
}
"""Operation -> rule."""
