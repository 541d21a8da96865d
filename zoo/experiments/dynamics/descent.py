"""Digits, networks with free filters, and plain gradient descent on them."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.keys import permutation
from symdata.transforms.augmentation import RandomSymmetry
from symdata.transforms.orbits import OrbitBatch
from zoo.experiments.harness.setting import Setting
from zoo.experiments.subsampling.torus import digits
from zoo.layers.relaxed import FreeConv2d
from zoo.measure.distance import equivariant_distance, project_
from zoo.models.registry import create
from zoo.objectives import Objective

SIZE, WIDTH, GROUP = 14, 4, "c4"
"""Digits of 14 pixels, at which p4cnn is exact; fields of its layers."""
IMAGES, BATCH, STEPS = 4000, 100, 40
"""One epoch is 40 steps."""

Moved = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""A batch and its labels, augmented."""


def data(setting: Setting, seed: int) -> tuple[Tensor, Tensor]:
    """The training digits of a seed, (n, 1, 14, 14) normalised float32, and their labels."""
    assert setting.data is not None
    return digits(setting.data, "train", IMAGES, seed, SIZE)


def network(seed: int, window: str, basis: str, dtype: torch.dtype, *, smooth: bool = False) -> nn.Module:
    """A p4cnn_14 whose filters are free in that window and basis, at an equivariant point; in training mode.

    With `smooth` it has tanh in the place of ReLU and mean in the place of max pooling: no kink for rounding to decide.
    """
    choices: dict[str, Any] = {"downsample": "avg"} if smooth else {}
    model = create(f"p4cnn_{SIZE}", width=WIDTH, in_chans=1, relax="free", seed=seed, **choices).to(dtype)
    for module in list(model.modules()):
        if isinstance(module, FreeConv2d):
            module.restrict_(window, basis)
        for name, child in module.named_children():
            if smooth and isinstance(child, nn.ReLU):
                setattr(module, name, nn.Tanh())
    return model.train()


def augmentation(kind: str) -> Moved:
    """`orbit`: all elements of every image. `random`: one for each image, drawn by torch's generator."""
    if kind == "orbit":
        orbits = OrbitBatch(GROUP)
        return lambda images, labels: orbits(images, labels)[:2]  # type: ignore[return-value]
    draw = RandomSymmetry(GROUP, mask="none")
    return lambda images, labels: (draw(images), labels)


def descend(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    moved: Moved,
    *,
    lr: float,
    steps: int,
    seed: int,
    objective: Objective | None = None,
    tied: bool = False,
) -> list[float]:
    """Plain gradient descent on batches of `BATCH` images; the distance before the first step and after every one.

    Args:
        model: changed in place.
        images: in any precision; they are computed in that of the model.
        labels: of the images.
        moved: what augments a batch.
        lr: the learning rate, of every step.
        steps: how many.
        seed: of the order of the images, and of random elements.
        objective: adds its penalty to the mean cross-entropy.
        tied: whether the filters are projected after every step: the training of an equivariant network.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr)
    dtype = next(model.parameters()).dtype
    order = torch.from_numpy(permutation(seed, "train", "dynamics", len(images)))
    distances = [equivariant_distance(model).total]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for step in range(steps):
            start = step * BATCH % len(order)
            rows = order[start : start + BATCH]
            batch, answers = moved(images[rows].to(dtype), labels[rows])
            loss = F.cross_entropy(model(batch), answers)
            penalty = None if objective is None else objective.penalty(model)
            optimizer.zero_grad()
            total: Any = loss if penalty is None else loss + penalty
            total.backward()
            optimizer.step()
            if tied:
                project_(model)
            distances.append(equivariant_distance(model).total)
    return distances
