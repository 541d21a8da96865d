"""All elements of every image of a batch, exact: what a gradient over the whole group is taken on.

Convention:
    An element mirrors left-right first, then rotates counter-clockwise as displayed, by multiples of 90 degrees.
"""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from symdata.transforms.action import act
from symdata.transforms.lattice import not_square


class Orbits(NamedTuple):
    """A batch of whole orbits, element by element: first every image under the identity."""

    images: Tensor
    """(|G| B, C, H, W); as a group's elements are listed, rows k B to (k + 1) B are under element k."""
    labels: Tensor | None
    """(|G| B,), those of the batch repeated, or None if none came."""
    elements: Tensor
    """(|G| B,) int64: the index of the element in its group."""


class OrbitBatch:
    """Moves every image of a batch by every element of a group: pixels are permuted, bit for bit, on their device.

    Args:
        group: a subgroup of d4, by value or name.
        max_bytes: of the images of an orbit batch. None: the free memory of an accelerator, or all memory of the
            machine for images on the CPU.

    Raises:
        SymmetryError: for a group that moves pixels off their lattice.

    Example:
        >>> orbits = OrbitBatch("c4")
        >>> images, labels, elements = orbits(torch.rand(2, 1, 5, 5), torch.tensor([7, 3]))
        >>> images.shape, labels.tolist(), elements.tolist()
        (torch.Size([8, 1, 5, 5]), [7, 3, 7, 3, 7, 3, 7, 3], [0, 0, 1, 1, 2, 2, 3, 3])
        >>> torch.equal(images[2:4], torch.rot90(images[:2], 1, (-2, -1)))
        True
    """

    def __init__(self, group: Group | str = "c4", max_bytes: int | None = None) -> None:
        self.group = Group.parse(group) if isinstance(group, str) else group
        if not self.group.is_lattice:
            raise SymmetryError(
                f"{self.group} moves pixels off their lattice, so its orbits are not exact; take one of c2, c4, d1, "
                "d2, d4, or draw random elements: symdata.transforms.augmentation.RandomSymmetry"
            )
        self.max_bytes = max_bytes

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Orbits:
        """The orbits of a batch.

        Args:
            images: (B, C, H, W), any dtype and device.
            labels: (B, ...), or None.

        Raises:
            ShapeError: for images that are no batch, that a quarter turn would lay on their side, or whose orbits do
                not fit in memory.
        """
        elements = self.group.elements
        if images.ndim != 4 or (labels is not None and len(labels) != len(images)):
            given = "" if labels is None else f" and {len(labels)} labels"
            raise ShapeError(f"images are {tuple(images.shape)}{given}, expected (B, C, H, W) and a label for each")
        if images.shape[-2] != images.shape[-1] and any(e.angle % 180 for e in elements):
            raise not_square(images.shape[-2:])
        self.check_memory(images.shape, images.element_size(), images.device)
        try:
            moved = torch.cat([act(images, element, resample="exact") for element in elements])
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise self._too_large(len(images), images.nbytes, str(error).splitlines()[0]) from None
        index = torch.arange(len(elements), device=images.device).repeat_interleave(len(images))
        return Orbits(moved, None if labels is None else labels.repeat(len(elements), *[1] * (labels.ndim - 1)), index)

    def check_memory(self, shape: Sequence[int], itemsize: int, device: torch.device) -> None:
        """Raise `ShapeError` if the orbits of a batch do not fit, before there is such a batch.

        Args:
            shape: (B, C, H, W).
            itemsize: bytes of a number.
            device: of the images.
        """
        most = memory(device) if self.max_bytes is None else self.max_bytes
        one = math.prod(shape) * itemsize
        if most is not None and len(self.group.elements) * one > most:
            raise self._too_large(shape[0], one, f"{most:,} are there")

    def _too_large(self, count: int, one: int, why: str) -> ShapeError:
        """For `count` images that take `one` bytes in all, as they are."""
        size = len(self.group.elements)
        return ShapeError(
            f"the orbits of {count} images under {self.group} take {size * one:,} bytes, and {why}; use smaller "
            f"batches, for example of {max(1, count // size)} images"
        )


def memory(device: torch.device) -> int | None:
    """Bytes that images may take: what is free on a CUDA device, all of the machine's for the CPU; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if device.type == "cpu" else None
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None
