"""Operations that read windows of the last two axes: convolutions, pooling and resizing.

All are proven in the same way. What one of them does to the positions is a linear map, the same for every channel (for
a maximum, the sum over the same windows). It is run on random numbers, once for each site: two linear maps that agree
on random numbers are equal with probability 1. With y = f(x) on one channel and a window whose taps have random
weights w, element g is proven if some element h of d4 gives

    f(g x; w)  =  h f(x; h^-1 w),

and then the output moves by h, and the filters of a convolution have to equal their own images under h.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from symdata.groups import Element
from zoo.exactness.arithmetic import D4
from zoo.exactness.calls import Answer, Call
from zoo.exactness.effects import last_two
from zoo.exactness.rules.matching import matched
from zoo.exactness.rules.products import ORIENTATIONS, WEIGHS, separated
from zoo.exactness.sites import OUT_OF_STEP, Loss, SiteMap, arrangement, identity_part, product
from zoo.layers.bank import BankedConv2d
from zoo.layers.regular import act_on_features, move, order

FILTERS = "its filters are not symmetric"
Probe = Callable[[Tensor, Tensor | None], Tensor]
"""From (1, 1, H, W) random numbers, and the weights of the taps, to the same map of one channel."""


@lru_cache(maxsize=4096)
def moved_grid(element: Element, height: int, width: int) -> Tensor:
    """For every position of the moved image the flat position that it shows of an image (height, width)."""
    return move(torch.arange(height * width).view(height, width), element).flatten()


@lru_cache(maxsize=512)
def grid(height: int, width: int) -> Tensor:
    """The flat numbers of positions, (height, width)."""
    return torch.arange(height * width).view(height, width)


def grid_part(
    dims: tuple[int, int], here: tuple[int, int], there: tuple[int, int], found: Sequence[Element | None]
) -> SiteMap:
    """A part whose sites are the positions of a map, each element moving them as one of d4 does; None is lost."""
    moves = tuple(None if e is None else moved_grid(e, *there) for e in found)
    ids = grid(*here)
    return SiteMap(dims, ids, ids if here == there else grid(*there), moves, there[0] * there[1], True)


def windows(
    call: Call, probe: Probe, probe_there: Probe, kernel: tuple[int, int] | None
) -> tuple[list[SiteMap], list[Element | None], dict[int, Loss]]:
    """The parts of the result apart from those of its channels, the element by which each moves, and what is lost."""
    source, source_there = call.args[0], call.twin.args[0]
    last = (source.ndim - 2, source.ndim - 1)
    lost = dict[int, Loss]()
    state = call.states[id(source)]
    crossing = any(set(p.dims) & set(last) and not set(p.dims) <= set(last) for p in state.parts)
    parts = separated(call, source, set(last), lost) if crossing else list(state.parts)
    inside = [p for p in parts if set(p.dims) & set(last)]
    rest = [p for p in parts if p not in inside]
    identity = D4.elements[0]
    if not inside:
        return rest, [identity] * len(call.elements), lost
    if any(not set(p.dims) <= set(last) for p in inside):
        lost |= {k: call.loss("positions are mixed with other axes", False) for k in range(len(call.elements))}
        return rest, [None] * len(call.elements), lost
    free = tuple(d for d in last if not any(d in p.dims for p in inside))
    still = identity_part(source.shape, source_there.shape, free, len(call.elements)) if free else None
    whole = product([*inside, *([] if still is None else [still])])
    if len(whole.dims) != 2 or any(d in p.dims for p in rest for d in range(2, last[0])):
        lost |= {k: call.loss("positions are mixed with other axes", False) for k in range(len(call.elements))}
        return rest, [None] * len(call.elements), lost
    found: list[Element | None] = [None] * len(call.elements)
    for k, e in enumerate(call.elements):
        if whole.moves[k] is None or k in lost:
            continue
        found[k] = _answering(whole, k, e, probe, probe_there, kernel)
        if found[k] is None:
            lost[k] = call.loss(OUT_OF_STEP, broken=not call.operation.startswith("grid_sampler"))
    out, out_there = (tuple(c.outs[0].shape[-2:]) for c in (call, call.twin))
    rest.append(grid_part(last, out, out_there, found))  # type: ignore[arg-type]
    return rest, found, lost


def _answering(
    part: SiteMap, k: int, natural: Element, probe: Probe, probe_there: Probe, kernel: tuple[int, int] | None
) -> Element | None:
    """The element by which the result moves when the sites move by element k; None if it does not move."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(part.n_there, generator=generator, dtype=torch.float64)
    taps = None if kernel is None else torch.rand(kernel, generator=generator, dtype=torch.float64)
    sites = part.moves[k]
    assert sites is not None
    moved_values, still_values = values[sites][part.ids][None, None], values[part.there][None, None]
    after = probe(moved_values, taps)
    for h in (natural, *(e for e in D4.elements if e != natural)):
        turned = None if taps is None else move(taps, ~h)
        if turned is not None and turned.shape != taps.shape:  # type: ignore[union-attr]
            continue
        before = move(probe_there(still_values, turned), h)
        if before.shape == after.shape and torch.allclose(before, after, rtol=1e-10, atol=1e-10):
            return h
    return None


