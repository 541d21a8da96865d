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
from functools import cached_property, lru_cache

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.files import MAX_SIZE

LATTICE_WORDS = {"z2": "c1", "p2": "c2", "p4": "c4", "pm": "d1", "p2m": "d2", "p4m": "d4"}
"""Word of a lattice group -> its name in symdata."""

STEERABLE_WORDS = ("c8", "c16", "d8", "so2", "o2")
"""Groups that move pixels off their lattice: their networks are made of escnn's layers."""

CNNS = ("cnn", "cnn2", "cwcnn")
RESNETS = ("resnet44", "resnet18", "pcamresnet44")
LATTICE_ARCHITECTURES = (*CNNS, *RESNETS, "knight")
STEERABLE_ARCHITECTURES = ("cnn", "wrn16")
PLAIN_ARCHITECTURES = ("pathcnn",)
"""Without a group to build on, z2 alone."""


MAX_LENGTH = 160
"""Longest text that is read."""

FORM = re.compile(r"([a-z0-9]+)(?:_([0-9]{1,9}))?(?:\.([A-Za-z0-9][A-Za-z0-9._~+-]{0,95}))?")


@dataclass(frozen=True)
class ModelName:
    """A network's name, read.

    >>> name = ModelName.parse("gcp4resnet44_33.cifar10")
    >>> name.variant, name.group_word, str(name.group), name.architecture, name.size, name.data
    ('gc', 'p4', 'c4', 'resnet44', 33, 'cifar10')
    """

    variant: str
    """Empty, `g` or `gc`."""
    group_word: str
    """A key of `LATTICE_WORDS`, or one of `STEERABLE_WORDS`."""
    architecture: str
    """One of `LATTICE_ARCHITECTURES`, `STEERABLE_ARCHITECTURES` or `PLAIN_ARCHITECTURES`."""
    size: int
    """Side of the input in pixels."""
    data: str | None = None
    """What the weights were trained on; None for the bare network."""

    def __post_init__(self) -> None:
        if (self.variant, self.group_word, self.architecture) not in known_prefixes().values():
            raise ModelError(_unknown(str(self), self.head, self.size, self.data))
        if not FORM.fullmatch(str(self)):
            raise ModelError(f"{str(self)!r} is no name: data are letters, digits and . _ ~ + -, as in p4cnn_28.mnist")
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 1 <= self.size <= MAX_SIZE:
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

    @cached_property
    def group(self) -> Group:
        """The group, as symdata knows it; `group.is_lattice` tells our layers from escnn's."""
        return Group.parse(LATTICE_WORDS.get(self.group_word, self.group_word))

    @property
    def is_steerable(self) -> bool:
        """Whether the network is made of escnn's layers."""
        return self.group_word in STEERABLE_WORDS

    @property
    def bare(self) -> "ModelName":
        """The same without the data."""
        return replace(self, data=None)

    def __str__(self) -> str:
        return f"{self.head}_{self.size}" + (f".{self.data}" if self.data else "")


@lru_cache(maxsize=1)
def known_prefixes() -> dict[str, tuple[str, str, str]]:
    """Everything that may stand before the size -> (variant, group word, architecture)."""
    found = {}
    for word, other in LATTICE_WORDS.items():
        for variant, architecture in [("", a) for a in LATTICE_ARCHITECTURES] + [
            (v, a) for a in RESNETS for v in _variants(word)
        ]:
            for spelling in (word, other):
                found[f"{variant}{spelling}{architecture}"] = (variant, word, architecture)
    for word in STEERABLE_WORDS:
        for architecture in STEERABLE_ARCHITECTURES:
            found[f"{word}{architecture}"] = ("", word, architecture)
    for architecture in PLAIN_ARCHITECTURES:
        for spelling in ("z2", LATTICE_WORDS["z2"]):
            found[f"{spelling}{architecture}"] = ("", "z2", architecture)
    return found


def _variants(word: str) -> tuple[str, ...]:
    """Over the trivial group, `g` would be the plain network with more weights."""
    return ("gc",) if word == "z2" else ("g", "gc")


def _unknown(text: str, head: str, size: int, data: str | None) -> str:
    near = sorted(get_close_matches(head, known_prefixes(), n=9, cutoff=0.6), key=lambda h: -_likeness(head, h))[:3]
    tail = f"_{size or 28}" + (f".{data}" if data else "")
    if near:
        return f"{text!r} is no network of the zoo; did you mean {' or '.join(n + tail for n in near)}?"
    groups = ", ".join((*LATTICE_WORDS, *STEERABLE_WORDS))
    kinds = ", ".join((*LATTICE_ARCHITECTURES, *PLAIN_ARCHITECTURES))
    return f"{text!r} is no network of the zoo; write a group ({groups}), one of {kinds}, and the size: p4cnn_28"


def _likeness(typed: str, known: str) -> float:
    """Swapped letters are likelier than missing ones: `p4ccn` is nearer to p4cnn than to p4cwcnn."""
    return SequenceMatcher(None, typed, known).ratio() - 0.03 * abs(len(typed) - len(known))
