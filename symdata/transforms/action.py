"""The action of elements of O(2) on batches of images.

Convention:
    Images are (B, C, H, W). An element mirrors left-right first, then rotates by degrees counter-clockwise as displayed
    about ((W - 1)/2, (H - 1)/2).
"""

from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Elements
from symdata.transforms.image_kinds import hold, tv_kind
from symdata.transforms.lattice import permute
from symdata.transforms.resampling import Resampling
from symdata.transforms.warp import apply_mask, warp

Images = TypeVar("Images")
"""A tensor, an array, an image of Pillow or a tv_tensor."""
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def act(
    images: Images,
    elements: Element | Elements | Sequence[Element],
    *,
    resample: str = "auto",
    mask: str = "auto",
    padding: str = "border",
    supersample: int = 1,
    layout: str = "auto",
) -> Images:
    """Move images by elements of O(2), one for each or one for all.

    If every element is a symmetry of the pixel lattice (multiples of 90 degrees, mirrors), pixels are permuted exactly.
    Otherwise all images, also those under the identity, are resampled and masked in the same way, so that neither
    sharpness nor dark corners reveal the element.

    Args:
        images: (B, C, H, W), uint8 or floating point, on any device; any dtype if the action is exact. Or a numpy
            array, an image of Pillow, or an `Image`, `Video` or `Mask` of torchvision (which take one element).
        elements: one `Element`, a sequence of B, or `Elements` of length B.
        resample: `auto`, `exact` (refuses elements off the lattice), `halves`, `thirds`, `spline` (the old default),
            `bilinear`, `bicubic` or `nearest`.
        mask: `auto` (disk if resampled), `disk` or `none`.
        padding: `border`, `zeros` or `reflection`: the values outside the image.
        supersample: samples per output pixel and axis; 3 with `bilinear` is how RotMNIST was made.
        layout: of a numpy array, `HWC` or `CHW`, see `symdata.transforms.image_kinds`.

    Returns:
        What came, of the same type, layout, dtype and device; uint8 results are rounded, not truncated.

    Example:
        >>> import torch
        >>> from symdata import Element, act
        >>> x = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
        >>> act(x, Element(90)).tolist() == torch.rot90(x, 1, (-2, -1)).tolist()
        True
    """
    if isinstance(images, Tensor) and (type(images) is Tensor or not tv_kind(images)):
        return cast("Images", _act(images, elements, resample, mask, padding, supersample))
    exact = resample in ("auto", "exact") and bool((Elements.of(elements).cpu().lattice_index() >= 0).all())
    kernel = "nearest" if tv_kind(images) == "Mask" and resample == "auto" and not exact else resample
    averaged = not (exact and mask in ("auto", "none")) and kernel != "nearest"
    held = hold(images, layout, averaged)
    return cast("Images", held.back(_act(held.batch, elements, kernel, mask, padding, supersample)))


def _act(
    images: Tensor,
    elements: Element | Elements | Sequence[Element],
    resample: str,
    mask: str,
    padding: str,
    supersample: int,
) -> Tensor:
    if images.ndim != 4:
        raise ShapeError(f"images have shape {tuple(images.shape)}, expected (B, C, H, W); add axes with images[None]")
    batch = Elements.of(elements, len(images))
    if len(batch) != len(images):
        raise ShapeError(f"{len(batch)} elements for {len(images)} images; pass one Element, or one for each image")
    index = batch.lattice_index()  # before the elements go to the device: reading it there would synchronise
    on_lattice = resample in ("auto", "exact") and bool((index >= 0).all())
    if resample == "exact" and not on_lattice:
        e = next(element for element, k in zip(batch, index, strict=True) if k < 0)
        raise SymmetryError(f"element {e} is off the pixel lattice; use resample='halves' instead of 'exact'")
    how = Resampling.choose(on_lattice, resample, mask, padding, supersample)
    return move(images, batch.to(images.device), how, torch.as_tensor(index))


def move(images: Tensor, elements: Elements, how: Resampling, index: Tensor | None = None) -> Tensor:
    """Move images (B, C, H, W) by elements on the same device, as `how` says; `index` is theirs in d4, if known."""
    if how.is_exact:
        return apply_mask(permute(images, elements.lattice_index() if index is None else index), how.mask)
    if images.dtype != torch.uint8 and images.dtype not in _FLOATS:
        raise ShapeError(f"images are {images.dtype}, and resampling needs uint8 or floating point; convert them first")
    return warp(images, elements, how)
