"""Image processors of other libraries, in two parts: bytes at the size of the model, and a normalisation.

Images are moved, drawn and evaluated as bytes, so what a processor gives is read back as bytes. Whatever it does to an
image (crop, padding, another order of channels, a second division) is in these bytes or in the normalisation, whose
numbers are found by processing constant images. The input of the model then differs from the processor's own output by
at most half a gray level, for every image; for processors that resize bytes, as Pillow does, by float32 rounding. What
cannot be written so is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from symdata.sources.fit import Fit
from zoo.errors import ModelError, describe_error
from zoo.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

PROBES = (96, 160)
"""Sides of the images on which a processor is run once, to see what size it makes."""
SLACK = 0.51
"""Gray levels by which values may miss 0 to 255, and constant images a straight line: half of one, for rounding."""
WRAP = "wrap it and the model in a module of your own, and name that as package.module:callable"


class ForeignProcessor:
    """An image processor as images to bytes, and the normalisation that makes its output of these.

    Args:
        run: one picture of Pillow (RGB, or L for one channel) to what the model takes, (channels, size, size).
        name: of the model, for messages.
        channels: of the model: 1 or 3.
        settings: of the processor, for messages.
        known: pairs of mean and std, of values in [0, 1]; the first that agrees with what is found is taken instead,
            because it has no rounding.

    Raises:
        ModelError: for a processor whose output is not a square image of one size, linear in the gray levels.

    Example:
        >>> run = lambda image: np.asarray(image.resize((8, 8))).transpose(2, 0, 1) / 127.5
        >>> halves = ForeignProcessor(run, "mine", 3)
        >>> halves.size, halves.mean, halves.std
        (8, (0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
    """

    def __init__(
        self,
        run: "Callable[[Image], Any]",
        name: str,
        channels: int,
        settings: str = "",
        known: tuple[tuple[Any, Any], ...] = (),
    ) -> None:
        self.run, self.name, self.channels = run, name, channels
        self.settings = f" ({settings})" if settings else ""
        self.size = self._size()
        self.mean, self.std = self._normalisation(known)
        self.colours = self._colours()
        noise = torch.randint(0, 256, (1, channels, PROBES[0], PROBES[0]), generator=torch.Generator().manual_seed(0))
        self(noise.byte())

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B, channels, H, W) to uint8 (B, channels, size, size)."""
        mean, std = (np.array(values)[:, None, None] for values in (self.mean, self.std))
        made = torch.empty((len(images), self.channels, self.size, self.size), dtype=torch.uint8)
        for k, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
            out = self._output(image)
            if out.shape[1:] != (self.size, self.size):
                got = f"makes {_sides(out)} of an image of {image.shape[0]}x{image.shape[1]} pixels"
                mend = "crop or resize the images to squares first"
                raise ModelError(
                    f"{self.name}: its processor {got}{self.settings}, expected {self.size}x{self.size}; {mend}"
                )
            levels = (out * std + mean) * 255
            if not ((levels >= -SLACK) & (levels <= 255 + SLACK)).all():  # also catches NaN
                got = f"gives values that stand for gray levels from {levels.min():.1f} to {levels.max():.1f}"
                raise ModelError(f"{self.name}: its processor {got}{self.settings}, expected 0 to 255; {WRAP}")
            made[k] = torch.from_numpy(levels.round().clip(0, 255).astype(np.uint8))
        return made.to(images.device)

    def _output(self, image: np.ndarray) -> np.ndarray:
        """What the processor makes of uint8 (H, W, channels), float64 (channels, H, W)."""
        from PIL import Image

        try:
            out = np.asarray(self.run(Image.fromarray(image if self.channels == 3 else image[..., 0])))
        except ModelError:
            raise
        except Exception as error:
            got = f"fails on an image of {image.shape[0]}x{image.shape[1]} pixels and {self.channels} channels"
            raise ModelError(
                f"{self.name}: its processor {got}: {describe_error(error)}{self.settings}; {WRAP}"
            ) from error
        if out.ndim != 3 or out.shape[0] != self.channels:
            got = f"makes an array {out.shape} of an image"
            raise ModelError(
                f"{self.name}: its processor {got}{self.settings}, expected ({self.channels}, H, W); {WRAP}"
            )
        return out.astype(np.float64)

    def _constant(self, side: int, level: int) -> np.ndarray:
        return self._output(np.full((side, side, self.channels), level, np.uint8))

    def _size(self) -> int:
        """The side of the images that it makes."""
        found = [_sides(self._constant(side, 0)) for side in PROBES]
        one, other = found
        if one != other:
            got = f"makes {one} of {PROBES[0]}x{PROBES[0]} pixels and {other} of {PROBES[1]}x{PROBES[1]}"
            mend = "save one with do_resize=True and a size"
            raise ModelError(f"{self.name}: its processor {got}{self.settings}, expected one size; {mend}")
        height, width = one.split("x")
        if height != width:
            raise ModelError(f"{self.name}: its processor makes images {one}{self.settings}, expected squares; {WRAP}")
        return int(height)

    def _colours(self) -> tuple[int, ...]:
        """Which channels of the output show red, green and blue; they keep their places if that is not clear."""
        places = tuple(range(self.channels))
        black, found = self._constant(PROBES[0], 0), []
        for channel in places:
            image = np.zeros((PROBES[0], PROBES[0], self.channels), np.uint8)
            image[..., channel] = 255
            found.append(int(np.abs(self._output(image) - black).sum((1, 2)).argmax()))
        return tuple(found) if tuple(sorted(found)) == places else places

    def _normalisation(self, known: tuple[tuple[Any, Any], ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of values in [0, 1], channel by channel."""
        outs = [self._constant(PROBES[0], level).reshape(self.channels, -1) for level in (0, 128, 255)]
        pixel = np.abs(outs[2] - outs[0]).sum(0).argmax()  # padding is the same in all three
        black, gray, white = (out[:, pixel] for out in outs)
        with np.errstate(all="ignore"):
            off = (gray - black) / (white - black) * 255 - 128
        if not (np.isfinite(off).all() and (np.abs(off) <= SLACK).all() and (white > black).all()):
            shown = ", ".join(f"{value:.4g}" for value in (black[0], gray[0], white[0]))
            got = f"makes {shown} of black, gray and white"
            raise ModelError(f"{self.name}: its processor {got}{self.settings}, expected a straight line; {WRAP}")
        std = 1 / (white - black)
        mean = -black * std
        for pair in known:
            named = [np.broadcast_to(np.asarray(values, float), mean.shape) for values in pair if np.size(values)]
            if len(named) == 2 and np.allclose(named, [mean, std], rtol=1e-5, atol=1e-6):
                mean, std = named
                break
        else:
            mean, std = (np.array([float(f"{v:.7g}") for v in values]) for values in (mean + 0.0, std))
        return tuple(mean.tolist()), tuple(std.tolist())


@dataclass(frozen=True)
class _Fitted(Preprocessing):
    """The normalisation of images that a processor has made, whose channels may be in another order than its own."""

    order: tuple[int, ...] = ()

    @property
    def colours(self) -> tuple[int, ...]:
        return self.order


@dataclass(frozen=True)
class Processed(Preprocessing):
    """A `Preprocessing` that resizes and crops with the processor of another library."""

    processor: ForeignProcessor | None = field(default=None, compare=False, repr=False)

    @classmethod
    def by(cls, processor: ForeignProcessor) -> "Processed":
        """With the size and the numbers of a processor."""
        return cls(processor.size, processor.mean, processor.std, processor=processor)

    @property
    def colours(self) -> tuple[int, ...]:
        return self._own().colours

    @property
    def fit(self) -> Fit:
        return _ProcessorFit(self.size, processor=self._own())

    @property
    def after_fit(self) -> Preprocessing:
        known = Preprocessing(self.size, self.mean, self.std)
        return known if self.colours == known.colours else _Fitted(**known.to_dict(), order=self.colours)

    @property
    def at_its_size(self) -> Preprocessing | None:
        """The same for images of `size` pixels, without the processor; None if it changes them too."""
        noise = torch.randint(
            0, 256, (2, self.channels, self.size, self.size), generator=torch.Generator().manual_seed(0)
        )
        return self.after_fit if self.fitted(noise.byte()).equal(noise.byte()) else None

    def fitted(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) to uint8 (B, channels, size, size), as the processor does it."""
        kept = Preprocessing(images.shape[-1], self.mean, self.std) if images.ndim == 4 else None
        if kept is None or images.dtype != torch.uint8 or images.shape[1] not in (1, self.channels):
            return super().fitted(images)  # raises the error
        return self._own()(images.expand(-1, self.channels, -1, -1))

    def to_dict(self) -> dict[str, Any]:
        raise ModelError(f"{self._own().name}: its image processor cannot be stored; {WRAP}")

    def _own(self) -> ForeignProcessor:
        """The processor; `ModelError` if another size was asked for."""
        if self.processor is None or self.processor.size != self.size:
            made = 0 if self.processor is None else self.processor.size
            mend = "leave the size out, or save a processor of that size"
            raise ModelError(
                f"the model's image processor makes {made}x{made} pixels and the size is {self.size}; {mend}"
            )
        return self.processor


@dataclass(frozen=True)
class _ProcessorFit(Fit):
    """Resizes as a processor does; images with one channel keep one."""

    processor: ForeignProcessor | None = field(default=None, compare=False, repr=False)

    def __call__(self, images: Tensor) -> Tensor:
        processor = self.processor
        if processor is None or images.shape[1] not in (1, processor.channels):
            return super().__call__(images)  # images that the model does not take, which is said once they are read
        return processor(images.expand(-1, processor.channels, -1, -1))[:, : images.shape[1]]


def _sides(out: np.ndarray) -> str:
    return "x".join(map(str, out.shape[1:]))


def of_transformers(processor: Any, name: str, channels: int, inputs: tuple[str, ...] = ()) -> Processed:
    """The image processor of a model of transformers.

    Args:
        processor: as `AutoImageProcessor` opens it.
        name: of the model, for messages.
        channels: of the model.
        inputs: what the model's forward takes.
    """
    settings = _settings(processor)

    def run(image: "Image") -> Any:
        out: Mapping[str, Any] = processor(images=[image], return_tensors="np")
        if "pixel_values" not in out:
            raise ModelError(
                f"{name}: its processor gives {', '.join(out)} ({settings}), expected pixel_values; {WRAP}"
            )
        if more := [key for key in out if key != "pixel_values" and key in inputs]:
            raise ModelError(
                f"{name}: its model takes {', '.join(more)} too ({settings}), expected images alone; {WRAP}"
            )
        values = np.asarray(out["pixel_values"])
        return values[0] if len(values) == 1 else values

    own = (getattr(processor, "image_mean", None) or (), getattr(processor, "image_std", None) or ())
    return Processed.by(ForeignProcessor(run, name, channels, settings, (own, (0.0, 1.0))))


_SETTINGS = ("size", "crop_size", "pad_size", "crop_pct", "size_divisor", "patch_size")
_USUAL = ("do_rescale", "do_normalize", "do_convert_rgb", "do_resize", "do_reduce_labels")


def _settings(processor: Any) -> str:
    """The settings that decide what image it makes."""
    own: dict[str, Any] = processor.to_dict() if hasattr(processor, "to_dict") else {}
    shown = {key: own[key] for key in _SETTINGS if own.get(key) is not None}
    shown |= {"do_resize": False} if own.get("do_resize") is False else {}
    shown |= {
        key: value
        for key, value in own.items()
        if value is True and key not in _USUAL and key.startswith(("do_", "include_", "rescale_"))
    }
    return ", ".join([type(processor).__name__, *(f"{key}={value}" for key, value in shown.items())])
