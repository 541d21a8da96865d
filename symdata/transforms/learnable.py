"""`LearnableAffine`: random affine maps with learned half-widths, as a Kornia augmentation."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from symdata.transforms.affine import START, AffineRange, to_pixels
from symdata.transforms.augmentation import Augmentation, Params


class LearnableAffine(Augmentation):
    """Random affine maps, with uniform Lie-algebra coefficients whose half-widths are learned.

    Works alone and inside `kornia.augmentation.AugmentationSequential` on images, masks (nearest), boxes and keypoints;
    `inverse` moves by the inverses of the last elements. Every sample is moved; as with all augmentations of Kornia, it
    is random in eval mode too. `zoo.models.averaged.InvarianceAverage` averages a network over fixed elements.

    `range.half_width` gets a gradient through images, not through boxes and keypoints.

    Args:
        generators: some of rotation, translate_x, translate_y, scale, stretch, diagonal_stretch.
        half_width: at the start: one number for all coefficients, see `AffineRange`, or by name: radians for a
            rotation, pixels for translations, logarithms of a factor for the others. `half_widths()` gives degrees and
            pixels.
        resample, mask, padding: see `symdata.transforms.affine.AffineRange`.
        generator: random generator; by default torch's global one.
        same_on_batch: one element for the whole batch.
        keepdim: keep (C, H, W) inputs three-dimensional.
        size: shorter side of the images in pixels, for half-widths of translations by name.

    Shape:
        (B, C, H, W) or (C, H, W) floating point in, (B, C, H, W) out.

    Example:
        >>> import torch
        >>> augment = LearnableAffine(("rotation",), half_width=0.5)
        >>> augment(torch.rand(8, 1, 28, 28)).mean().backward()
        >>> augment.range.half_width.grad.shape
        torch.Size([1])
    """

    draws = ("draws",)

    def __init__(
        self,
        generators: str | Sequence[str] = ("rotation",),
        half_width: float | Mapping[str, float] = START,
        *,
        resample: str = "bilinear",
        mask: str = "disk",
        padding: str = "border",
        generator: torch.Generator | None = None,
        same_on_batch: bool = False,
        keepdim: bool = True,
        size: int | None = None,
    ) -> None:
        super().__init__(resample, same_on_batch, keepdim, generator)
        self.range = AffineRange(generators, half_width, resample=resample, mask=mask, padding=padding, size=size)

    def __repr__(self) -> str:
        return f"LearnableAffine({self.range.extra_repr()})"

    def half_widths(self, size: int | None = None) -> dict[str, float]:
        """Half-width by generator: degrees, pixels (of images of `size`), or the logarithm of a factor."""
        return self.range.half_widths(size)

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> Params:
        count = 1 if self.same_on_batch else batch_shape[0]
        return {"draws": self.range.draw(count, self.generator).expand(batch_shape[0], -1)}

    def compute_transformation(self, input: Tensor, params: Params, flags: dict[str, Any]) -> Tensor:
        """(B, 3, 3): input pixel (x, y, 1) to output pixel; detached, so that the module can be copied."""
        matrices = self.range.matrices(params["draws"]).detach()
        return to_pixels(matrices.to(torch.promote_types(input.dtype, torch.float32)), *input.shape[-2:])

    def moved(self, images: Tensor, params: Params, kernel: str, *, inverse: bool) -> Tensor:
        moved: Tensor = self.range(images, params["draws"], inverse=inverse, resample=kernel)
        return moved
