"""Checks of what a call of an augmentation is given."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from symdata.errors import ArgumentError, suggest

_PARTS = ("mask", "masks", "boxes", "bboxes", "keypoints")


def check_generator(generator: Any) -> torch.Generator | None:
    """Return a random generator of torch, or None; refuse anything else."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    kind = type(generator).__name__
    raise ArgumentError(f"generator is a {kind}, expected one of torch: torch.Generator().manual_seed(0)")


def check_names(what: str, given: Iterable[str], takes: tuple[str, ...], kornias: tuple[str, ...]) -> None:
    """Refuse keywords that Kornia would ignore.

    Args:
        what: name of the augmentation.
        given: keywords of a call.
        takes: those that it has.
        kornias: further ones, with which Kornia overrides what was drawn, and flags.

    Example:
        >>> check_names("RandomSymmetry", ["lables"], ("labels", "keys"), ("angle",))
        Traceback (most recent call last):
        ...
        symdata.errors.ArgumentError: a call of RandomSymmetry takes no lables=; did you mean labels?
    """
    known = (*takes, *kornias, "save_kwargs", "data_keys")  # containers pass the last
    for name in given:
        if name not in known:
            mend = suggest(name, takes)
            if name in _PARTS:
                mend = f"put it into AugmentationSequential({what}(...), data_keys=['image', 'mask', ...])"
            raise ArgumentError(f"a call of {what} takes no {name}=; {mend}")


def listed(values: Any) -> Tensor:
    """Labels or keys (B,); a single one is a list of one."""
    found = torch.as_tensor(values)
    return found[None] if found.ndim == 0 else found
