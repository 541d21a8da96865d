"""The entry of a family of networks: everything that the registry needs of one architecture.

A family is registered by a decorator on its class, in a file of `zoo.models.families`; all files of that folder are
imported when the first name is read. `import zoo.models.family` itself loads no torch.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from math import sqrt
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from zoo.models.names import ModelName
    from zoo.models.network import Network
    from zoo.models.spec import NetworkSpec

LATTICE_WORDS = {"z2": "c1", "p2": "c2", "p4": "c4", "pm": "d1", "p2m": "d2", "p4m": "d4"}
"""Word of a lattice group -> its name in symdata."""

STEERABLE_WORDS = ("c8", "c16", "d8", "so2", "o2")
"""Groups that move pixels off their lattice: their networks are made of steerable convolutions."""


ABUSING = "Edixhoven, Lengyel & van Gemert 2023, arXiv 2308.11316"
"""The paper of several families: "Using and Abusing Equivariance"."""

Width = int | tuple[int, ...]
"""Fields of every layer, of the first stage (later ones double), or of every stage."""


@dataclass(frozen=True)
class Choice:
    """Something that can be asked of a network besides its name, classes, channels and width."""

    name: str
    """Argument of `zoo.create` and of the network's class, and key in files."""
    default: Any
    check: "Callable[[NetworkSpec, Any], Any]"
    """Returns the value as the network takes it; `ModelError` for one that it cannot take."""
    optional: bool = False
    """Whether files leave it out at its default: it came later than the first files."""
    fixed: bool = False
    """Whether the family takes the default alone: files then hold it, and the class has no such argument."""


@dataclass(frozen=True)
class Family:
    """One architecture, on some groups."""

    architecture: str
    """Its word in names, such as resnet44."""
    groups: tuple[str, ...]
    """Words of the groups that it is built on."""
    network: "type[Network]"
    """Its class."""
    sizes: tuple[int, ...]
    """Sides of the images in pixels at which it is listed, an exact one first."""
    width: "Callable[[ModelName], Width]"
    """Its default width."""
    description: str = ""
    """What it is, in one line."""
    paper: str = ""
    """Where it comes from: authors, year, arXiv number."""
    num_classes: int = 10
    """Logits by default."""
    in_chans: int = 3
    """Channels of the images by default."""
    choices: tuple[Choice, ...] = ()
    """What else can be asked of it."""
    variants: tuple[str, ...] = ("",)
    """Ways to factor its filters: full (empty), `g` and `gc`."""
    stages: int = 1
    """Parts of the network that have a width of their own."""
    period: int | None = None
    """Exact sizes repeat with this period; None where only an audit finds them."""
    first: int = 0
    """The first exact size: 0 for pools, 1 for strides."""
    minimum: int = 1
    """Smallest side of the images in pixels; some choices of a network need more."""
    forms: tuple[str, ...] = ("",)
    """What `form` may be in files, first that of a new network; empty where the key is left out."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments of the class, the same for every network of the family."""

    def phi(self, size: int) -> int | None:
        """Misalignment in input pixels at a size, 0 is exact; None where only an audit finds it."""
        return None if self.period is None else (size - self.first) % self.period

    def variants_over(self, word: str) -> tuple[str, ...]:
        """Variants over one group; over the trivial one, `g` would be the plain network with more weights."""
        return tuple(variant for variant in self.variants if (word, variant) != ("z2", "g"))


_FAMILIES: dict[tuple[str, str], Family] = {}
N = TypeVar("N", bound="Network")


def family(architecture: str, groups: Iterable[str] = LATTICE_WORDS, **facts: Any) -> "Callable[[type[N]], type[N]]":
    """Register a class of networks under the name of an architecture.

    Args:
        architecture: its word in names.
        groups: words of the groups that it is built on; by default all lattice groups.
        facts: fields of `Family`; all others are arguments of the class, the same for every network of the family.
    """
    own = {key: facts.pop(key) for key in Family.__dataclass_fields__ if key in facts}

    def register(network: "type[N]") -> "type[N]":
        entry = Family(architecture, tuple(groups), network, **own, arguments=facts)
        for word in entry.groups:
            if (word, architecture) in _FAMILIES:
                raise ValueError(f"there are two families {word}{architecture}")
            _FAMILIES[word, architecture] = entry
        families.cache_clear()
        known_prefixes.cache_clear()
        return network

    return register


@lru_cache(maxsize=1)
def families() -> dict[tuple[str, str], Family]:
    """(word of the group, architecture) -> family, by group and name."""
    for module in iter_modules([str(Path(__file__).with_name("families"))]):
        import_module(f"zoo.models.families.{module.name}")
    words = (*LATTICE_WORDS, *STEERABLE_WORDS)
    return dict(sorted(_FAMILIES.items(), key=lambda item: (words.index(item[0][0]), item[0][1])))


@lru_cache(maxsize=1)
def known_prefixes() -> dict[str, tuple[str, str, str]]:
    """What may come before the size in a name -> (variant, group word, architecture).

    Both spellings of a lattice group are there, its word first: p4 and c4.
    """
    return {
        f"{variant}{spelling}{architecture}": (variant, word, architecture)
        for (word, architecture), entry in families().items()
        for variant in entry.variants_over(word)
        for spelling in (word, LATTICE_WORDS.get(word, word))
    }


def comparable(base: Width, published: Mapping[tuple[str, int], int] | None = None) -> "Callable[[ModelName], Width]":
    """The default width that keeps the weights of a pair of 3x3 layers at those of the z2 network.

    A convolution has 9 |G| weights per pair of fields, 9 + |G| if g-separable and |G| if gc-separable (the k k of its
    one filter per output field aside), so fields scale with one over the root of that.

    Args:
        base: width of the z2 network.
        published: (variant, |G|) -> width, where the authors chose another one.
    """

    def width(name: "ModelName") -> Width:
        size = len(name.group.elements)
        scale = 3 / sqrt({"": 9 * size, "g": 9 + size, "gc": size}[name.variant])
        scaled = round(base * scale) if isinstance(base, int) else tuple(round(w * scale) for w in base)
        return (published or {}).get((name.variant, size), scaled)

    return width
