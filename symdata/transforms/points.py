"""The action of elements of O(2) on points and boxes in images, exact under quarter turns and mirrors.

Convention:
    A point is (x, y) in pixels, y down, and (0, 0) is the centre of the first pixel, as in
    `RandomSymmetry.transform_matrix`. Elements act about ((W - 1)/2, (H - 1)/2), as on images: the mirror comes first,
    and angles are degrees, counter-clockwise as displayed. A half-open box (left, top, right, bottom) ends one after
    its last pixel: it covers the columns from left to right - 1.
"""

import torch
from torch import Tensor

from symdata.errors import ShapeError
from symdata.groups import Element, Elements
from symdata.transforms.lattice import not_square
from symdata.transforms.warp import forward_matrix


def act_points(points: Tensor, elements: Element | Elements, size: tuple[int, int], *, edges: bool = False) -> Tensor:
    """Move points as `act` moves the pixels of an image.

    Args:
        points: (..., 2) for one element; (B, ..., 2) for B elements.
        elements: one `Element`, or `Elements` of length B.
        size: (H, W) of the image.
        edges: coordinates count from the edge of the image, not from the centre of its first pixel: they are larger by
            one half.

    Returns:
        Points of the same shape and dtype; they are computed in float64.

    Example:
        >>> act_points(torch.tensor([[0.0, 3.0]]), Element(90), (4, 4)).tolist()  # the lower left pixel
        [[3.0, 3.0]]
    """
    if points.shape[-1:] != (2,):
        raise ShapeError(f"points have shape {tuple(points.shape)}, expected (..., 2), an x and a y for each")
    batch = Elements.of(elements).to(points.device)
    if len(batch) != 1 and (points.ndim < 2 or len(points) != len(batch)):
        raise ShapeError(f"{len(batch)} elements for points {tuple(points.shape)}; pass one, or one for each image")
    if bool((batch.lattice_index() % 2 == 1).any()) and size[0] != size[1]:
        raise not_square(size)
    matrix = forward_matrix(batch).view(-1, *[1] * max(0, points.ndim - 2), 2, 2)
    h, w = size
    centre = torch.tensor([w, h], dtype=torch.float64, device=points.device).sub(0 if edges else 1) / 2
    moved = (matrix * (points.double() - centre)[..., None, :]).sum(-1).view(points.shape) + centre
    return (moved if points.is_floating_point() else moved.round()).to(points.dtype)


def act_boxes(boxes: Tensor, elements: Element | Elements, size: tuple[int, int], *, half_open: bool = True) -> Tensor:
    """Move boxes (left, top, right, bottom) as `act` moves the pixels of an image.

    A box that is rotated by another angle than a multiple of 90 degrees becomes the smallest upright box around it.

    Args:
        boxes: (..., 4) for one element; (B, ..., 4) for B elements.
        elements: one `Element`, or `Elements` of length B.
        size: (H, W) of the image.
        half_open: right and bottom are one after the last pixel, as in COCO's and torchvision's `xyxy`, and as in
            slices. Otherwise they are the last pixel, as Kornia's key `bbox_xyxy` takes them.

    Returns:
        Boxes of the same shape and dtype.

    Example:
        >>> act_boxes(torch.tensor([[0, 0, 2, 1]]), Element(90), (4, 4)).tolist()  # two pixels at the upper left
        [[0, 2, 1, 4]]
        >>> act_boxes(torch.tensor([[0, 0, 1, 0]]), Element(90), (4, 4), half_open=False).tolist()  # the same pixels
        [[0, 2, 0, 3]]
    """
    if boxes.shape[-1:] != (4,):
        raise ShapeError(f"boxes have shape {tuple(boxes.shape)}, expected (..., 4): left, top, right, bottom")
    left, top, right, bottom = boxes.unbind(-1)
    corners = torch.stack([torch.stack([x, y], -1) for x in (left, right) for y in (top, bottom)], -2)  # (..., 4, 2)
    moved = act_points(corners, elements, size, edges=half_open)
    return torch.cat([moved.amin(-2), moved.amax(-2)], -1)
