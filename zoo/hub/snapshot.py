"""Reading a snapshot of a repository; needs neither the Hub nor its client."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.errors import CodeNeededError, ModelError
from zoo.files import CONFIG

if TYPE_CHECKING:
    from symdata.hub import Address

T = TypeVar("T")


def read_snapshot(folder: Path, address: "Address", read: Callable[[Path], T]) -> T:
    """The result of `read(folder)`; an error names the repository, and how to fetch it anew."""
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"repository {str(address)!r} has no {CONFIG}, so it is not a model of symdata; check its name"
        )
    try:
        return read(folder)
    except CodeNeededError:  # nothing is wrong with the repository
        raise
    except ModelError as error:
        raise ModelError(f"{error} (from the Hub: {str(address)!r}; to fetch it anew: {address.clear})") from None
