"""Images that can be turned by any angle with little interpolation error, and the turn, apart from our own warps."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from symdata.groups import Element


def smooth_images(count: int, size: int, sigma: float = 3.0) -> Tensor:
    """Sums of wide bumps inside the disk: a rotation of them is nearly free of interpolation error."""
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) - (size - 1) / 2,) * 2, indexing="ij")
    out = torch.zeros(count, 1, size, size, dtype=torch.float64)
    for _ in range(6):
        cy, cx = (torch.rand(2, count, 1, 1, generator=generator, dtype=torch.float64) - 0.5) * size * 0.4
        height = torch.randn(count, 1, 1, generator=generator, dtype=torch.float64)
        out[:, 0] += height * torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * sigma**2))
    return out * torch.sigmoid((size / 2 - 3 - (y**2 + x**2).sqrt()) * 2)


def warp(x: Tensor, element: Element) -> Tensor:
    """Bicubic rotation, counter-clockwise as displayed, about the centre; zeros outside of the inscribed disk."""
    a, n = math.radians(element.angle), x.shape[-1]
    matrix = torch.tensor([[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]], dtype=x.dtype)
    grid = F.affine_grid(matrix.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    v, u = torch.meshgrid(*(torch.arange(n, dtype=x.dtype) - (n - 1) / 2,) * 2, indexing="ij")
    inside = ((u**2 + v**2).sqrt() < n / 2 - 1).to(x.dtype)
    return F.grid_sample(x, grid, mode="bicubic", align_corners=False) * inside
