"""Which layers of a model break a symmetry: the Lie derivative, split among its modules by the chain rule.

Let A(z) be how fast a feature map z should move under the motion, and l_i = (d/dt of the output of module i) - A(z_i)
its own error, once all its inputs move as they should. It adds D_i l_i to the output, D_i being the derivative of the
output by z_i, and

    L f(x) = sum_i D_i l_i.

For a chain of layers this is the chain rule L(g . f) = (L g)(f(x)) + D g (L f)(x). It holds for every other model too,
residual or branched, with nested modules and modules that run twice: derivatives are linear, and the run in which every
z_i moves as it should is the true one with -l_i added at each i. Operations between modules count with the module that
reads their result, and those after the last module with the whole model. Where it fails: a module that no derivative
passes (rounding, argmax) hides the errors before it, from L f as well.

Two passes are enough for all modules together: a forward in dual numbers that gives every l_i, and one backward per
output, or per probe, that gives the D_i.
"""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from symdata.display import PlainData, Result, Table
from symdata.transforms.generators import Generator
from zoo.errors import ModelError
from zoo.exactness.hooks import RunNames, module_hooks
from zoo.exactness.model_groups import has_typed_layers
from zoo.measure.estimates import Estimate
from zoo.measure.maps import LayerGrid, ToGrid, layer_grid
from zoo.measure.model_copy import ModelCopy
from zoo.measure.motions.derivatives import derivable, dual, dual_numbers, forward_mode, taken_apart
from zoo.measure.motions.motion import LieDerivativeSettings, Motion
from zoo.measure.seen_tensors import SeenTensors

MAX_OUTPUTS = 64
"""From more outputs on, random probes take the place of one backward per output."""
PROBES = 100
TYPED = "layers of escnn return typed tensors, which are not followed"
"""Why their terms cannot be separated."""
NOTHING = 1e-9
"""A layer that adds less than this share of the largest term is not listed."""


@dataclass(frozen=True)
class LayerTerm(PlainData):
    """What one run of one module adds to the Lie derivative of the model.

    Example:
        >>> net = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Flatten())
        >>> pool, flatten, _ = layerwise_equivariance_error(net, torch.rand(1, 1, 8, 8)).layers
        >>> pool.kind, flatten.kind, round(pool.share.value + flatten.share.value, 9)
        ('AvgPool2d', 'Flatten', 1.0)
    """

    name: str
    """Path of the module, with `#2` for its second run; empty for what follows the last module."""
    kind: str
    """Name of its class."""
    value: Estimate
    """E |D_i l_i|^2 / dim(output), per unit squared: on the scale of the local equivariance error."""
    share: Estimate
    """E <D_i l_i, L f> / E |L f|^2: the shares of all modules add up to 1; one that repairs has a negative share."""


@dataclass(frozen=True)
class LayerwiseError(Result):
    """The local equivariance error along one motion, split among the modules of a model.

    Example:
        >>> net = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Flatten())
        >>> print(layerwise_equivariance_error(net, torch.rand(1, 1, 8, 8)))
        Where that of rotation arises; the terms add up to it within ...
        layer  what       E|D Lf|^2/dim  +-  share %  +-
        ...
    """

    json_fields = ("generator", "unit", "output", "gap", "probes", "total", "layers")
    generator: str
    unit: str
    """Of t."""
    output: str
    total: Estimate
    """E |L f|^2 / dim(output), per unit squared, by forward-mode differentiation."""
    layers: tuple[LayerTerm, ...]
    """In the order in which they run."""
    gap: float
    """|sum_i D_i l_i - L f| / |L f| over all images and outputs: rounding, if the chain rule holds."""
    probes: int | None
    """Number of random directions of the output that stand for all; None if every output was used."""

    def parts(self) -> Iterable[str | Table]:
        """A row for each layer that adds something."""
        largest = max(layer.value.value for layer in self.layers)
        shown = [layer for layer in self.layers if layer.value.value > NOTHING * largest]
        rows = [(term.name or "(output)", term.kind, *term.value.cells, *term.share.percent_cells) for term in shown]
        less = len(self.layers) - len(shown)
        title = f"Where that of {self.generator} arises; the terms add up to it within {self.gap:.0e}:"
        notes = [f"({less} more add nothing)"] if less else []
        yield Table(("layer", "what", "E|D Lf|^2/dim", "+-", "share %", "+-"), rows, title, notes)


