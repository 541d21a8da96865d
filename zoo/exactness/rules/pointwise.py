"""Operations that make each entry of the entries at the same place, constants among them, and joining of tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zoo.exactness.calls import Call, tensors
from zoo.exactness.sites import Loss, SiteMap, Sites, alike, depends, identity_part, product, stretched, zipped

APART = "combines positions that do not move together"
FIXED = "its constants differ between positions that the image's motion exchanges"


def pointwise(call: Call) -> Sites:
    """Entries of one place, of all tensors with their sizes stretched to that of the result."""
    out, out_there = call.outs[0], call.twin.outs[0]
    used, used_there = ([c.args[call.operation == "copy" :], c.kwargs] for c in (call, call.twin))
    stretched_shape = torch.broadcast_tensors(*tensors(used))[0].shape  # type: ignore[no-untyped-call]
    assert call.operation == "copy" or stretched_shape == out.shape, "a result of another shape"
    operands = [
        Operand.of(call, tensor, there, out.ndim)
        for tensor, there in zip(tensors(used), tensors(used_there), strict=True)
        if tensor.ndim
    ]
    return combined(call, operands, out.shape, out_there.shape)


class Operand:
    """A tensor of a pointwise operation, with the axes counted as in its result.

    Args:
        parts: of the tensor.
        tensor, there: in both runs, with as many axes as the result.
        constant: whether it does not depend on the image.
        wide: axes on which it counts as not stretched, even if it has one entry there.
    """

    def __init__(
        self, parts: Sequence[SiteMap], tensor: Tensor, there: Tensor, constant: bool = False, wide: Iterable[int] = ()
    ) -> None:
        self.parts, self.tensor, self.there, self.constant = parts, tensor, there, constant
        self.wide = {d for d in range(tensor.ndim) if tensor.shape[d] > 1 or there.shape[d] > 1} | set(wide)

    @property
    def sides(self) -> list[Tensor]:
        """The tensor in both runs; once where they are one."""
        return [self.tensor] if self.there is self.tensor else [self.tensor, self.there]

    @classmethod
    def of(cls, call: Call, tensor: Tensor, there: Tensor, ndim: int) -> "Operand":
        """A tensor of a call whose result has `ndim` axes."""
        state, shift = call.state(tensor), ndim - tensor.ndim
        parts = [] if state is None else [replace(p, dims=tuple(d + shift for d in p.dims)) for p in state.parts]
        shape = (1,) * shift
        seen = tensor.reshape(shape + tuple(tensor.shape))
        seen_there = seen if there is tensor else there.reshape(shape + tuple(there.shape))
        operand = cls(parts, seen, seen_there, state is None)
        operand.wide -= {d + shift for d in state.equal} if state else set()
        return operand

    def part(self, axes: tuple[int, ...], elements: int) -> SiteMap | None:
        """The entries on some axes as one part; None if it is stretched on all of them, or is lost."""
        inside = [p for p in self.parts if set(p.dims) & set(axes)]
        dims = tuple(d for d in axes if d in self.wide)
        if not dims and not inside:
            return None
        if self.constant:
            return _classes(self.tensor, self.there, dims, elements)
        rest = tuple(d for d in dims if not any(d in p.dims for p in inside))
        still = identity_part(self.tensor.shape, self.there.shape, rest, elements) if rest else None
        return product([*inside, *([] if still is None else [still])])


def combined(call: Call, operands: Sequence[Operand], shape: Sequence[int], there: Sequence[int]) -> Sites:
    """The state of a result whose entries are functions of the operands' entries at the same place."""
    parts: list[SiteMap] = []
    lost: dict[int, Loss] = {}
    for axes in components(operands):
        found = [(operand, operand.part(axes, len(call.elements))) for operand in operands]
        known = [(operand, stretched(part, axes, shape, there)) for operand, part in found if part is not None]
        moving, gone = zipped([part for operand, part in known if not operand.constant])
        lost |= {k: call.loss(APART, broken=False) for k in gone if k not in lost}
        both, gone = zipped([moving, *(part for operand, part in known if operand.constant)])
        lost |= {k: call.loss(FIXED, broken=True) for k in gone if k not in lost}
        parts.append(both)
    return call.answer(parts, lost)


