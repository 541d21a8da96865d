"""What one run of a model has shown: its subsamplings, and for every element whether it is proven at the output."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor

from symdata.groups import Element, Group
from zoo.exactness.arithmetic import D4, Subsampling
from zoo.exactness.calls import tensors
from zoo.exactness.recorder import Recorder
from zoo.exactness.rules.windows import moved_grid
from zoo.exactness.sites import Loss, Sites, identity_part, product, refreshed

EXCHANGES = "exchanges channels when the image moves"
PLACES = "weighs or orders positions: its output still depends on where things are"


@dataclass(frozen=True)
class RunTrace:
    """One run at one input size."""

    layers: tuple[Subsampling, ...]
    """In the order in which they ran."""
    losses: Mapping[Element, Loss | None]
    """For every element that was followed why it is lost; None where it is proven."""
    weighs_orientations: bool
    """Whether logits are made of orientations by weights of their own, and so are not invariant."""

    def exact(self, group: Group) -> bool:
        """Whether no element of the group is lost."""
        return not any(self.losses.get(e) for e in group.elements)


def outcome(recorder: Recorder, outputs: Sequence[Tensor]) -> dict[Element, Loss | None]:
    """Why each element is lost at the outputs of a run, or None.

    Maps (B, C, H, W) have to move like the image, and vectors (B, K) not at all; the entries of other tensors, such as
    tokens (B, N, C), may move among themselves.
    """
    found = [(t, state) for t in outputs if (state := recorder.state(t)) is not None]
    last = recorder.last_loss()
    if not found:
        lost = recorder.escaped or last("returns no tensor that is made of the image", False)
        return dict.fromkeys(recorder.elements, lost)
    losses: dict[Element, Loss | None] = {}
    for k, e in enumerate(recorder.elements):
        every = [_loss_of(t, state, k, e, recorder, last) for t, state in found]
        real = [loss for loss in every if loss is not None and not loss.head]
        losses[e] = min(real, key=lambda loss: (not loss.broken, loss.order), default=None)
    return losses


def heads(recorder: Recorder, outputs: Sequence[Tensor]) -> bool:
    """Whether logits weigh orientations, so that they are not invariant although the feature maps are exact."""
    states = [state for t in outputs if (state := recorder.state(t)) is not None]
    return any(loss is not None and loss.head for state in states for loss in state.losses)


def _loss_of(
    tensor: Tensor, state: Sites, k: int, e: Element, recorder: Recorder, last: Callable[[str, bool], Loss]
) -> Loss | None:
    loss = state.losses[k]
    if loss is not None:
        return loss
    if recorder.escaped is not None:
        return recorder.escaped
    if tensor.ndim == 4 and max(tensor.shape[-2:]) > 1:
        return _map_loss(tensor, state, k, e, recorder)
    moving = set[int]()
    for part in state.parts:
        left, gone = refreshed(part, [k])
        if gone:
            return last("leaves out positions that others move to", True)
        if tensor.ndim in (1, 2, 4) and any(p.spatial for p in left):
            return last(PLACES, True)
        moving |= {d for p in left for d in p.dims}
    return last(EXCHANGES, False) if recorder.isotropic and (0 in moving or len(moving) > 1) else None


def _map_loss(tensor: Tensor, state: Sites, k: int, e: Element, recorder: Recorder) -> Loss | None:
    """Whether a map (B, C, H, W) moves like the image."""
    last, (h, w) = recorder.last_loss(), tensor.shape[-2:]
    there = (h, w) if recorder.before is None else (w, h)
    parts = []
    for part in state.parts:
        if recorder.isotropic and any(not {2, 3} & set(p.dims) for p in refreshed(part, [k])[0]):
            return last(EXCHANGES, False)
        crosses = set(part.dims) & {2, 3} and not set(part.dims) <= {2, 3}
        left, gone = refreshed(part, [k]) if crosses else ([part], ())
        if gone:
            return last("leaves out positions that others move to", True)
        parts += [p for p in left if set(p.dims) & {2, 3}]
    if any(not set(p.dims) <= {2, 3} for p in parts):
        return last("mixes positions with channels", False)
    free = tuple(d for d in (2, 3) if not any(d in p.dims for p in parts))
    shape, shape_there = (1, 1, h, w), (1, 1, *there)
    still = identity_part(shape, shape_there, free, len(state.losses)) if free else None
    whole = [*parts, *([] if still is None else [still])]
    if not whole or (both := product(whole)).dims != (2, 3) or (move := both.moves[k]) is None:
        return last("does not move like the image", False)
    moved = (there[1], there[0]) if D4.index(e) % 2 else there
    if tuple(both.there.shape) != there or moved != (h, w):
        return last("does not turn its sides with those of the image", True)
    same = torch.equal(move[both.ids.flatten()], both.there.flatten()[moved_grid(e, *there)])
    return None if same else last("does not move like the image", bool(parts))


def outputs_of(value: Any) -> Iterator[Tensor]:
    """The tensors of what a model returns: nested containers, data classes, and typed tensors of escnn."""
    if isinstance(value, Tensor | list | tuple | dict):
        yield from tensors([value])
    elif isinstance(tensor := getattr(value, "tensor", None), Tensor):
        yield tensor
    elif is_dataclass(value):
        yield from tensors([vars(value)])
