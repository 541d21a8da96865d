"""From batches of images to their views, and to the group that can move them."""

from collections.abc import Iterable

from torch import Tensor

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from symdata.inspection.asymmetry.views import Views, fields, join

NAMES = ("d4", "c4", "d2", "c2", "d1")
"""Groups that can be audited, the largest first."""
SMALLEST = 8
"""Shortest side, in pixels."""


def read(batches: Iterable[Tensor], text: str | None) -> tuple[Views, Group]:
    """The views of all images, and the group that moves them."""
    parts: list[Views] = []
    for images in batches:
        group = _group(images.shape[-2], images.shape[-1], text)
        parts.append(fields(images))
    return join(parts), group


def _group(h: int, w: int, text: str | None) -> Group:
    if min(h, w) < SMALLEST:
        raise ShapeError(f"images are {h}x{w}, and an audit needs sides of {SMALLEST} or more; use larger images")
    if text is None:
        return Group.parse("d4" if h == w else "d2")
    group = Group.parse(text)
    if not group.is_lattice or group.order == 1:
        raise SymmetryError(
            f"{text!r} is no group that moves pixels without interpolating; use one of {', '.join(NAMES)}, as in d4"
        )
    if h != w and group.rotations == 4:
        mend = "d2" if group.flips else "c2"
        raise ShapeError(f"images are {h}x{w}, and a quarter turn needs square ones; use --group {mend}")
    return group
