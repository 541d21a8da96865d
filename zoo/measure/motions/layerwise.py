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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import PlainData, Result, Table
from symdata.transforms.generators import Generator
from zoo.errors import ModelError
from zoo.exactness.model_groups import has_typed_layers
from zoo.measure.estimates import Estimate
from zoo.measure.maps import ToGrid, layer_grid
from zoo.measure.motions.layer_terms import MAX_OUTPUTS, directions_of, layer_terms, lie_derivative_of
from zoo.measure.motions.motion import LieDerivativeSettings, Motion

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
        layer  what       E|D Lf|^2/dim per radian^2  +-  share %  +-
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
        header = ("layer", "what", f"E|D Lf|^2/dim per {self.unit}^2", "+-", "share %", "+-")
        yield Table(header, rows, title, notes)


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
    words = {"to_grid": to_grid, "probes": probes, "seed": seed, **settings}
    return layerwise_equivariance_errors(model, inputs, [generator], **words)[0]


def layerwise_equivariance_errors(
    model: nn.Module,
    inputs: Tensor,
    generators: Sequence[Generator | str],
    *,
    to_grid: ToGrid | None = None,
    probes: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> tuple[LayerwiseError, ...]:
    """The same along several motions: the backwards do not depend on the motion, so they run once for all."""
    if not generators:
        return ()
    if not isinstance(model, nn.Module):
        raise ModelError(f"a {type(model).__name__} has no layers, expected a torch module")
    if has_typed_layers(model):
        raise ModelError(f"{TYPED}; use local_equivariance_error for the whole model")
    chosen = LieDerivativeSettings(**{"method": "jvp", **settings})
    if chosen.method != "jvp":
        raise ModelError(f"method is {chosen.method!r}, and the terms of layers need derivatives; use 'jvp'")
    motions = [Motion(model, inputs, generator, chosen, maps=True) for generator in generators]
    grid, directions = layer_grid(to_grid, model, inputs), None
    sums = [_Sums(motion, len(inputs)) for motion in motions]
    for rows, x in motions[0].model_copy.batches():
        totals = [lie_derivative_of(motion, x) for motion in motions]
        if directions is None:
            directions = directions_of(totals[0].shape[1], probes, seed).to(totals[0])
        found = layer_terms(motions, grid, x, directions)
        for own, total, (nodes, terms) in zip(sums, totals, found, strict=True):
            own.add(rows, nodes, terms, total @ directions.T)
    assert directions is not None, "there is at least one image"
    return tuple(own.error(directions, probes) for own in sums)


class _Sums:
    """What is added up over the images along one motion."""

    def __init__(self, motion: Motion, images: int) -> None:
        self.motion, self.images = motion, images
        self.nodes: list[tuple[str, str]] = []
        self.whole, self.missed = torch.zeros(2, images, dtype=torch.float64)

    def add(self, rows: slice, nodes: list[tuple[str, str]], terms: Tensor, total: Tensor) -> None:
        """One batch: D_i l_i of all nodes (nodes, B, P), and L f (B, P)."""
        if not self.nodes:
            self.nodes = nodes
            self.squares, self.products = torch.zeros(2, len(nodes), self.images, dtype=torch.float64)
        if nodes != self.nodes:
            raise ModelError("the model runs other modules for other images; measure it on fewer of them")
        self.squares[:, rows] = terms.square().sum(-1).cpu()
        self.products[:, rows] = (terms * total).sum(-1).cpu()
        self.whole[rows] = total.square().sum(-1).cpu()
        self.missed[rows] = (terms.sum(0) - total).square().sum(-1).cpu()

    def error(self, directions: Tensor, probes: int | None) -> LayerwiseError:
        number, width = directions.shape
        return LayerwiseError(
            generator=self.motion.generator.name,
            unit=self.motion.generator.unit,
            output=self.motion.settings.output,
            total=Estimate.mean(self.whole / width),
            layers=tuple(
                LayerTerm(name, kind, Estimate.mean(square / width), Estimate.ratio(product, self.whole))
                for (name, kind), square, product in zip(self.nodes, self.squares, self.products, strict=True)
            ),
            gap=math.sqrt(float(self.missed.sum()) / (float(self.whole.sum()) or 1.0)),
            probes=None if probes is None and width <= MAX_OUTPUTS else number,
        )
