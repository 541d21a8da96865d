"""Names of networks, `<variant><group><architecture>_<size>[.<data>]`: `p4cnn_28`, `gcp4resnet44_33.cifar10`.

Convention:
    Group words are those of crystallography for the lattice groups (z2, p2, p4, pm, p2m, p4m) and symdata's own for the
    finer ones (c8, c16, d8, so2, o2). The lattice groups' other names (c1, c2, c4, d1, d2, d4) are read, not written.
    A variant says how hidden convolutions are factored: over the group (`g`), over group and channels (`gc`).
    The size is part of the name because it decides exactness; the data says what the weights were trained on.
"""

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from functools import cached_property

from symdata.errors import is_whole
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.files import MAX_SIZE
from zoo.models.family import LATTICE_WORDS as LATTICE_WORDS
from zoo.models.family import STEERABLE_WORDS as STEERABLE_WORDS
from zoo.models.family import Family, families
from zoo.models.family import known_prefixes as known_prefixes

MAX_LENGTH = 160
"""Longest text that is read."""

FORM = re.compile(r"([a-z0-9]+)(?:_([0-9]{1,9}))?(?:\.([A-Za-z0-9][A-Za-z0-9._~+-]{0,95}))?")


@dataclass(frozen=True)
class ModelName:
    """A network's name, read.

    Example:
        >>> name = ModelName.parse("gcp4resnet44_33.cifar10")
        >>> name.variant, name.group_word, str(name.group), name.architecture, name.size, name.data
        ('gc', 'p4', 'c4', 'resnet44', 33, 'cifar10')
    """

    variant: str
    """Empty, `g` or `gc`."""
    group_word: str
    """A key of `LATTICE_WORDS`, or one of `STEERABLE_WORDS`."""
    architecture: str
    """The word of a family."""
    size: int
    """Side of the input in pixels."""
    data: str | None = None
    """What the weights were trained on; None for the bare network."""

    def __post_init__(self) -> None:
        if known_prefixes().get(self.head) != (self.variant, self.group_word, self.architecture):
            raise ModelError(_unknown(str(self), self.head, self.size, self.data))
        if not FORM.fullmatch(str(self)):
            raise ModelError(f"{str(self)!r} is no name: data are letters, digits and . _ ~ + -, as in p4cnn_28.mnist")
        if not is_whole(self.size, 1, MAX_SIZE):
            raise ModelError(f"{str(self)!r} asks for {self.size} pixels, expected 1 to {MAX_SIZE}: {self.head}_28")

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """The name that `text` writes; `ModelError` with the nearest names for anything else."""
        match = FORM.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_LENGTH else None
        if match is None:
            got = str(text)[:MAX_LENGTH]
            raise ModelError(f"{got!r} is not the name of a network; write for example p4cnn_28 or p4cnn_28.mnist-none")
        head, size, data = match[1], int(match[2] or 0), match[3]
        if head not in known_prefixes():
            raise ModelError(_unknown(text, head, size, data))
        if match[2] is None:
            raise ModelError(f"{text!r} says no size, which decides exactness; write for example {head}_28")
        return cls(*known_prefixes()[head], size, data)

    @property
    def head(self) -> str:
        """What comes before the size: `gcp4resnet44`."""
        return f"{self.variant}{self.group_word}{self.architecture}"

    @property
    def family(self) -> Family:
        """The entry of its architecture."""
        return families()[self.group_word, self.architecture]

    @cached_property
    def group(self) -> Group:
        """The group as a value of symdata."""
        return Group.parse(LATTICE_WORDS.get(self.group_word, self.group_word))

    @property
    def bare(self) -> "ModelName":
        """The same without the data."""
        return replace(self, data=None)

    def __str__(self) -> str:
        return f"{self.head}_{self.size}" + (f".{self.data}" if self.data else "")


def _unknown(text: str, head: str, size: int, data: str | None) -> str:
    near = sorted(get_close_matches(head, known_prefixes(), n=9, cutoff=0.6), key=lambda h: -_likeness(head, h))[:3]
    tail = f"_{size or 28}" + (f".{data}" if data else "")
    if near:
        return f"{text!r} is no network of the zoo; did you mean {' or '.join(n + tail for n in near)}?"
    groups = ", ".join((*LATTICE_WORDS, *STEERABLE_WORDS))
    kinds = ", ".join(sorted({architecture for _, architecture in families()}))
    return f"{text!r} is no network of the zoo; write a group ({groups}), one of {kinds}, and the size: p4cnn_28"


def _likeness(typed: str, known: str) -> float:
    """Swapped letters are likelier than missing ones: `p4ccn` is nearer to p4cnn than to p4cwcnn."""
    return SequenceMatcher(None, typed, known).ratio() - 0.03 * abs(len(typed) - len(known))