def components(operands: Sequence[Operand]) -> list[tuple[int, ...]]:
    """The axes that move, in the smallest groups that neither a part nor a constant joins to others."""
    joints = [set(part.dims) for operand in operands for part in operand.parts]
    moving = set().union(*joints)
    for operand in operands:
        if operand.constant:
            joints.append({d for d in operand.wide & moving if any(depends(t, d) for t in operand.sides)})
    groups: list[set[int]] = []
    for joint in joints:
        if joint:
            touching = [group for group in groups if group & joint]
            groups = [g for g in groups if g not in touching] + [joint.union(*touching)]
    return [tuple(sorted(group)) for group in groups]


def _classes(tensor: Tensor, there: Tensor, dims: tuple[int, ...], elements: int) -> SiteMap | None:
    """A constant as a part that does not move, with a site for every value; None if it has one value on these axes."""

    def rows(values: Tensor) -> Tensor:
        values = values.detach().movedim(dims, tuple(range(len(dims))))
        return values.reshape(torch.Size(values.shape[: len(dims)]).numel(), -1)

    one, two = rows(tensor), rows(there)
    if (one == one[:1]).all() and (two == one[:1]).all():
        return None
    if one.is_floating_point():  # what is equal up to rounding is one value
        scale = max(float(one.abs().nan_to_num(0, 0, 0).max()), 1e-30) * 1e-5
        one, two = ((side.double() / scale).round().nan_to_num(0, 2**60, -(2**60)).long() for side in (one, two))
    both = one if there is tensor else torch.cat([one, two])
    kinds, ids = torch.unique(both, dim=0, return_inverse=True)
    sizes, sizes_there = [tensor.shape[d] for d in dims], [there.shape[d] for d in dims]
    ids_here = ids[: len(one)].view(sizes)
    ids_there = ids_here if there is tensor else ids[len(one) :].view(sizes_there)
    still = torch.arange(len(kinds))
    return SiteMap(dims, ids_here, ids_there, (still,) * elements, len(kinds), False)


def joined(call: Call) -> Sites:
    """Tensors one after the other on an axis (`cat`), or on a new one (`stack`)."""
    pieces = list(call.args[0])
    pieces_there = list(call.twin.args[0])
    out, out_there = call.outs[0], call.twin.outs[0]
    axis = int(call.argument(1, "dim", 0)) % out.ndim
    if call.operation == "stack":
        pieces, pieces_there = ([p.unsqueeze(axis) for p in side] for side in (pieces, pieces_there))
    kept = [k for k, piece in enumerate(pieces) if piece.ndim == out.ndim]  # an empty vector is allowed anywhere
    wide = {d for d in range(out.ndim) if max(out.shape[d], out_there.shape[d]) > 1} | {axis}
    operands, bases = [], []
    for k in kept:
        original = call.args[0][k]
        state = call.state(original)
        parts = () if state is None else state.parts
        if call.operation == "stack":
            parts = tuple(replace(p, dims=tuple(d + (d >= axis) for d in p.dims)) for p in parts)
        operands.append(Operand(parts, pieces[k], pieces_there[k], state is None, wide=wide))
        bases.append(None if state is None or len(parts) > 1 else state.base)
    apart: tuple[int, ...] = (axis,)
    groups = list[SiteMap]()
    for axes in components(operands):
        known = [operand.part(axes, len(call.elements)) for operand in operands]
        first = known[0]
        if axis not in axes and first is not None and all(p is not None and alike(first, p) for p in known):
            groups.append(first)
        else:
            apart = tuple(sorted({*apart, *axes}))
    if len(apart) == 1 and not any(axis in p.dims for operand in operands for p in operand.parts):
        return call.answer(groups)
    blocks = [operand.part(apart, len(call.elements)) or _one_value(operand, apart, call) for operand in operands]
    if any(block is None for block in blocks):
        return call.lose("joins constants of a rectangle")
    return call.answer([*groups, _stacked([b for b in blocks if b is not None], bases, apart.index(axis))])


