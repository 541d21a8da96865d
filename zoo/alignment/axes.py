"""Axes of tensors as products of factors, and which of them are the same: what a permutation has to respect.

Every axis of every parameter begins as a factor of its own. An operation ties factors: the inputs of a convolution are
the outputs of the one before it, and both terms of a sum have the same channels. An axis that is made of others, such
as (C, H, W) after a flatten, is a list of factors, slowest first; a factor is split where only a part of it is tied.
"""

from collections.abc import Iterable, Sequence


class UntiedAxesError(Exception):
    """Two axes that are no products of common factors."""


class Axis:
    """A factor of one or several axes.

    Args:
        size: number of entries, 2 or more.
        fixed: whether its entries may not be exchanged: positions, images of a batch, classes.
        home: the parameter whose axis it is.
    """

    def __init__(self, size: int, fixed: bool = False, home: str = "") -> None:
        self.size, self.fixed, self.home = size, fixed, home
        self._same: Axis | None = None
        self._parts: tuple[Axis, ...] = ()

    def factors(self) -> list["Axis"]:
        """The factors that it is made of, by now."""
        root = self
        while root._same is not None:
            root = root._same
        return [factor for part in root._parts for factor in part.factors()] if root._parts else [root]

    def split(self, first: int) -> None:
        """Make it a product of two factors, `first` entries and the rest."""
        self._parts = Axis(first, self.fixed), Axis(self.size // first, self.fixed)

    def join(self, other: "Axis") -> None:
        """Make both one factor."""
        if other is not self:
            other._same, self.fixed = self, self.fixed or other.fixed


Label = Sequence[Axis]
"""The factors of one axis of a tensor, slowest first; an axis of one entry has none."""


def new(size: int, fixed: bool = False, home: str = "") -> list[Axis]:
    """The label of an axis that is tied to nothing yet."""
    return [Axis(size, fixed, home)] if size > 1 else []


def factors(label: Iterable[Axis]) -> list[Axis]:
    """The factors of a label, as far as they are split by now."""
    return [factor for axis in label for factor in axis.factors()]


def tie(one: Label, other: Label) -> None:
    """Make two axes the same; `UntiedAxesError` if their factors do not fit."""
    while True:
        ours, theirs = factors(one), factors(other)
        uneven = next(((a, b) for a, b in zip(ours, theirs, strict=False) if a.size != b.size), None)
        if uneven is None:
            break
        small, large = sorted(uneven, key=lambda axis: axis.size)
        if large.size % small.size:
            raise UntiedAxesError
        large.split(small.size)
    if len(ours) != len(theirs):
        raise UntiedAxesError
    for a, b in zip(ours, theirs, strict=True):
        a.factors()[0].join(b.factors()[0])  # an earlier pair may have joined them to others


def fix(labels: Iterable[Label]) -> None:
    """Entries of these axes may not be exchanged."""
    for label in labels:
        for axis in factors(label):
            axis.fixed = True


def is_fixed(label: Label) -> bool:
    """Whether no factor of an axis may be permuted."""
    return all(axis.fixed for axis in factors(label))


def regroup(labels: Iterable[Label], shape: Sequence[int]) -> list[list[Axis]]:
    """The labels of a tensor whose entries are in the same order in another shape."""
    left, found = factors([axis for label in labels for axis in label]), []
    for size in shape:
        label: list[Axis] = []
        while size > 1:
            if not left:
                raise UntiedAxesError
            axis = left.pop(0)
            if axis.size > size:
                if axis.size % size:
                    raise UntiedAxesError
                axis.split(size)
                first, rest = axis.factors()
                axis, left = first, [rest, *left]
            if size % axis.size:
                raise UntiedAxesError
            label.append(axis)
            size //= axis.size
        found.append(label)
    return found
