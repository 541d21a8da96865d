"""The errors of symdata, with one base class to catch them all, and the checks of arguments that several rooms use.

A message quotes the value, says what was expected, and says what to do.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from numbers import Integral
from reprlib import repr as short
from typing import Any


class SymdataError(Exception):
    """Base of all errors that symdata raises for bad input.

    Example:
        >>> from symdata import Symmetry, SymdataError
        >>> try:
        ...     Symmetry.parse("d4-partial@1.5")
        ... except SymdataError as error:
        ...     print(str(error).split(";")[0])
        symmetry 'd4-partial@1.5', character 1: weight 1.5 is outside [0, 1]
    """


class SymmetryError(SymdataError, ValueError):
    """A group, element or symmetry that does not exist or cannot be used here."""


class ShapeError(SymdataError, ValueError):
    """A tensor whose shape, dtype or size does not fit the operation.

    Example:
        >>> import torch, symdata
        >>> symdata.act(torch.zeros(1, 1, 20, 28), symdata.Element(90))
        Traceback (most recent call last):
        ...
        symdata.errors.ShapeError: images are 20x28, and a quarter turn needs square ones; resize or pad them first
    """


class SourceError(SymdataError):
    """A source of images that is missing, empty, corrupt or unlabelled."""


class RecipeError(SymdataError, ValueError):
    """A recipe or build option that does not exist or contradicts another."""


class StoreError(SymdataError):
    """A dataset folder that is missing, incomplete or changed, or that would be overwritten."""


class HubError(SymdataError):
    """The Hub, the network or the name of a repository prevented publishing or fetching."""


class NotOnHubError(HubError):
    """The repository does not exist, or the token may not read it."""


def whole(name: str, value: Any, low: int, high: int, kind: type[SymdataError] = ShapeError, mend: str = "") -> int:
    """Return `value` if it is a whole number from `low` to `high`; True and False are not.

    Args:
        name: name of the value, as the caller writes it.
        value: any object.
        low, high: smallest and largest number, both allowed.
        kind: class of the error.
        mend: end of the message, which says what to do; by default an example.

    Raises:
        SymdataError: of class `kind`, for any other value.

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


def first_line(error: BaseException) -> str:
    """The first line of a message that is not blank, or the name of the error's class if there is none.

    Example:
        >>> first_line(OSError("disk full\\n(errno 28)")), first_line(ValueError())
        ('disk full', 'ValueError')
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def one_of(name: str, value: Any, allowed: Iterable[str], kind: type[SymdataError]) -> str:
    """Return `value` if it is one of the `allowed` words.

    Raises:
        SymdataError: of class `kind`, for any other value.

    Example:
        >>> one_of("mask", "square", ("disk", "none"), SymmetryError)
        Traceback (most recent call last):
        ...
        symdata.errors.SymmetryError: mask is 'square', expected one of disk, none
    """
    words = tuple(allowed)
    if value in words:
        return str(value)
    raise kind(f"{name} is {short(value)}, expected one of {', '.join(words)}")


def suggest(word: Any, known: Collection[str], cutoff: float = 0.5) -> str:
    """The end of a message about a name that does not exist: the nearest one, or all of them.

    Example:
        >>> suggest("epoch", ("epochs", "lr")), suggest("width", ("epochs", "lr"))
        ('did you mean epochs?', 'there are epochs, lr')
    """
    near = get_close_matches(str(word), known, 1, cutoff)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def one_line(text: str) -> str:
    """A text for a picture or a table: line breaks and other characters that cannot be printed are escaped.

    Example:
        >>> print(one_line("two\\nlines"))
        two\\nlines
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_whole(value: Any, low: float, high: float) -> bool:
    """Whether `value` is an integer of Python or numpy from `low` to `high`, and not a bool."""
    return not isinstance(value, bool) and isinstance(value, Integral) and low <= int(value) <= high
