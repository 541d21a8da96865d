"""Objects in images: boxes with a category, and their keypoints, as flat arrays over a batch of images.

Convention:
    Pixels from the top left corner of the image, y down; the pixel in column c and row r has its centre at
    (c + 0.5, r + 0.5). A box is (x, y, width, height), its top left corner first. Angles are degrees, counter-clockwise
    as displayed, about (W/2, H/2); a mirror comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from symdata.errors import ShapeError
from symdata.groups import Elements
from symdata.transforms.warp import disk, forward_matrix

DECIMALS = 6
"""Of coordinates off the lattice: a millionth of a pixel is more than rounding errors of any processor."""
HIDDEN = 1
"""Visibility of a keypoint that is annotated but cannot be seen; 2 can be seen, 0 is not annotated."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The m objects of a batch of images.

    Example:
        >>> import numpy as np
        >>> from symdata import Element, Elements
        >>> objects = Objects.boxed(np.array([[1.0, 2.0, 3.0, 4.0]]))
        >>> turned = objects.moved(Elements.of(Element(90)), (10, 10))
        >>> turned.boxes.tolist()
        [[2.0, 6.0, 4.0, 3.0]]
    """

    image: np.ndarray
    """(m,) int64, ascending: the image of each object, as its position in the batch."""
    boxes: np.ndarray
    """(m, 4) float64: x, y, width, height in pixels."""
    category: np.ndarray
    """(m,) int64, from 0."""
    area: np.ndarray
    """(m,) float64: pixels of the object itself, also of parts that have left the image."""
    crowd: np.ndarray
    """(m,) bool: whether it is a region of many objects, which COCO leaves out of its scores."""
    keypoints: np.ndarray
    """(m, K, 3) float64: x, y and the visibility 0 (not annotated; x and y are 0), 1 (hidden) or 2 (visible)."""

    @classmethod
    def boxed(cls, boxes: np.ndarray, image: np.ndarray | None = None, category: np.ndarray | None = None) -> "Objects":
        """Objects that are boxes alone; by default all of image 0 and of category 0."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        m = len(boxes)
        image = np.zeros(m, np.int64) if image is None else image
        category = np.zeros(m, np.int64) if category is None else category
        return cls(image, boxes, category, boxes[:, 2] * boxes[:, 3], np.zeros(m, bool), np.empty((m, 0, 3)))

    @classmethod
    def joined(cls, parts: Sequence["Objects"], counts: Sequence[int]) -> "Objects":
        """Batches one after another; `counts` are their numbers of images."""
        starts = np.cumsum([0, *counts[:-1]])
        image = np.concatenate([part.image + start for part, start in zip(parts, starts, strict=True)])
        names = ("boxes", "category", "area", "crowd", "keypoints")
        return cls(image, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: np.ndarray) -> "Objects":
        """The objects in these rows."""
        arrays = (self.image, self.boxes, self.category, self.area, self.crowd, self.keypoints)
        return Objects(*(array[rows] for array in arrays))

    def of_images(self, images: np.ndarray) -> "Objects":
        """The objects of some images (n,), in that order; they become images 0 to n - 1 of a batch."""
        starts, stops = (np.searchsorted(self.image, images, side) for side in ("left", "right"))
        counts = stops - starts
        ends = np.cumsum(counts)
        rows = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
        return replace(self.take(rows), image=np.repeat(np.arange(len(images)), counts))

    def fitted(self, scale: np.ndarray, shift: np.ndarray) -> "Objects":
        """The objects in images that were resized and padded: a point p becomes `scale` p + `shift`.

        Args:
            scale: (n, 2) float64, of x and y for each image.
            shift: (n, 2) float64, in pixels of the new images.
        """
        by, to = scale[self.image], shift[self.image]
        boxes = np.concatenate([self.boxes[:, :2] * by + to, self.boxes[:, 2:] * by], axis=1)
        points = self.keypoints[..., :2] * by[:, None] + to[:, None]
        area = self.area * by.prod(axis=1)
        return replace(self, boxes=boxes, area=area, keypoints=_labelled(points, self.keypoints[..., 2]))

    def moved(
        self, elements: Elements, size: tuple[int, int], mask: str = "none", exchange: Sequence[int] = ()
    ) -> "Objects":
        """The objects in images (H, W) that elements have moved, one for each image of the batch.

        On the lattice this is exact. Off the lattice, coordinates are rounded to a millionth of a pixel, and a box
        becomes the smallest upright box around its moved corners, cut at the border of the image: it may be wider
        than the object. An object whose box lies outside the image altogether is left out; a keypoint outside it
        becomes (0, 0, 0), not annotated. With the disk `mask`, so is an object whose box lies outside the disk, for
        every element alike, and a keypoint on a black pixel becomes hidden, 1.

        A mirror exchanges the names that `exchange` says. Without it, what was annotated as the left hand keeps that
        name.

        Args:
            elements: n elements, for the images 0 to n - 1.
            size: (H, W) of the images.
            mask: `disk` or `none`, as for `act`.
            exchange: for each of K keypoints the one that it becomes in a mirror; empty: all stay themselves.

        Raises:
            ShapeError: for a quarter turn of images that are not square.
        """
        batch, (height, width) = elements.cpu(), size
        index = batch.lattice_index()
        if height != width and (index % 2 == 1).any():
            raise ShapeError(f"images are {height}x{width}, and a quarter turn needs square ones; pad them first")
        matrix = forward_matrix(batch.to("cpu")).numpy()[self.image]  # (m, 2, 2)
        extent = np.array([width, height], np.float64)
        shift = (extent - matrix @ extent) / 2
        near, sides = self.boxes[:, None, :2], self.boxes[:, None, 2:]
        # Of each coordinate of the new corner: the smaller end of both intervals that the two sides are mapped to.
        corner = (matrix * near + np.minimum(0.0, matrix * sides)).sum(2) + shift
        boxes = np.concatenate([corner, (np.abs(matrix) * sides).sum(2)], axis=1) + 0.0  # never -0.0
        points = np.einsum("mij,mkj->mki", matrix, self.keypoints[..., :2]) + shift[:, None] + 0.0
        off = (index < 0)[self.image]
        boxes[off], points[off] = _cut(boxes[off], extent), points[off].round(DECIMALS)
        visible = _visible(points, self.keypoints[..., 2], size, mask)
        keypoints = _labelled(points, visible)
        if exchange:
            mirrored = np.asarray(batch.flip, bool)[self.image]
            keypoints[mirrored] = keypoints[mirrored][:, list(exchange)]
        moved = replace(self, boxes=boxes, keypoints=keypoints)
        return moved.take(np.flatnonzero(_seen(boxes, extent, mask)))


