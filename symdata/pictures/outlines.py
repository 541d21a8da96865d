"""Annotations drawn into images: outlines of boxes, and of the regions of masks.

Convention:
    A box (x, y, width, height) counts from the top left corner of the image, in pixels; its outline is drawn on the
    outermost pixels that it touches.
"""

import numpy as np

from symdata.annotations import Annotations

COLOURS = np.array([(230, 60, 60), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180)], np.uint8)
"""Of categories and classes, in turn."""


def outlined(images: np.ndarray, annotations: Annotations | None) -> np.ndarray:
    """Copies of images (n, C, H, W) uint8 in RGB with their annotations; the images themselves if there are none."""
    if annotations is None:
        return images
    out = np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images.copy()
    if annotations.masks is not None:
        _draw_regions(out, annotations.masks.numpy(), annotations.schema.void)
    objects = annotations.objects
    for row in range(0 if objects is None else len(objects)):
        assert objects is not None
        _draw_box(out[objects.image[row]], objects.boxes[row], COLOURS[objects.category[row] % len(COLOURS)])
    return out


def _draw_box(image: np.ndarray, box: np.ndarray, colour: np.ndarray) -> None:
    """Draw a box into an image (3, H, W)."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[:2] + box[2:]).astype(int) - 1
    image[:, top : bottom + 1, [left, right]] = colour[:, None, None]
    image[:, [top, bottom], left : right + 1] = colour[:, None, None]


def _draw_regions(images: np.ndarray, masks: np.ndarray, void: int) -> None:
    """Colour the pixels of images (n, 3, H, W) where a region of a mask meets a neighbour below or to the right."""
    edge = np.zeros(masks.shape, bool)
    edge[:, :-1] |= masks[:, :-1] != masks[:, 1:]
    edge[:, :, :-1] |= masks[:, :, :-1] != masks[:, :, 1:]
    edge &= masks != void
    n, y, x = np.nonzero(edge)
    images[n, :, y, x] = COLOURS[masks[n, y, x] % len(COLOURS)]
