"""The generalised Gauss-Newton matrix of a classifier, layer by layer, as Kronecker products (KFAC).

For logits f(x, theta) and the softmax likelihood, the matrix is the sum over images of J^T (diag p - p p^T) J, with
J = df / dtheta. It is approximated by one block for each layer, and each block by H = N A (x) B (Martens & Grosse 2015,
Grosse & Martens 2016). A is the mean of a a^T over images and pixels, where a is the input of the layer at a pixel,
with a 1 for the bias. B is the mean over images of g g^T, summed over pixels, where g is the derivative of the logits
in the output of the layer there, weighed by a root of diag p - p p^T.

For a layer that is used at one pixel, H is exact if a a^T and g g^T are independent, as they are for one image. The
blocks of several layers are right, and the parts between them are dropped. The pixels of a convolution are assumed to
be uncorrelated and alike.

The factored layer's U maps each input channel by its own matrix and V makes each output channel by its own one, so each
is a stack of small linear layers: A and B have a leading axis, over channels, and the parts between channels are
dropped. Dropping them never makes log det(H + delta I) smaller (Fischer's inequality), so that the evidence of a
factored layer is never too large.

Written here and not taken from laplace-torch 0.3 or curvlinops 3.0: their KFAC has rules for `Linear` and `Conv2d`
only, reads circular padding as zeros, and gives weight and bias a block each. U and V have rules of their own here, and
the sum of log det(H + delta I) needs nothing but the eigenvalues of A and B.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.layers.spatial_layers import ChannelExpansion, ChannelReduction, DenseSpatial2d

Batch = tuple[Tensor, Tensor]
"""Images (b, C, H, W) and labels (b,)."""
Batches = Iterable[Batch]


@dataclass(frozen=True)
class LayerCurvature:
    """The curvature of one layer."""

    name: str
    """Of the module."""
    eigenvalues: Tensor
    """(P,) float64, of H."""
    squared_norm: float
    """|theta|^2, biases included."""

    @property
    def parameters(self) -> int:
        """P."""
        return self.eigenvalues.numel()


@dataclass(frozen=True)
class Curvature:
    """The curvature of a model on all images."""

    blocks: tuple[LayerCurvature, ...]
    log_likelihood: float
    """log p(D | theta), nats, over all examples."""
    examples: int
    """N."""


class Factors:
    """The sums of a a^T and g g^T of one layer."""

    def __init__(self, name: str, module: nn.Module) -> None:
        self.name, self.module = name, module
        self.a: Any = 0
        self.b: Any = 0
        self.images = 0

    def read(self, inputs: Tensor) -> None:
        """Add the mean over pixels of a a^T of every image."""
        a = _read(self.module, inputs.detach())  # (G, n, pixels, d)
        if getattr(self.module, "bias", None) is not None:
            a = torch.cat([a, a.new_ones(*a.shape[:-1], 1)], -1)
        self.images += a.shape[1]
        self.a = self.a + _outer(a) / a.shape[2]

    def write(self, gradients: Tensor) -> None:
        """Add the sum over pixels of g g^T of every image."""
        self.b = self.b + _outer(_written(self.module, gradients))

    def block(self, examples: int) -> LayerCurvature:
        """Eigenvalues of N A (x) B."""
        a, b = (torch.linalg.eigvalsh(m / self.images).clamp(min=0) for m in (self.a, self.b))  # (G, d), (G, e)
        eigenvalues = examples * (a[:, :, None] * b[:, None, :]).flatten()
        norm = sum(float(p.detach().double().square().sum()) for p in self.module.parameters(recurse=False))
        return LayerCurvature(self.name, eigenvalues, norm)


def curvature(
    model: nn.Module, batches: Batches, *, samples: int | None = None, seed: int = 0, examples: int | None = None
) -> Curvature:
    """The blocks of a model at its present weights, which are not changed.

    Args:
        model: made of linear layers, ungrouped convolutions and layers of `zoo.layers.spatial_layers`, each used once
            in a forward; no norms, which couple the images of a batch.
        batches: of normalised images and their labels, on the model's device.
        samples: labels drawn from the model for each image, in place of the exact sum over the classes: as many
            backward passes instead of one per class.
        seed: of those draws.
        examples: N, where the batches are a part of the images only; curvature and likelihood are scaled up.

    Raises:
        ModelError: for a layer without a rule, or one that is used more than once.
    """
    layers = {name: Factors(name, module) for name, module in checked_layers(model)}
    generator = torch.Generator().manual_seed(seed)
    total, count = 0.0, 0
    for images, labels in batches:
        with torch.enable_grad(), _recorded(layers) as outputs:
            logits = model(images.detach().requires_grad_())  # a graph, even where no parameter wants a gradient
        log_p = logits.detach().cpu().double().log_softmax(1)
        total += float(log_p.gather(1, labels.cpu()[:, None]).sum())
        count += len(labels)
        for root in roots(log_p.exp(), samples, generator):
            gradients = torch.autograd.grad(logits, list(outputs.values()), root.to(logits), retain_graph=True)
            for name, gradient in zip(outputs, gradients, strict=True):
                layers[name].write(gradient)
    whole = count if examples is None else examples
    blocks = tuple(factors.block(whole) for factors in layers.values())
    return Curvature(blocks, total * whole / max(count, 1), whole)


def roots(p: Tensor, samples: int | None, generator: torch.Generator) -> Iterator[Tensor]:
    """Vectors r (b, classes) whose r r^T sum to diag p - p p^T, exactly or in the mean over draws."""
    one_hot = torch.eye(p.shape[1], dtype=p.dtype)
    if samples is None:
        yield from (p[:, k : k + 1].sqrt() * (one_hot[k] - p) for k in range(p.shape[1]))
        return
    for _ in range(samples):
        drawn = torch.multinomial(p, 1, generator=generator)[:, 0]
        yield (one_hot[drawn] - p) / samples**0.5


def checked_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers that have parameters, in the order of the modules; `ModelError` for one without a rule."""
    found = [(name, m) for name, m in model.named_modules() if next(m.parameters(recurse=False), None) is not None]
    for name, module in found:
        if not _has_rule(module):
            raise ModelError(
                f"{type(module).__name__} {name!r} has no Kronecker factors; expected a network of linear layers, "
                "convolutions and free paths without norms, for example z2pathcnn_16"
            )
    return found