def _cut(boxes: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Boxes cut at the border of the image and rounded; one outside it gets no area."""
    near = boxes[:, :2].clip(0, extent).round(DECIMALS)
    far = (boxes[:, :2] + boxes[:, 2:]).clip(0, extent).round(DECIMALS)
    return np.concatenate([near, (far - near).round(DECIMALS)], axis=1)


def _seen(boxes: np.ndarray, extent: np.ndarray, mask: str) -> np.ndarray:
    """Which boxes (m, 4) show something: they have an area, and reach into the disk if there is one."""
    nearest = (extent / 2).clip(boxes[:, :2], boxes[:, :2] + boxes[:, 2:])
    away = np.hypot(*(nearest - extent / 2).T)  # of the disk's centre
    return np.asarray((boxes[:, 2:].min(axis=1) > 0) & ((mask != "disk") | (away < extent.min() / 2)))


def _visible(points: np.ndarray, visible: np.ndarray, size: tuple[int, int], mask: str) -> np.ndarray:
    """Visibilities after a motion: 0 outside the image, at most `HIDDEN` where the mask is black."""
    extent = np.array(size[::-1])
    inside = ((points >= 0) & (points <= extent)).all(axis=-1)
    if mask == "disk":
        x, y = np.moveaxis(np.clip(np.floor(points), 0, extent - 1).astype(np.int64), -1, 0)
        shown = disk(*size, torch.device("cpu")).numpy()[y, x]
        visible = np.where(shown, visible, np.minimum(visible, HIDDEN))
    return np.where(inside, visible, 0.0)


def _labelled(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Keypoints (m, K, 3): those that are not annotated are (0, 0, 0)."""
    return np.where(visible[..., None] > 0, np.concatenate([points, visible[..., None]], axis=-1), 0.0)
