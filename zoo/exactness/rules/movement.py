"""Operations that only move, copy or leave out entries, and pad with constants."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zoo.exactness.calls import Answer, Call
from zoo.exactness.sites import SiteMap, Sites, arrangement, depends, identity_part, paired, product


def viewed(call: Call) -> Sites:
    """Reshaping: runs of axes are merged and split in the order of memory."""
    source, out = call.tracked[0], call.outs[0]
    state, there, out_there = call.states[id(source)], call.twin.tracked[0], call.twin.outs[0]
    blocks = _blocks(source.shape, out.shape)
    if blocks is None or blocks != _blocks(there.shape, out_there.shape):
        return call.lose("reshapes the two axes of a rectangle differently")
    groups: list[tuple[set[int], set[int], list[SiteMap]]] = [({*a}, {*b}, []) for a, b in blocks]
    for part in state.parts:
        touched = [group for group in groups if group[0] & set(part.dims)]
        groups = [group for group in groups if group not in touched]
        merged = (set[int](), set[int](), [part])
        for before, after, parts in touched:
            merged[0].update(before)
            merged[1].update(after)
            merged[2].extend(parts)
        groups.append(merged)
    parts = []
    for before, after, inside in groups:
        if not inside:
            continue
        rest = tuple(sorted(d for d in before if source.shape[d] > 1 and not any(d in p.dims for p in inside)))
        dims = tuple(sorted(d for d in after if out.shape[d] > 1 or out_there.shape[d] > 1))
        whole = _with_rest(inside, rest, source.shape, there.shape, len(call.elements))
        if whole is None or not dims:
            return call.lose("reshapes the two axes of a rectangle differently")
        ids = whole.ids.reshape([out.shape[d] for d in dims])
        ids_there = ids if whole.there is whole.ids else whole.there.reshape([out_there.shape[d] for d in dims])
        parts.append(replace(whole, dims=dims, ids=ids, there=ids_there))
    return call.answer(parts, base=state.base)


def _with_rest(
    parts: Sequence[SiteMap], rest: tuple[int, ...], shape: Sequence[int], there: Sequence[int], elements: int
) -> SiteMap | None:
    if rest:
        still = identity_part(shape, there, rest, elements)
        if still is None:
            return None
        parts = [*parts, still]
    return product(parts)


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]] | None:
    """The smallest runs of axes that hold the same number of entries before and after; axes of size 1 are left out."""
    old = [(d, n) for d, n in enumerate(before) if n != 1]
    new = [(d, n) for d, n in enumerate(after) if n != 1]
    blocks = []
    while old or new:
        a, b = [old.pop(0)] if old else [], [new.pop(0)] if new else []
        left, right = _count(a), _count(b)
        while left != right:
            if left < right and old:
                a.append(old.pop(0))
            elif new:
                b.append(new.pop(0))
            else:
                return None
            left, right = _count(a), _count(b)
        blocks.append((tuple(d for d, _ in a), tuple(d for d, _ in b)))
    return blocks


def _count(axes: Sequence[tuple[int, int]]) -> int:
    return torch.Size([n for _, n in axes]).numel()


def permuted(call: Call) -> Sites:
    """Axes in another order."""
    source = call.tracked[0]
    n, state = source.ndim, call.states[id(source)]
    order = list(range(n))
    if call.operation == "permute":
        order = [int(a) % n for a in call.args[1]]
    elif n > 1:
        a, b = (0, 1) if call.operation == "t" else (int(a) % n for a in call.args[1:3])
        order[a], order[b] = order[b], order[a]
    moving = {d for part in state.parts for d in part.dims}
    still = [d for d in order if d not in moving and source.shape[d] > 1]
    parts = [_relabelled(part, [order.index(d) for d in part.dims]) for part in state.parts]
    return call.answer(parts, base=state.base if still == sorted(still) else None)


def _relabelled(part: SiteMap, dims: Sequence[int]) -> SiteMap:
    order = sorted(range(len(dims)), key=dims.__getitem__)
    ids = part.ids.permute(order)
    there = ids if part.there is part.ids else part.there.permute(order)
    return replace(part, dims=tuple(sorted(dims)), ids=ids, there=there)


def selected(call: Call) -> Answer:
    """Anything that makes its results of entries of its first argument, and of zeros: found out by moving numbers."""
    source = call.args[0]
    state = call.state(source)
    if state is None or len(call.tracked) > 1:
        return call.lose("chooses positions by the values of the image")
    here = _sources(call)
    there = here if call.is_square else _sources(call.twin)
    if [one.shape for one in here] != [out.shape for out in call.outs] or len(here) != len(there):
        return call.lose("makes other results of the turned rectangle")
    answers = []
    for one, two in zip(here, there, strict=True):
        answer = _selection(call, state, one, two)
        flips = answer.flips + (call.operation == "flip")
        answers.append(replace(answer, flips=flips))
    return answers


def _sources(call: Call) -> list[Tensor]:
    """For every result the flat number of the entry that it shows, from 1; 0 for a constant."""
    source = call.args[0]
    numbers = torch.arange(1, source.numel() + 1, dtype=torch.float64).view(source.shape)
    made = call.function(numbers, call.args[1]) if call.operation == "constant_pad_nd" else call.run(numbers)
    return [out.round().long() for out in (made if isinstance(made, list | tuple) else [made])]


def _selection(call: Call, state: Sites, here: Tensor, there: Tensor) -> Sites:
    """The state of one result that shows these entries."""
    source, source_there, elements = call.args[0], call.twin.args[0], len(call.elements)
    groups = [
        _Group(part, part.dims, source, source_there, here, there)
        for part in (*state.parts, *_untouched(state, source, source_there, elements))
    ]
    constant = (here == 0) if here is there else (here == 0, there == 0)
    constant_here, constant_there = (constant, constant) if isinstance(constant, Tensor) else constant
    padded: set[int] = set()
    if constant_here.any() or constant_there.any():
        padded = {d for d in range(here.ndim) if depends(constant_here, d) or depends(constant_there, d)}
    for group in groups:
        group.look(padded)
    base = state.base if not padded and all(g.moves or g.keeps_order for g in groups) else None
    varies = padded.union(*(group.axes for group in groups))
    equal = frozenset(
        d for d, n in enumerate(here.shape) if n > 1 and d not in varies and not (depends(here, d) or depends(there, d))
    )
    parts, lost = [], {}
    while groups:
        together = [groups.pop(0)]
        axes = set(together[0].axes)
        while more := [g for g in groups if axes & g.axes or (axes & padded and g.axes & padded)]:
            together += more
            groups = [g for g in groups if g not in more]
            axes = axes.union(*(g.axes for g in more))
        if not any(g.moves for g in together):
            continue
        if axes & padded:
            axes |= padded
        part = _aligned(together, tuple(sorted(axes)), here.shape, there.shape)
        if axes & padded:
            part = _with_constant(part, constant_here, constant_there)
        if axes:
            parts.append(part)
            continue
        for k in state.alive:  # one single position is left
            if arrangement(part, k) is None:
                lost[k] = call.loss("shows one position of many that move", broken=True)
    return replace(call.answer(parts, lost, base), equal=equal)


def _untouched(state: Sites, source: Tensor, there: Tensor, elements: int) -> list[SiteMap]:
    moving = {d for part in state.parts for d in part.dims}
    axes = [d for d in range(source.ndim) if d not in moving and source.shape[d] > 1]
    found = [identity_part(source.shape, there.shape, (d,), elements) for d in axes]
    return [part for part in found if part is not None]


class _Group:
    """Axes of the source, and which entries of them a result shows."""

    def __init__(
        self, part: SiteMap, dims: tuple[int, ...], source: Tensor, source_there: Tensor, here: Tensor, there: Tensor
    ) -> None:
        still = torch.arange(part.n)
        self.part = part
        self.moves = any(move is not None and not torch.equal(move, still) for move in part.moves)
        self.here, self.there = _within(here, source.shape, dims), None
        if there is not here or source.shape != source_there.shape:
            self.there = _within(there, source_there.shape, dims)

    def look(self, padded: set[int]) -> None:
        """Find the axes of the result on which the shown entries depend."""
        if padded:  # the constant shows no entry: it may count as any that lies on the same lines
            axes = tuple(sorted(padded))
            self.here = torch.where(self.here < 0, self.here.amax(axes, keepdim=True), self.here).clamp(min=0)
            if self.there is not None:
                self.there = torch.where(self.there < 0, self.there.amax(axes, keepdim=True), self.there).clamp(min=0)
        sides = [self.here] if self.there is None else [self.here, self.there]
        self.axes = {d for d in range(self.here.ndim) if any(depends(side, d) for side in sides)}
        lines = _reduced(self.here, tuple(sorted(self.axes))).flatten()
        self.keeps_order = torch.equal(lines, torch.arange(self.part.ids.numel()))


def _within(entries: Tensor, shape: Sequence[int], dims: tuple[int, ...]) -> Tensor:
    """The flat number within some axes of the source; -1 for a constant."""
    coordinates = torch.unravel_index((entries - 1).clamp(min=0), tuple(shape))
    flat = torch.zeros_like(entries)
    for d in dims:
        flat = flat * shape[d] + coordinates[d]
    return flat.masked_fill(entries == 0, -1)


def _reduced(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The values on some axes, where they do not depend on the others."""
    for d in reversed(range(values.ndim)):
        if d not in axes:
            values = values.select(d, 0)
    return values