def _has_rule(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        plain = module.groups == 1 and not isinstance(module.padding, str)
        return plain and module.padding_mode in ("zeros", "circular")
    return isinstance(module, nn.Linear | DenseSpatial2d | ChannelReduction | ChannelExpansion)


@contextmanager
def _recorded(layers: dict[str, Factors]) -> Iterator[dict[str, Tensor]]:
    """The outputs of every layer in the forward inside the block; its inputs are added to its factors."""
    outputs: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if name in outputs:
            raise ModelError(f"layer {name!r} is used twice in a forward, and has factors for one use; use two layers")
        layers[name].read(inputs[0])
        outputs[name] = output

    with ExitStack() as hooks:
        for name, factors in layers.items():
            hooks.callback(factors.module.register_forward_hook(partial(note, name)).remove)
        yield outputs


def _read(module: nn.Module, x: Tensor) -> Tensor:
    """The inputs of a layer, (stack, images, pixels, d)."""
    if isinstance(module, nn.Conv2d):
        h, w = cast(tuple[int, int], module.padding)
        mode = "circular" if module.padding_mode == "circular" else "constant"
        x = F.pad(x, (w, w, h, h), mode)
        return F.unfold(x, module.kernel_size, module.dilation, 0, module.stride).mT[None]
    if isinstance(module, ChannelReduction):
        return x.flatten(2).transpose(0, 1)[:, :, None]  # (C, n, 1, H W)
    if isinstance(module, ChannelExpansion):
        return x.transpose(0, 1)[:, :, None]  # (C', n, 1, C)
    return x.flatten(1)[None, :, None]


def _written(module: nn.Module, g: Tensor) -> Tensor:
    """The derivatives in the outputs of a layer, (stack, images, pixels, e)."""
    if isinstance(module, nn.Conv2d):
        return g.flatten(2).mT[None]
    if isinstance(module, ChannelReduction):
        return g.permute(2, 0, 1)[:, :, None]  # (C, n, 1, C')
    if isinstance(module, ChannelExpansion):
        return g.flatten(2).transpose(0, 1)[:, :, None]  # (C', n, 1, H' W')
    return g.flatten(1)[None, :, None]


def _outer(rows: Tensor) -> Tensor:
    """(G, n, pixels, d) to the sums of r r^T, (G, d, d) float64, on the CPU: not every device has that dtype."""
    rows = rows.flatten(1, 2)
    return (rows.mT @ rows).cpu().double()