def _one_value(operand: Operand, axes: tuple[int, ...], call: Call) -> SiteMap | None:
    """A constant with one value as a part with one site; None where the two runs have other sizes."""
    block = identity_part(operand.tensor.shape, operand.there.shape, axes, len(call.elements))
    if block is None:
        return None
    nothing, still = torch.zeros_like(block.ids), torch.zeros(1, dtype=torch.long)
    return replace(block, ids=nothing, there=nothing, moves=(still,) * len(call.elements), n_there=1)


def _stacked(blocks: Sequence[SiteMap], bases: Sequence[object], axis: int) -> SiteMap:
    """Parts one after the other on an axis: those that show sites of one tensor share them."""
    places: dict[object, tuple[int, int]] = {}
    ids, there = [], []
    kept: list[SiteMap] = []
    n = n_there = 0
    for number, (block, base) in enumerate(zip(blocks, bases, strict=True)):
        shared = base is not None and _move_alike([b for b, other in zip(blocks, bases, strict=True) if other is base])
        key = (base, block.n, block.n_there) if shared else number
        if key not in places:
            places[key] = (n, n_there)
            kept.append(block)
            n, n_there = n + block.n, n_there + block.n_there
        ids.append(block.ids + places[key][0])
        there.append(block.there + places[key][1])
    moves = []
    for column in zip(*(block.moves for block in kept), strict=True):
        shifted = [move + start for move, (_, start) in zip(column, places.values(), strict=True) if move is not None]
        moves.append(torch.cat(shifted) if len(shifted) == len(column) else None)
    ids_here = torch.cat(ids, axis)
    same = all(block.there is block.ids for block in blocks)
    ids_there = ids_here if same else torch.cat(there, axis)
    return SiteMap(blocks[0].dims, ids_here, ids_there, tuple(moves), n_there, any(block.spatial for block in blocks))


def _move_alike(blocks: Sequence[SiteMap]) -> bool:
    """Whether blocks number and move their sites alike."""
    first = blocks[0]
    pairs = [(a, b) for block in blocks[1:] for a, b in zip(first.moves, block.moves, strict=True)]
    return all(a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)


UNARY = (
    "abs acos acosh angle asin asinh atan atanh bitwise_not ceil celu clamp clamp_max clamp_min clip clone contiguous "
    "cos cosh deg2rad detach digamma elu erf erfc erfinv exp exp2 expm1 fill floor frac gelu hardshrink hardsigmoid "
    "hardswish hardtanh isfinite isinf isnan leaky_relu lgamma log log10 log1p log2 log_sigmoid logical_not logit "
    "mish nan_to_num neg negative positive rad2deg reciprocal relu relu6 round rsqrt selu sgn sigmoid sign signbit "
    "silu sin sinc sinh softplus softshrink special_erf special_expit special_log1p sqrt square tan tanh tanhshrink "
    "threshold trunc _to_copy to alias lift_fresh lift _conj conj zero log_sigmoid_forward "
    "pin_memory"
).split()
NARY = (
    "add sub rsub mul div true_divide floor_divide remainder fmod pow float_power maximum minimum fmax fmin where "
    "addcmul addcdiv lerp atan2 hypot copysign logaddexp logaddexp2 eq ne lt le gt ge logical_and logical_or "
    "logical_xor bitwise_and bitwise_or bitwise_xor clamp_tensor _prelu_kernel prelu masked_fill xlogy heaviside "
    "nextafter copy special_xlog1py"
).split()

POINTWISE = {
    **dict.fromkeys((*UNARY, *NARY), pointwise),
    "cat": joined,
    "stack": joined,
    "concat": joined,
}
"""Operation -> rule."""
