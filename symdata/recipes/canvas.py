"""The canvas of a sample: one moved image, two side by side, or one in a quadrant."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from symdata.sources.fit import Fit

QUADRANT_SIZE = 32
"""Side of the quadrant datasets, in pixels (van der Ouderaa et al. 2023)."""
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")
PAIRED = 10
"""Classes of each half of a pair."""


def canvas_shape(canvas: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """(C, H, W) of the samples that are made from images of this shape."""
    c, h, w = shape
    if canvas == "pair":
        return c, 2 * h, 2 * w
    return shape if canvas == "plain" else (c, QUADRANT_SIZE, QUADRANT_SIZE)


def canvas_classes(canvas: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the labels that a canvas gives to images of these classes."""
    if canvas == "pair":
        return tuple(f"{a}{b}" for a in classes[:PAIRED] for b in classes[:PAIRED])
    if canvas == "quadrant-label":
        return tuple(f"{name} {where}" for where in QUADRANTS for name in classes)
    return classes


def compose(canvas: str, moved: Sequence[torch.Tensor], quadrant: np.ndarray | None) -> torch.Tensor:
    """Make samples (n, C, H, W) uint8 from moved images, a batch (n, C, h, w) for each image of a sample."""
    if canvas == "pair":
        return _side_by_side(moved[0], moved[1])
    return moved[0] if quadrant is None else _in_quadrant(moved[0], quadrant)


def _side_by_side(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Put two images side by side, vertically centred on a black canvas of twice their side."""
    h = left.shape[-2]
    return F.pad(torch.cat([left, right], -1), (0, 0, h // 2, h - h // 2))  # (n, C, 2h, 2w)


def _in_quadrant(images: torch.Tensor, quadrant: np.ndarray) -> torch.Tensor:
    """Put images into a quadrant, 0 (top left) to 3 (bottom right), of a doubled canvas and resize it to 32x32."""
    n, c, h, w = images.shape
    canvas = images.new_zeros((n, c, 2 * h, 2 * w))
    for q in range(len(QUADRANTS)):
        rows = torch.from_numpy(np.flatnonzero(quadrant == q)).to(images.device)
        top, left = h * (q // 2), w * (q % 2)
        canvas[rows, :, top : top + h, left : left + w] = images[rows]
    return Fit(QUADRANT_SIZE)(canvas)
