"""What a network is made from: its name and the choices that the name leaves open, as one value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from symdata.errors import whole
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.models.family import Choice, Family, families
from zoo.models.names import ModelName

if TYPE_CHECKING:
    from zoo.models.network import Network

BOUNDS = {"num_classes": 100_000, "in_chans": 1024, "width": 4096}

KEYS = {"num_classes": "classes", "in_chans": "channels", "width": "width"}
"""Attribute -> key in files."""

MAX_FILTERS = 1 << 29
"""Numbers that all filters may have once they are expanded over the group, as they are kept in eval mode; 2 GiB."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network, described; checked when it is made, so that nothing is allocated for one that cannot be built.

    Example:
        >>> spec = NetworkSpec.of("p4cnn_28", num_classes=2)
        >>> spec.width, spec.parameters(), spec.phi, spec.to_dict()["classes"]
        (10, 24902, 0, 2)
    """

    name: ModelName
    """Without data."""
    num_classes: int
    """Number of logits; 0 for no classifier."""
    in_chans: int
    """Channels of the images."""
    width: int | tuple[int, ...]
    """Fields of every layer, of the first stage (later ones double), or of every stage."""
    choices: Mapping[str, Any]
    """A value for every choice of its family."""
    form: str = ""
    """One of `forms` of its family."""

    def __post_init__(self) -> None:
        self._check_size(self.family.minimum)
        whole("num_classes", self.num_classes, 0, BOUNDS["num_classes"], ModelError, "; 0 leaves the classifier out")
        whole("in_chans", self.in_chans, 1, BOUNDS["in_chans"], ModelError)
        usual, stages = self.family.width(self.name), self.family.stages
        if isinstance(self.width, list | tuple):
            object.__setattr__(self, "width", tuple(self.width))
            if len(self.widths) != stages or stages == 1:
                wanted = f"{stages} numbers of fields, one per stage, or one" if stages > 1 else "one number of fields"
                raise ModelError(f"width is {short(list(self.widths))}, expected {wanted}: width={usual}")
        for width in self.width if isinstance(self.width, tuple) else (self.width,):
            whole("width", width, 1, BOUNDS["width"], ModelError, f", for example width={usual}")
        choices = {choice.name: self._checked(choice) for choice in self.family.choices}
        object.__setattr__(self, "choices", choices)
        for count, what, most in (
            (self.parameters(), "parameters", self.family.network.max_parameters),
            (self.filters(), "numbers in filters over its group", MAX_FILTERS),
        ):
            if count > most:
                mend = f"width={usual} is published" if self.width != usual else "take a smaller size"
                raise ModelError(f"{self.name} would have {count:,} {what}, at most {most:,} are built; {mend}")

    def _check_size(self, minimum: int, divisor: int = 1) -> None:
        if self.name.size < minimum:
            example = f"{self.name.head}_{-(-max(minimum, self.family.sizes[0]) // divisor) * divisor}"
            raise ModelError(f"{self.name} is too small: it needs at least {minimum} pixels, for example {example}")

    def _checked(self, choice: Choice) -> Any:
        value = choice.check(self, self.choices[choice.name])
        if choice.fixed and value != choice.default:
            raise _no_such_choice(self.name, choice.name, value)
        return value

    @classmethod
    def of(cls, name: ModelName | str, **given: Any) -> "NetworkSpec":
        """The network as published, except for what is given and not None.

        Raises:
            ModelError: for an unknown name, for a choice that the network does not have, and for one out of bounds.
        """
        parsed = (ModelName.parse(name) if isinstance(name, str) else name).bare
        family = parsed.family
        values: dict[str, Any] = {
            "num_classes": family.num_classes, "in_chans": family.in_chans, "width": family.width(parsed),
            **{choice.name: choice.default for choice in family.choices},
        }  # fmt: skip
        for key, value in given.items():
            if key not in values and value not in (None, *_defaults(key)):
                raise _no_such_choice(parsed, key, value)
            if key in values and value is not None:
                values[key] = value
        facts = {key: values.pop(key) for key in KEYS}
        return cls(parsed, **facts, choices=values, form=family.forms[0])

    @classmethod
    def from_dict(cls, architecture: Any) -> "NetworkSpec":
        """The inverse of `to_dict`; `ModelError` for anything else, so that files from elsewhere may be read."""
        if not isinstance(architecture, Mapping) or "name" not in architecture:
            raise ModelError(f"the architecture is {short(architecture)}, expected a mapping with a name")
        name = ModelName.parse(architecture["name"])
        family, form = name.family, architecture.get("form", "")
        if name.data is not None:
            raise ModelError(f"the architecture is named {name}, expected a network without data: {name.bare}")
        if form not in family.forms:
            raise ModelError(f"the form of {name} is {short(form)}, expected {' or '.join(map(repr, family.forms))}")
        required = [choice.name for choice in family.choices if not choice.optional]
        optional = [choice.name for choice in family.choices if choice.optional]
        check_keys(architecture, ["form"] * bool(form) + ["name", *KEYS.values(), *required], optional)
        choices = {choice.name: architecture.get(choice.name, choice.default) for choice in family.choices}
        facts = {attribute: architecture[key] for attribute, key in KEYS.items()}
        return cls(name, **facts, choices=choices, form=form)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON; choices that came later than the first files are left out at their defaults."""
        width = list(self.width) if isinstance(self.width, tuple) else self.width
        values = {"name": str(self.name), "classes": self.num_classes, "channels": self.in_chans, "width": width}
        for choice in self.family.choices:
            if not choice.optional or self.choices[choice.name] != choice.default:
                values[choice.name] = self.choices[choice.name]
        return {"form": self.form, **values} if self.form else values

    def build(self) -> "Network":
        """The network, with fresh weights; `ModelError` if the size of its name is too small for it."""
        model = self.family.network.from_spec(self)
        self._check_size(model.minimum, model.divisor)
        model.architecture = self.to_dict()
        return model

    @property
    def family(self) -> Family:
        """The entry of its architecture."""
        return self.name.family

    @property
    def group(self) -> Group:
        """The group of its name."""
        return self.name.group

    @property
    def widths(self) -> tuple[int, ...]:
        """Fields of every stage."""
        if isinstance(self.width, tuple):
            return self.width
        return tuple(self.width << stage for stage in range(self.family.stages))

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the class of the network."""
        own = {choice.name: self.choices[choice.name] for choice in self.family.choices if not choice.fixed}
        return {"num_classes": self.num_classes, "in_chans": self.in_chans, **own, **self.family.arguments}

    @property
    def in_plain_torch(self) -> bool:
        """Whether the network has ordinary layers alone, so that its parameters can be counted without escnn."""
        return self.form != "steerable"

    @property
    def phi(self) -> int | None:
        """Misalignment at the size of its name in input pixels, 0 is exact; None where only an audit finds it."""
        return self.family.phi(self.name.size)

    def parameters(self) -> int:
        """Number of parameters, of a steerable network once it is exported, by arithmetic: nothing is allocated."""
        return self.family.network.parameter_count(self)

    def filters(self) -> int:
        """An upper bound of the numbers in all filters, expanded over the group: more than memory holds, for few
        parameters, where a factor is shared."""
        return self.family.network.filter_count(self)

    def largest_map(self, side: int) -> int:
        """An upper bound of the numbers in the largest feature map of one image of `side` pixels."""
        return self.family.network.largest_map(self, side)


def check_keys(architecture: Mapping[str, Any], required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """`ModelError` unless plain data have the required keys, and no others but the optional ones."""
    found = sorted(map(str, architecture))
    if sorted({*found} - {*optional}) != sorted(required):
        also = f", and perhaps {', '.join(optional)}" if optional else ""
        raise ModelError(f"the keys are {str(found)[:200]}, expected exactly the keys {', '.join(required)}{also}")


def _defaults(choice: str) -> list[Any]:
    """The defaults of the choice of that name, in all families."""
    return [own.default for family in families().values() for own in family.choices if own.name == choice]


def _no_such_choice(name: ModelName, key: str, value: Any) -> ModelError:
    for family in families().values():
        if any(choice.name == key and not choice.fixed for choice in family.choices):
            word = "p4" if "p4" in family.groups else family.groups[0]
            example = f"{word}{family.architecture}_{family.sizes[0]}"
            return ModelError(f"{key} is {short(value)} and {name} has no such choice; leave it out, or take {example}")
    known = [*KEYS, *dict.fromkeys(choice.name for family in families().values() for choice in family.choices)]
    near = get_close_matches(key, known, 1)
    return ModelError(f"no network has a choice {key!r}; {f'did you mean {near[0]}' if near else ', '.join(known)}")
