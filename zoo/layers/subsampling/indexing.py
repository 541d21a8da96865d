"""Where a feature map is most active: a pixel, and a group element, that move with it exactly.

Feature maps on a torus over a group H, f[h](p) with p in Z_n x Z_n, are moved by circular shifts and by the elements of
H. `group_index` maps them to a pixel, and on request to an element of H, such that the index of the moved map is the
moved index (Xu, Kim, Rainforth & Teh 2021, arXiv 2106.05886, section 3: an equivariant map to the group).

Exactness:
    Scores are sums over channels and windows, and float sums depend on their order, which a turn changes. So values
    are scaled to whole numbers first, by a factor that depends on the image, and everything after that is exact.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from symdata.errors import ShapeError, is_whole
from symdata.groups import Group
from zoo.layers.bank import MOST
from zoo.layers.regular import fields, lattice_group, move, products

BITS = 44
"""Of the largest value as a whole number: far finer than float32."""


class GroupIndex(NamedTuple):
    """An element of the group for every image: a pixel of the torus and an element of the lattice group.

    Example:
        >>> index = group_index(torch.ones(1, 4, 6, 6), "c4", element=True)
        >>> index.position.tolist(), index.element.tolist(), index.tied.tolist()
        ([[0, 0]], [0], [True])
    """

    position: Tensor
    """(B, 2) int64: row and column."""
    element: Tensor
    """(B,) int64: index in the group; 0 where it was not asked for."""
    tied: Tensor
    """(B,) bool: whether several positions have the highest score, as all have in a constant image. The first is taken,
    by row and then by column; where the image's own symmetry exchanges them, the maps that result from either are the
    same up to that symmetry, and all cosets of a constant image give the same map."""


def fixed_point(values: Tensor, terms: int) -> Tensor:
    """Floats (B, ...) as int64: the largest of each image has `BITS` bits, or so few that `terms` of them can be added.

    A function of each value and of the largest magnitude of the image, hence the same whatever the order of pixels.
    """
    room = 62 - int(terms).bit_length()  # a tensor while torch.jit traces
    top = values.abs().flatten(1).amax(1).clamp_min(torch.finfo(values.dtype).tiny)
    scaled = values / top.view(-1, *[1] * (values.ndim - 1))
    return (scaled * 2.0 ** min(BITS, room)).round().to(torch.int64)


def checked_window(smooth: int) -> int:
    """The side of a window that has a centre pixel; `ShapeError` for any other."""
    if not is_whole(smooth, 1, MOST) or smooth % 2 == 0:
        raise ShapeError(f"smooth is {smooth!r}, expected an odd number of pixels, for example 5")
    return smooth


def activity(features: Tensor, group: Group | str, smooth: int = 5) -> Tensor:
    """(B, |G|, H, W) int64: |f - mean| summed over fields, then over a window of smooth x smooth pixels of the torus.

    The mean of a field is over pixels and group. The scale is arbitrary: compare values of one image only.
    """
    checked_window(smooth)
    _, channels, h, w = features.shape
    terms = channels * (h * w + 2 * smooth**2)  # in a mean, and in a score: differences are up to twice as large
    whole = fields(fixed_point(features.detach().to(torch.float64), terms), group)  # (B, |G|, C, H, W)
    mean = whole.sum((1, -2, -1), keepdim=True).div(whole.shape[1] * h * w, rounding_mode="floor")
    score = (whole - mean).abs().sum(2)  # (B, |G|, H, W)
    for axis in (-2, -1):
        reach = smooth // 2
        score = torch.stack([score.roll(d, axis) for d in range(-reach, reach + 1)]).sum(0)
    return score


def group_index(features: Tensor, group: Group | str, smooth: int = 5, element: bool = False) -> GroupIndex:
    """The pixel of highest activity, and on request the element of highest activity there.

    Equivariant under circular shifts and the elements of the group, bit for bit if the features are. The index has no
    gradient.

    Args:
        features: (B, |G| C, H, W), group-major.
        group: one of c1, c2, c4, d1, d2, d4.
        smooth: side of the window over which activity is summed, odd, in pixels.
        element: whether an element of the group is asked for too.

    Raises:
        ShapeError: if the features are no fields over the group, or `smooth` is not odd.

    Example:
        >>> x = torch.zeros(1, 1, 8, 8)
        >>> x[0, 0, 2, 5] = 1.0
        >>> group_index(x, "c1", smooth=1).position.tolist()
        [[2, 5]]
    """
    group = lattice_group(group)
    if features.ndim != 4:
        raise ShapeError(f"features are {tuple(features.shape)}, expected (B, |G| C, H, W)")
    score = activity(features, group, smooth)
    b, width = features.shape[0], features.shape[-1]
    total = score.sum(1).flatten(1)  # (B, H W)
    best = total.argmax(1)
    tied = (total == total.amax(1, keepdim=True)).sum(1) > 1
    chosen = torch.zeros_like(best)
    if element:
        chosen = score.flatten(2)[torch.arange(b, device=best.device), :, best].argmax(1)
    return GroupIndex(torch.stack([best // width, best % width], 1), chosen, tied)


def act_on_index(
    index: GroupIndex, element: Tensor, group: Group | str, size: int, shift: Tensor | int = 0
) -> GroupIndex:
    """The index of a map moved by an element of the group, then by a circular shift: where it takes pixel and element.

    Args:
        index: of the map.
        element: (B,) int64, or one for all: indices in the group. It turns about the centre, as `rot90` does.
        group: one of c1, c2, c4, d1, d2, d4.
        size: n, of the square torus.
        shift: (B, 2) int64, or one for all: rows and columns, as `torch.roll` counts them.
    """
    group = lattice_group(group)
    device = index.position.device
    row, column = index.position.unbind(1)
    pixel = _destinations(group, size).to(device)[element, row * size + column]
    turned = torch.stack([pixel // size, pixel % size], 1)
    product = torch.tensor(products(group), device=device)
    return GroupIndex((turned + shift) % size, product[element, index.element], index.tied)


@lru_cache(maxsize=16)
def _destinations(group: Group, size: int) -> Tensor:
    """(|G|, n n): for every element and pixel the pixel that it is moved to, by row and then by column."""
    pixels = torch.arange(size * size).view(size, size)
    return torch.stack([move(pixels, e).flatten().argsort() for e in group.elements])
