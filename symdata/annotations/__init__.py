"""What is annotated in images - masks, and objects with boxes and keypoints - and how it moves with them.

Convention:
    One system of coordinates for boxes and keypoints, in pixels: x to the right, y down, from the top left corner of
    the image. The pixel in column c and row r covers [c, c + 1] x [r, r + 1]; its centre is (c + 0.5, r + 0.5). An
    image covers [0, W] x [0, H], and its centre is (W/2, H/2), the point that `act` turns about. A box is
    (x, y, width, height) with its top left corner first, as in COCO; the right and lower edges are x + width and
    y + height. COCO's keypoints, which count pixels from 0, are smaller by 0.5.
"""

from symdata.annotations.annotations import VOID, Annotations, Schema
from symdata.annotations.objects import Objects

__all__ = ["VOID", "Annotations", "Objects", "Schema"]
