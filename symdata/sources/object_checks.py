"""Objects are compared with the images that they lie in: which cannot be right, and which are cut off at the border."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from symdata.annotations import Objects

SLACK = 1.0
"""Pixels by which a box or keypoint may lie beyond the border: rounding, or counting from 1; it is cut off."""


class PlacedObjects(NamedTuple):
    """The objects of some images of a split, in pixels."""

    objects: Objects
    rows: np.ndarray
    """(m,) int64: which of all objects of the split they are."""
    extent: np.ndarray
    """(m, 2) float64: width and height of the image of each object."""

    def size(self, row: int) -> str:
        """The size of the image of an object, as "640x480"."""
        width, height = self.extent[row]
        return f"{width:g}x{height:g}"


def placed_objects(given: Objects, images: np.ndarray, sizes: np.ndarray, in_shares: bool) -> PlacedObjects:
    """The objects of some images, which become images 0 to n - 1.

    Args:
        given: all objects of a split.
        images: (n,) int64, ascending.
        sizes: (n, 2), height and width of each image.
        in_shares: whether the objects are in shares of the width and height.
    """
    rows, own = np.flatnonzero(np.isin(given.image, images)), given.of_images(images)
    extent = sizes[:, ::-1].astype(np.float64)
    return PlacedObjects(own.fitted(extent, 0 * extent) if in_shares else own, rows, extent[own.image])


def problems(placed: PlacedObjects) -> Iterator[tuple[int, str]]:
    """Each object that makes no sense in its image, with a sentence that begins with its box."""
    own, extent = placed.objects, placed.extent
    near, far, points, visible = _parts(own)
    beyond = (points < -SLACK) | (points > extent[:, None] + SLACK)
    sides = far.clip(0, extent) - near.clip(0, extent)
    checks = (
        (~np.isfinite(own.boxes).all(1), "is not four finite numbers"),
        ((near < -SLACK).any(1) | (far > extent + SLACK).any(1), "leaves its image"),
        ((own.boxes[:, 2:] <= 0).any(1) | (sides <= 0).any(1), "has no area"),
        (~np.isfinite(own.keypoints).all((1, 2)), "has keypoints that are not finite"),
        ((beyond & visible).any((1, 2)), "has keypoints outside its image"),
    )
    for wrong, problem in checks:
        for row in np.flatnonzero(wrong).tolist():
            yield row, f"box ({', '.join(f'{value:g}' for value in own.boxes[row].tolist())}) {problem}"


def cut_off(placed: PlacedObjects) -> Objects:
    """The objects, cut off at the borders of their images, which they leave by `SLACK` at most."""
    own, extent = placed.objects, placed.extent
    near, far, points, visible = _parts(own)
    cut = np.any((near < 0) | (far > extent), axis=1, keepdims=True)
    start, stop = near.clip(0, extent), far.clip(0, extent)
    boxes = np.where(cut, np.concatenate([start, stop - start], axis=1), own.boxes)
    inside = np.where(visible, points.clip(0, extent[:, None]), 0.0)
    return replace(own, boxes=boxes, keypoints=np.concatenate([inside, own.keypoints[..., 2:]], axis=-1))


def _parts(own: Objects) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both corners (m, 2) of each box, its keypoints (m, K, 2), and which of them are annotated (m, K, 1)."""
    corner, visible = own.boxes[:, :2], np.asarray(own.keypoints[..., 2:] > 0)
    return corner, corner + own.boxes[:, 2:], own.keypoints[..., :2], visible
