"""Pretext tasks: what is done to an image, and the label that says it. The labels move with the image.

A task makes x~ = tau_y(x) from an image x and a label y, and a network has to find y. Where an element g of the group
moves x~, it also moves the label, and this action is what an equivariant head is built from (Mukuta & Harada 2023):

    y(g x~) = g y(x~),      g tau_y(x) = tau_gy(g x)

The action is never written down: g moves a small image whose pixels are the numbers of the slots, and the label that
gives the moved image is looked up (`label_action`). The two identities then hold exactly, by construction.

Convention:
    Slots are counted row by row from the top left. Elements are those of `symdata.Group`: mirrored left-right first,
    then turned counter-clockwise.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Group
from zoo.layers.regular import lattice_group, move

T = TypeVar("T", bound="type[PretextTask]")

TASKS: dict[str, "type[PretextTask]"] = {}
"""Name -> task, as `task` fills it."""


def task(kind: T) -> T:
    """Add a task to `TASKS`, under its name.

    Example:
        >>> TASKS["jigsaw"] is Jigsaw
        True
    """
    TASKS[kind.name] = kind
    return kind


@dataclass(frozen=True)
class PretextTask:
    """Images and labels to images of which the labels can be found.

    Args:
        group: of the network, by value or name: one of c1, c2, c4, d1, d2, d4.

    Raises:
        SymmetryError: for a group whose elements do not permute pixels.
    """

    group: Group | str

    name: ClassVar[str]
    pieces: ClassVar[int] = 1
    """Images that are made of one image, for the network to look at beside each other."""
    grid: ClassVar[int] = 2
    """Slots of an image on each axis."""
    source_moves: ClassVar[bool] = True
    """Whether g tau_y(x) is tau_gy(g x); else it is tau_gy(x), since x is known to be upright."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", lattice_group(self.group))

    @property
    def classes(self) -> tuple[str, ...]:
        """A name for every label."""
        raise NotImplementedError

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """tau_y(x) of images (B, C, S, S) and labels (B,): (B, C, S, S), or (B pieces, C, S, S), piece after piece.

        Raises:
            ShapeError: for images that are not square, or too small for the grid.
        """
        size = images.shape[-1]
        if images.ndim != 4 or images.shape[-2] != size or size < self.grid:
            raise ShapeError(
                f"images are {tuple(images.shape)}, expected (B, C, S, S) with S from {self.grid} on; make them square"
            )
        return self._made(images, labels)

    def _made(self, images: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError


def slot_corners(size: int, grid: int) -> tuple[int, list[tuple[int, int]]]:
    """Side of a slot in pixels, and (top, left) of each; d4 permutes them exactly at any size.

    Where the side of the image does not divide evenly, the slots leave lines of pixels between them.

    Example:
        >>> slot_corners(28, 3)
        (8, [(0, 0), (0, 10), (0, 20), (10, 0), (10, 10), (10, 20), (20, 0), (20, 10), (20, 20)])
    """
    side = size // grid
    while (size - side) % (grid - 1):
        side -= 1
    starts = [k * (size - side) // (grid - 1) for k in range(grid)]
    return side, [(top, left) for top in starts for left in starts]


@task
@dataclass(frozen=True)
class ErasedQuadrant(PretextTask):
    """Which quadrant was erased: 4 labels, and 0 after normalisation (mid-grey) in that quadrant.

    Example:
        >>> ErasedQuadrant("c4")(torch.ones(1, 1, 4, 4), torch.tensor([1]))[0, 0, 0].tolist()
        [1.0, 1.0, 0.0, 0.0]
    """

    name: ClassVar[str] = "erased-quadrant"

    @property
    def classes(self) -> tuple[str, ...]:
        return "top left", "top right", "bottom left", "bottom right"

    def _made(self, images: Tensor, labels: Tensor) -> Tensor:
        made, (side, corners) = images.clone(), slot_corners(images.shape[-1], self.grid)
        for y, (top, left) in enumerate(corners):
            made[labels == y, :, top : top + side, left : left + side] = 0
        return made


@task
@dataclass(frozen=True)
class RelativePatch(PretextTask):
    """Which of its 8 neighbours a patch is: the patch in the middle of a 3x3 grid, and one of those around it.

    Both stand in the middle of an image of their own, on mid-grey, so that only what they show says how they lie
    (after Doersch, Gupta & Efros 2015).

    Example:
        >>> RelativePatch("c4")(torch.arange(9.0).view(1, 1, 3, 3), torch.tensor([0]))[:, 0, 1, 1].tolist()
        [4.0, 0.0]
    """

    name: ClassVar[str] = "relative-patch"
    pieces: ClassVar[int] = 2
    grid: ClassVar[int] = 3

    @property
    def classes(self) -> tuple[str, ...]:
        return "top left", "top", "top right", "left", "right", "bottom left", "bottom", "bottom right"

    def _made(self, images: Tensor, labels: Tensor) -> Tensor:
        side, corners = slot_corners(images.shape[-1], self.grid)
        middle = corners.pop(4)  # the other 8 are the labels
        made = images.new_zeros(len(images), 2, *images.shape[1:])
        inside = (..., slice(middle[0], middle[0] + side), slice(middle[1], middle[1] + side))
        made[:, 0][inside] = images[inside]
        for y, (top, left) in enumerate(corners):
            here = (labels == y).nonzero().flatten()
            piece = images.new_zeros(len(here), *images.shape[1:])
            piece[inside] = images[here, :, top : top + side, left : left + side]
            made[here, 1] = piece
        return made.flatten(0, 1)  # (B 2, C, S, S)


@task
@dataclass(frozen=True)
class Jigsaw(PretextTask):
    """In which of the 24 orders the four quadrants lie; label y is a permutation, and slot i shows quadrant y[i].

    The group acts by y -> p y p^-1, where p is its permutation of the slots, so that labels fall into several orbits:
    10 under c4 (after Noroozi & Favaro 2016).

    Example:
        >>> Jigsaw("c4").classes[:2], len(label_orbits(Jigsaw("c4")))
        (('0123', '0132'), 10)
    """

    name: ClassVar[str] = "jigsaw"

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """The permutation that each label stands for."""
        return tuple(permutations(range(self.grid**2)))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple("".join(map(str, order)) for order in self.orders)

    def _made(self, images: Tensor, labels: Tensor) -> Tensor:
        made, (side, corners) = images.clone(), slot_corners(images.shape[-1], self.grid)
        quadrants = torch.stack([images[..., t : t + side, k : k + side] for t, k in corners], 1)  # (B, 4, C, s, s)
        orders = torch.tensor(self.orders, device=images.device)[labels]  # (B, 4)
        rows = torch.arange(len(images), device=images.device)
        for slot, (top, left) in enumerate(corners):
            made[..., top : top + side, left : left + side] = quadrants[rows, orders[:, slot]]
        return made


@task
@dataclass(frozen=True)
class RotationPrediction(PretextTask):
    """Which element of the group has moved an upright image; under c4 the rotations of Gidaris et al. 2018.

    The images have to be upright: an element that moves the moved image multiplies its label. Every label is as likely
    as any other to an invariant head, whatever it learns.

    Example:
        >>> RotationPrediction("c4").classes
        ('e', 'r90', 'r180', 'r270')
    """

    name: ClassVar[str] = "rotation"
    source_moves: ClassVar[bool] = False

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, self._elements))

    @property
    def _elements(self) -> tuple[Element, ...]:
        return tuple(lattice_group(self.group).elements)

    def _made(self, images: Tensor, labels: Tensor) -> Tensor:
        made = images.clone()
        for y, element in enumerate(self._elements):
            made[labels == y] = move(images[labels == y], element)
        return made


