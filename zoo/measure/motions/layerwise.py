"""Which layers of a model break a symmetry: the Lie derivative, split among its modules by the chain rule.

Let A(z) be how fast a feature map z should move under the motion, and l_i = (d/dt of what module i makes) - A(z_i) its
own failure, once everything that comes into it moves as it should. To the output it carries D_i l_i, D_i being the
derivative of the output by z_i, and

    L f(x) = sum_i D_i l_i.

For a chain of layers this is the chain rule L(g . f) = (L g)(f(x)) + D g (L f)(x). It holds for every other model too,
residual or branched, with modules inside of modules and modules that run twice: derivatives are linear, and the run in
which every z_i moves as it should is the true one with -l_i added at each i. Operations between modules count with the
module that reads their result, and what follows the last module with the whole model. Where it does not hold: a module
that no derivative passes (rounding, argmax) hides what came before it, from L f as well.

So two passes are enough for all modules together: a forward in dual numbers that gives every l_i, and one backward per
output, or per probe, that gives the D_i.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from symdata.transforms.generators import Generator
from zoo.errors import ModelError
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
TYPED = "layers of escnn hand on typed tensors, which are not followed"
"""Why they are not told apart."""


@dataclass(frozen=True)
class LayerTerm:
    """What one run of one module adds to the Lie derivative of the model."""

    name: str
    """Path of the module, with `#2` for its second run; empty for what follows the last module."""
    kind: str
    """Name of its class."""
    value: Estimate
    """E |D_i l_i|^2 / dim(output), per unit squared: on the scale of the local equivariance error."""
    share: Estimate
    """E <D_i l_i, L f> / E |L f|^2: the shares of all modules add up to 1; one that repairs has a negative share."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"name": self.name, "kind": self.kind, "value": self.value.to_dict(), "share": self.share.to_dict()}


@dataclass(frozen=True)
class LayerwiseError:
    """The local equivariance error along one motion, split among the modules of a model."""

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
    """Random directions of the output that were looked along; None for all of them."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        words = {name: getattr(self, name) for name in ("generator", "unit", "output", "gap", "probes")}
        return {**words, "total": self.total.to_dict(), "layers": [layer.to_dict() for layer in self.layers]}


def layerwise_equivariance_error(
    model: nn.Module,
    inputs: Tensor,
    generator: Generator | str = "rotation",
    *,
    to_grid: ToGrid | None = None,
    probes: int | None = None,
    seed: int = 0,
    **how: Any,
) -> LayerwiseError:
    """The local equivariance error of a model along one motion, split among its modules.

    Args:
        model: it is copied, never changed; every module in it that makes a tensor (B, ...) gets a term.
        inputs: normalised images (n, C, H, W).
        generator: as for `lie_derivative`.
        to_grid: what makes a map (B, C, h, w) of a layer's output; by default those of `Layouts`: maps as they are
            or with channels last, and tokens (B, N, C) as a square grid with or without a class token before it.
            Outputs without a grid should not move.
        probes: random directions of the output to look along; by default all outputs, and of more than 64, 100 probes.
        seed: of the probes.
        how: fields of `LieDerivativeSettings` but for method and step: this is forward-mode differentiation.

    Raises:
        ModelError: if the model is no module, has layers of escnn, or an operation in it has no derivative.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"a {type(model).__name__} has no layers, expected a torch module")
    if has_typed_layers(model):
        raise ModelError(f"{TYPED}; use local_equivariance_error for the whole model")
    settings = LieDerivativeSettings(**{"method": "jvp", **how})
    if settings.method != "jvp":
        raise ModelError(f"method is {settings.method!r}, and layers are told apart by derivatives; use 'jvp'")
    work = settings.work(model, inputs)
    motion = Motion.of(generator, work, settings, maps=True)
    grid = layer_grid(to_grid, model, inputs)
    gathered: _Gathered | None = None
    for x in work.batches():
        total = _total(work, motion, x)
        if gathered is None:
            directions = _directions(total[0].numel(), probes, seed).to(total)
            gathered = _Gathered(len(inputs), directions)
        gathered.add(*_terms(work, motion, grid, x, directions), total.flatten(1) @ directions.T)
    assert gathered is not None  # there is at least one image
    return gathered.result(motion)


class _Node(NamedTuple):
    """One run of one module."""

    name: str
    kind: str
    failure: Tensor
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


def _total(work: ModelCopy, motion: Motion, x: Tensor) -> Tensor:
    """L f of one batch, by forward mode through the whole model."""
    out, along = forward_mode(work.run, x, motion.velocity(x))
    return along - motion.outputs_velocity(out)


def _terms(
    work: ModelCopy, motion: Motion, grid: LayerGrid, x: Tensor, directions: Tensor
) -> tuple[tuple[tuple[str, str], ...], Tensor]:
    """(name, kind) of every node, the output last, and D_i l_i along P directions of the output, (nodes, B, P)."""
    nodes, last = _failures(work, motion, grid, x)
    made, out = _graph(work, x, set(nodes))
    followed = [call for call in nodes if made[call].requires_grad]
    terms = torch.zeros(len(nodes) + 1, len(x), len(directions), dtype=out.dtype, device=out.device)
    where = {call: i for i, call in enumerate(nodes)}
    for p, z in enumerate(directions):
        pulled = torch.autograd.grad(
            (out.flatten(1) * z).sum(), [made[call] for call in followed], retain_graph=True, allow_unused=True
        )
        for call, gradient in zip(followed, pulled, strict=True):
            if gradient is not None:
                terms[where[call], :, p] = (gradient * nodes[call].failure).flatten(1).sum(1)
    terms[-1] = last.flatten(1) @ directions.T
    names = (*((node.name, node.kind) for node in nodes.values()), ("", type(work.model).__name__))
    return names, terms


