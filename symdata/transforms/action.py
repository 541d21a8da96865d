"""The action of O(2) on batches of images: `act` with given elements, `RandomSymmetry` with drawn ones.

Convention:
    Images are (B, C, H, W). An element mirrors left-right first, then rotates by degrees counter-clockwise as displayed
    about ((W - 1)/2, (H - 1)/2).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch
from kornia.augmentation import GeometricAugmentationBase2D
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Elements
from symdata.symmetry import Symmetry
from symdata.transforms.lattice import permute, refuse_turn
from symdata.transforms.warp import Resampling, apply_mask, turn_and_mirror, warp

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def act(
    images: Tensor,
    elements: Element | Elements | Sequence[Element],
    *,
    resample: str = "auto",
    mask: str = "auto",
    padding: str = "border",
    supersample: int = 1,
) -> Tensor:
    """Images moved by given elements of O(2), one for each or one for all.

    If every element is a symmetry of the pixel lattice (multiples of 90 degrees, mirrors), pixels are permuted, bit for
    bit. Otherwise all images, the identity included, go through the same resampling and the same mask, so that neither
    sharpness nor dark corners tell which element acted.

    Args:
        images: (B, C, H, W), uint8 or floating point, on any device; any dtype if the action is exact.
        elements: one `Element`, a sequence of B, or `Elements` of length B.
        resample: `auto`, `exact` (refuses elements off the lattice), `spline`, `bilinear`, `bicubic` or `nearest`.
        mask: `auto` (disk if resampled), `disk` or `none`.
        padding: `border`, `zeros` or `reflection`: what is read from outside the image.
        supersample: samples per output pixel and axis; 3 with `bilinear` is the RotMNIST way.

    Returns:
        (B, C, H, W) of the same dtype and device; uint8 results are rounded, never truncated.

    Example:
        >>> import torch
        >>> from symdata import Element, act
        >>> x = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
        >>> act(x, Element(90)).tolist() == torch.rot90(x, 1, (-2, -1)).tolist()
        True
    """
    if not isinstance(images, Tensor):
        raise ShapeError(f"images are a {type(images).__name__}, expected a tensor; use torch.as_tensor(images)")
    if images.ndim != 4:
        raise ShapeError(f"images have shape {tuple(images.shape)}, expected (B, C, H, W); add axes with images[None]")
    batch = Elements.of(elements, len(images))
    if len(batch) != len(images):
        raise ShapeError(f"{len(batch)} elements for {len(images)} images; pass one Element, or one for each image")
    index = batch.lattice_index()  # where the elements are, so that an accelerator is not waited for
    on_lattice = resample in ("auto", "exact") and bool((index >= 0).all())
    if resample == "exact" and not on_lattice:
        stranger = next(element for element, k in zip(batch, index, strict=True) if k < 0)
        raise SymmetryError(f"element {stranger} is off the pixel lattice; use resample='spline' instead of 'exact'")
    how = Resampling.choose(on_lattice, resample, mask, padding, supersample)
    return move(images, batch.to(images.device), torch.as_tensor(index), how)


def move(images: Tensor, elements: Elements, index: Tensor | None, how: Resampling) -> Tensor:
    """`act` with everything decided: `how` settles the path, `index` are the d4 indices if the path is exact."""
    if how.is_exact:
        return apply_mask(permute(images, elements.lattice_index() if index is None else index), how.mask)
    if images.dtype != torch.uint8 and images.dtype not in _FLOATS:
        raise ShapeError(f"images are {images.dtype}, and resampling needs uint8 or floating point; convert them first")
    return warp(images, elements, how)


class RandomSymmetry(GeometricAugmentationBase2D):
    """Random elements of a symmetry acting on images, as a Kornia augmentation.

    Works alone and inside `kornia.augmentation.AugmentationSequential` on images, masks (nearest), boxes and keypoints;
    `inverse` undoes the last call, exactly on the lattice. Every sample is transformed: there is no `p`, for the
    identity is an element, and `d4-partial@0.3` says how often.

    Randomness: one 64-bit key per sample decides its element. By default the keys come from torch's global generator;
    pass `keys=` (for example `split_keys(seed, split, "augment", indices)`) and a sample's element depends on its key
    alone, whatever the batch. Per-class symmetries need `labels=`. Inside a container use `given`:

        with augment.given(labels=labels, keys=keys):
            images, masks = sequential(images, masks)

    Args:
        symmetry: a `Symmetry` or its text, such as `"d4-partial"` or `"0-4:d4,rest:none"`.
        resample, mask, padding, supersample: as for `act`, decided once for the whole symmetry, not per batch.
        same_on_batch: one draw for the whole batch, and with `keys=` one key.
        keepdim: keep (C, H, W) inputs three-dimensional.

    Shape:
        (B, C, H, W) or (C, H, W) floating point in, (B, C, H, W) out.

    Example:
        >>> import torch
        >>> from symdata import RandomSymmetry
        >>> augment = RandomSymmetry("d4")
        >>> x = torch.rand(8, 1, 28, 28)
        >>> augment.inverse(augment(x)).equal(x)
        True
    """

    def __init__(
        self,
        symmetry: Symmetry | str,
        *,
        resample: str = "auto",
        mask: str = "auto",
        padding: str = "border",
        supersample: int = 1,
        same_on_batch: bool = False,
        keepdim: bool = False,
    ) -> None:
        super().__init__(p=1.0, p_batch=1.0, same_on_batch=same_on_batch, keepdim=keepdim)
        self.symmetry = Symmetry.parse(symmetry)
        self.how = Resampling.choose(self.symmetry.is_lattice, resample, mask, padding, supersample)
        if self.how.is_exact and not self.symmetry.is_lattice:
            raise SymmetryError(f"{str(self.symmetry)!r} leaves the pixel lattice; use resample='spline', not 'exact'")
        # What exact symmetry does to images that are not square is settled here, not by what a batch happens to draw.
        self._turns = self.how.is_exact and any(
            e.angle % 180.0 for m in self.symmetry.measures for e, p in m.atoms if p > 0.0
        )
        # Kornia sets "resample" to nearest for masks if, and only if, the flag is there.
        self.flags = {"resample": self.how.kernel}
        self._labels: Tensor | None = None
        self._keys: Tensor | None = None

    def extra_repr(self) -> str:
        return f"symmetry={str(self.symmetry)!r}"

    def __repr__(self) -> str:
        return f"RandomSymmetry({str(self.symmetry)!r}, {self.how})"

    @contextmanager
    def given(self, *, labels: Any = None, keys: Any = None) -> Iterator["RandomSymmetry"]:
        """Within the block, draw for these labels (B,) and keys (B,) int64, tensors or arrays; what is None stays."""
        before = self._labels, self._keys
        self._labels = self._labels if labels is None else torch.as_tensor(labels)
        self._keys = self._keys if keys is None else torch.as_tensor(keys)
        try:
            yield self
        finally:
            self._labels, self._keys = before

    def forward(
        self,
        input: Tensor,
        params: dict[str, Tensor] | None = None,
        *,
        labels: Any = None,
        keys: Any = None,
        **kwargs: Any,
    ) -> Tensor:
        """Images moved by freshly drawn elements, or by those of `params` (as kept in `_params`)."""
        if labels is None and keys is None:
            return super().forward(input, params, **kwargs)
        with self.given(labels=labels, keys=keys):
            return super().forward(input, params, **kwargs)

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> dict[str, Tensor]:
        count = 1 if self.same_on_batch else batch_shape[0]
        keys, labels = self._keys, self._labels
        if keys is None:
            keys = torch.randint(-(2**63), 2**63 - 1, (count,), dtype=torch.int64, device=self.device)
        if keys.is_floating_point():
            raise ShapeError(f"keys are {keys.dtype}, expected integers; make them with split_keys(...)")
        if len(keys) != count:
            each = "same_on_batch draws once, pass one key" if self.same_on_batch else "pass one key for each"
            raise ShapeError(f"{len(keys)} keys for {batch_shape[0]} images; {each}")
        if labels is not None and len(labels) != batch_shape[0]:
            raise ShapeError(f"{len(labels)} labels for {batch_shape[0]} images; pass one label for each")
        drawn = self.symmetry.sample(None if labels is None else labels.to(keys.device), keys)
        return {"angle": drawn.angle.expand(batch_shape[0]), "flip": drawn.flip.expand(batch_shape[0])}

    def compute_transformation(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any]) -> Tensor:
        """(B, 3, 3): input pixel (x, y, 1) to output pixel, r(a) m^f about the centre."""
        h, w = input.shape[-2:]
        cos, sin, mirror = turn_and_mirror(Elements(params["angle"], params["flip"]).to(input.device))
        cx, cy = (w - 1) / 2, (h - 1) / 2
        # With y down, r(a) takes (x, y) to (c x + s y, -s x + c y); the mirror negates x first.
        a, b, c, d = cos * mirror, sin, -sin * mirror, cos
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rows = [a, b, cx - a * cx - b * cy, c, d, cy - c * cx - d * cy, zero, zero, one]
        # bfloat16 cannot hold the coordinates of pixels beyond 256
        return torch.stack(rows, -1).view(-1, 3, 3).to(torch.promote_types(input.dtype, torch.float32))

    def apply_transform(
        self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None
    ) -> Tensor:
        return self._move(input, Elements(params["angle"], params["flip"]), flags)

    def inverse_inputs(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        # From the drawn elements, not from the inverted float matrix: the inverse of a permutation is exact.
        flags = {**flags, **{k: v for k, v in kwargs.items() if k in flags}}
        return self._move(self.transform_tensor(input), ~Elements(params["angle"], params["flip"]), flags)

    def _move(self, images: Tensor, elements: Elements, flags: dict[str, Any]) -> Tensor:
        if self._turns and images.shape[-2] != images.shape[-1]:
            refuse_turn(images)
        how, kernel = self.how, flags["resample"]
        kernel = kernel.name.lower() if isinstance(kernel, Enum) else str(kernel)
        if not how.is_exact and kernel != how.kernel:
            how = Resampling(kernel, how.mask, how.padding, 1 if kernel == "nearest" else how.supersample)
        return move(images, elements.to(images.device), None, how)
