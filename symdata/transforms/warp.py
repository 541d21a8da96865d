"""The action of elements off the pixel lattice: each upright image is resampled once.

Interpolation leaves traces. Bilinear weights blur a rotated image but not an upright one, so sharpness reveals the
element, and the label too if the symmetry differs by class. The default kernel (`symdata.transforms.fine_grid`) gives
every element nearly the same power at every frequency, the identity included. What each kernel leaves is measured in
docs/results/leakage.

Convention:
    Pixel (column x, row y), y down; the centre is ((W - 1)/2, (H - 1)/2). The image moved by g shows at p what was at
    g^-1 p. Angles are degrees, counter-clockwise as displayed.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.forward_ad import make_dual, unpack_dual

from symdata.groups import Elements
from symdata.transforms.fine_grid import FINE_BYTES, FINE_KERNELS, Refiner, margin, refine, to_fine
from symdata.transforms.lattice import as_numpy, is_followed, take
from symdata.transforms.resampling import Resampling
from symdata.transforms.spline import look_up, spline

CHUNK_BYTES = 400_000
"""Float pixels warped at a time on the CPU: with grid and result in the L2 cache; whole batches are slower by far."""
REPEATS = 16
"""Images per distinct element from which grouping by element is faster (measured at 28x28 and 96x96)."""


def warp(images: Tensor, elements: Elements, how: Resampling) -> Tensor:
    """Move each image by its own element: resample once, mask, and round if the dtype is uint8.

    Args:
        images: (B, C, H, W), uint8 or floating point.
        elements: B elements, as torch tensors on the same device.
        how: kernel, mask, padding and supersampling; the kernel is not `exact`.
    """
    if images.numel() == 0:
        return images.clone()
    if not torch.compiler.is_compiling():
        image, tangent = unpack_dual(images)  # type: ignore[no-untyped-call]
        if tangent is not None:  # the action is linear, and torch's look-up has no forward-mode derivative
            moved: Tensor = make_dual(warp(image, elements, how), warp(tangent, elements, how))  # type: ignore[no-untyped-call]
            return moved
    if images.device.type != "cpu" or images.requires_grad or is_followed(images):
        return _finish(_resample(_wide(images), _matrix(elements), how), how, images.dtype)
    images = images.contiguous()
    if how.kernel in FINE_KERNELS:
        return _warp_fine(images, _matrix(elements), how)
    out = torch.empty_like(images)
    source, target, matrix = as_numpy(images), as_numpy(out), _matrix(elements)
    step = max(1, CHUNK_BYTES // max(1, images[:1].numel() * 4 * how.supersample**2))
    buffer = np.empty((min(step, len(images)), *images.shape[1:]), source.dtype)
    for rows, shared in _chunks(elements, step):
        part = _wide(torch.from_numpy(take(source, rows, buffer) if shared else source[rows]).view(images.dtype))
        if shared:  # one grid for all images, which become its channels: (1, n C, H, W)
            folded = _resample(part.reshape(1, -1, *part.shape[2:]), matrix[rows[:1]], how)
            moved = folded.view(part.shape)
        else:
            moved = _resample(part, matrix[rows], how)
        target[rows] = as_numpy(_finish(moved, how, images.dtype))
    return out


def _chunks(elements: Elements, step: int) -> Iterator[tuple[Any, bool]]:
    """Rows of a batch to warp together, and whether they share an element: if each element has many images."""
    n = len(elements)
    code, repeats = torch.unique(elements.angle + 360.0 * elements.flip, return_inverse=True)
    if len(code) * REPEATS > n:
        yield from ((slice(start, start + step), False) for start in range(0, n, step))
        return
    order, sizes = torch.argsort(repeats, stable=True), torch.bincount(repeats)
    for rows in torch.split(order, sizes.tolist()):
        yield from ((chunk.numpy(), True) for chunk in torch.split(rows, step))


def _wide(images: Tensor) -> Tensor:
    return images if images.dtype in (torch.float32, torch.float64) else images.float()


def _finish(images: Tensor, how: Resampling, dtype: torch.dtype) -> Tensor:
    """Mask and round the result of a resampling, in place."""
    if how.mask == "disk":
        images = _blacken(images)
    if dtype != torch.uint8:
        return images.to(dtype)
    rounded = (images.clamp_(0, 255) if how.kernel == "bicubic" else images).round_()
    if images.device.type != "cpu" or is_followed(images):
        return rounded.to(dtype)
    return torch.from_numpy(rounded.numpy().astype(np.uint8))  # 6 times as fast as torch's conversion


def _matrix(elements: Elements) -> Tensor:
    """(B, 2, 2) float64: output pixel to source pixel about the centre, g^-1 = m^f r(-a).

    With y down, r(-a) maps (x, y) to (c x - s y, s x + c y).
    """
    cos, sin, mirror = _turn_and_mirror(elements)
    return torch.stack([mirror * cos, -mirror * sin, sin, cos], -1).view(-1, 2, 2)


def forward_matrix(elements: Elements) -> Tensor:
    """(B, 2, 2) float64: source pixel to output pixel about the centre, g = r(a) m^f.

    With y down, r(a) maps (x, y) to (c x + s y, -s x + c y).
    """
    cos, sin, mirror = _turn_and_mirror(elements)
    return torch.stack([mirror * cos, sin, -mirror * sin, cos], -1).view(-1, 2, 2)


def _turn_and_mirror(elements: Elements) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine and sine of the angle, exact at multiples of 90 degrees, and -1 for a mirror, else 1; (B,) float64.

    Angles are float32 values: only at multiples of 90 degrees is a cosine or sine below 1e-8.
    """
    angle = elements.angle * (math.pi / 180.0)
    cos, sin = (torch.where(v.abs() < 1e-12, 0.0, v) for v in (torch.cos(angle), torch.sin(angle)))
    return cos, sin, torch.where(elements.flip, -1.0, 1.0).to(cos.dtype)


