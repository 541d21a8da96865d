"""The kernels `halves` and `thirds`: read an image at fractions of a pixel, then look up once between them.

A rotation reads an image at every offset from its pixels, the identity at offset 0 only. So that the identity does not
stand out, its power must be the mean of the power over all offsets, at every frequency. Along an axis, with
t(k) x_i = (1 - 2k) x_i + k (x_i-1 + x_i+1), the samples of the fine image are

    halves    at i: t(c) x_i    at i + 1/2: (t(a) x_i + t(a) x_i+1) / 2
    thirds    at i: t(c) x_i    at i + 1/3: (2 t(a) x_i + t(b) x_i+1) / 3    at i + 2/3: (2 t(a) x_i+1 + t(b) x_i) / 3

and one bilinear look-up reads it where the element says. At low frequencies power is 1 - variance w^2. At fraction u
between two samples at distance s the look-up adds the variance u (1 - u) s^2, s^2 / 6 in the mean. Samples on pixels
have the variance 2c, those at halves 2a + 1/4, those at thirds (4a + 2b)/3 + 2/9. So power agrees at low frequencies if

    halves    c = a + 1/6
    thirds    c = (2a + b)/3 + 1/8, and the samples at thirds have no skewness if a = b + 1/18

which leaves one weight to choose for high frequencies (for their sake c of `halves` is a little larger). Both blur
every element by about 0.44 pixel^2. The error of the look-up, which goes with s^2 times the curvature of the image, is
an alias that a discriminant finds where a smooth image has no power of its own: `thirds` leaves a fifth of the power
that `halves` leaves, and takes nearly twice the time.

Convention:
    The fine image is transposed, (..., columns, rows): both axes are refined with contiguous rows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class FineKernel:
    """Weights of a kernel; see above."""

    steps: int
    """Samples per pixel, 2 or 3."""
    on: float
    """c."""
    heavy: float
    """a."""
    light: float
    """b; a if there are two samples per pixel."""

    def size(self, n: int) -> int:
        """Samples of an axis of n pixels, from its second pixel to the last but one."""
        return self.steps * (n - 3) + 1


FINE_KERNELS = {
    "halves": FineKernel(2, 0.2225, 0.055, 0.055),
    "thirds": FineKernel(3, 0.053 + 1 / 27 + 1 / 8, 0.053 + 1 / 18, 0.053),
}
"""Of the version that `VERSIONS` in `symdata.transforms.resampling` says."""
FINE_BYTES = 1_000_000
"""Size of the fine images that are made at a time on the CPU: about the L2 cache."""


WIDE = 64
"""Width from which planes are refined one after the other."""


def margin(height: int, width: int, padding: str, masked: bool) -> int:
    """Pixels that are added on each side of an image, so that it is constant, or never read, farther out.

    Args:
        height, width: of the image.
        padding: `border`, `zeros` or `reflection`.
        masked: whether only pixels of the inscribed disk matter.
    """
    if padding == "reflection" and not masked:
        return math.ceil((math.hypot(height, width) - min(height, width)) / 2) + 3
    return 2 if padding == "border" else 3


def _outer(n: int, m: int, padding: str, device: torch.device) -> Tensor:
    """(n + 2m,): the pixel of an axis that stands at each place of the padded axis."""
    place = torch.arange(-m, n + m, device=device)
    if padding != "reflection":
        return place.clamp(0, n - 1)
    place = place % (2 * n)
    return torch.minimum(place, 2 * n - 1 - place)


def pad(images: Tensor, m: int, padding: str) -> Tensor:
    """Images (..., H, W) with m pixels more on every side."""
    if padding == "zeros":
        return F.pad(images, (m, m, m, m))
    h, w = images.shape[-2:]
    rows, columns = (_outer(n, m, padding, images.device) for n in (h, w))
    return images.index_select(-2, rows).index_select(-1, columns)


def refine(images: Tensor, m: int, padding: str, kernel: FineKernel) -> Tensor:
    """The fine images of (B, C, H, W) floating point: (B, C, fine columns, fine rows).

    Differentiable and traceable, for any device; `Refiner` does the same operations in the same order in buffers.
    """
    return _refine_rows(_refine_rows(pad(images, m, padding), kernel).mT, kernel).contiguous()


def _refine_rows(x: Tensor, kernel: FineKernel) -> Tensor:
    """(..., n, w) -> (..., fine rows, w): samples from row 1 to row n - 2."""
    near, steps = x[..., 1:-1, :], kernel.steps
    around = torch.lerp(x[..., :-2, :], x[..., 2:, :], 0.5)
    on, heavy, light = (torch.lerp(near, around, 2.0 * k) for k in (kernel.on, kernel.heavy, kernel.light))
    between = [torch.lerp(heavy[..., :-1, :], light[..., 1:, :], 1 / steps)]
    if steps == 3:
        between.append(torch.lerp(heavy[..., 1:, :], light[..., :-1, :], 1 / 3))
    rows = torch.stack([on[..., :-1, :], *between], -2).flatten(-3, -2)
    return torch.cat([rows, on[..., -1:, :]], -2)


class Refiner:
    """Buffers for the fine images of `count` images, allocated once: slicing costs as much as a small batch does.

    Planes of small images are interleaved, pixel by pixel, while they are refined: every operation then runs over rows
    that hold all planes.

    Args:
        shape: (C, H, W) of an image.
        count: images at a time.
        m, padding: see `pad`.
        kernel: the weights.
        dtype: float32 or float64.
    """

    def __init__(
        self, shape: tuple[int, int, int], count: int, m: int, padding: str, kernel: FineKernel, dtype: torch.dtype
    ) -> None:
        c, h, w = shape
        tall, wide, planes = h + 2 * m, w + 2 * m, count * c
        self.count, self.pixels, self.fold = count, (planes, h * w), planes if w < WIDE else 1
        outer = planes // self.fold
        source = torch.zeros((outer, tall, wide, self.fold), dtype=dtype)
        self.inner = source[:, m : m + h, m : m + w]
        self.margins: list[tuple[Tensor, Tensor]] = []
        if padding != "zeros":
            self.margins = [*_margins(source[:, m : m + h], 2, m, padding), *_margins(source, 1, m, padding)]
        self.source = source.view(outer, tall, wide * self.fold)
        self.rows = _Rows(outer, tall, wide * self.fold, kernel, dtype)
        self.width = self.fold * kernel.size(tall)
        self.columns = _Rows(outer, wide, self.width, kernel, dtype)
        fine = self.columns.out.view(outer, kernel.size(wide), self.fold, kernel.size(tall)).transpose(1, 2)
        self.fine = (fine[0] if self.fold > 1 else fine[:, 0]).view(count, c, *fine.shape[2:])

    def __call__(self, images: Tensor) -> Tensor:
        """The fine images of (count, C, H, W), in a buffer that the next call overwrites."""
        pixels = images.view(1, *self.pixels)
        self.inner.copy_((_transposed(pixels) if self.fold > 1 else pixels).view(self.inner.shape))
        for target, source in self.margins:
            target.copy_(source)
        down = _transposed(self.rows.refine(self.source))  # (outer, wide fold, fine rows)
        self.columns.refine(down.view(len(down), -1, self.width))
        return self.fine


def _margins(x: Tensor, axis: int, m: int, padding: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of the margins of an axis, and of what is to be copied to them."""
    n = x.shape[axis] - 2 * m
    place = _outer(n, m, padding, x.device) + m
    for k in (*range(m), *range(m + n, n + 2 * m)):
        yield x.select(axis, k), x.select(axis, int(place[k]))


