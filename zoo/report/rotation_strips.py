"""Rotation strips: one image turned once around, and what a model predicts at every angle."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from symdata.pictures.figure import png_bytes
from zoo.inference.image_orbit import displayed, shares
from zoo.inference.views import turns
from zoo.preprocessing import Preprocessing

ANGLES = 12
"""Images of a strip, at equal distances from 0 degrees on."""
SIDE = 96
"""Pixels: of a larger image every second, third, ... pixel is kept."""


@dataclass(frozen=True)
class RotatedImage:
    """One image under one rotation, and what the model predicts."""

    angle: float
    """Degrees, counter-clockwise as displayed."""
    predicted: int
    """Class index."""
    confidence: float
    """Softmax probability of the predicted class."""
    png: str
    """The image before normalisation, as a PNG in base64."""

    def __post_init__(self) -> None:
        _decoded(self.png)  # raises for what is no PNG

    @property
    def pixels(self) -> Tensor:
        """uint8 (C, h, w)."""
        return _decoded(self.png)


@dataclass(frozen=True)
class RotationStrip:
    """One image turned once around."""

    label: int
    """Class index."""
    frames: tuple[RotatedImage, ...]


def rotation_strip(
    model: nn.Module, image: Tensor, label: int, preprocessing: Preprocessing, fill: str
) -> RotationStrip:
    """Turn one image (1, C, H, W) of uint8 once around, and ask the model at every angle."""
    elements = turns(ANGLES)
    answers = shares(model, image, preprocessing, elements, fill=fill)[:, 0]  # (angles, classes)
    pictures = displayed(image, preprocessing, elements, fill)[:, 0]
    step = -(-pictures.shape[-1] // SIDE)
    frames = [
        RotatedImage(float(e.angle), int(p.argmax()), float(p.max()), _png(picture[:, ::step, ::step]))
        for e, p, picture in zip(elements, answers, pictures, strict=True)
    ]
    return RotationStrip(label, tuple(frames))


def one_of_each_class(labels: Sequence[int], count: int) -> list[int]:
    """Positions of `count` images: the first of each class in turn, then the second of each, and so on."""
    seen: dict[int, int] = {}
    order = []
    for i, label in enumerate(map(int, labels)):
        seen[label] = seen.get(label, 0) + 1
        order.append((seen[label], label, i))
    return [i for _, _, i in sorted(order)[:count]]


def _png(pixels: Tensor) -> str:
    array = pixels.permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array[:, :, :3])
    return base64.b64encode(png_bytes(picture, optimize=True)).decode()


def _decoded(png: str) -> Tensor:
    with Image.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=["PNG"]) as image:
        array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
