"""Images for tests of the action, and the action implemented from its definition."""

import math

import numpy as np
import torch
from torch import Tensor


def letter_f(n: int, m: int | None = None, dtype: torch.dtype = torch.uint8) -> Tensor:
    """(1, 1, n, m): an F, which every element of O(2) but the identity moves, inside the inscribed disk."""
    m = n if m is None else m
    image = torch.zeros(1, 1, n, m, dtype=dtype)
    top, left, bar = n // 4, m // 3, max(1, n // 10)
    image[..., top : n - top, left : left + bar] = 200
    image[..., top : top + bar, left : m - m // 4] = 200
    image[..., n // 2 : n // 2 + bar, left : m // 2 + 1] = 90
    return image


def smooth(n: int, batch: int = 1, channels: int = 1, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """(batch, channels, n, n): wide Gaussian blobs near the centre, almost zero at the rim; values about 0..1."""
    random = np.random.default_rng(seed)
    axis = np.arange(n) - (n - 1) / 2
    y, x = axis[:, None], axis[None]
    planes = np.zeros((batch, channels, n, n))
    for b in range(batch):
        for c in range(channels):
            for cx, cy, height in random.uniform([-1, -1, 0.3], [1, 1, 1.0], (4, 3)):
                planes[b, c] += height * np.exp(-((x - cx * n / 6) ** 2 + (y - cy * n / 6) ** 2) / (2 * (n / 14) ** 2))
    return torch.from_numpy(planes).to(dtype)


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Random values of any dtype; integers use their whole range."""
    random = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=random).bool()
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)
    info = torch.iinfo(dtype)
    return torch.randint(info.min, info.max, shape, generator=random, dtype=torch.int64).to(dtype)


def by_definition(images: Tensor, angle: float, flip: bool) -> Tensor:
    """The lattice element (angle, flip): mirror left-right first, then `torch.rot90`."""
    if images.dtype == torch.uint16:  # torch cannot flip it
        return by_definition(images.view(torch.int16), angle, flip).view(torch.uint16)
    return torch.rot90(images.flip(-1) if flip else images, round(angle / 90), (-2, -1))


def moved_point(x: float, y: float, angle: float, flip: bool, n: int) -> tuple[float, float]:
    """The image of pixel (column x, row y) of an n x n image: mirrored, then rotated counter-clockwise as displayed."""
    centre = (n - 1) / 2
    dx, dy = (centre - x if flip else x - centre), y - centre
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return centre + cos * dx + sin * dy, centre - sin * dx + cos * dy


def centre_of_mass(image: Tensor) -> tuple[float, float]:
    """(x, y) of one image (H, W), in pixels."""
    image = image.double()
    h, w = image.shape
    total = image.sum()
    x = (image.sum(0) * torch.arange(w, dtype=torch.float64)).sum() / total
    y = (image.sum(1) * torch.arange(h, dtype=torch.float64)).sum() / total
    return float(x), float(y)
