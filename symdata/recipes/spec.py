"""The description of a dataset: the argument of `make`, stored in the manifest."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symdata.errors import RecipeError, whole
from symdata.symmetry import Symmetry

MAX_SIZE = 4096
MAX_COUNT = 10**9
"""Largest training split; the indices of a larger one would not fit into memory."""


@dataclass(frozen=True)
class Spec:
    """The whole description of a dataset.

    Example:
        >>> from symdata import Spec, make
        >>> made = make(Spec(source="glyphs:OXNZ", symmetry="d4-partial", count=60), "letters")
        >>> made.manifest["splits"]["train"]["symmetry"]
        'd4-partial@0.5'
    """

    source: str | None = None
    """Reference of the source; None: that of the recipe, or `glyphs`."""
    recipe: str | None = None
    symmetry: str | None = None
    """Of all splits but the test split; None: that of the recipe, or `none`."""
    test_symmetry: str | None = None
    """Of the test split; None: as the others."""
    size: int | None = None
    """Side of the upright images in pixels; None: as in the source."""
    resize: str = "bilinear"
    """How images are brought to `size`; one of `symdata.sources.RESIZES`."""
    count: int | None = None
    """Samples in the training split; the others keep their proportion."""
    seed: int = 0
    validation: float | None = None
    """Share of training images held out if the source has no validation split; None: that of the recipe, or 0."""
    resample: str = "auto"
    """This and the next three are as for `act`, decided once for all splits."""
    mask: str = "auto"
    padding: str = "border"
    supersample: int = 1

    def __post_init__(self) -> None:
        for name in ("symmetry", "test_symmetry"):  # only canonical text is stored
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, str(Symmetry.parse(text)))
        if self.count is not None:
            whole("count", self.count, 1, MAX_COUNT, RecipeError, "; leave it out for all images")
        if self.size is not None:
            whole("size", self.size, 2, MAX_SIZE, RecipeError, " pixels; leave it out to keep the source's")
        if self.validation is not None and not 0.0 <= self.validation < 1.0:
            raise RecipeError(f"validation share {self.validation:g} is outside [0, 1); 0.1 holds out a tenth")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Spec":
        """The spec with these fields, as `to_dict` gives them."""
        return cls(**fields)
