"""What a network on a lattice group is made from: its name and the choices that the name leaves open, as one value."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from reprlib import repr as short
from typing import Any

from zoo.errors import ModelError
from zoo.layers.regular import order
from zoo.layers.relaxed import RELAXATIONS
from zoo.layers.subsampling.downsampling import KINDS, PHASED
from zoo.models.architecture_facts import ARCHITECTURES, Architecture, default_width
from zoo.models.names import CNNS, ModelName
from zoo.models.parameters import count

MAX_PARAMETERS = 200_000_000
"""Nothing larger is built: a config file from elsewhere must not fill the memory."""

MAX_FILTERS = 1 << 29
"""Numbers that all filters may have once they are expanded over the group, as they are kept in eval mode; 2 GiB."""

BOUNDS = {"num_classes": 100_000, "in_chans": 1024, "width": 4096}

KEYS = {"num_classes": "classes", "in_chans": "channels"}
"""Attribute -> key in plain data, where the two differ: the keys are those of the first files."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network on a lattice group, described; checked when it is made.

    >>> NetworkSpec.of("p4cnn_28", in_chans=1).to_dict()["width"]
    10
    """

    name: ModelName
    """Without data."""
    num_classes: int
    """Number of logits."""
    in_chans: int
    """Of the images."""
    width: int | tuple[int, ...]
    """Fields of every layer of a CNN, of the first stage of a ResNet (later ones double), or of every stage."""
    coset_pool: bool
    """Whether the maximum over the group is taken before the classifier."""
    dropout: float
    """Rate, of the CNNs only; 0 is none."""
    downsample: str | None = None
    """How resolution is lowered, one of `KINDS` of the downsampling layers; None: as the architecture has it."""
    relax: str = "none"
    """How the convolutions may leave the group, one of `zoo.layers.relaxed.RELAXATIONS`, or none."""

    def __post_init__(self) -> None:
        for key in ("num_classes", "in_chans"):
            _whole(key, getattr(self, key), BOUNDS[key])
        stages = self.design.stages
        if isinstance(self.width, list | tuple):
            object.__setattr__(self, "width", tuple(self.width))
            if len(self.widths) != stages or stages == 1:
                wanted = f"{stages} numbers of fields, one per stage, or one" if stages > 1 else "one number of fields"
                raise ModelError(f"width is {short(list(self.widths))}, expected {wanted}: {_example(self.name)}")
        for width in self.widths if isinstance(self.width, tuple) else (self.width,):
            _whole("width", width, BOUNDS["width"])
        if not isinstance(self.coset_pool, bool):
            raise ModelError(f"coset_pool is {short(self.coset_pool)}, expected true or false")
        self._check_dropout()
        self._check_downsample()
        self._check_relax()
        if (total := self.parameters()) > MAX_PARAMETERS:
            raise ModelError(
                f"{self.name} of width {self.width} would have {total:,} parameters, at most {MAX_PARAMETERS:,} are "
                f"built; {_example(self.name)} is published"
            )
        if (numbers := self.filters()) > MAX_FILTERS:
            raise ModelError(
                f"{self.name} of width {self.width} would have filters of {numbers:,} numbers over its group, at most "
                f"{MAX_FILTERS:,} are built; {_example(self.name)} is published"
            )

    def _check_dropout(self) -> None:
        rate = self.dropout
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ModelError(f"dropout is {short(rate)}, expected a rate from 0 to below 1, for example 0.3")
        if rate and self.name.architecture not in CNNS:
            raise ModelError(f"dropout is {rate} and {self.name} has none; leave it at 0, or take {CNNS[0]}")
        object.__setattr__(self, "dropout", float(rate))

    def _check_downsample(self) -> None:
        kind, period = self.downsample, self.design.period
        if kind is not None and (not isinstance(kind, str) or kind not in KINDS):
            raise ModelError(f"downsample is {short(kind)}, expected one of {', '.join(KINDS)}, or none at all")
        if kind in PHASED and self.name.size % period:
            mend = f"{self.name.head}_{-(-self.name.size // period) * period}"
            raise ModelError(
                f"downsample is {kind!r} and {self.name} has {self.name.size} pixels, expected a multiple of {period}, "
                f"for example {mend}"
            )

    def _check_relax(self) -> None:
        word, name = self.relax, self.name
        if word == "none":
            return
        if not isinstance(word, str) or word not in RELAXATIONS:
            raise ModelError(f"relax is {short(word)}, expected none or one of {', '.join(RELAXATIONS)}")
        if order(name.group) == 1:
            raise ModelError(
                f"relax is {word!r} and {name} has no group to leave; take p4{name.architecture}_{name.size}"
            )
        if name.variant:
            mend = f"take {name.head.removeprefix(name.variant)}_{name.size}"
            raise ModelError(f"relax is {word!r} and {name} has separable filters, which are not relaxed; {mend}")
        if word == "partial" and name.architecture == "knight":
            raise ModelError(
                f"relax is 'partial' and {name} has a lifting layer alone, which stays a full one; take 'bias'"
            )

    @classmethod
    def of(cls, name: ModelName | str, **choices: Any) -> "NetworkSpec":
        """The network as published, except for the choices that are given and not None."""
        parsed = (ModelName.parse(name) if isinstance(name, str) else name).bare
        design = ARCHITECTURES[parsed.architecture]
        defaults = {
            "num_classes": design.num_classes, "in_chans": design.in_chans, "width": default_width(parsed),
            "coset_pool": True, "dropout": 0.0,
        }  # fmt: skip
        return cls(parsed, **(defaults | {key: value for key, value in choices.items() if value is not None}))

    @classmethod
    def from_dict(cls, architecture: Any) -> "NetworkSpec":
        """The inverse of `to_dict`; `ModelError` for anything else, so that files from elsewhere may be read."""
        names, optional = [field.name for field in fields(cls) if field.default is MISSING], _optional()
        keys = [KEYS.get(name, name) for name in names]
        found = sorted(map(str, architecture)) if isinstance(architecture, Mapping) else None
        if found is None or sorted(set(found) - set(optional)) != sorted(keys):
            got = architecture if found is None else found
            raise ModelError(
                f"the architecture has {str(got)[:200]}, expected exactly the keys {', '.join(keys)}, and perhaps "
                f"{', '.join(optional)}"
            )
        name = ModelName.parse(architecture["name"])
        if name.data is not None or name.is_steerable:
            raise ModelError(f"the architecture is named {name}, expected a lattice network without data: p4cnn_28")
        given = {key: architecture[key] for key in optional if key in architecture}
        return cls(name, **{key: architecture[KEYS.get(key, key)] for key in names[1:]}, **given)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON; choices that came later than the first files are left out at their defaults."""
        width = list(self.width) if isinstance(self.width, tuple) else self.width
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {"name": str(self.name), "width": width}
        usual = _optional()
        return {KEYS.get(key, key): value for key, value in values.items() if key not in usual or value != usual[key]}

    @property
    def design(self) -> Architecture:
        """What the literature fixes."""
        return ARCHITECTURES[self.name.architecture]

    @property
    def widths(self) -> tuple[int, ...]:
        """Fields of every stage."""
        if isinstance(self.width, tuple):
            return self.width
        return tuple(self.width << stage for stage in range(self.design.stages))

    def parameters(self) -> int:
        """How many numbers training would change, by arithmetic: nothing is allocated."""
        return count(self.name, self.widths, self.in_chans, self.num_classes, self.coset_pool, self.relax)

    def filters(self) -> int:
        """An upper bound of the numbers in all filters, expanded over the group: more than memory holds, for few
        parameters, where a factor is shared."""
        size = order(self.name.group)
        free = count(self.name, self.widths, self.in_chans, 0, self.coset_pool, self.relax)  # all but the head
        if self.name.variant == "g":  # |G|^2 k k from k k + |G| for each pair of fields, with k = 3
            return free * size * size * 9 // (9 + size)
        return free * size

    def largest_map(self, side: int) -> int:
        """An upper bound of the numbers in the largest feature map of one image of `side` pixels."""
        size = order(self.name.group)
        # Where a stage does not begin with a stride, its first convolution still runs at the side of the one before.
        late = int(self.downsample not in (None, "stride"))
        border = 4 if self.downsample in PHASED else 0  # what circular padding adds
        sides = [-(-side >> max(stage - late, 0)) + border for stage in range(len(self.widths))]
        return max(size * width * side**2 for side, width in zip(sides, self.widths, strict=True))


def _optional() -> dict[str, Any]:
    """The choices that an architecture may leave out, with what they then are."""
    return {field.name: field.default for field in fields(NetworkSpec) if field.default is not MISSING}


def _whole(key: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ModelError(f"{key} is {str(value)[:80]!r}, expected a whole number from 1 to {most}, for example 10")


def _example(name: ModelName) -> str:
    return f"width={default_width(name)}"
