"""Digits on a torus, moved by circular shifts and quarter turns, and a short training on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from symdata.sources import open_source
from zoo.layers.regular import move

MEAN, STD = 0.1307, 0.3081
"""Of MNIST's pixels in [0, 1]."""

TEST_SEED = 0
"""Of the choice of test images and of their moves: every network is tested on the same ones."""

TURNS = Group(4).elements

Move = tuple[int, tuple[int, int]]
"""Quarter turns, then a shift by (rows, columns)."""


def digits(folder: Path | str, split: str, count: int, seed: int, size: int) -> tuple[Tensor, Tensor]:
    """`count` images of a split drawn with a seed, normalised float32 (count, 1, size, size), and their labels.

    A larger size adds zeros around them; a smaller one averages pixels.
    """
    source = open_source(str(folder))
    rows = np.random.default_rng(seed).permutation(source.splits[split])[:count]
    images = source.read(split, rows).float() / 255
    if size >= images.shape[-1]:
        before = (size - images.shape[-1]) // 2
        after = size - images.shape[-1] - before
        images = F.pad(images, (before, after, before, after))
    else:
        images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return (images - MEAN) / STD, torch.from_numpy(source.labels(split)[rows].astype(np.int64))


def moved(images: Tensor, how: Move) -> Tensor:
    """All images turned, then rolled."""
    turns, shift = how
    return move(images, TURNS[turns]).roll(shift, (-2, -1))


def each_moved(images: Tensor, seed: int = TEST_SEED) -> Tensor:
    """Every image turned and rolled by itself, at random."""
    generator = torch.Generator().manual_seed(seed)
    size = images.shape[-1]
    turns = torch.randint(4, (len(images),), generator=generator).tolist()
    shifts = torch.randint(size, (len(images), 2), generator=generator).tolist()
    return torch.cat([moved(images[i : i + 1], (turns[i], (shifts[i][0], shifts[i][1]))) for i in range(len(images))])


def random_moves(count: int, size: int, *, turn: bool, shift: bool, seed: int = TEST_SEED) -> list[Move]:
    """Moves under which no strided lattice is invariant: shifts by odd numbers of pixels, turns by 90, 180, 270, ..."""
    generator = torch.Generator().manual_seed(seed)
    drawn = (2 * torch.randint(size // 2, (count, 2), generator=generator) + 1).tolist()
    return [(1 + k % 3 if turn else 0, (row, column) if shift else (0, 0)) for k, (row, column) in enumerate(drawn)]


def fit(
    model: nn.Module, images: Tensor, loss: Callable[[Tensor, Tensor], Tensor], recipe: dict[str, Any], seed: int
) -> float:
    """Train by Adam with one cycle of the learning rate; the mean loss of the last epoch.

    Args:
        model: changed in place, and left in eval mode.
        images: all of them; they are shuffled anew in every epoch.
        loss: of (a batch of images, their indices).
        recipe: `epochs`, `batch` and `lr`, the largest one.
        seed: of the shuffles.
    """
    steps = recipe["epochs"] * -(-len(images) // recipe["batch"])
    optimizer = torch.optim.Adam(model.parameters(), recipe["lr"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe["lr"], total_steps=steps)
    model.train()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(recipe["epochs"]):
        losses = []
        order = torch.randperm(len(images), generator=generator)
        for rows in order.split(recipe["batch"]):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            value = loss(images[rows], rows)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(value.item())
    model.eval()
    return sum(losses) / len(losses)


def in_parts(function: Callable[[Tensor], Tensor], images: Tensor, size: int = 100) -> Tensor:
    """A function of batches without gradients, a few images at a time."""
    with torch.no_grad():
        return torch.cat([function(part) for part in images.split(size)])  # type: ignore[no-untyped-call]
