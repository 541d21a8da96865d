"""Random augmentations of images as Kornia modules: their base class, and `RandomSymmetry`."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch
from kornia.augmentation import GeometricAugmentationBase2D
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Elements
from symdata.symmetry import Symmetry
from symdata.transforms.action import move
from symdata.transforms.lattice import not_square
from symdata.transforms.resampling import Resampling
from symdata.transforms.warp import forward_matrix

Params = dict[str, Tensor]
"""What Kornia passes from the draw to the action."""


class Augmentation(GeometricAugmentationBase2D):
    """Base of the augmentations: every sample is moved, by an element that a subclass draws.

    Args:
        resample: kernel for images; Kornia replaces it by `nearest` for masks.
        same_on_batch: one draw for the whole batch.
        keepdim: keep (C, H, W) inputs three-dimensional.
    """

    def __init__(self, resample: str, same_on_batch: bool, keepdim: bool) -> None:
        super().__init__(p=1.0, p_batch=1.0, same_on_batch=same_on_batch, keepdim=keepdim)
        # Kornia sets "resample" to nearest for masks if, and only if, the flag exists.
        self.flags = {"resample": resample}

    def moved(self, images: Tensor, params: Params, kernel: str, *, inverse: bool) -> Tensor:
        """Images (B, C, H, W) moved by the elements in `params`, or by their inverses."""
        raise NotImplementedError

    def apply_transform(
        self, input: Tensor, params: Params, flags: dict[str, Any], transform: Tensor | None = None
    ) -> Tensor:
        return self.moved(input, params, _kernel(flags), inverse=False)

    def inverse_inputs(
        self, input: Tensor, params: Params, flags: dict[str, Any], transform: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        # From the drawn elements, not from the inverted float matrix: the inverse of a permutation is exact.
        flags = {**flags, **{k: v for k, v in kwargs.items() if k in flags}}
        return self.moved(self.transform_tensor(input), params, _kernel(flags), inverse=True)


class RandomSymmetry(Augmentation):
    """Random elements of a symmetry acting on images, as a Kornia augmentation.

    Works alone and inside `kornia.augmentation.AugmentationSequential` on images, masks (nearest), boxes and keypoints;
    `inverse` undoes the last call, exactly on the lattice. Every sample is moved: there is no probability `p`, because
    the identity is an element; `d4-partial@0.3` moves 30 % of the samples.

    Randomness: one 64-bit key per sample decides its element. By default the keys come from torch's global generator;
    with `keys=` (for example `split_keys(seed, split, "augment", indices)`) the element of a sample depends on its key
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
        symmetry = Symmetry.parse(symmetry)
        how = Resampling.choose(symmetry.is_lattice, resample, mask, padding, supersample)
        if how.is_exact and not symmetry.is_lattice:
            raise SymmetryError(f"{str(symmetry)!r} leaves the pixel lattice; use resample='halves', not 'exact'")
        super().__init__(how.kernel, same_on_batch, keepdim)
        self.symmetry, self.how = symmetry, how
        # Whether images must be square is decided here, not by the elements that happen to be drawn for a batch.
        self._needs_square = how.is_exact and any(e.angle % 180.0 for m in symmetry.measures for e, _ in m.atoms)
        self._labels: Tensor | None = None
        self._keys: Tensor | None = None

    def __repr__(self) -> str:
        return f"RandomSymmetry({str(self.symmetry)!r}, {self.how})"

    @contextmanager
    def given(self, *, labels: Any = None, keys: Any = None) -> Iterator["RandomSymmetry"]:
        """Use these labels (B,) and keys (B,) int64, tensors or arrays, inside the `with` statement."""
        before = self._labels, self._keys
        self._labels = self._labels if labels is None else torch.as_tensor(labels)
        self._keys = self._keys if keys is None else torch.as_tensor(keys)
        try:
            yield self
        finally:
            self._labels, self._keys = before

    def forward(
        self, input: Tensor, params: Params | None = None, *, labels: Any = None, keys: Any = None, **kwargs: Any
    ) -> Tensor:
        """Images moved by newly drawn elements, or by those of `params` (as in `_params`)."""
        if labels is None and keys is None:
            return super().forward(input, params, **kwargs)
        with self.given(labels=labels, keys=keys):
            return super().forward(input, params, **kwargs)

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> Params:
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

    def compute_transformation(self, input: Tensor, params: Params, flags: dict[str, Any]) -> Tensor:
        """(B, 3, 3): input pixel (x, y, 1) to output pixel, r(a) m^f about the centre."""
        h, w = input.shape[-2:]
        matrix = forward_matrix(Elements(params["angle"], params["flip"]).to(input.device))
        cx, cy = (w - 1) / 2, (h - 1) / 2
        a, b, c, d = matrix.flatten(1).unbind(1)
        zero, one = torch.zeros_like(a), torch.ones_like(a)
        rows = [a, b, cx - a * cx - b * cy, c, d, cy - c * cx - d * cy, zero, zero, one]
        # bfloat16 cannot represent the coordinates of pixels beyond 256.
        return torch.stack(rows, -1).view(-1, 3, 3).to(torch.promote_types(input.dtype, torch.float32))

    def moved(self, images: Tensor, params: Params, kernel: str, *, inverse: bool) -> Tensor:
        if self._needs_square and images.shape[-2] != images.shape[-1]:
            raise not_square(images)
        how, elements = self.how, Elements(params["angle"], params["flip"])
        if not how.is_exact and kernel != how.kernel:
            how = Resampling(kernel, how.mask, how.padding, 1 if kernel == "nearest" else how.supersample)
        return move(images, (~elements if inverse else elements).to(images.device), how)


def _kernel(flags: dict[str, Any]) -> str:
    kernel = flags["resample"]
    return kernel.name.lower() if isinstance(kernel, Enum) else str(kernel)