def layerwise_equivariance_error(
    model: nn.Module,
    inputs: Tensor,
    generator: Generator | str = "rotation",
    *,
    to_grid: ToGrid | None = None,
    probes: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> LayerwiseError:
    """The local equivariance error of a model along one motion, split among its modules.

    Args:
        model: it is copied, never changed; every module in it that makes a tensor (B, ...) gets a term.
        inputs: normalised images (n, C, H, W).
        generator: as for `lie_derivative`.
        to_grid: makes a map (B, C, h, w) of a layer's output; by default `Layouts` does, from maps as they are or with
            channels last, and from tokens (B, N, C) as a square grid with or without a class token before it. Outputs
            without a grid should not move.
        probes: number of random directions of the output; by default all outputs, and of more than 64, 100 probes.
        seed: of the probes.
        settings: fields of `LieDerivativeSettings` but for method and step: this is forward-mode differentiation.

    Raises:
        ModelError: if the model is no module, has layers of escnn, or an operation in it has no derivative.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
        >>> found = layerwise_equivariance_error(net, torch.rand(2, 1, 8, 8), "scale")
        >>> [term.kind for term in found.layers], found.gap < 1e-9
        (['Conv2d', 'ReLU', 'Flatten', 'Sequential'], True)
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"a {type(model).__name__} has no layers, expected a torch module")
    if has_typed_layers(model):
        raise ModelError(f"{TYPED}; use local_equivariance_error for the whole model")
    chosen = LieDerivativeSettings(**{"method": "jvp", **settings})
    if chosen.method != "jvp":
        raise ModelError(f"method is {chosen.method!r}, and the terms of layers need derivatives; use 'jvp'")
    motion = Motion(model, inputs, generator, chosen, maps=True)
    grid = layer_grid(to_grid, model, inputs)
    nodes: list[tuple[str, str]] = []
    for rows, x in motion.model_copy.batches():
        out, along = forward_mode(motion.model_copy.run, x, motion.velocity(x))
        total = (along - motion.outputs_velocity(out)).flatten(1)  # L f
        if not nodes:
            directions = _directions(total.shape[1], probes, seed).to(total)
        found, terms = _terms(motion, grid, x, directions)
        if not nodes:
            nodes = found
            squares, products = torch.zeros(2, len(nodes), len(inputs), dtype=torch.float64)
            whole, missed = torch.zeros(2, len(inputs), dtype=torch.float64)
        if found != nodes:
            raise ModelError("the model runs other modules for other images; measure it on fewer of them")
        total = total @ directions.T
        squares[:, rows], products[:, rows] = terms.square().sum(-1).cpu(), (terms * total).sum(-1).cpu()
        whole[rows] = total.square().sum(-1).cpu()
        missed[rows] = (terms.sum(0) - total).square().sum(-1).cpu()
    number, width = directions.shape
    return LayerwiseError(
        generator=motion.generator.name,
        unit=motion.generator.unit,
        output=chosen.output,
        total=Estimate.mean(whole / width),
        layers=tuple(
            LayerTerm(name, kind, Estimate.mean(square / width), Estimate.ratio(product, whole))
            for (name, kind), square, product in zip(nodes, squares, products, strict=True)
        ),
        gap=math.sqrt(float(missed.sum()) / (float(whole.sum()) or 1.0)),
        probes=None if probes is None and width <= MAX_OUTPUTS else number,
    )


class _Node(NamedTuple):
    """One run of one module."""

    name: str
    kind: str
    error: Tensor
    """(B, ...) l_i."""


def _directions(width: int, probes: int | None, seed: int) -> Tensor:
    """(P, width): all outputs, or probes whose squared components are those of all outputs on average."""
    if probes is None and width <= MAX_OUTPUTS:
        return torch.eye(width, dtype=torch.float64)
    p = PROBES if probes is None else probes
    if p < 1:
        raise ModelError(f"probes is {p}, expected a number of directions such as {PROBES}")
    normal = torch.randn(p, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normal / math.sqrt(p)


def _terms(motion: Motion, grid: LayerGrid, x: Tensor, directions: Tensor) -> tuple[list[tuple[str, str]], Tensor]:
    """(name, kind) of every node, the output last, and D_i l_i along P directions of the output, (nodes, B, P)."""
    nodes, last = _errors(motion, grid, x)
    made, out = _graph(motion.model_copy, x, set(nodes))
    followed = [call for call in nodes if made[call].requires_grad]
    terms = torch.zeros(len(nodes) + 1, len(x), len(directions), dtype=out.dtype, device=out.device)
    where = {call: i for i, call in enumerate(nodes)}
    for p, z in enumerate(directions):
        pulled = torch.autograd.grad(
            (out.flatten(1) * z).sum(), [made[call] for call in followed], retain_graph=True, allow_unused=True
        )
        for call, gradient in zip(followed, pulled, strict=True):
            if gradient is not None:
                terms[where[call], :, p] = (gradient * nodes[call].error).flatten(1).sum(1)
    terms[-1] = last.flatten(1) @ directions.T
    return [*((node.name, node.kind) for node in nodes.values()), ("", type(motion.model_copy.model).__name__)], terms


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
