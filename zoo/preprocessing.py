"""From the bytes of an image to the input of a network: the size, the scale to [0, 1], the normalisation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from reprlib import repr as short
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.errors import ShapeError, one_of, whole
from symdata.sources.fit import RESIZES, Fit
from zoo.errors import ModelError
from zoo.files import MAX_SIZE

GRAY = "the images have one channel, which is repeated for the three that the model takes"
LARGEST, SMALLEST = 1e6, 1e-6
"""Bounds of means and deviations; those of values in [0, 1] are far from both, and float32 overflows beyond them."""


@dataclass(frozen=True)
class Preprocessing:
    """uint8 images (B, C, H, W) to what a model takes, float32 (B, C, size, size).

    Every step commutes with quarter turns and mirrors, bit for bit: turning the image or the result is the same.

    Example:
        >>> Preprocessing(27, (0.13084,), (0.043477,))(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape
        torch.Size([2, 1, 27, 27])
    """

    size: int
    """Side in pixels."""
    mean: tuple[float, ...]
    """Per channel, of values in [0, 1]; as many as the model has input channels."""
    std: tuple[float, ...]
    """Per channel, of values in [0, 1]."""
    resize: str = "bilinear"
    """How another size is brought to `size`: bilinear, area, bicubic or pad."""

    def __post_init__(self) -> None:
        whole("size", self.size, 1, MAX_SIZE, ModelError, " pixels, for example 28")
        one_of("resize", self.resize, RESIZES, ModelError)
        for name in ("mean", "std"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        got = f"mean {short(self.mean)} and std {short(self.std)}"
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ModelError(f"{got} must have one number for each of 1 or 3 channels")
        if not all(abs(value) <= LARGEST for value in (*self.mean, *self.std)):  # not of NaN either
            raise ModelError(f"{got} must be finite numbers, at most {LARGEST:g}, for example (0.5,)")
        if min(self.std) < SMALLEST:
            raise ModelError(f"std is {short(self.std)}, expected numbers of at least {SMALLEST}")

    @property
    def channels(self) -> int:
        """Input channels of the model: 1 or 3."""
        return len(self.mean)

    @property
    def colours(self) -> tuple[int, ...]:
        """Which channels of the input show red, green and blue, or the gray level."""
        return tuple(range(self.channels))

    @property
    def fit(self) -> Fit:
        """How images of any size are brought to `size`."""
        return Fit(self.size, self.resize)

    @property
    def after_fit(self) -> "Preprocessing":
        """What is left to do to images that `fit` has brought to `size`."""
        return self

    def __call__(self, images: Any) -> Tensor:
        """Images of any kind that `as_images` takes to normalised float32 (B, channels, size, size); one channel is
        repeated where three are wanted."""
        return self.normalise(self.unit(as_images(images)))

    def fitted(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) to uint8 (B, channels, size, size)."""
        if not isinstance(images, Tensor):
            raise ShapeError(f"images are a {type(images).__name__}, expected a tensor; use torch.as_tensor(images)")
        if images.ndim != 4 or images.dtype != torch.uint8:
            got = f"{images.dtype} {tuple(images.shape)}"
            mend = "values in [0, 1] become that by (x * 255).round().byte(), values in [0, 255] by x.round().byte()"
            raise ShapeError(f"images are {got}, expected uint8 (B, C, H, W); {mend}")
        if images.shape[1] not in (1, self.channels):
            got = f"images have {images.shape[1]} channels and the model takes {self.channels}"
            raise ShapeError(f"{got}; convert them, or train a model on such images")
        sized = images if images.shape[-2:] == (self.size, self.size) else self.fit(images)
        return sized.expand(-1, self.channels, -1, -1)

    def unit(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) to float32 (B, channels, size, size) in [0, 1]."""
        # Torch would take the strides of idx files with one channel for channels_last.
        return self.fitted(images).to(torch.float32, memory_format=torch.contiguous_format) / 255

    def normalise(self, unit: Tensor) -> Tensor:
        """Values in [0, 1] to (value - mean) / std, channel by channel."""
        mean, std = (unit.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (unit - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`; `ModelError` for anything else."""
        try:
            return cls(**fields)
        except TypeError as error:
            expected = f"expected size, mean, std and resize: {str(error)[:150]}"
            raise ModelError(f"preprocessing is {short(fields)}, {expected}") from None


def as_images(images: Any) -> Tensor:
    """One image or several, as Pillow, numpy or torch hold them, as uint8 (B, C, H, W).

    Args:
        images: a picture of Pillow (turned as its EXIF says); an array (H, W), (H, W, C), (C, H, W) or with B before
            these; a tensor (C, H, W) or (B, C, H, W); or a list of any of them. uint8, or floats in [0, 1], which are
            rounded to 8 bits.

    Raises:
        ShapeError: for anything else, or if it is not clear which axis holds the channels.

    Example:
        >>> from PIL import Image
        >>> as_images(Image.new("RGB", (20, 10))).shape
        torch.Size([1, 3, 10, 20])
    """
    if isinstance(images, list | tuple):
        parts = [as_images(image) for image in images]
        if len({part.shape[1:] for part in parts}) != 1:
            got = ", ".join(sorted({str(tuple(part.shape[1:])) for part in parts})) or "none"
            raise ShapeError(f"images have the shapes {got}, expected one shape; resize or crop them first")
        return torch.cat(parts)
    batch: Tensor = images if isinstance(images, Tensor) else _as_tensor(images)
    if batch.ndim == 3:
        batch = batch[None]
    if batch.ndim != 4 or not batch.is_floating_point():
        return batch  # `fitted` says what it expects
    if not bool(((batch >= 0) & (batch <= 1)).all()):  # not of NaN either
        low, high = (f"{float(bound):g}" for bound in batch.aminmax())
        mend = "values in [0, 255] become uint8 by x.round().astype('uint8'), or .byte() of a tensor"
        raise ShapeError(f"images are floats from {low} to {high}, expected values in [0, 1]; {mend}")
    return (batch * 255).round().to(torch.uint8)


def _as_tensor(image: Any) -> Tensor:
    """A picture of Pillow or an array as a tensor with its channels before height and width."""
    from PIL import Image, ImageOps

    if isinstance(image, Image.Image):
        upright = ImageOps.exif_transpose(image)
        if upright.mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB") or "transparency" in upright.info:
            got = f"a picture of mode {upright.mode!r}" + (
                " with transparency" if "transparency" in upright.info else ""
            )
            raise ShapeError(f"images are {got}, expected gray or colour of 8 bits; image.convert('RGB') makes it that")
        image = np.asarray(upright.convert("L" if upright.mode in ("1", "L") else "RGB"))
    if not isinstance(image, np.ndarray):
        raise ShapeError(
            f"images are a {type(image).__name__}, expected a picture of Pillow, an array, a tensor, or a list of them"
        )
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise ShapeError(f"images are {image.dtype}, expected uint8 or floats in [0, 1]; x.astype('uint8') if they fit")
    array = torch.from_numpy(np.array(image, copy=True))
    if array.ndim == 2:
        return array[None]
    if array.ndim not in (3, 4):
        raise ShapeError(
            f"images are {tuple(array.shape)}, expected (H, W, C), (C, H, W), or with B before; add an axis"
        )
    first, last = array.shape[-3] in (1, 3), array.shape[-1] in (1, 3)
    if first and last:
        raise ShapeError(
            f"images are {tuple(array.shape)}, in which the channels may be the first or the last axis; give a tensor "
            "with them first, torch.from_numpy(x)"
        )
    return array if first or not last else array.movedim(-1, -3)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        listed = [values] if isinstance(values, int | float) else list(values)
        if listed and not isinstance(values, Mapping) and not any(isinstance(value, str | bool) for value in listed):
            return tuple(map(float, listed))
    except (TypeError, ValueError, OverflowError):
        pass
    raise ModelError(f"{name} is {short(values)}, expected one number per channel, for example (0.5,)")
