"""Film strips: an image that turns once around, and what a model says of it at every angle."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symdata.groups import Element
from zoo.inference.sweep import sweep
from zoo.inference.views import Views, turns
from zoo.preprocessing import Preprocessing

FRAMES = 12
"""Angles of a film strip, at equal distances from 0 on."""
SIDE = 96
"""Pixels: of larger images a frame keeps every second, third, ... one."""


@dataclass(frozen=True)
class RotatedImage:
    """One image under one rotation, and what the model says of it."""

    angle: float
    """Degrees, counter-clockwise as displayed."""
    pixels: Tensor
    """uint8 (C, h, w), as the model sees it before normalisation."""
    predicted: int
    confidence: float
    """Softmax probability of the predicted class."""

    @property
    def png(self) -> str:
        """The pixels as a PNG in base64."""
        from PIL import Image

        array = self.pixels.permute(1, 2, 0).numpy()
        out = io.BytesIO()
        Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array[:, :, :3]).save(out, "PNG", optimize=True)
        return base64.b64encode(out.getvalue()).decode()

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "angle": self.angle,
            "predicted": self.predicted,
            "confidence": self.confidence,
            "png": self.png,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "RotatedImage":
        """The inverse of `to_dict`."""
        pixels = _decoded(base64.b64decode(fields["png"], validate=True))
        return cls(float(fields["angle"]), pixels, int(fields["predicted"]), float(fields["confidence"]))


@dataclass(frozen=True)
class RotationStrip:
    """One image that turns once around."""

    label: int
    frames: tuple[RotatedImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"label": self.label, "frames": [frame.to_dict() for frame in self.frames]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "RotationStrip":
        """The inverse of `to_dict`."""
        return cls(int(fields["label"]), tuple(RotatedImage.from_dict(frame) for frame in fields["frames"]))


def film(model: nn.Module, image: Tensor, label: int, preprocessing: Preprocessing, fill: str) -> RotationStrip:
    """One image (1, C, H, W) of uint8 as it turns, and what the model says."""
    elements = turns(FRAMES)
    ((_, logits),) = sweep(model, image, preprocessing, elements, fill=fill)
    shares = logits[:, 0].double().softmax(1)  # (frames, classes)
    views = Views(image, preprocessing, fill)
    frames = [
        RotatedImage(float(e.angle), _seen(views, e, preprocessing), int(p.argmax()), float(p.max()))
        for e, p in zip(elements, shares, strict=True)
    ]
    return RotationStrip(label, tuple(frames))


def picked(labels: Sequence[int], count: int) -> list[int]:
    """The first image of each class in turn, and then the next of each."""
    seen: dict[int, int] = {}
    order = []
    for i, label in enumerate(map(int, labels)):
        seen[label] = seen.get(label, 0) + 1
        order.append((seen[label], label, i))
    return [i for _, _, i in sorted(order)[:count]]


def _seen(views: Views, element: Element, preprocessing: Preprocessing) -> Tensor:
    """What the model sees, as gray levels: normalisation undone, so that a fill of zero shows as what it is."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    unit = views.under(element)[0] * std + mean
    every = -(-unit.shape[-1] // SIDE)
    return (unit[:, ::every, ::every].clamp(0, 1) * 255).round().to(torch.uint8)


def _decoded(data: bytes) -> Tensor:
    """uint8 (C, h, w) of a PNG."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