def _failures(work: ModelCopy, motion: Motion, grid: LayerGrid, x: Tensor) -> tuple[dict[int, _Node], Tensor]:
    """l_i of every run of a module, by the number of the call, and that of the output itself."""
    nodes: dict[int, _Node] = {}
    runs: Counter[str] = Counter()

    def replace(call: int, name: str, module: nn.Module, out: Tensor) -> Tensor | None:
        made, along = taken_apart(out)
        if along is None:  # it does not depend on the image
            return None
        should = motion.map_velocity(made, lambda features: grid(features, module))
        runs[name] += 1
        slot = name if runs[name] == 1 else f"{name}#{runs[name]}"
        nodes[call] = _Node(slot, type(module).__name__, along - should)
        return dual(made.clone(), should)  # a clone, for the next module may work in place

    with dual_numbers(), torch.no_grad(), _intercepted(work.model, len(x), replace):
        out, along = taken_apart(work.run(dual(x, motion.velocity(x))))
        last = torch.zeros_like(out) if along is None else along
        return nodes, last - motion.outputs_velocity(out)


def _graph(work: ModelCopy, x: Tensor, calls: set[int]) -> tuple[dict[int, Tensor], Tensor]:
    """What those calls of modules made, and the output, in one graph."""
    made: dict[int, Tensor] = {}

    def replace(call: int, name: str, module: nn.Module, out: Tensor) -> Tensor | None:
        if call not in calls:
            return None
        made[call] = out
        return out.clone()

    with derivable(), torch.enable_grad(), _intercepted(work.model, len(x), replace):
        return made, work.run(x.detach().requires_grad_())


@contextmanager
def _intercepted(
    model: nn.Module, batch: int, replace: Callable[[int, str, nn.Module, Tensor], Tensor | None]
) -> Iterator[None]:
    """While this lasts, `replace(number of the call, name, module, output)` may put another tensor in the place of what
    a module inside of the model makes, if that is (batch, ...), floating, and not what an inner module was asked for.
    """
    calls, seen = count(), SeenTensors()

    def hook(name: str, module: nn.Module, out: Any) -> Any:
        several = type(out) in (tuple, list) and len(out) > 0  # attention hands out its weights, too
        first = out[0] if several else out
        if not isinstance(first, Tensor) or not first.is_floating_point() or first.shape[:1] != (batch,):
            return None
        if first in seen:  # returned by a container
            return None
        fresh = replace(next(calls), name, module, first)
        if fresh is None:
            return None
        seen.add(fresh)
        return type(out)((fresh, *out[1:])) if several else fresh

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name and not isinstance(module, torch.jit.ScriptModule):  # those take no hooks
                handle = module.register_forward_hook(lambda m, args, out, name=name: hook(name, m, out))
                stack.callback(handle.remove)
        yield


class _Gathered:
    """What is kept of every image: a few numbers per node, in one block."""

    def __init__(self, images: int, directions: Tensor) -> None:
        self.images, self.done = images, 0
        self.probes, self.width = directions.shape
        self.exact = self.probes == self.width and bool((directions == torch.eye(self.probes).to(directions)).all())
        self.nodes: tuple[tuple[str, str], ...] = ()

    def add(self, nodes: tuple[tuple[str, str], ...], terms: Tensor, total: Tensor) -> None:
        """The terms (nodes, B, P) of one batch, and L f (B, P)."""
        if not self.done:
            self.nodes = nodes
            self.squares, self.along = torch.zeros(2, len(nodes), self.images, dtype=torch.float64)
            self.whole, self.missed = torch.zeros(2, self.images, dtype=torch.float64)
        if nodes != self.nodes:
            raise ModelError(
                "the model takes another way through its modules for other images; measure it on fewer of them"
            )
        rows = slice(self.done, self.done + len(total))
        self.squares[:, rows], self.along[:, rows] = terms.square().sum(-1).cpu(), (terms * total).sum(-1).cpu()
        self.whole[rows], self.missed[rows] = (
            total.square().sum(-1).cpu(),
            (terms.sum(0) - total).square().sum(-1).cpu(),
        )
        self.done = rows.stop

    def result(self, motion: Motion) -> LayerwiseError:
        """The error, split."""
        layers = tuple(
            LayerTerm(name, kind, Estimate.mean(squares / self.width), Estimate.ratio(along, self.whole))
            for (name, kind), squares, along in zip(self.nodes, self.squares, self.along, strict=True)
        )
        return LayerwiseError(
            generator=motion.generator.name,
            unit=motion.generator.unit,
            output=motion.how.output,
            total=Estimate.mean(self.whole / self.width),
            layers=layers,
            gap=math.sqrt(float(self.missed.sum()) / (float(self.whole.sum()) or 1.0)),
            probes=None if self.exact else self.probes,
        )
