"""Feature maps of the regular representation: their layout in memory, and how a group acts on them.

Layout:
    A feature map of C fields is (B, |G| C, H, W), group-major: channel g C + c is field c at group element g. It is an
    ordinary image batch, so convolutions, pools and `channels_last` take it as it is; `fields` views it as
    (B, |G|, C, H, W) without a copy in either memory format. (escnn is field-major: its channel is c |G| + g.)

Convention:
    Elements are those of `symdata.Group`, in index order: rotations counter-clockwise as displayed, then the same after
    a left-right mirror. Element e moves the pixels and permutes the group axis from the left,

        (e f)[g](p) = f[e^-1 g](e^-1 p),

    so a turn by 90 degrees is `torch.rot90` and a roll of the group axis by +1, in c4 and in each half of d4, and the
    mirror gathers g <- [4, 7, 6, 5, 0, 3, 2, 1]. GrouPy's p4m lists its mirrored half as r(-90 k) after an up-down
    mirror; its index 4 + k is our 4 + (2 - k) mod 4, which turns our mirror into its g <- [6, 7, 4, 5, 2, 3, 0, 1].
"""

from functools import lru_cache
from typing import cast

import torch
from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Group

LATTICE = ("c1", "c2", "c4", "d1", "d2", "d4")
"""The groups whose elements are symmetries of the square pixel lattice."""

SAMPLES = 16
"""Rotations by which so2 and o2 are sampled; a multiple of 4, so that quarter turns permute the samples."""


def lattice_group(group: Group | str) -> Group:
    """The group itself, or the one of that name; `SymmetryError` unless every element permutes pixels."""
    parsed = Group.parse(group) if isinstance(group, str) else group
    if not parsed.is_lattice:
        raise SymmetryError(f"{parsed} moves pixels off their lattice; exact layers need one of {', '.join(LATTICE)}")
    return parsed


def order(group: Group) -> int:
    """|G| of a finite group, as an integer."""
    return cast(int, group.order)


def sampled(group: Group) -> Group:
    """A finite group itself; for so2 and o2 a finite subgroup with `SAMPLES` rotations."""
    return group if group.is_finite else Group(SAMPLES, group.flips)


def fields(features: Tensor, group: Group | str) -> Tensor:
    """(B, |G| C, ...) viewed as (B, |G|, C, ...).

    Example:
        >>> fields(torch.zeros(2, 4 * 3, 5, 5), "c4").shape
        torch.Size([2, 4, 3, 5, 5])
    """
    size = order(lattice_group(group))
    if features.ndim < 2 or features.shape[1] % size:
        raise ShapeError(f"features {tuple(features.shape)} have no axis of {group} at 1; expected (B, {size} C, H, W)")
    b, channels, *space = features.shape
    return features.view(b, size, channels // size, *space)  # (B, |G|, C, ...)


def flat(features: Tensor) -> Tensor:
    """(B, |G|, C, ...) viewed as (B, |G| C, ...), the inverse of `fields`.

    Example:
        >>> x = torch.randn(2, 12, 5, 5)
        >>> torch.equal(flat(fields(x, "d2")), x)
        True
    """
    return features.flatten(1, 2)


def move(images: Tensor, element: Element) -> Tensor:
    """The pixels of (..., H, W) moved by one element of d4: mirrored left-right first if it flips, then turned."""
    quarters = _quarters(element.angle)
    mirrored = images.flip(-1) if element.flip else images
    return torch.rot90(mirrored, quarters, (-2, -1)) if quarters else mirrored


@lru_cache(maxsize=64)
def _quarters(angle_deg: float) -> int:
    """Quarter turns in an angle; `SymmetryError` for other angles. Cached: the look-up is slower than a turn."""
    return Group(4).index(Element(angle_deg))


def act_on_features(features: Tensor, element: Element, group: Group | str) -> Tensor:
    """The regular representation: feature maps (B, |G| C, H, W) moved by `element` of `group`.

    (B, |G| C) without space is accepted too: then only the group axis is permuted.

    Example:
        >>> f = torch.arange(4.0).view(1, 4, 1, 1)  # one field over c4, one pixel
        >>> act_on_features(f, Element(90), "c4").flatten().tolist()
        [3.0, 0.0, 1.0, 2.0]
    """
    group = lattice_group(group)
    source = torch.tensor(left_translation(group, group.index(element)), device=features.device)
    permuted = flat(fields(features, group).index_select(1, source))
    return move(permuted, element) if features.ndim > 2 else permuted


@lru_cache(maxsize=16)
def products(group: Group) -> tuple[tuple[int, ...], ...]:
    """The multiplication table: row e, entry h is the index of e h."""
    return tuple(tuple(group.product(e, h) for h in range(order(group))) for e in range(order(group)))


@lru_cache(maxsize=16)
def inverses(group: Group) -> tuple[int, ...]:
    """Entry e is the index of its inverse."""
    return tuple(group.inverse(e) for e in range(order(group)))


def left_translation(group: Group, e: int) -> tuple[int, ...]:
    """For every g the index of e^-1 g: where output g comes from when element e acts from the left."""
    return products(group)[inverses(group)[e]]
