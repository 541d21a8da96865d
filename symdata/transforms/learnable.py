"""`LearnableAffine`: random affine maps with learned half-widths, as a Kornia augmentation."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import torch
from kornia.augmentation import GeometricAugmentationBase2D
from torch import Tensor

from symdata.transforms.affine import START, AffineRange, to_pixels


class LearnableAffine(GeometricAugmentationBase2D):
    """Uniform Lie-algebra coefficients along generators of the affine maps, with learned half-widths.

    Works alone and inside `kornia.augmentation.AugmentationSequential` on images, masks (nearest), boxes and keypoints;
    `inverse` moves by the inverses of the last elements. Every sample is moved; like all augmentations of Kornia it is
    random in eval mode too. A network that averages over it, at fixed elements, is
    `zoo.models.averaged.InvarianceAverage`.

    Images carry a gradient back to `range.half_width`; boxes and keypoints do not.

    Args:
        generators: some of rotation, translate_x, translate_y, scale, stretch, diagonal_stretch.
        half_width: at the start: one number for all coefficients, see `AffineRange`, or by name: radians for a
            rotation, pixels for translations, logarithms of a factor for the others. `half_widths()` gives degrees and
            pixels.
        resample, mask, padding: see `symdata.transforms.affine.AffineRange`.
        generator: where the randomness comes from; by default torch's global generator.
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
        keepdim: bool = False,
        size: int | None = None,
    ) -> None:
        super().__init__(p=1.0, p_batch=1.0, same_on_batch=same_on_batch, keepdim=keepdim)
        self.range = AffineRange(generators, half_width, resample=resample, mask=mask, padding=padding, size=size)
        self.generator = generator
        # Kornia sets "resample" to nearest for masks if, and only if, the flag is there.
        self.flags = {"resample": resample}

    def __repr__(self) -> str:
        return f"LearnableAffine({self.range.extra_repr()})"

    def half_widths(self, size: int | None = None) -> dict[str, float]:
        """Half-width by generator: degrees, pixels (of images of `size`), or the logarithm of a factor."""
        return self.range.half_widths(size)

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> dict[str, Tensor]:
        count = 1 if self.same_on_batch else batch_shape[0]
        return {"draws": self.range.draw(count, self.generator).expand(batch_shape[0], -1)}

    def compute_transformation(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any]) -> Tensor:
        """(B, 3, 3): input pixel (x, y, 1) to output pixel; without its history, which no copy could carry."""
        matrices = self.range.matrices(params["draws"]).detach()
        # bfloat16 cannot hold the coordinates of pixels beyond 256
        return to_pixels(matrices.to(torch.promote_types(input.dtype, torch.float32)), *input.shape[-2:])

    def apply_transform(
        self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None
    ) -> Tensor:
        moved: Tensor = self.range(input, params["draws"], resample=_kernel(flags))
        return moved

    def inverse_inputs(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        flags = {**flags, **{k: v for k, v in kwargs.items() if k in flags}}
        images = self.transform_tensor(input)
        moved: Tensor = self.range(images, params["draws"], inverse=True, resample=_kernel(flags))
        return moved


def _kernel(flags: dict[str, Any]) -> str:
    kernel = flags["resample"]
    return kernel.name.lower() if isinstance(kernel, Enum) else str(kernel)
