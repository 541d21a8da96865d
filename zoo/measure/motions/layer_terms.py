"""What each module of a model adds to its Lie derivative, for one batch of images; see `layerwise`."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.exactness.hooks import RunNames, module_hooks
from zoo.measure.maps import LayerGrid
from zoo.measure.model_copy import ModelCopy
from zoo.measure.motions.derivatives import derivable, dual, dual_numbers, forward_mode, taken_apart
from zoo.measure.motions.motion import Motion
from zoo.measure.seen_tensors import SeenTensors

MAX_OUTPUTS = 64
"""From more outputs on, random probes take the place of one backward per output."""
PROBES = 100


def lie_derivative_of(motion: Motion, x: Tensor) -> Tensor:
    """L f of one batch, (B, outputs)."""
    out, along = forward_mode(motion.model_copy.run, x, motion.velocity(x))
    return (along - motion.outputs_velocity(out)).flatten(1)


class _Node(NamedTuple):
    """One run of one module."""

    name: str
    kind: str
    error: Tensor
    """(B, ...) l_i."""


def directions_of(width: int, probes: int | None, seed: int) -> Tensor:
    """(P, width): all outputs, or probes whose squared components are those of all outputs on average."""
    if probes is None and width <= MAX_OUTPUTS:
        return torch.eye(width, dtype=torch.float64)
    p = PROBES if probes is None else probes
    if p < 1:
        raise ModelError(f"probes is {p}, expected a number of directions such as {PROBES}")
    normal = torch.randn(p, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normal / math.sqrt(p)


def layer_terms(
    motions: Sequence[Motion], grid: LayerGrid, x: Tensor, directions: Tensor
) -> list[tuple[list[tuple[str, str]], Tensor]]:
    """For each motion, (name, kind) of every node, the output last, and D_i l_i along P directions of the output,
    (nodes, B, P)."""
    errors = [_errors(motion, grid, x) for motion in motions]
    model_copy, calls = motions[0].model_copy, {call for nodes, _ in errors for call in nodes}
    made, out = _graph(model_copy, x, calls)
    followed = [call for call in sorted(calls) if made[call].requires_grad]
    shapes = [(len(nodes) + 1, len(x), len(directions)) for nodes, _ in errors]
    terms = [torch.zeros(shape, dtype=out.dtype, device=out.device) for shape in shapes]
    where = [{call: i for i, call in enumerate(nodes)} for nodes, _ in errors]
    for p, z in enumerate(directions):
        pulled = torch.autograd.grad(
            (out.flatten(1) * z).sum(), [made[call] for call in followed], retain_graph=True, allow_unused=True
        )
        for call, gradient in zip(followed, pulled, strict=True):
            for (nodes, _), place, found in zip(errors, where, terms, strict=True):
                if gradient is not None and call in nodes:
                    found[place[call], :, p] = (gradient * nodes[call].error).flatten(1).sum(1)
    for (_, last), found in zip(errors, terms, strict=True):
        found[-1] = last.flatten(1) @ directions.T
    whole = ("", type(model_copy.model).__name__)
    named = [[*((node.name, node.kind) for node in nodes.values()), whole] for nodes, _ in errors]
    return list(zip(named, terms, strict=True))


def _errors(motion: Motion, grid: LayerGrid, x: Tensor) -> tuple[dict[int, _Node], Tensor]:
    """l_i of every run of a module, by the number of the call, and that of the output itself."""
    nodes: dict[int, _Node] = {}
    runs = RunNames()

    def replace(call: int, name: str, module: nn.Module, out: Tensor) -> Tensor | None:
        made, along = taken_apart(out)
        if along is None:  # it does not depend on the image
            return None
        should = motion.map_velocity(made, lambda features: grid(features, module))
        nodes[call] = _Node(runs.next(name), type(module).__name__, along - should)
        return dual(made.clone(), should)  # a clone, for the next module may work in place

    with dual_numbers(), torch.no_grad(), _intercepted(motion.model_copy.model, len(x), replace):
        out, along = taken_apart(motion.model_copy.run(dual(x, motion.velocity(x))))
        last = torch.zeros_like(out) if along is None else along
        return nodes, last - motion.outputs_velocity(out)


def _graph(model_copy: ModelCopy, x: Tensor, calls: set[int]) -> tuple[dict[int, Tensor], Tensor]:
    """The results of those calls of modules, and the output, in one graph."""
    made: dict[int, Tensor] = {}

    def replace(call: int, name: str, module: nn.Module, out: Tensor) -> Tensor | None:
        if call not in calls:
            return None
        made[call] = out
        return out.clone()

    with derivable(), torch.enable_grad(), _intercepted(model_copy.model, len(x), replace):
        return made, model_copy.run(x.detach().requires_grad_())


def _intercepted(
    model: nn.Module, batch: int, replace: Callable[[int, str, nn.Module, Tensor], Tensor | None]
) -> AbstractContextManager[None]:
    """Within this context `replace(number of the call, name, module, output)` may return another tensor for the output
    of a module inside the model, if that is (batch, ...), floating, and not the output of an inner module."""
    calls, seen = count(), SeenTensors()

    def hook(name: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        several = type(out) in (tuple, list) and len(out) > 0  # attention returns its weights, too
        first = out[0] if several else out
        mapped = isinstance(first, Tensor) and first.is_floating_point() and first.shape[:1] == (batch,)
        if not name or not mapped or first in seen:
            return None
        if (fresh := replace(next(calls), name, module, first)) is None:
            return None
        seen.add(fresh)
        return type(out)((fresh, *out[1:])) if several else fresh

    return module_hooks(model, hook)
