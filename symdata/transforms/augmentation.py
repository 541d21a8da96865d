"""Random augmentations of images as Kornia modules: their base class, and `RandomSymmetry`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch
from kornia.augmentation import GeometricAugmentationBase2D
from torch import Tensor

from symdata.errors import ArgumentError, ShapeError, SymmetryError, one_of
from symdata.groups import Elements
from symdata.measures import Measure
from symdata.symmetry import Symmetry
from symdata.transforms.action import move
from symdata.transforms.arguments import check_generator, check_names, listed
from symdata.transforms.image_kinds import LAYOUTS, is_float_tensor
from symdata.transforms.lattice import needs_square, not_square
from symdata.transforms.precise_matrix import PreciseMatrices
from symdata.transforms.resampling import Resampling
from symdata.transforms.samples import Sample
from symdata.transforms.warp import forward_matrix

Params = dict[str, Tensor]
"""What Kornia passes from the draw to the action."""


class Augmentation(PreciseMatrices, GeometricAugmentationBase2D):
    """Base of the augmentations: every sample is moved, by an element that a subclass draws.

    Args:
        resample: kernel for images; Kornia replaces it by `nearest` for masks.
        same_on_batch: one draw for the whole batch.
        keepdim: keep (C, H, W) inputs three-dimensional.
        generator: random generator of the draws; None: torch's global one.
    """

    takes: tuple[str, ...] = ("generator",)
    """What a call takes beside images."""
    draws: tuple[str, ...] = ()
    """What is drawn, in `_params`; a call may override it, as with every augmentation of Kornia."""

    def __init__(
        self, resample: str, same_on_batch: bool, keepdim: bool, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(p=1.0, p_batch=1.0, same_on_batch=same_on_batch, keepdim=keepdim)
        # Kornia sets "resample" to nearest for masks if, and only if, the flag exists.
        self.flags = {"resample": resample}
        self.generator = check_generator(generator)

    def forward(
        self, input: Tensor, params: Params | None = None, *, generator: torch.Generator | None = None, **kwargs: Any
    ) -> Tensor:
        """Images moved by newly drawn elements, or by those of `params` (as in `_params`).

        Args:
            input: images.
            params: elements of an earlier call, in place of new ones.
            generator: random generator of this call.
            kwargs: values of `_params` and flags to override, as Kornia takes them.
        """
        self._check_names(kwargs)
        if generator is None:
            return super().forward(input, params, **kwargs)
        before, self.generator = self.generator, check_generator(generator)
        try:
            return super().forward(input, params, **kwargs)
        finally:
            self.generator = before

    def _check_names(self, kwargs: dict[str, Any]) -> None:
        check_names(type(self).__name__, kwargs, self.takes, (*self.draws, *self.flags))

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
    the identity is an element; `d4-partial@0.3` moves 30 % of the samples. `torch.compile` makes one graph of it
    (`fullgraph=True`) from torch 2.13 on.

    Randomness: one 64-bit key per sample decides its element. By default the keys come from torch's global generator;
    with `generator=`, here or in a call, from that one. With `keys=` (for example
    `split_keys(seed, split, "augment", indices)`) the element of a sample depends on its key alone, whatever the batch.
    Per-class symmetries need `labels=`. Inside a container use `given`:

        with augment.given(labels=labels, keys=keys):
            images, masks = sequential(images, masks)

    Boxes of Kornia's keys `bbox` and `bbox_xyxy` end with their last pixel. Half-open boxes (COCO, torchvision), which
    end one after it, would come back one pixel off. Give those to the key `bbox` as
    `kornia.geometry.boxes.Boxes.from_tensor(boxes, mode="xyxy")`, and read the result with `to_tensor("xyxy")`;
    `bbox_xywh` is the same in both conventions. Outside of containers `symdata.transforms.points.act_boxes` moves both.

    Args:
        symmetry: a `Symmetry`, a `Measure`, or a text such as `"d4-partial"` or `"0-4:d4,rest:none"`.
        classes: the names of all classes, in the order of the labels, for a symmetry that names some of them.
        resample, mask, padding, supersample: as for `act`, decided once for the whole symmetry, not per batch.
        same_on_batch: one draw for the whole batch, and with `keys=` one key.
        keepdim: keep (C, H, W) inputs of floating point three-dimensional; with False they become a batch of one.
        generator: random generator of the elements; by default torch's global one, which differs in each worker of a
            `DataLoader` (a generator of yours would be the same in all of them).
        layout: of arrays, and of tensors that are not (C, H, W), see `symdata.transforms.image_kinds`.

    Shape:
        What goes in comes out: tensors (B, C, H, W) or (C, H, W) of floating point or uint8; numpy arrays (H, W, C),
        (C, H, W) and (H, W); images of Pillow; tv_tensors of torchvision; and samples of a dataset that hold them
        (`symdata.transforms.samples`). So it is a transform of any `Dataset`, before `ToTensor` or after.

    Example:
        >>> import torch
        >>> from symdata import RandomSymmetry
        >>> augment = RandomSymmetry("d4")
        >>> x = torch.rand(8, 1, 28, 28)
        >>> augment.inverse(augment(x)).equal(x)
        True
    """

    takes = ("labels", "keys", "generator")
    draws = ("angle", "flip")

    def __init__(
        self,
        symmetry: Symmetry | Measure | str,
        *,
        classes: Sequence[str] | None = None,
        resample: str = "auto",
        mask: str = "auto",
        padding: str = "border",
        supersample: int = 1,
        same_on_batch: bool = False,
        keepdim: bool = True,
        generator: torch.Generator | None = None,
        layout: str = "auto",
    ) -> None:
        symmetry = Symmetry.parse(symmetry)
        if classes is not None:
            symmetry = symmetry.resolve(classes)
        elif symmetry.named:
            mend = "RandomSymmetry(..., classes=dataset.classes)"
            raise SymmetryError(f"{str(symmetry)!r} names classes, whose numbers are not known; use {mend}")
        how = Resampling.choose(symmetry.is_lattice, resample, mask, padding, supersample)
        if how.is_exact and not symmetry.is_lattice:
            raise SymmetryError(f"{str(symmetry)!r} leaves the pixel lattice; use resample='halves', not 'exact'")
        super().__init__(how.kernel, same_on_batch, keepdim, generator)
        self.symmetry, self.how = symmetry, how
        self.layout = one_of("layout", layout, LAYOUTS, SymmetryError)
        # Whether images must be square is decided here, not by the elements that happen to be drawn for a batch.
        self._needs_square = how.is_exact and needs_square(symmetry)
        self._labels: Tensor | None = None
        self._keys: Tensor | None = None

    def __repr__(self) -> str:
        return f"RandomSymmetry({str(self.symmetry)!r}, {self.how})"

    @property
    def elements(self) -> Elements:
        """The elements that moved the images of the last call, for example for `act_boxes`."""
        if not self._params:
            raise SymmetryError("no image has been moved yet; call the augmentation first")
        return Elements(self._params["angle"], self._params["flip"])

    @contextmanager
    def given(
        self, *, labels: Any = None, keys: Any = None, generator: torch.Generator | None = None
    ) -> Iterator["RandomSymmetry"]:
        """Use these labels (B,) and keys (B,) int64, tensors or arrays, or this generator, inside the `with` statement.

        A generator takes the place of keys that were given before, and keys that of a generator.
        """
        if keys is not None and generator is not None:
            raise ArgumentError("keys= decide the elements, and generator= would draw others; pass one of the two")
        before = self._labels, self._keys, self.generator
        self._labels = self._labels if labels is None else listed(labels)
        if keys is not None or generator is not None:
            self._keys, self.generator = None if keys is None else listed(keys), check_generator(generator)
        try:
            yield self
        finally:
            self._labels, self._keys, self.generator = before

    def forward(
        self,
        input: Any,
        *rest: Any,
        params: Params | None = None,
        labels: Any = None,
        keys: Any = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> Any:
        """What came, moved by newly drawn elements, or by those of `params` (as in `_params`).

        Args:
            input: images, or a sample of a dataset.
            rest: `params`, or more parts of the sample.
            params: elements of an earlier call, in place of new ones.
            labels, keys: (B,), see the class; a number for one image.
            generator: random generator of this call, in place of keys.
            kwargs: values of `_params` and flags to override, as Kornia takes them.
        """
        if len(rest) == 1 and isinstance(rest[0], dict) and "batch_prob" in rest[0]:
            params, rest = rest[0], ()
        if labels is None and keys is None and generator is None:
            return self._forward(input, rest, params, kwargs)
        with self.given(labels=labels, keys=keys, generator=generator):
            return self._forward(input, rest, params, kwargs)

    def _forward(self, input: Any, rest: tuple[Any, ...], params: Params | None, kwargs: dict[str, Any]) -> Any:
        if not rest and is_float_tensor(input):
            return super().forward(input, params, **kwargs)
        self._check_names(kwargs)
        sample = self._sample(input, rest)
        params = self.forward_parameters(sample.shape) if params is None else params
        moved = self._moved_sample(sample, params, inverse=False)
        like = torch.empty((), device=params["angle"].device).expand(sample.shape)
        self._commit_state(
            params=params, transform_matrix=self.generate_transformation_matrix(like, params, self.flags)
        )
        return moved

    def inverse(self, input: Any, *rest: Any, params: Params | None = None, **kwargs: Any) -> Any:
        """What came, moved by the inverses of the elements of the last call, or of `params`."""
        if len(rest) == 1 and isinstance(rest[0], dict) and "batch_prob" in rest[0]:
            params, rest = rest[0], ()
        if not rest and is_float_tensor(input):
            return super().inverse(input, params, **kwargs)
        params = self._params if params is None else params
        return self._moved_sample(self._sample(input, rest), params, inverse=True)

    def _sample(self, input: Any, rest: tuple[Any, ...]) -> Sample:
        return Sample((input, *rest) if rest else input, self.layout, averaged=self.how != Resampling("exact", "none"))

    def _moved_sample(self, sample: Sample, params: Params, *, inverse: bool) -> Any:
        def move(images: Tensor, is_mask: bool) -> Tensor:
            return self.moved(images, params, "nearest" if is_mask else self.how.kernel, inverse=inverse)

        elements = Elements(params["angle"], params["flip"])
        return sample.moved(move, ~elements if inverse else elements, self.how.is_exact)

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> Params:
        count = 1 if self.same_on_batch else batch_shape[0]
        keys, labels = self._keys, self._labels
        if keys is None:
            g = self.generator
            place = self.device if g is None else g.device
            keys = torch.randint(-(2**63), 2**63 - 1, (count,), generator=g, dtype=torch.int64, device=place)
            keys = keys.to(self.device)
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
        return torch.stack(rows, -1).view(-1, 3, 3).to(torch.promote_types(input.dtype, torch.float32))

    def moved(self, images: Tensor, params: Params, kernel: str, *, inverse: bool) -> Tensor:
        if self._needs_square and images.shape[-2] != images.shape[-1]:
            raise not_square(images.shape[-2:])
        how, elements = self.how, Elements(params["angle"], params["flip"])
        if not how.is_exact and kernel != how.kernel:
            how = Resampling(kernel, how.mask, how.padding, 1 if kernel == "nearest" else how.supersample)
        return move(images, (~elements if inverse else elements).to(images.device), how)


def _kernel(flags: dict[str, Any]) -> str:
    kernel = flags["resample"]
    return kernel.name.lower() if isinstance(kernel, Enum) else str(kernel)