def _axis(n: int, supersample: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Centres of the n s sub-pixels of an axis, in pixels from the image centre, (n s,)."""
    return (torch.arange(n * supersample, device=device, dtype=dtype) + 0.5) / supersample - n / 2


_cached_axis = lru_cache(maxsize=64)(_axis)


def _terms(matrix: Tensor, size: tuple[int, int], supersample: int) -> tuple[Tensor, Tensor]:
    """Source position (x, y) of every output (sub-)pixel, in pixels from the centre, as the sum of two terms:
    (B, 2, 1, sW) of its column and (B, 2, sH, 1) of its row."""
    axis = _axis if is_followed(matrix) else _cached_axis
    y, x = (axis(n, supersample, matrix.device, matrix.dtype) for n in size)
    return matrix[:, :, 0, None, None] * x, matrix[:, :, 1, None, None] * y[:, None]


def _resample(images: Tensor, matrix: Tensor, how: Resampling) -> Tensor:
    """Read images at the source position of every output (sub-)pixel and average over sub-pixels; (B, C, H, W)."""
    h, w = images.shape[-2:]
    column, row = _terms(matrix.to(images.dtype), (h, w), how.supersample)
    if how.kernel in FINE_KERNELS:
        m = _margin(h, w, how)
        column, row = to_fine(column, row, (w + 2 * m - 3, h + 2 * m - 3))
        fine = refine(images, m, how.padding, FINE_KERNELS[how.kernel])
        out = look_up(fine, column, row, "bilinear", "border", fine=True)
    elif how.kernel == "spline":
        out = spline(images, row[:, 0] + column[:, 0], row[:, 1] + column[:, 1], how.padding)
    else:
        to_grid = torch.tensor([2.0 / w, 2.0 / h], dtype=row.dtype, device=row.device).view(2, 1, 1)
        out = look_up(images, column * to_grid, row * to_grid, how.kernel, how.padding)
    return F.avg_pool2d(out, how.supersample) if how.supersample > 1 else out


def _margin(h: int, w: int, how: Resampling) -> int:
    return margin(h, w, how.padding, how.mask == "disk")


def _warp_fine(images: Tensor, matrix: Tensor, how: Resampling) -> Tensor:
    """`warp` by `halves` or `thirds` on the CPU, in buffers; images are contiguous."""
    b, c, h, w = images.shape
    m, s, kernel = _margin(h, w, how), how.supersample, FINE_KERNELS[how.kernel]
    dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
    column, row = to_fine(*_terms(matrix.to(dtype), (h, w), s), (w + 2 * m - 3, h + 2 * m - 3))
    pixels = c * max(kernel.size(h + 2 * m) * kernel.size(w + 2 * m), h * w * s * s)
    step = min(b, max(1, FINE_BYTES // (4 * pixels)))
    out, refiner = torch.empty_like(images), None
    target = as_numpy(out)
    for start in range(0, b, step):
        rows = slice(start, start + step)
        part = images[rows]
        if refiner is None or refiner.count != len(part):
            refiner = Refiner((c, h, w), len(part), m, how.padding, kernel, dtype)
            grid = torch.empty((len(part), h * s, w * s), dtype=dtype.to_complex())
        moved = look_up(refiner(part), column[rows], row[rows], "bilinear", "border", fine=True, grid=grid)
        moved = F.avg_pool2d(moved, s) if s > 1 else moved
        target[rows] = as_numpy(_finish(moved, how, images.dtype))
    return out


def apply_mask(images: Tensor, mask: str) -> Tensor:
    """Set all pixels outside the inscribed disk to zero, NaN too, if `mask` is `disk`; for any dtype."""
    return images if mask == "none" else images.masked_fill(_outside(images), 0)


def _blacken(images: Tensor) -> Tensor:
    """Apply the disk mask to float32 or float64 images, in place."""
    if images.requires_grad or is_followed(images):
        return images.masked_fill_(_outside(images), 0)
    # Clearing bits removes NaN, which a product would keep, and is 10 times as fast as masked_fill_.
    carrier = torch.int32 if images.dtype == torch.float32 else torch.int64
    height, width = images.shape[-2:]
    images.view(carrier).bitwise_and_(_cached_bits(height, width, images.device, carrier))
    return images


def _outside(images: Tensor) -> Tensor:
    made = disk if is_followed(images) else _cached_disk
    height, width = images.shape[-2:]
    return ~made(height, width, images.device)


def disk(height: int, width: int, device: torch.device) -> Tensor:
    """(H, W) bool: pixel centres within min(H, W)/2 of the image centre; symmetric under d4 for square images."""
    y = torch.arange(height, device=device) - (height - 1) / 2
    x = torch.arange(width, device=device) - (width - 1) / 2
    return x[None] ** 2 + y[:, None] ** 2 <= (min(height, width) / 2) ** 2


_cached_disk = lru_cache(maxsize=32)(disk)


@lru_cache(maxsize=32)
def _cached_bits(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(H, W) of an integer dtype: all bits set inside the disk, none outside."""
    return -disk(height, width, device).to(dtype)