def pooled(call: Call) -> Answer:
    """Windows without weights."""
    source = call.args[0]
    if len(call.tracked) > 1 or call.state(source) is None:
        return call.lose("chooses positions by the values of the image")
    if call.operation.startswith("grid_sampler") and (call.args[1] != call.args[1][:1]).any():
        return call.lose("moves each image of the batch in its own way")
    probes = [PROBES[call.operation](c) for c in (call, call.twin)]
    parts, _, lost = windows(call, probes[0], probes[1], None)
    first = replace(call.answer(parts, lost), equal=_enlarged(call, *probes))
    return [first] + [call.lose("gives places, which move") for _ in call.outs[1:]]


def _enlarged(call: Call, *probes: Probe) -> frozenset[int]:
    """The last two axes, if the map was a single pixel that now fills them."""
    if any(c.args[0].shape[-2:].numel() > 1 for c in (call, call.twin)):
        return frozenset()
    made = [probe(torch.ones(1, 1, 1, 1, dtype=torch.float64), None) for probe in probes]
    n = call.outs[0].ndim
    return frozenset({n - 2, n - 1} if all((m == m.flatten()[0]).all() for m in made) else ())


def _again(call: Call) -> Probe:
    """The operation itself, which is linear in its first argument."""
    return lambda x, taps: call.function(_like(x, call), *call.args[1:], **call.kwargs)


def _like(x: Tensor, call: Call) -> Tensor:
    """(1, 1, H, W) with as many axes as the first argument, and as deep if it has a depth."""
    n = call.args[0].ndim
    return x[0] if n == 3 else x if n == 4 else x[:, :, None].expand(1, 1, call.args[0].shape[2], *x.shape[-2:])


def _max_pool(call: Call) -> Probe:
    """The sum over the same windows."""
    a = call.args
    kernel = last_two(a[1])
    stride = last_two(a[2]) if len(a) > 2 and a[2] else kernel
    padding = last_two(a[3]) if len(a) > 3 else (0, 0)
    dilation = last_two(a[4]) if len(a) > 4 else (1, 1)
    size = call.outs[0].shape[-2:]
    ones = torch.ones(1, 1, *kernel, dtype=torch.float64)

    def probe(x: Tensor, taps: Tensor | None) -> Tensor:
        needs = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(size, stride, dilation, kernel, strict=True)]
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
        more = [max(0, need - got) for need, got in zip(needs, x.shape[-2:], strict=True)]
        x = F.pad(x, (0, more[1], 0, more[0]))[..., : needs[0], : needs[1]]
        return F.conv2d(x, ones, None, stride, 0, dilation)

    return probe


def _adaptive_max(call: Call) -> Probe:
    size = last_two(call.args[1])
    return lambda x, taps: F.adaptive_avg_pool2d(x, size)


def _sampled(call: Call) -> Probe:
    """`grid_sample` at positions that do not depend on the image."""
    _, places, *rest = call.args
    return lambda x, taps: call.function(x, places[:1].double(), *rest)


def convolved(call: Call) -> Answer:
    """Convolution, transposed or not: windows in step, and filters that move to filters."""
    source, weight, _, stride, padding, dilation, transposed, extra, groups = call.args[:9]
    if call.state(source) is None or len(call.tracked) > 1:
        return call.lose("has filters that depend on the image")
    state = call.states[id(source)]
    if source.ndim != 4 and any(d > 1 for p in state.parts for d in p.dims):
        return call.lose("is a convolution over one or three axes")
    lost, found = dict[int, Loss](), list[Element | None]([D4.elements[0]] * len(call.elements))
    if source.ndim != 4:
        parts = list(state.parts)
    else:
        kernel = (weight.shape[-2], weight.shape[-1])

        def probe(x: Tensor, taps: Tensor | None) -> Tensor:
            assert taps is not None
            one = taps[None, None]
            if transposed:
                return F.conv_transpose2d(x, one, None, stride, padding, extra, 1, dilation)
            return F.conv2d(x, one, None, stride, padding, dilation)

        parts, found, lost = windows(call, probe, probe, kernel)
    channels = [p for p in parts if 1 in p.dims]
    parts = [p for p in parts if 1 not in p.dims]
    if any(p.dims != (1,) for p in channels):
        return call.lose("mixes channels that are mixed with positions")
    columns: list[Tensor | None] = [None] * len(call.elements)
    placed = any(p.spatial for p in channels)  # channels that are positions, as a space to depth makes them
    for k in range(len(call.elements)):
        h = found[k]
        if k in lost or state.losses[k] is not None or h is None:
            continue
        columns[k] = _outputs(call, channels, k, h, transposed, groups)
        if columns[k] is None:
            head = bool(channels) and not placed and not any(p.spatial for p in parts)
            lost[k] = call.loss(ORIENTATIONS if head else WEIGHS if placed else FILTERS, broken=True, head=head)
    alive = [c for c in columns if c is not None]
    if any(not torch.equal(c, torch.arange(len(c))) for c in alive):
        ids = torch.arange(call.outs[0].shape[1])
        parts.append(SiteMap((1,), ids, ids, tuple(columns), len(ids), placed))
    return call.answer(parts, lost)