def label_action(task: PretextTask) -> Tensor:
    """How the group permutes the labels: entry (g, y) is the label g y; (|G|, labels) int64.

    Found by moving images of slot numbers, see the module.

    Raises:
        SymmetryError: if the labels are not closed under the group.

    Example:
        >>> label_action(ErasedQuadrant("c4"))[1].tolist()  # a quarter turn: top left becomes bottom left
        [2, 0, 3, 1]
    """
    slots = torch.arange(1.0, task.grid**2 + 1).view(1, 1, task.grid, task.grid)
    every = torch.arange(len(task.classes))
    rows = []
    for element in lattice_group(task.group).elements:
        source = move(slots, element) if task.source_moves else slots
        known = task(source.expand(len(every), -1, -1, -1), every).reshape(len(every), -1)
        moved = move(task(slots.expand(len(every), -1, -1, -1), every), element).reshape(len(every), -1)
        same = (moved[:, None] == known[None]).all(-1)  # (y, y'): g tau_y is tau_y'
        if not (same.sum(1) == 1).all():
            raise SymmetryError(f"the labels of {task.name!r} are not closed under {element}; take another group")
        rows.append(same.int().argmax(1))
    return torch.stack(rows)


def act_on_labels(task: PretextTask, element: Element, labels: Tensor) -> Tensor:
    """g y of labels (B,), for an element of the group of the task.

    Example:
        >>> act_on_labels(RotationPrediction("c4"), Element(90), torch.tensor([0, 3])).tolist()
        [1, 0]
    """
    return label_action(task).to(labels.device)[lattice_group(task.group).index(element), labels]


def label_orbits(task: PretextTask) -> tuple[tuple[int, ...], ...]:
    """The orbits of the labels under the group, each in ascending order.

    Example:
        >>> label_orbits(RelativePatch("d4"))  # corners and edges
        ((0, 2, 5, 7), (1, 3, 4, 6))
    """
    table = label_action(task)
    return tuple(sorted({tuple(sorted(set(table[:, y].tolist()))) for y in range(table.shape[1])}))
