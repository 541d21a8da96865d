"""What a network on c8, c16, d8, so2 or o2 is made from: its name and numbers, as one checked value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from reprlib import repr as short
from typing import Any

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.models.names import ModelName
from zoo.models.spec import KEYS

WIDTHS = {
    "cnn": {"c8": 7, "c16": 5, "d8": 5, "so2": 8, "o2": 6},
    "wrn16": {"c8": 8, "c16": 4, "d8": 4, "so2": 9, "o2": 5},
}
"""Architecture -> group -> fields: as many parameters as p4cnn has, within 15 %; about the 64 channels of WRN-16-4."""

LIMITS = {"num_classes": 65_536, "in_chans": 1_024, "width": 1_024}
"""Largest accepted values: a configuration may come from anywhere."""


RELAXED = ("none", "likelihood")
"""What `relax` may be: networks on finer groups have no other relaxation."""


def read_name(name: Any) -> ModelName:
    """The name of a steerable network, read; `ModelError` for any other."""
    parsed = ModelName.parse(name)
    if not parsed.is_steerable or parsed.data is not None:
        known = ", ".join(f"{word}{kind}_{parsed.size}" for kind, words in WIDTHS.items() for word in words)
        raise ModelError(f"{name!r} is no network on a finer group than the pixels have; expected one of {known}")
    return parsed


@dataclass(frozen=True)
class FieldNetSpec:
    """A steerable architecture; `ModelError` for one that cannot be built or is far too large."""

    name: str
    """`<group><architecture>_<size>`, for example c8cnn_28."""
    num_classes: int
    in_chans: int
    """Of the images."""
    width: int
    """Fields, in the first stage of a ResNet."""
    coset_pool: bool
    """Whether logits see the maximum of every field over the group; otherwise all its coefficients."""
    dropout: float
    """Probability, in training: after the convolutions 1, 3, 4 and 5 of a cnn, within the blocks of a ResNet."""
    relax: str = "none"
    """How the convolutions may leave the group: one of `RELAXED`."""

    def __post_init__(self) -> None:
        if read_name(self.name).size < self.minimum:
            raise ModelError(f"{self.name} is too small: it needs at least {self.minimum} pixels, for example 28")
        for key, limit in LIMITS.items():
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise ModelError(f"{key} of {self.name} is {short(value)}, expected a whole number from 1 to {limit}")
        if not isinstance(self.coset_pool, bool):
            raise ModelError(f"coset_pool of {self.name} is {short(self.coset_pool)}, expected true or false")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise ModelError(f"dropout of {self.name} is {short(self.dropout)}, expected a probability such as 0.3")
        object.__setattr__(self, "dropout", float(self.dropout))
        if not isinstance(self.relax, str) or self.relax not in RELAXED:
            raise ModelError(f"relax of {self.name} is {short(self.relax)}, expected {' or '.join(RELAXED)}")

    @property
    def architecture(self) -> str:
        """`cnn` or `wrn16`."""
        return read_name(self.name).architecture

    @property
    def group(self) -> Group:
        """c8, c16, d8, so2 or o2."""
        return read_name(self.name).group

    @property
    def minimum(self) -> int:
        """Smallest side of an image in pixels: the 5x5 window at the end of a cnn sees half of them."""
        return 10 if self.architecture == "cnn" else 1

    def largest_map(self, side: int) -> int:
        """An upper bound of the numbers in the largest feature map of one image of `side` pixels: as it is bent."""
        from zoo.layers.steerable.fibre import Fibre

        return len(Fibre(self.group).points) * self.width * side * side

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "FieldNetSpec":
        """The inverse of `dataclasses.asdict`, for a mapping of unknown origin; every key must be there."""
        names = {KEYS.get(name, name): name for name in cls.__dataclass_fields__}
        expected, got = sorted(names), sorted(map(str, fields))
        if sorted({*got, "relax"}) != expected:  # which came later than the first files
            raise ModelError(f"the architecture has the keys {', '.join(got)[:200]}; expected {', '.join(expected)}")
        return cls(**{names[key]: value for key, value in fields.items()})

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {KEYS.get(key, key): value for key, value in asdict(self).items() if (key, value) != ("relax", "none")}
