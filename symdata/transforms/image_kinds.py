"""Images as libraries hold them: Pillow, numpy arrays, tensors, and torchvision's tv_tensors.

What goes in comes out: the same type, layout, dtype, mode and palette.

    Pillow           one image of any mode; where pixels are averaged, L, LA, RGB, RGBA, CMYK, YCbCr and F. Colours are
                     weighted by their opacity then, as Pillow does.
    numpy            (H, W), (H, W, C), (C, H, W), (N, H, W, C) or (N, C, H, W). Channels are the first or the last axis
                     of an image, whichever has 1 to 4 entries. If both or neither has, `layout` has to say HWC or CHW.
    tensor           (H, W), (C, H, W) or (N, C, H, W), as everywhere in torch; `layout="HWC"` for channels last.
    tv_tensors       `Image` and `Video` (..., C, H, W), `Mask` (..., H, W): one element for all their planes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError, one_of

LAYOUTS = ("auto", "CHW", "HWC")
_CHANNELS = range(1, 5)
_AVERAGED = ("L", "RGB", "CMYK", "YCbCr", "F")
"""Modes of Pillow whose values can be averaged."""
_WEIGHTED = {"RGBA": "RGBa", "LA": "La"}
"""Those whose colours are multiplied by their opacity first."""


@dataclass(frozen=True)
class Held:
    """Images as a batch."""

    batch: Tensor
    """(n, C, H, W)."""
    back: Callable[[Tensor], Any]
    """Moved images in the type and layout in which they came."""


def tv_kind(value: Any) -> str:
    """The class of a tv_tensor: `Image`, `Video`, `Mask`, `BoundingBoxes` or `KeyPoints`; empty for anything else."""
    kinds = [kind for kind in type(value).__mro__ if kind.__module__.startswith("torchvision.tv_tensors")]
    return kinds[0].__name__ if kinds else ""


def wrap(tensor: Tensor, like: Any) -> Any:
    """A tensor as a tv_tensor of the same class, with what belongs to it."""
    from torchvision import tv_tensors  # type: ignore[import-not-found, unused-ignore]

    return tv_tensors.wrap(tensor, like=like)


def is_pil(value: Any) -> bool:
    """Whether `value` is an image of Pillow; Pillow is not imported for it."""
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(value).__mro__)


def is_float_tensor(value: Any) -> bool:
    """Whether it is a plain tensor of floating point, which is all that Kornia takes."""
    return isinstance(value, Tensor) and not tv_kind(value) and value.is_floating_point()


def hold(images: Any, layout: str = "auto", averaged: bool = False) -> Held:
    """Images of any kind as a batch.

    Args:
        images: see the module.
        layout: `auto`, `CHW` or `HWC`.
        averaged: whether values of pixels will be averaged or masked, and not only moved.

    Raises:
        ShapeError: if it is not known which axis holds the channels, or values cannot be averaged.

    Example:
        >>> held = hold(np.zeros((28, 20, 3), np.uint8))
        >>> tuple(held.batch.shape), held.back(held.batch).shape
        ((1, 3, 28, 20), (28, 20, 3))
    """
    one_of("layout", layout, LAYOUTS, SymmetryError)
    if is_pil(images):
        return _hold_pil(images, averaged)
    if isinstance(images, np.ndarray):
        return _hold_array(images, layout)
    if tv_kind(images) in ("Image", "Video", "Mask"):
        return _hold_tv(images)
    if isinstance(images, Tensor) and not tv_kind(images):
        return _hold_tensor(images, layout)
    kind = type(images).__name__
    if kind in ("BoundingBoxes", "KeyPoints"):
        raise ShapeError(f"{kind} are no image; use act_boxes or act_points of symdata.transforms.points")
    raise ShapeError(f"images are a {kind}, expected a tensor, an array or a PIL image; use torch.as_tensor(images)")


def _hold_pil(image: Any, averaged: bool) -> Held:
    mode = _WEIGHTED.get(image.mode, image.mode) if averaged else image.mode
    if averaged and image.mode not in (*_AVERAGED, *_WEIGHTED):
        raise ShapeError(f"values of a PIL image of mode {image.mode!r} cannot be averaged; use image.convert('RGB')")
    source = image if mode == image.mode else image.convert(mode)
    held = _hold_array(np.array(source), "HWC" if len(source.getbands()) > 1 else "auto")

    def back(moved: Tensor) -> Any:
        pixels, out = held.back(moved), source.copy()
        out.frombytes(np.packbits(pixels, axis=1).tobytes() if mode == "1" else pixels.tobytes())
        return out if mode == image.mode else out.convert(image.mode)

    return Held(held.batch, back)


def _hold_array(array: np.ndarray, layout: str) -> Held:
    if array.ndim not in (2, 3, 4):
        raise ShapeError(f"an array has shape {array.shape}, expected (H, W), (H, W, C), (C, H, W) or a batch of those")
    last = array.ndim > 2 and _channels_last(array.shape, layout)
    try:
        tensor = torch.from_numpy(np.array(np.moveaxis(array, -1, -3) if last else array, order="C"))
    except TypeError:
        raise ShapeError(f"an array is {array.dtype}, which torch does not have; use array.astype('uint8')") from None
    held = _hold_tensor(tensor, "CHW")

    def back(moved: Tensor) -> np.ndarray:
        out: np.ndarray = held.back(moved).cpu().numpy()
        return np.ascontiguousarray(np.moveaxis(out, -3, -1)) if last else out

    return Held(held.batch, back)


def _channels_last(shape: tuple[int, ...], layout: str) -> bool:
    """Whether the channels of an image are its last axis, not its first."""
    if layout != "auto":
        return layout == "HWC"
    first, last = shape[-3] in _CHANNELS, shape[-1] in _CHANNELS
    if first == last:
        which = "both the first and the last axis" if first else "neither the first nor the last axis"
        raise ShapeError(
            f"an array has shape {shape}, and {which} of an image could be 1 to 4 channels; "
            "say layout='HWC' or layout='CHW'"
        )
    return last


def _hold_tensor(tensor: Tensor, layout: str) -> Held:
    if tensor.ndim not in (2, 3, 4):
        raise ShapeError(f"images have shape {tuple(tensor.shape)}, expected (H, W), (C, H, W) or (N, C, H, W)")
    last = layout == "HWC" and tensor.ndim > 2
    first = tensor.movedim(-1, -3) if last else tensor
    shape = (*[1] * (4 - first.ndim), *first.shape)

    def back(moved: Tensor) -> Tensor:
        out = moved.view(first.shape)
        return out.movedim(-3, -1).contiguous() if last else out

    return Held(first.reshape(shape), back)


def _hold_tv(image: Any) -> Held:
    plain = image.as_subclass(Tensor)
    if plain.ndim < 2:
        raise ShapeError(f"a {type(image).__name__} has shape {tuple(plain.shape)}, expected (..., H, W)")

    def back(moved: Tensor) -> Any:
        return wrap(moved.reshape(plain.shape), image)

    return Held(plain.reshape(1, -1, *plain.shape[-2:]), back)
