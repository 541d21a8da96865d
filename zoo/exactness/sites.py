"""How the entries of a tensor move when the input image moves: a proof, carried from operation to operation.

Let T(x) be a tensor that a model makes of the image x. Element g of d4 is *proven* for T when a permutation is known
that turns T(x) into T(g x). It is not stored as such. A tensor is a selection of *sites*, and each element permutes the
sites: entry j shows site `ids[j]`, and

    site i of T(g x)  =  site moves[g][i] of T(x).

Padding, slicing, reshaping and indexing only change which entry shows which site, so they cannot lose anything; the
value of a constant, such as a padded zero, is a site that stays where it is. Operations that mix positions (windows,
sums, products of matrices) make new sites, and have to prove how these move, or say why they cannot.

Axes that no `SiteMap` names do not move at all. On a rectangle, an element that swaps the axes compares two runs: `ids`
and `n` belong to the run on g x, `there` and `n_there` to the run on x. Elsewhere both are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

OUT_OF_STEP = "its windows are out of step with the image"
"""What is lost so in two branches, their sum does not restore; for other losses that is not known."""


Sizes = Sequence[int] | Mapping[int, int]
"""Of axes, by number."""


@dataclass(frozen=True)
class Loss:
    """Why an element is no longer proven, and where that happened."""

    order: int
    """Number of the operation in the run."""
    name: str
    """Path of the module, as in `named_modules()`; empty for code in the model's own forward."""
    operation: str
    """Name of the operation at torch's dispatcher."""
    note: str
    broken: bool
    """Whether the operation breaks the element for any values; otherwise nothing is known."""
    head: bool = False
    """Whether only what is made of the last feature map is concerned: logits that weigh orientations."""


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Axes of a tensor whose entries move together."""

    dims: tuple[int, ...]
    """Ascending."""
    ids: Tensor
    """int64, of the sizes of these axes: the site that each entry shows."""
    there: Tensor
    """The same in the run on the unmoved image; the same object where both runs have one shape."""
    moves: tuple[Tensor | None, ...]
    """For every element the permutation of the sites, (n,) int64 with values below `n_there`; None if it is lost."""
    n_there: int
    spatial: bool
    """Whether positions of the image are involved; otherwise only channels are."""

    @property
    def n(self) -> int:
        """How many sites there are."""
        return next((len(move) for move in self.moves if move is not None), 1)

    @property
    def is_moving(self) -> bool:
        """Whether an element that is not lost may move something."""
        return max(self.n, self.n_there) > 1 and any(move is not None for move in self.moves)

    def without(self, lost: Iterable[int]) -> "SiteMap":
        """The part where some elements are lost."""
        gone = set(lost)
        return replace(self, moves=tuple(None if k in gone else move for k, move in enumerate(self.moves)))


@dataclass(frozen=True, eq=False)
class Sites:
    """The parts of one tensor, and the elements that are lost."""

    parts: tuple[SiteMap, ...]
    losses: tuple[Loss | None, ...]
    """By element; None where it is proven."""
    flips: int = 0
    """How often the map was reversed on purpose: what is lost on two such ways may be restored by their sum."""
    base: object = field(default_factory=object)
    """Tensors that share it show sites of one and the same tensor."""
    equal: frozenset[int] = frozenset()
    """Axes along which all entries are known to be equal, as those that a tensor has been expanded on."""

    @property
    def alive(self) -> list[int]:
        """The numbers of the elements that are proven so far."""
        return [k for k, loss in enumerate(self.losses) if loss is None]

    def touching(self, dims: Iterable[int]) -> list[SiteMap]:
        """The parts that have one of these axes."""
        wanted = set(dims)
        return [part for part in self.parts if wanted & set(part.dims)]


def identity_part(shape: Sequence[int], there: Sequence[int], dims: tuple[int, ...], elements: int) -> SiteMap | None:
    """Axes that do not move, as a part; None if the two runs do not have the same sizes there."""
    sizes = [shape[d] for d in dims]
    if sizes != [there[d] for d in dims]:
        return None
    ids = torch.arange(torch.Size(sizes).numel()).view(sizes)
    still = torch.arange(ids.numel())
    return SiteMap(dims, ids, ids, (still,) * elements, ids.numel(), False)


def product(parts: Sequence[SiteMap]) -> SiteMap:
    """Parts of different axes as one part: a site for every combination of their sites."""
    axes = tuple(sorted(d for part in parts for d in part.dims))
    here = {d: n for part in parts for d, n in zip(part.dims, part.ids.shape, strict=True)}
    there = {d: n for part in parts for d, n in zip(part.dims, part.there.shape, strict=True)}
    first, *rest = [stretched(part, axes, here, there) for part in parts]
    for other in rest:
        first = paired(first, other)
    return first


def paired(a: SiteMap, b: SiteMap) -> SiteMap:
    """Two parts of the same axes as one part, with a site for every pair of their sites."""
    ids = a.ids * b.n + b.ids
    same = a.there is a.ids and b.there is b.ids
    moves = tuple(
        None if one is None or two is None else (one[:, None] * b.n_there + two).flatten()
        for one, two in zip(a.moves, b.moves, strict=True)
    )
    there = ids if same else a.there * b.n_there + b.there
    return SiteMap(a.dims, ids, there, moves, a.n_there * b.n_there, a.spatial or b.spatial)


def stretched(part: SiteMap, axes: tuple[int, ...], here: Sizes, there: Sizes) -> SiteMap:
    """A part on some of the axes, stretched to all of them: it does not depend on the others.

    Args:
        part: whose axes are among `axes`.
        axes: ascending.
        here, there: sizes of the axes in both runs.
    """
    if part.dims == axes:
        return part

    def stretch(ids: Tensor, sizes: Sizes) -> Tensor:
        known = iter(ids.shape)
        return ids.reshape([next(known) if d in part.dims else 1 for d in axes]).expand([sizes[d] for d in axes])

    ids = stretch(part.ids, here)
    same = part.there is part.ids and all(here[d] == there[d] for d in axes)
    return replace(part, dims=axes, ids=ids, there=ids if same else stretch(part.there, there))


def zipped(parts: Sequence[SiteMap]) -> tuple[SiteMap, tuple[int, ...]]:
    """Parts of the same axes as one part, whose sites are the tuples that occur; and the elements that this loses.

    An element is lost where it moves a tuple to one that does not occur: then the parts do not move together.
    """
    first, *rest = parts
    lost: tuple[int, ...] = ()
    for other in rest:
        if alike(first, other):
            continue
        first, more = _zipped(first, other)
        lost += more
    return first, lost


def alike(a: SiteMap, b: SiteMap) -> bool:
    """Whether two parts show the same sites, which move in the same way."""
    if a is b:
        return True
    if a.dims != b.dims or a.n != b.n or a.n_there != b.n_there or a.ids.shape != b.ids.shape:
        return False
    pairs = [(a.ids, b.ids), (a.there, b.there), *zip(a.moves, b.moves, strict=True)]
    return all(x is y or (x is not None and y is not None and torch.equal(x, y)) for x, y in pairs)


def _zipped(a: SiteMap, b: SiteMap) -> tuple[SiteMap, tuple[int, ...]]:
    here, ids = torch.unique(a.ids * b.n + b.ids, return_inverse=True)
    known, there = here, ids
    if not (a.ids is a.there and b.ids is b.there):
        known, there = torch.unique(a.there * b.n_there + b.there, return_inverse=True)
    moves: list[Tensor | None] = []
    lost = []
    for k, (one, two) in enumerate(zip(a.moves, b.moves, strict=True)):
        if one is None or two is None:
            moves.append(None)
            continue
        target = one[here // b.n] * b.n_there + two[here % b.n]
        place = torch.searchsorted(known, target).clamp_(max=len(known) - 1)
        if torch.equal(known[place], target):
            moves.append(place)
        else:
            moves.append(None)
            lost.append(k)
    spatial = a.spatial or b.spatial
    return SiteMap(a.dims, ids, there, tuple(moves), len(known), spatial), tuple(lost)


def arrangement(part: SiteMap, k: int) -> Tensor | None:
    """The permutation of the entries under element k, T(g x)[j] = T(x)[q[j]] with flat j; None if there is none."""
    move = part.moves[k]
    if move is None:
        return None
    target, there = move[part.ids.flatten()], part.there.flatten()
    if len(target) != len(there):
        return None
    if torch.equal(target, there):
        return torch.arange(len(there))
    from_target, from_there = target.argsort(stable=True), there.argsort(stable=True)
    if not torch.equal(target[from_target], there[from_there]):
        return None
    q = torch.empty_like(from_target)
    q[from_target] = from_there
    return q


def refreshed(part: SiteMap, alive: Iterable[int]) -> tuple[list[SiteMap], tuple[int, ...]]:
    """The entries themselves as sites, in as many parts as move independently; and the elements that this loses."""
    found = {k: arrangement(part, k) for k in alive}
    lost = tuple(k for k, q in found.items() if q is None)
    perms = {k: q for k, q in found.items() if q is not None}
    here, there = tuple(part.ids.shape), tuple(part.there.shape)
    axes = range(len(part.dims))
    groups = [{axis} for axis in axes]
    coordinates = {k: torch.unravel_index(q.view(here), there) for k, q in perms.items()}
    for found_at in coordinates.values():
        for axis in axes:  # coordinate `axis` in the one run depends on these axes of the other
            needs = {axis, *(other for other in axes if depends(found_at[axis], other))}
            groups = [g for g in groups if not g & needs] + [set().union(needs, *(g for g in groups if g & needs))]
    parts = []
    for group in sorted(map(sorted, groups)):
        sizes, sizes_there = [here[a] for a in group], [there[a] for a in group]
        moves: list[Tensor | None] = [None] * len(part.moves)
        moving = False
        for k, found_at in coordinates.items():
            flat = _flat([found_at[a] for a in group], sizes_there)
            for axis in reversed([a for a in axes if a not in group]):
                flat = flat.select(axis, 0)
            move = flat.flatten()
            moves[k] = move
            moving = moving or not torch.equal(move, torch.arange(len(move)))
        ids = torch.arange(torch.Size(sizes).numel()).view(sizes)
        same = here == there
        if moving or sizes != sizes_there:
            there_ids = ids if same else torch.arange(torch.Size(sizes_there).numel()).view(sizes_there)
            dims = tuple(part.dims[a] for a in group)
            parts.append(SiteMap(dims, ids, there_ids, tuple(moves), there_ids.numel(), part.spatial))
    return parts, lost


def depends(values: Tensor, axis: int) -> bool:
    """Whether the values differ along an axis."""
    if values.shape[axis] == 1:
        return False
    first = values.narrow(axis, 0, 1)
    return not torch.equal(values, first.expand_as(values))


def _flat(coordinates: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    flat = torch.zeros_like(coordinates[0])
    for coordinate, size in zip(coordinates, sizes, strict=True):
        flat = flat * size + coordinate
    return flat
