"""The effects that an operation may have on the sampling grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Pair = tuple[int, int]
"""Numbers of (height, width)."""
Sides = tuple[Pair, Pair]
"""Pixels at the (start, end) of height and of width."""


@dataclass(frozen=True)
class GridCall:
    """One call of an operation."""

    name: str
    """Of the operation, without overload."""
    source: Tensor
    """Its input."""
    args: Sequence[Any]
    """Its arguments after the input."""
    out: Tensor
    """Its result."""
    axes: Pair | None
    """The spatial axes of the input, counted from the end; None where they are not known."""

    @property
    def size(self) -> Pair:
        """Pixels of the input."""
        h, w = self.axes or (-2, -1)
        return self.source.shape[h], self.source.shape[w]

    @property
    def last(self) -> Pair:
        """Sizes of the last two axes of the result."""
        return self.out.shape[-2], self.out.shape[-1]


@dataclass(frozen=True)
class Step:
    """The effect of an operation that places windows on the grid."""

    kind: str
    size: Pair
    """Pixels of its input."""
    kernel: Pair = (1, 1)
    """Extent of the window, dilation counted."""
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    residue: tuple[float, float] = (0.0, 0.0)
    """Pixels left over at the end of each axis."""
    factor: tuple[float, float] = (1.0, 1.0)
    """Pixels of its input per pixel of its output."""
    isotropic: bool = True
    """Whether both axes are treated alike."""
    note: str = ""
    loses_axes: bool = False
    """Whether its result has no spatial axes."""
    one_axis: bool = False
    """Whether it takes one axis and leaves the other to a second step, as slices do."""
    start: int = 0
    """For a slice: its first pixel."""

    @property
    def is_listed(self) -> bool:
        """Whether an audit lists it even if it is exact."""
        reduces = self.kind.startswith(("global", "adaptive"))
        return not self.isotropic or self.factor != (1.0, 1.0) or reduces


@dataclass(frozen=True)
class Border:
    """The effect of padding or cropping, which the next window may undo."""

    kind: str
    """`padding` or `cropping`."""
    size: Pair
    """Pixels before it."""
    sides: Sides
    """Pixels added; cropping counts negative."""
    name: str = ""
    """Path of the module that did it."""

    @property
    def is_symmetric(self) -> bool:
        """Whether all four sides are alike."""
        return len({pixels for axis in self.sides for pixels in axis}) == 1

    @property
    def note(self) -> str:
        """How many pixels on which side."""
        sign = -1 if self.kind == "cropping" else 1
        (top, bottom), (left, right) = self.sides
        return f"asymmetric: top {sign * top}, bottom {sign * bottom}, left {sign * left}, right {sign * right}"


@dataclass(frozen=True)
class Axes:
    """The effect of permuting the axes: the spatial ones afterwards, counted from the end."""

    axes: Pair


Effect = Step | Border | Axes | None


def last_two(value: Any) -> Pair:
    """The numbers of height and width from an argument of one, two or three numbers."""
    values = [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]
    return values[-2] if len(values) > 1 else values[-1], values[-1]
