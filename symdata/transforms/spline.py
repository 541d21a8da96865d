"""Look-ups between pixels: by torch's kernels, and by a quartic B-spline.

The spline was the default kernel before `halves`, and datasets that were made with it are still derived again with it.
Its weights at fractional offset t are

    w(-2) = (1/2 - t)^4 / 24      w(-1) = 19/96 - 11 t/24 + t^2/4 + t^3/6 - t^4/6      w(0) = 115/192 - 5 t^2/8 + t^4/4

and w(1), w(2) are the same at -t. They have mean t, and for every t the same variance (5/12 pixel^2), skewness and
kurtosis. The highest frequencies differ: they are strongest at t = 0. The five taps of an axis are read with three
bilinear look-ups (after Sigg and Hadwiger 2005), nine in the plane.
"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor


def look_up(
    images: Tensor,
    column: Tensor,
    row: Tensor,
    mode: str,
    padding: str,
    *,
    fine: bool = False,
    grid: Tensor | None = None,
) -> Tensor:
    """Read images at the sums of a term of the column and one of the row of the output.

    Args:
        images: (B, C, H, W).
        column, row: (B, 2, 1, W) and (B, 2, H, 1); their sum is (x, y) in grid units, from -1 to 1.
        mode, padding: as for `torch.nn.functional.grid_sample`.
        fine: -1 and 1 are the centres of the first and the last pixel; else the edges of the image.
        grid: complex (B, H, W) to write the sums into, for speed.
    """
    if torch.compiler.is_compiling():
        points = torch.stack([column[:, 0] + row[:, 0], column[:, 1] + row[:, 1]], -1)
    else:  # one complex addition writes interleaved pairs at a tenth of the time of two strided additions
        terms = torch.complex(column[:, 0], column[:, 1]), torch.complex(row[:, 0], row[:, 1])
        points = torch.view_as_real(torch.add(*terms, out=grid))
    return F.grid_sample(images, points, mode=mode, padding_mode=padding, align_corners=fine)


def spline(images: Tensor, x: Tensor, y: Tensor, padding: str) -> Tensor:
    """Read images at (x, y), pixels from the centre, (B, H, W) each, by a quartic B-spline: nine bilinear look-ups."""
    h, w = images.shape[-2:]
    total = None
    for (weight_x, at_x), (weight_y, at_y) in product(_spline_axis(x, w), _spline_axis(y, h)):
        grid = torch.stack([at_x, at_y], -1)
        part = F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)
        part = part.mul_((weight_x * weight_y)[:, None])
        total = part if total is None else total.add_(part)
    assert total is not None
    return total


def _spline_axis(x: Tensor, n: int) -> list[tuple[Tensor, Tensor]]:
    """The five taps around x as three look-ups (weight, position in grid units): of -2 and -1, of 0, of 1 and 2."""
    nearest = torch.floor(x + n / 2)
    t = x + (n - 1) / 2 - nearest
    left, left_at = _outer_taps(-t)
    right, right_at = _outer_taps(t)
    origin = nearest - (n - 1) / 2
    taps = [(left, origin - left_at), (1.0 - left - right, origin), (right, origin + right_at)]
    return [(weight, at * (2.0 / n)) for weight, at in taps]


def _outer_taps(t: Tensor) -> tuple[Tensor, Tensor]:
    """Weight of taps 1 and 2 together, and the position between them where one bilinear look-up reads both."""
    half = 0.5 + t
    far = half * half * half * half / 24.0
    both = far + 19.0 / 96.0 + t * (11.0 / 24.0 + t * (0.25 - t * (1.0 + t) / 6.0))
    return both, 1.0 + far / both
