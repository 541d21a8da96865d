"""Samples of a dataset, whose parts move together: images, masks, boxes and keypoints beside other things.

A sample is what a dataset returns: an image, or a tuple, list or dict with images, labels and more, as for the
transforms of torchvision (v2). All that shows the scene moves by one element; the rest passes.

    moved        images of Pillow; tv_tensors `Image`, `Video`, `Mask` (nearest), `BoundingBoxes`, `KeyPoints`
    moved        the first array or plain tensor, if there is no image of Pillow and no `Image` or `Video`
    not moved    everything else, such as labels and names

A second array or plain tensor with the sides of the image is refused: it would not move with it.

Convention:
    Boxes of torchvision are half-open, its keypoints count from the centre of the first pixel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils import _pytree as pytree

from symdata.errors import ArgumentError, ShapeError
from symdata.groups import Elements
from symdata.transforms.image_kinds import Held, hold, is_pil, tv_kind, wrap
from symdata.transforms.points import act_boxes, act_points

Move = Callable[[Tensor, bool], Tensor]
"""Moves a batch (n, C, H, W); the second argument is whether it is a mask."""


class Sample:
    """The parts of a sample that show the scene.

    Args:
        sample: an image, or a tuple, list or dict of parts, nested at will.
        layout: of arrays and plain tensors, see `image_kinds`.
        averaged: whether values of pixels will be averaged or masked.

    Example:
        >>> sample = Sample((np.zeros((8, 8, 3), np.uint8), "cat"))
        >>> sample.size, sample.count
        ((8, 8), 1)
    """

    def __init__(self, sample: Any, layout: str = "auto", averaged: bool = False) -> None:
        self.leaves, self._tree = pytree.tree_flatten(sample)
        self.images: dict[int, Held] = {}
        self.points: list[int] = []
        kinds = [tv_kind(leaf) for leaf in self.leaves]
        plain = [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, Tensor | np.ndarray) and not kinds[i]]
        if any(is_pil(leaf) for leaf in self.leaves) or {"Image", "Video"} & set(kinds):
            first = None
        else:
            first = plain[0] if plain else None
        for i, leaf in enumerate(self.leaves):
            if kinds[i] in ("BoundingBoxes", "KeyPoints"):
                self.points.append(i)
            elif kinds[i] or is_pil(leaf) or i == first:
                self.images[i] = hold(leaf, layout, averaged and kinds[i] != "Mask")
        if not self.images:
            raise ShapeError(f"a sample of {', '.join(type(leaf).__name__ for leaf in self.leaves)} holds no image")
        sizes = [tuple(held.batch.shape[-2:]) for held in self.images.values()]
        sizes += [tuple(self.leaves[i].canvas_size) for i in self.points]
        if wrong := [size for size in sizes if size != sizes[0]]:
            raise ShapeError(f"a sample holds sizes {sizes[0]} and {wrong[0]}; bring its parts to one size first")
        self.size = sizes[0]
        for i in plain:
            shape = tuple(self.leaves[i].shape)
            if i != first and self.size in (shape[-2:], shape[-3:-1]):
                raise ArgumentError(
                    f"part {i} of a sample, {shape}, has the sides of the image and would not "
                    "move with it; make it a torchvision.tv_tensors.Mask, or use AugmentationSequential"
                )
        alone = first is not None and len(self.images) + len(self.points) == 1
        self.count = len(self.images[first].batch) if alone and first is not None else 1
        """Elements that it takes: one, or one for each image of a batch that is alone."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(count, C, H, W) of the first image."""
        return (self.count, *next(iter(self.images.values())).batch.shape[1:])

    def moved(self, move: Move, elements: Elements, exact: bool) -> Any:
        """The sample with every part moved.

        Args:
            move: for images and masks.
            elements: one, for boxes and keypoints.
            exact: whether pixels are permuted; if not, boxes are cut at the edge of the image.
        """
        out = list(self.leaves)
        for i, held in self.images.items():
            is_mask = tv_kind(self.leaves[i]) == "Mask"
            out[i] = held.back(move(held.batch, is_mask))
        for i in self.points:
            kind = tv_kind(out[i])
            out[i] = (
                _moved_boxes(out[i], elements, exact) if kind == "BoundingBoxes" else _moved_points(out[i], elements)
            )
        return pytree.tree_unflatten(out, self._tree)


def _moved_points(points: Any, elements: Elements) -> Any:
    return wrap(act_points(points.as_subclass(Tensor), elements[:1], points.canvas_size), points)


def _moved_boxes(boxes: Any, elements: Elements, exact: bool) -> Any:
    from torchvision.transforms.v2 import functional as F  # type: ignore[import-not-found, unused-ignore]

    form = boxes.format
    if form.value not in ("XYXY", "XYWH", "CXCYWH"):
        raise ShapeError(f"boxes are {form.value}, expected XYXY, XYWH or CXCYWH; give the corners as KeyPoints")
    plain = boxes.as_subclass(Tensor)
    corners = F.convert_bounding_box_format(plain.double(), old_format=form, new_format=type(form).XYXY)
    corners = act_boxes(corners, elements[:1], boxes.canvas_size)
    found = F.convert_bounding_box_format(corners, old_format=type(form).XYXY, new_format=form)
    found = wrap((found if plain.is_floating_point() else found.round()).to(plain.dtype), boxes)
    return found if exact else F.clamp_bounding_boxes(found)