def _outputs(
    call: Call, channels: Sequence[SiteMap], k: int, h: Element, transposed: bool, groups: int
) -> Tensor | None:
    """The permutation of the output channels that answers element k; None if the filters do not allow one."""
    weight, bias = call.args[1], call.args[2]
    still = torch.arange(call.outs[0].shape[1])
    if not channels and (call.isotropic or weight.shape[2:].numel() == 1 or h == D4.elements[0]):
        return still
    q = (
        arrangement(channels[0], k)
        if channels
        else torch.arange(weight.shape[0] if transposed else weight.shape[1] * groups)
    )
    if q is None:
        return None
    key = (id(weight), weight._version, id(bias), h, call.elements[k], q.numpy().tobytes())
    if key not in call.answers:
        found = _matched(weight, bias, q, h, transposed, groups, _guesses(call, k))
        call.answers[key] = (found, weight, bias)  # held, so that their ids stay theirs
    answer: Tensor | None = call.answers[key][0]
    return answer


def _matched(
    weight: Tensor, bias: Tensor | None, q: Tensor, h: Element, transposed: bool, groups: int, guesses: list[Tensor]
) -> Tensor | None:
    """The permutation of outputs for filters that h has moved, and whose inputs q permutes."""
    filters = _by_output(weight, transposed, groups)  # (groups, out / groups, in / groups, ...)
    turned = move(filters, ~h) if filters.ndim == 5 else filters
    if turned.shape != filters.shape:
        return None
    outs, ins = filters.shape[1:3]
    target = torch.empty_like(turned)
    goes = (q // ins).view(groups, ins)
    if not torch.equal(goes, goes[:, :1].expand_as(goes)):
        return None
    for group in range(groups):
        place = (q % ins).view(groups, ins)[group]
        target[group][:, place] = turned[group]
    columns = [t.reshape(groups * outs, -1) for t in (target, filters)]
    if groups > 1:
        scale = float(filters.abs().max()) + 1.0
        labels = [goes[:, 0].repeat_interleave(outs), torch.arange(groups).repeat_interleave(outs)]
        columns = [torch.cat([c, scale * label[:, None]], 1) for c, label in zip(columns, labels, strict=True)]
    if bias is not None:
        columns = [torch.cat([c, bias.detach()[:, None]], 1) for c in columns]
    return matched(columns[0], columns[1], guesses)


def _by_output(weight: Tensor, transposed: bool, groups: int) -> Tensor:
    grouped = weight.detach().reshape(groups, -1, *weight.shape[1:])
    return grouped.transpose(1, 2) if transposed else grouped  # transposed: (in, out / groups, ...)


def _guesses(call: Call, k: int) -> list[Tensor]:
    """How a layer of ours says that its channels move, to be checked like any other guess."""
    module, e, n = call.module, call.elements[k], call.outs[0].shape[1]
    if not isinstance(module, BankedConv2d) or e not in module.group.elements or n % order(module.group):
        return []
    parts = torch.arange(n).view(module.groups, order(module.group), -1)  # of a grouped convolution: by part first
    moved = act_on_features(parts.transpose(0, 1).reshape(1, n, 1, 1), e, module.group)
    return [moved.view(order(module.group), module.groups, -1).transpose(0, 1).flatten()]


PROBES: dict[str, Callable[[Call], Probe]] = {
    **dict.fromkeys(["max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d"], _max_pool),
    "adaptive_max_pool2d": _adaptive_max,
    "grid_sampler_2d": _sampled,
    "grid_sampler": _sampled,
    **dict.fromkeys(
        "avg_pool2d avg_pool3d _adaptive_avg_pool2d adaptive_avg_pool2d upsample_nearest2d _upsample_nearest_exact2d "
        "upsample_bilinear2d _upsample_bilinear2d_aa upsample_bicubic2d _upsample_bicubic2d_aa "
        "_upsample_lanczos2d_aa".split(),
        _again,
    ),
}
"""Operation -> the linear map that says what it does to positions."""

WINDOWS = {**dict.fromkeys(PROBES, pooled), "convolution": convolved, "_convolution": convolved}
"""Operation -> rule."""
