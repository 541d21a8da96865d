"""A batch of images moved by elements of O(2), as input of a model.

Convention:
    An element mirrors left-right first, then turns by degrees counter-clockwise as displayed, about
    ((W - 1)/2, (H - 1)/2) of the image at the size of the model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from symdata.errors import SymmetryError, one_of
from symdata.groups import Element, Group
from symdata.transforms.action import act
from zoo.exactness.arithmetic import D4
from zoo.layers.regular import move
from zoo.preprocessing import Preprocessing

FILLS = {"background": "border", "zero": "zeros"}
"""What is seen beyond the border of a turned image -> the padding mode of the warp.

`background` continues the nearest border pixel. `zero` is the value 0 after normalisation, as in the published curves:
not the background of the image, so that turned images get grey corners, which costs up to 12 points at 45 degrees.
"""


Angles = int | Sequence[float]
"""How many angles at equal distances from 0 on, or degrees, counter-clockwise as displayed."""


class Views:
    """One batch, resized and normalised once, under any number of elements.

    Args:
        images: uint8 (B, C, H, W).
        preprocessing: of the model.
        fill: a key of `FILLS`; it matters only for elements that move pixels off their lattice.
        device: of the model.
    """

    def __init__(
        self, images: Tensor, preprocessing: Preprocessing, fill: str = "background", device: torch.device | None = None
    ) -> None:
        self.preprocessing, self.fill = preprocessing, one_of("fill", fill, FILLS, SymmetryError)
        # Resized before they are moved to the device, so that the bytes do not depend on it.
        fitted = preprocessing.fitted(images).to(device)
        self.unit = preprocessing.after_fit.unit(fitted)  # an image processor does not see its own output
        self.upright = preprocessing.normalise(self.unit)  # (B, channels, size, size)

    def under(self, element: Element) -> Tensor:
        """The batch moved by `element`: exact on the lattice, else one bilinear look-up; (B, channels, size, size)."""
        if element in D4:  # it permutes the pixels of a square image
            return move(self.upright, element)
        padding = FILLS[self.fill]
        if self.fill == "zero":
            return act(self.upright, element, resample="bilinear", mask="none", padding=padding)
        return self.preprocessing.normalise(act(self.unit, element, resample="bilinear", mask="none", padding=padding))


def turns(angles: Angles) -> tuple[Element, ...]:
    """Rotations: that many at equal distances from 0 on, or by the given degrees."""
    if isinstance(angles, int):
        return Group(angles).elements if angles else ()
    return tuple(Element(angle) for angle in angles)
