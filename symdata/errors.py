"""Every error symdata raises on purpose: one base class, so that an edge (the CLI, a notebook) can catch them all.

A message quotes what came, says what was expected, and offers the mend.
"""

from reprlib import repr as short
from typing import Any


class SymdataError(Exception):
    """Base of all errors that symdata raises for bad input."""


class SymmetryError(SymdataError, ValueError):
    """A group, element or symmetry that does not exist or cannot be used here."""


class ShapeError(SymdataError, ValueError):
    """A tensor whose shape, dtype or size does not fit the operation."""


class SourceError(SymdataError):
    """A source of images that is missing, empty, corrupt or unlabelled."""


class RecipeError(SymdataError, ValueError):
    """A recipe or build option that does not exist or contradicts another."""


class StoreError(SymdataError):
    """A dataset folder that is missing, incomplete, tampered with, or in the way."""


class HubError(SymdataError):
    """The Hub, the network or the name of a repository stood in the way of publishing or fetching."""


class NotOnHubError(HubError):
    """There is no such repository, or it may not be read."""


def whole(name: str, value: Any, low: int, high: int, kind: type[SymdataError] = ShapeError, mend: str = "") -> int:
    """`value`, if it is a whole number from `low` to `high`; True and False are none.

    Args:
        name: of the value, as the caller writes it.
        value: anything.
        low, high: smallest and largest number, both allowed.
        kind: of the error.
        mend: what to do instead, for the end of the sentence; by default an example.

    Raises:
        SymdataError: of that kind, for anything else.

    Example:
        >>> whole("stride", 2, 1, 8)
        2
        >>> whole("stride", True, 1, 8)
        Traceback (most recent call last):
        ...
        symdata.errors.ShapeError: stride is True, expected a whole number from 1 to 8, for example 1
    """
    if is_whole(value, low, high):
        return int(value)
    raise kind(
        f"{name} is {short(value)}, expected a whole number from {low} to {high}{mend or f', for example {low}'}"
    )


def is_whole(value: Any, low: int, high: int) -> bool:
    """Whether `value` is an int from `low` to `high`, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
