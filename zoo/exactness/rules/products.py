"""Products of matrices: linear layers and attention."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zoo.exactness.calls import Answer, Call
from zoo.exactness.rules.matching import matched
from zoo.exactness.rules.pointwise import Operand, combined
from zoo.exactness.sites import Loss, SiteMap, Sites, arrangement, refreshed

WEIGHS = "weighs positions differently that the image's motion exchanges"
ORIENTATIONS = "weighs orientations differently, so that its result is not invariant"
MIXED = "multiplies positions that do not move together"


def separated(call: Call, tensor: Tensor, axes: set[int], lost: dict[int, Loss]) -> list[SiteMap]:
    """The parts of a tensor, made fresh where they touch these axes, so that each is alone as far as it can be."""
    parts, state = [], call.states[id(tensor)]
    for part in state.parts:
        if not set(part.dims) & axes or (len(part.dims) == 1 and _is_fresh(part)):
            parts.append(part)
            continue
        new, gone = refreshed(part, [k for k in state.alive if k not in lost])
        lost |= {k: call.loss("reads positions, and leaves out those that they move to", broken=True) for k in gone}
        parts += new
    return parts


def _is_fresh(part: SiteMap) -> bool:
    """Whether every entry is a site of its own."""
    return part.n == part.ids.numel() and torch.equal(part.ids.flatten(), torch.arange(part.n))


def product(call: Call) -> Answer:
    """mm, bmm, and the same with something added: out[.., i, j] = sum over k of a[.., i, k] b[.., k, j]."""
    added = call.operation in ("addmm", "baddbmm")
    a, b = call.args[added : added + 2]
    a_there, b_there = call.twin.args[added : added + 2]
    row, column = a.ndim - 2, a.ndim - 1
    if call.state(a) is None and call.state(b) is None:
        state = call.answer(())
    elif call.state(a) is None:  # out^T = b^T a^T
        state = contracted(call, b, a.mT, a_there.mT, row, column)
    elif call.state(b) is None:
        state = contracted(call, a, b, b_there, column, row)
    else:
        state = _multiplied(call, a, b, row, column)
    return _plus(call, state) if added else state


def _plus(call: Call, state: Sites) -> Sites:
    """The state after the first argument of `addmm` has been added."""
    out, out_there, first = call.outs[0], call.twin.outs[0], call.args[0]
    operands = [Operand(state.parts, out, out_there), Operand.of(call, first, call.twin.args[0], out.ndim)]
    answer = combined(call, operands, out.shape, out_there.shape)
    return replace(answer, losses=tuple(a or b for a, b in zip(state.losses, answer.losses, strict=True)))


def contracted(call: Call, a: Tensor, weight: Tensor, weight_there: Tensor, axis: int, other: int) -> Sites:
    """The product of a tensor with constant weights (.., k, j) along one axis, k."""
    lost = dict[int, Loss]()
    parts = separated(call, a, {axis}, lost)
    kept = [p for p in parts if axis not in p.dims]
    touching = [p for p in parts if axis in p.dims]
    if weight.ndim > 2 and _differs(weight) and any(d < other for p in kept for d in p.dims):
        return call.lose("has weights of its own for every position")
    if any(p.dims != (axis,) for p in touching):
        return call.lose(WEIGHS, broken=any(p.spatial for p in touching))
    columns: list[Tensor | None] = [None] * len(call.elements)
    spatial = any(p.spatial for p in parts)
    matrix, matrix_there = (w.reshape(-1, *w.shape[-2:])[0] if w.ndim > 2 else w for w in (weight, weight_there))
    for k in call.merged().alive:
        if k in lost:
            continue
        if not touching:
            columns[k] = torch.arange(matrix.shape[1])
            continue
        q = arrangement(touching[0], k)
        if q is None or matrix.shape != matrix_there.shape or (weight.ndim > 2 and _differs(weight)):
            lost[k] = call.loss(WEIGHS, broken=False)
            continue
        moved = torch.empty_like(matrix_there)
        moved[q] = matrix
        columns[k] = matched(moved.T, matrix_there.T)
        if columns[k] is None:
            lost[k] = call.loss(WEIGHS if spatial else ORIENTATIONS, broken=True, head=not spatial)
    if touching and any(c is not None and not torch.equal(c, torch.arange(len(c))) for c in columns):
        ids = torch.arange(matrix.shape[1])
        kept.append(SiteMap((axis,), ids, ids, tuple(columns), len(ids), touching[0].spatial))
    return call.answer(kept, lost)


def _differs(weight: Tensor) -> bool:
    flat = weight.reshape(-1, weight.shape[-2] * weight.shape[-1])
    return bool((flat != flat[:1]).any())


def _multiplied(call: Call, a: Tensor, b: Tensor, row: int, column: int) -> Sites:
    """The product of two tensors that both depend on the image."""
    lost = dict[int, Loss]()
    every = set(range(a.ndim))
    left, right = separated(call, a, every, lost), separated(call, b, every, lost)
    kept = [*_agreed(call, left, right, {column: row}, set(range(row)), lost)]
    kept += [p for p in left if p.dims == (row,)]
    kept += [p for p in right if p.dims == (column,)]
    if any(len(p.dims) > 1 and set(p.dims) & {row, column} for p in (*left, *right)):
        return call.lose(MIXED)
    return call.answer(kept, lost)


def _agreed(
    call: Call, left: Sequence[SiteMap], right: Sequence[SiteMap], contracted_axes: dict[int, int], shared: set[int],
    lost: dict[int, Loss],
) -> list[SiteMap]:  # fmt: skip
    """The parts on the axes that two factors share, which have to move alike; and the same of those summed over."""
    pairs = [((a,), (b,)) for a, b in contracted_axes.items()]
    groups = {p.dims for p in (*left, *right) if set(p.dims) <= shared}
    kept = []
    for one, two, is_shared in [*((*pair, False) for pair in pairs), *((g, g, True) for g in groups)]:
        first = next((p for p in left if p.dims == one), None)
        second = next((p for p in right if p.dims == two), None)
        for k in range(len(call.elements)):
            if k in lost or call.merged().losses[k] is not None:
                continue
            perms = [None if p is None else arrangement(p, k) for p in (first, second)]
            known = [q for q in perms if q is not None]
            still = all(torch.equal(q, torch.arange(len(q))) for q in known)
            if not (still or (len(known) == 2 and torch.equal(*known))):
                lost[k] = call.loss(MIXED, broken=False)
        if is_shared and first is not None:
            kept.append(first)
    return kept


def attention(call: Call) -> Answer:
    """softmax(q k^T / sqrt(d) + mask) v of (.., n, d), in one operation."""
    q, k, v = call.args[:3]
    if len(call.tracked) < 3 or any(call.state(t) is None for t in (q, k, v)):
        return call.lose("attends to constants")
    lost = dict[int, Loss]()
    n, d = q.ndim - 2, q.ndim - 1
    every, shared = set(range(q.ndim)), set(range(q.ndim - 2))
    queries, keys, values = (separated(call, t, every, lost) for t in (q, k, v))
    if any(len(p.dims) > 1 and set(p.dims) & {n, d} for p in (*queries, *keys, *values)):
        return call.lose(MIXED)
    _agreed(call, queries, keys, {d: d}, shared, lost)
    kept = _agreed(call, keys, values, {n: n}, shared, lost)
    kept += [p for p in queries if p.dims == (n,)] + [p for p in values if p.dims == (d,)]
    answer = call.answer(kept, lost)
    mask, mask_there = (
        c.argument(3, "attn_mask") if isinstance(c.argument(3, "attn_mask"), Tensor) else c.kwargs.get("attn_mask")
        for c in (call, call.twin)
    )
    losses = answer.losses
    if any(value is True for value in (*call.args[3:], call.kwargs.get("is_causal"))):
        losses = tuple(old or call.loss("its mask is not analysed", False) for old in losses)
    elif isinstance(mask, Tensor) and isinstance(mask_there, Tensor):
        scores = [p for p in queries if d not in p.dims]
        scores += [replace(p, dims=(d,)) for p in keys if p.dims == (n,)]
        shape, there = [(*c.args[0].shape[:-1], c.args[1].shape[-2]) for c in (call, call.twin)]
        blank = q.new_empty(())
        operands = [Operand(scores, blank.expand(shape), blank.expand(there))]
        operands.append(Operand.of(call, mask, mask_there, len(shape)))
        masked = combined(call, operands, shape, there)
        losses = tuple(a or b for a, b in zip(losses, masked.losses, strict=True))
    gone = [k for k, loss in enumerate(losses) if loss is not None]
    answer = replace(answer, losses=losses, parts=tuple(p.without(gone) for p in answer.parts))
    return [answer] + [call.lose("is not analysed") for _ in call.outs[1:]]


PRODUCTS = {
    **dict.fromkeys("mm addmm bmm baddbmm".split(), product),
    **dict.fromkeys(
        "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention "
        "_scaled_dot_product_flash_attention scaled_dot_product_attention".split(),
        attention,
    ),
}
"""Operation -> rule."""
