"""Random networks from a grammar of operations, to hold what an audit proves against what is measured.

A network is a list of steps on a map (B, C, H, W), and a head. Every step is drawn with its arguments, on constants of
its own; what does not fit the shape at hand is drawn again. The same seed gives the same network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Element
from tests.support import random_steps as steps
from tests.support.random_steps import Draw, Maker, Step
from zoo.layers.regular import move
from zoo.measure.isotropic import IsotropicFilters


def _branches(d: Draw, x: Tensor) -> Step:
    a, b = step(d, x), step(d, x)
    if a(x).shape != x.shape or b(x).shape != x.shape:
        raise ValueError("the branches do not fit")
    return d.of(
        lambda x: x + a(x),
        lambda x: a(x) * b(x),
        lambda x: torch.cat([a(x), b(x)], 1),
        lambda x: torch.maximum(a(x), b(x)),
        lambda x: a(x) - b(x), lambda x: torch.stack([a(x), b(x)]).mean(0), lambda x: torch.lerp(a(x), b(x), 0.3),
    )  # type: ignore[return-value]  # fmt: skip


STEPS: tuple[tuple[Maker, int], ...] = (
    (steps.conv, 6), (steps.conv_rectangular, 1), (steps.conv_same, 1),
    (steps.conv_functional, 1), (steps.transposed, 1), (steps.pool, 4),
    (steps.adaptive, 1), (steps.resize, 2), (steps.pad, 2),
    (steps.pad_by_hand, 1), (steps.crop, 1), (steps.stride, 2), (steps.rearrange, 4),
    (steps.activation, 5), (steps.norm, 4), (steps.constants, 2),
    (steps.context, 3), (_branches, 3), (steps.tokens, 3), (steps.ours, 1),
)  # fmt: skip
"""What a step may be, and how often."""


def step(draw: Draw, x: Tensor) -> Step:
    """One random step that fits a map."""
    for _ in range(30):
        maker = draw.random.choices([m for m, _ in STEPS], [n for _, n in STEPS])[0]
        known = len(draw.modules)
        try:
            made = maker(draw, x)
            with torch.no_grad():
                out = made(x.clone())
            fits = out.ndim == 4 and 1 <= out.shape[1] <= 24 and min(out.shape[2:]) >= 1 and max(out.shape[2:]) <= 40
            if fits and bool(out.isfinite().all()) and float(out.abs().max()) < 1e6:
                return made
        except (RuntimeError, ValueError, IndexError, TypeError):
            pass
        del draw.modules[known:]
    return lambda x: x


def _head(draw: Draw, x: Tensor) -> Step:
    c, n = x.shape[1], x[0].numel()
    linear, dense = draw.module(nn.Linear(c, 3)), draw.module(nn.Linear(min(n, 4000), 3))
    return draw.of(
        lambda x: x, lambda x: x, lambda x: x.mean((2, 3)), lambda x: linear(x.amax((2, 3))),
        lambda x: dense(x.flatten(1)[:, :4000]),
        lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
        lambda x: x[:, :, 0, 0],
        lambda x: linear(x.flatten(2).mean(2)),
    )  # type: ignore[return-value]  # fmt: skip


class RandomNetwork(nn.Module):
    """The network of a seed, and the (height, width) that it is made for."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = Draw(seed)
        h = draw.number(6, 17)
        self.size = (h, h if draw.random.random() < 0.8 else draw.number(6, 17))
        x = torch.randn(1, 3, *self.size, generator=draw.generator, dtype=torch.float64)
        self.steps = []
        for _ in range(draw.number(1, 6)):
            made = step(draw, x)
            with torch.no_grad():
                x = made(x.clone())
            self.steps.append(made)
        self.steps.append(_head(draw, x))
        self.parts = draw.modules
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        for made in self.steps:
            x = made(x)
        return x


def measured_error(model: nn.Module, size: tuple[int, int], element: Element, images: int = 4) -> float:
    """|F(g x) - g F(x)| / |F(x)| of the output with symmetric filters, the largest of some images; 1 if misshapen."""
    worst = 0.0
    for seed in range(images):
        x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad(), IsotropicFilters():
            before = model(x.clone())
            try:
                after = model(move(x, element).contiguous())
            except (RuntimeError, ValueError, IndexError, TypeError):
                return 1.0
        expected = move(before, element) if before.ndim == 4 and max(before.shape[2:]) > 1 else before
        if expected.shape != after.shape:
            return 1.0
        worst = max(worst, float((after - expected).norm() / before.norm().clamp(min=1e-6)))
    return worst
