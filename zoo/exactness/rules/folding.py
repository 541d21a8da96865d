"""Sums of overlapping patches, the inverse of reading them out."""

import torch
from torch import Tensor

from symdata.groups import Element
from zoo.exactness.calls import Answer, Call
from zoo.exactness.rules.windows import grid_part
from zoo.exactness.sites import OUT_OF_STEP, Loss, identity_part, product
from zoo.layers.regular import move


def folded(call: Call) -> Answer:
    """`fold`: patches (B, C k k, L) added up in an image (B, C, H, W), proven on random numbers like all windows."""
    source, there = call.args[0], call.twin.args[0]
    state, elements = call.states[id(source)], len(call.elements)
    inside = [part for part in state.parts if set(part.dims) & {1, 2}]
    if source.ndim != 3 or any(not set(part.dims) <= {1, 2} for part in inside):
        return call.lose("positions are mixed with other axes")
    free = tuple(d for d in (1, 2) if not any(d in part.dims for part in inside))
    still = identity_part(source.shape, there.shape, free, elements) if free else None
    whole = product([*inside, *([] if still is None else [still])])
    values = torch.rand(whole.n_there, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = call.twin.run(_patches(values[whole.there], there))
    lost, found = dict[int, Loss](), list[Element | None]([None] * elements)
    for k, e in enumerate(call.elements):
        if (sites := whole.moves[k]) is None:
            continue
        after, expected = call.run(_patches(values[sites][whole.ids], source)), move(before, e)
        if after.shape == expected.shape and torch.allclose(after, expected, rtol=1e-10, atol=1e-10):
            found[k] = e
        else:
            lost[k] = call.loss(OUT_OF_STEP, broken=False)
    out, out_there = (tuple(c.outs[0].shape[-2:]) for c in (call, call.twin))
    return call.answer([grid_part((2, 3), out, out_there, found)], lost)  # type: ignore[arg-type]


def _patches(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(1, like.shape[1], like.shape[2])


FOLDING = {"col2im": folded}
"""Operation -> rule."""
