"""The annotations of a batch of images, and their motion.

Convention:
    Masks are (B, H, W) uint8, one class a pixel. Boxes and keypoints are in pixels from the top left corner, the centre
    of a pixel being at halves (`symdata.annotations`). Angles are degrees, counter-clockwise as displayed; a mirror
    comes first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from symdata.annotations.objects import Objects
from symdata.groups import Elements
from symdata.transforms.action import move
from symdata.transforms.resampling import Resampling

VOID = 255
"""Value of the pixels of a mask of which nothing is known, by default."""


@dataclass(frozen=True)
class Schema:
    """What is annotated in the images of a source.

    Example:
        >>> Schema(categories=("cat", "dog")).kinds
        ('boxes',)
    """

    masks: bool = False
    """Whether every image has a mask."""
    void: int = VOID
    """Value in masks where the image shows nothing: outside the disk mask, and on borders that padding adds."""
    categories: tuple[str, ...] = ()
    """Names of the categories of objects; empty if no objects are annotated."""
    keypoints: tuple[str, ...] = ()
    """Names of the keypoints of each object."""
    swaps: tuple[tuple[str, str], ...] = ()
    """Pairs of keypoints whose names a mirror exchanges."""

    @property
    def exchange(self) -> tuple[int, ...]:
        """The keypoint that each keypoint becomes in a mirror; empty if none is exchanged."""
        partner = {name: other for pair in self.swaps for name, other in (pair, pair[::-1])}
        return tuple(self.keypoints.index(partner.get(name, name)) for name in self.keypoints) if partner else ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those of `mask`, `boxes` and `keypoints` that there are."""
        found = {"mask": self.masks, "boxes": bool(self.categories), "keypoints": bool(self.keypoints)}
        return tuple(kind for kind, there in found.items() if there)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data for JSON."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        swaps = [list(pair) for pair in self.swaps]  # without any, manifests are as they were
        return {name: value for name, value in fields.items() if name != "swaps"} | ({"swaps": swaps} if swaps else {})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Schema":
        """The schema with these fields, as `to_dict` gives them."""
        categories, keypoints = (tuple(fields[name]) for name in ("categories", "keypoints"))
        swaps = tuple((first, second) for first, second in fields.get("swaps", ()))
        return cls(fields["masks"], fields["void"], categories, keypoints, swaps)


@dataclass(frozen=True, eq=False)
class Annotations:
    """The annotations of a batch of n images of one size.

    Example:
        >>> import torch
        >>> from symdata import Element, Elements
        >>> from symdata.transforms.resampling import Resampling
        >>> masks = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
        >>> upright = Annotations(Schema(masks=True), 1, (2, 2), masks)
        >>> upright.moved(Elements.of(Element(90)), Resampling("exact", "none")).masks.tolist()
        [[[0, 0], [1, 0]]]
    """

    schema: Schema
    count: int
    """n."""
    size: tuple[int, int]
    """(H, W) of the images."""
    masks: Tensor | None = None
    """(n, H, W) uint8, if the schema has masks."""
    objects: Objects | None = None
    """If the schema has categories."""

    @classmethod
    def joined(cls, parts: Sequence["Annotations"]) -> "Annotations":
        """Batches one after another, in one."""
        first, counts = parts[0], [part.count for part in parts]
        masks = None if first.masks is None else torch.cat([part.masks for part in parts if part.masks is not None])
        objects = [part.objects for part in parts if part.objects is not None]
        return cls(first.schema, sum(counts), first.size, masks, Objects.joined(objects, counts) if objects else None)

    def moved(self, elements: Elements, how: Resampling) -> "Annotations":
        """The annotations of the images that `move(images, elements, how)` gives, computed on the CPU.

        Masks are permuted on the lattice; off it each pixel takes the class of the nearest one, and `void` where the
        image shows nothing. For objects see `Objects.moved`.

        Raises:
            ShapeError: for a quarter turn of images that are not square.
        """
        batch = elements.cpu()
        masks = None if self.masks is None else _moved_masks(self.masks, batch.to("cpu"), how, self.schema.void)
        objects = None if self.objects is None else self.objects.moved(batch, self.size, how.mask, self.schema.exchange)
        return Annotations(self.schema, self.count, self.size, masks, objects)


def _moved_masks(masks: Tensor, elements: Elements, how: Resampling, void: int) -> Tensor:
    """Masks moved by the nearest pixel, or exactly.

    Images are black where they show nothing, so `void` is made 0 for the motion. Float64 makes all processors choose
    the same nearest pixel.
    """
    shifted = masks[:, None] - void  # modulo 256
    if how.is_exact:
        return (move(shifted, elements, how) + void)[:, 0]
    nearest = Resampling("nearest", how.mask, how.padding)
    return (move(shifted.double(), elements, nearest).round().to(torch.uint8) + void)[:, 0]
