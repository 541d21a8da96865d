"""The exact action: d4 on a square image is a permutation of pixels, bit for bit, in every dtype.

Two ways to the same bytes. On the CPU images are grouped by element, and each group is copied through one strided view:
no index tables, no arithmetic on pixels. On an accelerator, under autograd and in compiled graphs, one gather with the
permutation table of every image does it without synchronising.

Convention:
    Element k + 4 f of d4 mirrors left-right first if f, then rotates by 90 k degrees counter-clockwise as displayed;
    index 1 is `torch.rot90(x, 1, (-2, -1))`.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from symdata.errors import ShapeError

CHUNK_BYTES = 1 << 21
"""Pixels handled at a time on the CPU: chunk, group and result stay in the L2 cache together (measured best of 2^18..2^24)."""

# A permutation does not look at the values, so every dtype travels as the integer of its size (numpy has no bfloat16).
_CARRIER = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def permute(images: Tensor, index: Tensor) -> Tensor:
    """Each image moved by its own element of d4.

    Args:
        images: (B, C, H, W) of any dtype, on any device.
        index: (B,) int64 in 0..7, on the same device.

    Raises:
        ShapeError: if an element that turns by 90 degrees meets an image that is not square.
    """
    if images.shape[-2] != images.shape[-1] and bool((index % 2 == 1).any()):
        height, width = images.shape[-2:]
        raise ShapeError(f"images are {height}x{width}, and a quarter turn needs square ones; resize or pad them first")
    eager_cpu = images.device.type == "cpu" and not torch.compiler.is_compiling()
    if eager_cpu and len(images) and not images.requires_grad and images.element_size() in _CARRIER:
        return torch.from_numpy(_permute_grouped(as_numpy(images.contiguous()), index.numpy())).view(images.dtype)
    return _permute_by_table(images, index)


def as_numpy(images: Tensor) -> np.ndarray:
    """The memory of a contiguous CPU tensor as a numpy array of integers of the same size, whatever its dtype.

    Picking and placing rows of images by index is 10 to 20 times as fast in numpy as in torch (uint8, measured).
    """
    return images.detach().view(_CARRIER[images.element_size()]).numpy()


def _permute_grouped(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    out = np.empty_like(images)
    step = max(8, CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), step):
        chunk = index[start : start + step]
        for k in np.flatnonzero(np.bincount(chunk, minlength=8)).tolist():
            rows = start + np.flatnonzero(chunk == k)
            out[rows] = turn(images[rows], k)
    return out


def turn(images: np.ndarray, k: int) -> np.ndarray:
    """All images (..., H, W) moved by one element of d4, as a new contiguous array.

    `torch.flip` reverses rows of bytes with vector shuffles, ten times as fast as numpy; numpy transposes a little faster.
    """
    if k == 0:
        return images
    if k == 2:  # the half turn reverses the pixels of a plane in memory order
        planes = torch.from_numpy(images).flatten(-2)
        return planes.flip(-1).view(images.shape).numpy()
    if k == 4:
        return torch.from_numpy(images).flip(-1).numpy()
    if k == 6:  # r180 m is the up-down mirror
        return np.ascontiguousarray(images[..., ::-1, :])
    # Quarter turns transpose. Transposed first, then rows or columns reversed: r90 = flip rows . T, r270 = flip columns . T,
    # r90 m = T, r270 m = both.
    view = images.swapaxes(-1, -2)
    view = view[..., ::-1, :] if k in (1, 7) else view
    view = view[..., ::-1] if k in (3, 7) else view
    return np.ascontiguousarray(view)


def _permute_by_table(images: Tensor, index: Tensor) -> Tensor:
    b, c, h, w = images.shape
    table = permutation_table(h, w).to(images.device)[index]  # (B, H W)
    return images.flatten(2).gather(2, table[:, None].expand(b, c, h * w)).view(b, c, h, w)


@lru_cache(maxsize=32)
def permutation_table(height: int, width: int) -> Tensor:
    """(8, H W) int64: where each output pixel comes from, one row per element of d4.

    Rows of elements that turn a non-square image are left at zero; `permute` refuses them.
    """
    pixels = np.arange(height * width).reshape(height, width)
    rows = [turn(pixels, k).reshape(-1) if height == width or k % 2 == 0 else 0 * pixels.reshape(-1) for k in range(8)]
    return torch.from_numpy(np.stack(rows))