class _Rows:
    """Buffers and views for `_refine_rows` of (outer, n, width)."""

    def __init__(self, outer: int, n: int, width: int, kernel: FineKernel, dtype: torch.dtype) -> None:
        self.kernel, inner = kernel, (outer, n - 2, width)
        self.around, heavy = torch.empty(inner, dtype=dtype), torch.empty(inner, dtype=dtype)
        light = heavy if kernel.steps == 2 else torch.empty(inner, dtype=dtype)
        self.out = torch.empty((outer, kernel.size(n), width), dtype=dtype)
        self.on, after, *before = (self.out[:, k :: kernel.steps] for k in range(kernel.steps))
        self.blurred = [(self.on, 2.0 * kernel.on), (heavy, 2.0 * kernel.heavy)]
        self.between = [(heavy[:, :-1], light[:, 1:], after)]
        if kernel.steps == 3:
            self.blurred.append((light, 2.0 * kernel.light))
            self.between.append((heavy[:, 1:], light[:, :-1], before[0]))

    def refine(self, x: Tensor) -> Tensor:
        """(outer, n, width) -> (outer, fine rows, width)."""
        near, around = x[:, 1:-1], torch.lerp(x[:, :-2], x[:, 2:], 0.5, out=self.around)
        for out, weight in self.blurred:
            torch.lerp(near, around, weight, out=out)
        for first, second, out in self.between:
            torch.lerp(first, second, 1 / self.kernel.steps, out=out)
        return self.out


def _transposed(x: Tensor) -> Tensor:
    """Contiguous matrices (k, n, m) transposed, as a shuffle of channels: five times as fast as `mT.contiguous()`."""
    k, n, m = x.shape
    return torch.channel_shuffle(x.view(1, k, 1, n * m).permute(0, 3, 1, 2), n).permute(0, 2, 3, 1).view(k, m, n)


def to_fine(column: Tensor, row: Tensor, reach: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Terms of source positions, in pixels from the centre, in the grid units of a fine image.

    Args:
        column, row: (B, 2, 1, W) and (B, 2, H, 1): terms of (x, y).
        reach: pixels between the first and the last fine column, and row.

    Returns:
        Terms of (y, x), because fine images are transposed; -1 and 1 are their first and last sample.
    """
    unit = torch.tensor([2.0 / reach[1], 2.0 / reach[0]], dtype=row.dtype, device=row.device).view(2, 1, 1)
    return column.flip(1) * unit, row.flip(1) * unit