def _aligned(groups: Sequence[_Group], axes: tuple[int, ...], here: Sequence[int], there: Sequence[int]) -> SiteMap:
    """Groups that share axes of the result as one part on all of these."""
    sizes, sizes_there = [here[d] for d in axes], [there[d] for d in axes]
    found: SiteMap | None = None
    for group in groups:
        part = group.part
        ids = part.ids.flatten()[_reduced(group.here, axes).expand(sizes)]
        ids_there = ids
        if group.there is not None or part.there is not part.ids:
            shown = group.here if group.there is None else group.there
            ids_there = part.there.flatten()[_reduced(shown, axes).expand(sizes_there)]
        one = replace(part, dims=axes, ids=ids, there=ids_there)
        found = one if found is None else paired(found, one)
    assert found is not None
    return found


def _with_constant(part: SiteMap, constant: Tensor, constant_there: Tensor) -> SiteMap:
    """The part with one more site, which does not move, for the entries that are constant."""
    n, n_there = part.n, part.n_there
    last = torch.tensor([n_there])
    moves = tuple(None if move is None else torch.cat([move, last]) for move in part.moves)
    ids = part.ids.masked_fill(_reduced(constant, part.dims), n)
    same = part.there is part.ids
    there = ids if same else part.there.masked_fill(_reduced(constant_there, part.dims), n_there)
    return SiteMap(part.dims, ids, there, moves, n_there + 1, part.spatial)


MOVEMENT = {
    **dict.fromkeys(["view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "_reshape_alias", "flatten"], viewed),
    **dict.fromkeys(["permute", "transpose", "t"], permuted),
    **dict.fromkeys(
        "slice select split split_with_sizes unsafe_split unsafe_split_with_sizes unbind index index_select gather "
        "take expand repeat flip roll constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d "
        "replication_pad2d pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col unfold diagonal "
        "narrow narrow_copy slice_copy tril triu masked_select rot90 take_along_dim".split(),
        selected,
    ),
}
"""Operation -> rule."""
