"""The description of a dataset: the argument of `make`, stored in the manifest."""

import dataclasses
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

from symdata.errors import RecipeError
from symdata.fields import declare, one_of, read, real, text, whole
from symdata.sources.memory import MemoryData, held
from symdata.symmetry import Symmetry
from symdata.transforms.resampling import KERNELS, MASKS, PADDINGS

MAX_SIZE = 4096
MAX_COUNT = 10**9
"""Largest training split; the indices of a larger one would not fit into memory."""
LATER = ("test", "group_by", "skip_bad")
"""Fields that older manifests do not have; a manifest without them stays the same, byte for byte."""


@dataclass(frozen=True)
class Spec:
    """The whole description of a dataset.

    Example:
        >>> from symdata import Spec, make
        >>> made = make(Spec(source="glyphs:OXNZ", symmetry="d4-partial", count=60), "letters")
        >>> made.manifest["splits"]["train"]["symmetry"]
        'd4-partial@0.5'
    """

    source: str | Any | None = declare(  # noqa: RUF009
        None, text(), "For a recipe: the source, if not the recipe's own."
    )
    """Reference of the source, or whatever else `open_source` opens; None: that of the recipe, or `glyphs`."""
    recipe: str | None = declare(None, text(), "A dataset of the literature.")
    symmetry: str | None = declare(
        None,
        text(),
        "none, c4, d4-partial, so2@-45..45, so2@45~20, 0.7@none+0.3@r90, 0-4:d4,cat:c4,rest:none ...",
        none="the recipe's, or none",
    )
    """Of all splits but the test split; None: that of the recipe, or `none`."""
    test_symmetry: str | None = declare(None, text(), "Of the test split, if it differs.")
    """Of the test split; None: as the others."""
    size: int | None = declare(
        None,
        whole(2, MAX_SIZE, " pixels; leave it out to keep the source's"),
        "Side of the upright images in pixels.",
        none="as they come; glyphs 28",
    )
    """Side of the upright images in pixels; None: as in the source."""
    resize: str = declare("bilinear", one_of("bilinear", "bicubic", "area", "pad"), "How --size is reached.")
    """How images are brought to `size`; one of `symdata.sources.RESIZES`."""
    count: int | None = declare(
        None,
        whole(1, MAX_COUNT, "; leave it out for all images"),
        "Images in the training split; the others in proportion.",
    )
    """Samples in the training split; the others keep their proportion."""
    seed: int = declare(0, whole(-math.inf, math.inf), "The same seed gives the same bytes.  [default: 0]")
    validation: float | None = declare(
        None, real(0.0, 1.0), "Share of training images held out.", none="recipes 1/6, else 0"
    )
    """Share of training images held out if the source has no validation split; None: that of the recipe, or 0."""
    test: float | None = declare(
        None, real(0.0, 1.0), "Share of training images for a test split.", none="that of the source"
    )
    """Share of training images that become the test split if the source has none; None: the source's own, or none."""
    group_by: str | None = declare(
        None, text(), "Column, such as patient: images of one value stay in one split.", none="by image"
    )
    """Column of the source whose values, such as patients or slides, are never divided between two splits."""
    resample: str = declare(
        "auto",
        one_of("auto", "exact", *KERNELS),
        "Interpolation between pixels.  [auto: exact if possible, else halves for every image]",
    )
    """This and the next three are as for `act`, decided once for all splits."""
    mask: str = declare("auto", one_of("auto", *MASKS), "auto: disk if resampled.")
    padding: str = declare("border", one_of(*PADDINGS), "Pixels outside of the image.")
    supersample: int = declare(1, whole(1, 16), "Samples per pixel and axis; 3 as for RotMNIST.")
    skip_bad: int = declare(0, whole(0, MAX_COUNT), "Leave out up to so many images that cannot be used.  [default: 0]")
    """How many images of the source that cannot be used are left out, and listed in the manifest."""

    def __post_init__(self) -> None:
        if self.source is not None and not isinstance(self.source, str):
            object.__setattr__(self, "source", held(self.source))
        for name in ("symmetry", "test_symmetry"):  # only canonical text is stored
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, str(Symmetry.parse(text)))
        for name in ("source", "recipe", "group_by"):
            if isinstance(given := getattr(self, name), str) and not given.strip():
                raise RecipeError(f"{name} is empty; name one, or leave it out (is a variable of the shell unset?)")
        for field in dataclasses.fields(self):
            if field.name in ("size", "count", "seed", "skip_bad"):  # the source and `act` read the others
                value = read(field, getattr(self, field.name), RecipeError)
                object.__setattr__(self, field.name, None if value is None else int(value))
        for name in ("validation", "test"):
            share: Any = getattr(self, name)
            number = isinstance(share, int | float) and not isinstance(share, bool)
            if share is not None and not (number and 0.0 <= share < 1.0):
                raise RecipeError(
                    f"{name} share {f'{share:g}' if number else short(share)} is outside [0, 1); 0.1 holds out a tenth"
                )

    def command(self, source: str | None = None) -> str:
        """The `symdata make` line of this spec, from `source` in place of its own."""
        source = self.source_ref if source is None else source
        words = ["symdata make", *([self.recipe] if self.recipe else [])]
        if source:
            words += [f"--source {shlex.quote(source)}" if self.recipe else shlex.quote(source)]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("source", "recipe") and value != field.default:
                words += [f"--{field.name.replace('_', '-')} {_quoted(str(value))}"]
        return " ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data for JSON; of those in `LATER`, the ones that are given.

        Images in memory are their reference, as `memory:arrays`.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        given = {name: value for name, value in fields.items() if name not in LATER or value}
        return given | {"source": self.source_ref}

    @property
    def source_ref(self) -> str | None:
        """The reference of the source as text."""
        return self.source.ref if isinstance(self.source, MemoryData) else self.source

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Spec":
        """The spec with these fields, as `to_dict` gives them."""
        return cls(**fields)


def _quoted(word: str) -> str:
    """A word as a shell takes it; names of classes may need quotes, `~` within a word does not."""
    return word if shlex.quote(plain := word.replace("~", "")) == plain else shlex.quote(word)
