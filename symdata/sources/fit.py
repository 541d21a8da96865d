"""Resize images to one square size, in ways that commute with quarter turns and mirrors.

Bilinear and bicubic resizing are antialiased. `nearest` is refused (of two equally near pixels it always takes the one
on the same side), and so is padding by an odd number of pixels (it moves the centre by half a pixel).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symdata.errors import SourceError, one_of

if TYPE_CHECKING:
    import torch  # otherwise inside functions: listing sources and printing help must not load it

RESIZES = ("bilinear", "area", "bicubic", "pad")
_CHUNK = 1 << 22  # pixels in float64 at a time
_TIE = 1e-9  # makes exact halves, which are frequent, round up whatever the rounding errors of float64


@dataclass(frozen=True)
class Fit:
    """A target size and the method of resizing."""

    size: int | None = None
    """Side of the square in pixels, or None to leave images as they are."""
    how: str = "bilinear"
    """One of RESIZES."""

    def __post_init__(self) -> None:
        if self.how == "nearest":
            raise SourceError("resize 'nearest' does not commute with rotations; use --resize area or bilinear")
        one_of("resize", self.how, RESIZES, SourceError)
        if self.size is not None and self.size < 1:
            raise SourceError(f"size {self.size} is not a number of pixels; use 1 or more, as in --size 28")

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Size (H, W) of a resized `height` x `width` image; raises SourceError if it cannot be padded to it."""
        if self.size is None:
            return height, width
        if self.how == "pad":
            self._check_padding(height, width)
        return self.size, self.size

    def placement(self, height: int, width: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Scale and shift of (x, y) from a `height` x `width` image to the resized one, in pixels from the corner."""
        rows, columns = self.shape(height, width)
        if self.how == "pad":
            return (1.0, 1.0), ((columns - width) // 2, (rows - height) // 2)
        return (columns / width, rows / height), (0.0, 0.0)

    def masks(self, masks: "torch.Tensor", void: int) -> "torch.Tensor":
        """Resize masks (n, H, W) uint8 by the nearest pixel; pixels that padding adds are `void`."""
        import torch

        height, width = masks.shape[-2:]
        target = self.shape(height, width)
        if target == (height, width):
            return masks
        if self.how == "pad":
            side, top = (target[1] - width) // 2, (target[0] - height) // 2
            return torch.nn.functional.pad(masks, (side, side, top, top), value=void)
        return torch.nn.functional.interpolate(masks[:, None], target, mode="nearest-exact")[:, 0]

    def _check_padding(self, height: int, width: int) -> None:
        size = self.size or 0
        if size < max(height, width):
            raise SourceError(
                f"a {height}x{width} image cannot be padded to {size}; use --size {max(height, width)} or larger"
            )
        if (size - height) % 2 or (size - width) % 2:
            mend = f"use --size {size + 1}" if (height - width) % 2 == 0 else "use --resize bilinear"
            raise SourceError(
                f"padding a {height}x{width} image to {size} adds an odd number of pixels and moves its centre; {mend}"
            )

    def __call__(self, images: "torch.Tensor") -> "torch.Tensor":
        """Resize images (n, C, H, W) uint8, each independently of the others."""
        import torch

        height, width = images.shape[-2:]
        target = self.shape(height, width)
        if not len(images):
            return images.new_empty((0, images.shape[1], *target))
        if target == (height, width):
            return images
        if self.how == "pad":
            side, top = (target[1] - width) // 2, (target[0] - height) // 2
            return torch.nn.functional.pad(images, (side, side, top, top))
        step = max(1, _CHUNK // (images.shape[1] * max(height * width, target[0] * target[1])))
        return torch.cat([self._resize(part, target) for part in torch.split(images, step)])

    def _resize(self, images: "torch.Tensor", target: tuple[int, int]) -> "torch.Tensor":
        import torch
        from torch.nn.functional import interpolate

        # The axes are resized one after the other. In float32 their order would change some roundings, and with them
        # the result for a rotated image.
        options = {} if self.how == "area" else {"antialias": True, "align_corners": False}
        out = interpolate(images.double(), target, mode=self.how, **options)
        return out.add_(0.5 + _TIE).floor_().clamp_(0, 255).to(torch.uint8)
