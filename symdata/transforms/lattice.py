"""The exact action: d4 on a square image is a permutation of pixels, bit for bit, in every dtype.

There are two implementations with the same result. On the CPU images are grouped by element, and each group is copied
through one strided view, without index tables. On an accelerator, under autograd and in compiled graphs, one gather
with a permutation table per image moves all of them without synchronising.

Convention:
    Element k + 4 f of d4 mirrors left-right first if f, then rotates by 90 k degrees counter-clockwise as displayed;
    index 1 is `torch.rot90(x, 1, (-2, -1))`.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from symdata.errors import ShapeError
from symdata.symmetry import Symmetry

CHUNK_BYTES = 1 << 21
"""Pixels moved at a time on the CPU; the fastest of 2^17 to 2^21 at 28x28 and 96x96x3 (measured)."""

# A permutation ignores the values, so every dtype is moved as the integer of its size (numpy has no bfloat16).
_CARRIER = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def permute(images: Tensor, index: Tensor) -> Tensor:
    """Move each image by its own element of d4.

    Args:
        images: (B, C, H, W) of any dtype, on any device.
        index: (B,) int64 in 0..7, on the CPU or on the device of the images.

    Raises:
        ShapeError: if an element rotates by 90 or 270 degrees and the images are not square.
    """
    eager = not torch.compiler.is_compiling()
    if images.shape[-2] != images.shape[-1] and eager and bool((index % 2 == 1).any()):
        raise not_square(images.shape[-2:])
    if images.requires_grad or is_followed(images) or images.element_size() not in _CARRIER:
        return _permute_by_table(images, index.to(images.device))
    if images.device.type == "cpu":
        return torch.from_numpy(_permute_grouped(as_numpy(images.contiguous()), index.cpu().numpy())).view(images.dtype)
    carried = images.view(_CARRIER[images.element_size()])  # torch cannot gather uint16, uint32 and uint64
    return _permute_by_table(carried, index.to(images.device)).view(images.dtype)


def is_followed(images: Tensor) -> bool:
    """Whether a tracer or a transform of torch must see each operation on a tensor, and its memory says too little.

    These are compiled and exported graphs, `torch.jit.trace`, dispatch modes such as fake tensors, `torch.func.jvp` and
    `vmap`, and tangents of forward-mode differentiation. No cache may then be filled either: what is created here
    belongs to the tracer. Gradients are another question, which `images.requires_grad` answers.
    """
    if torch.compiler.is_compiling():
        return True
    return (
        torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.is_functorch_wrapped_tensor(images)
        or unpack_dual(images).tangent is not None  # type: ignore[no-untyped-call]
    )


def needs_square(symmetry: Symmetry) -> bool:
    """Whether an element that can occur turns an image onto its side: anything but half turns and both mirrors.

    Example:
        >>> [needs_square(Symmetry.parse(text)) for text in ("d2", "c4@180..180", "d4", "so2")]
        [False, False, True, True]
    """
    return not symmetry.is_lattice or any(e.angle % 180.0 for measure in symmetry.measures for e, _ in measure.atoms)


def not_square(size: Sequence[int]) -> ShapeError:
    """The error for images of this size (H, W), not square, that would be rotated by 90 degrees."""
    height, width = size
    needs = "a quarter turn needs square ones; resize or pad them first, or use d2"
    return ShapeError(f"images are {height}x{width}, and {needs}")


def as_numpy(images: Tensor) -> np.ndarray:
    """The memory of a contiguous CPU tensor of any dtype as a numpy array of integers of the same size.

    Reading and writing images by index is 10 to 20 times as fast in numpy as in torch (uint8, measured).
    """
    return images.detach().view(_CARRIER[images.element_size()]).numpy()


def _permute_grouped(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    out = np.empty_like(images)
    order = np.argsort(index.astype(np.uint8), kind="stable")  # numpy sorts bytes by radix
    step = max(1, CHUNK_BYTES // max(1, images[:1].nbytes))
    group = np.empty((min(step, len(images)), *images.shape[1:]), images.dtype)
    for k, rows in enumerate(np.split(order, np.cumsum(np.bincount(index, minlength=8))[:-1])):
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            out[part] = permute_all(take(images, part, group), k)
    return out


def take(images: np.ndarray, rows: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    """Copy the images in `rows` to the front of `buffer`; a buffer that is used again stays in the CPU's cache."""
    return np.take(images, rows, axis=0, out=buffer[: len(rows)], mode="clip")  # "raise" would copy twice


def permute_all(images: np.ndarray, k: int) -> np.ndarray:
    """Move all images (B, C, H, W) by element k of d4 to a contiguous array; the identity returns `images` itself.

    Quarter turns are a transpose T with flips: r90 = T . m, r270 = m . T, r90 m = T, r270 m = T . r180, right to left.
    """
    if k == 0:
        return images
    if k % 2:
        first, last = {1: (4, 0), 3: (0, 4), 5: (0, 0), 7: (2, 0)}[k]
        return permute_all(_transpose(permute_all(images, first)), last)
    tensor = torch.from_numpy(images)
    if k == 2:  # the half turn reverses the pixels of a plane in memory order
        return tensor.flatten(-2).flip(-1).view(images.shape).numpy()
    return tensor.flip(-1 if k == 4 else -2).numpy()  # r180 m is the up-down mirror


def _transpose(images: np.ndarray) -> np.ndarray:
    """Transpose every plane (H, W) to a contiguous array (B, C, W, H).

    With pixels as channels, transposing is a channel shuffle with H groups. Torch has a vectorised one for bytes and
    float32, 3 (28x28) to 6 (96x96) times as fast as a strided copy of bytes; it copies without reading the values. For
    pixels of 2 and 8 bytes numpy's strided copy is as fast.
    """
    carrier = {1: torch.uint8, 4: torch.float32}.get(images.itemsize)
    if carrier is None:
        return np.ascontiguousarray(images.swapaxes(-1, -2))
    b, c, h, w = images.shape
    channels_last = torch.from_numpy(images).view(carrier).view(1, b, c, h * w).permute(0, 3, 1, 2)
    shuffled = F.channel_shuffle(channels_last, h).permute(0, 2, 3, 1).reshape(b, c, w, h)
    return shuffled.numpy().view(images.dtype)


def _permute_by_table(images: Tensor, index: Tensor) -> Tensor:
    b, c, h, w = images.shape
    tables = permutation_table if is_followed(images) else _cached_table
    table = tables(h, w, images.device)[index]  # (B, H W)
    return images.flatten(2).gather(2, table[:, None].expand(b, c, h * w)).view(b, c, h, w)


def permutation_table(height: int, width: int, device: torch.device) -> Tensor:
    """(8, H W) int64: the source of each output pixel, one row per element of d4.

    If the image is not square, the rows of elements that rotate by 90 or 270 degrees are meaningless.
    """
    pixels = torch.arange(height * width, device=device).view(height, width)
    return torch.stack([torch.rot90(plane, k).flatten() for plane in (pixels, pixels.flip(-1)) for k in range(4)])


_cached_table = lru_cache(maxsize=8)(permutation_table)
