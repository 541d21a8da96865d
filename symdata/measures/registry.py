"""Laws of one's own: functions from parameters to measures, registered under a name, with a version and a text.

The text `law@tilted@version=1@to=90` names the law, its version and every parameter, so that a manifest says which law
made a dataset. Whoever reads it needs the same law registered.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import wraps
from typing import Any

import numpy as np

from symdata.errors import SymmetryError, UnregisteredLawError, first_line, is_whole
from symdata.groups import NUMBER, Elements, Group
from symdata.measures.base import Atoms, Measure, number

Value = int | float | str
"""What a parameter may be."""

NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_PARAMETER = re.compile(rf"([A-Za-z_]\w*)=({NUMBER}|[A-Za-z][\w.-]*)", re.ASCII)


@dataclass(frozen=True)
class Law(Measure):
    """A measure of a registered law, with its text."""

    name: str
    version: int
    parameters: tuple[tuple[str, Value], ...]
    measure: Measure = field(compare=False, repr=False)
    group: Group = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", self.measure.group)

    def __str__(self) -> str:
        words = [f"{key}={_text(value)}" for key, value in (("version", self.version), *self.parameters)]
        return "@".join(["law", self.name, *words])

    @property
    def points(self) -> Atoms:
        return self.measure.points

    def draw(self, u: Sequence[Any]) -> Elements:
        return self.measure.draw(u)

    def cumulative(self, angle_deg: np.ndarray, flip: bool) -> np.ndarray:
        return self.measure.cumulative(angle_deg, flip)

    @property
    def jumps(self) -> tuple[float, ...]:
        return self.measure.jumps

    def density_overlap(self, group: Group) -> float:
        return self.measure.density_overlap(group)


@dataclass(frozen=True)
class _Entry:
    version: int
    function: Callable[..., Measure]

    @property
    def home(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"


_LAWS: dict[str, _Entry] = {}


def register_law(name: str, *, version: int = 1) -> Callable[[Callable[..., Measure]], Callable[..., Law]]:
    """Decorate a function that returns a `Measure`; its text is then accepted wherever a symmetry is.

    The function must depend on its parameters alone, which are numbers or words. Raise `version` whenever it gives
    other measures: datasets name the version, and another one is refused.

    Args:
        name: of the law in texts: small letters, digits and `-`.
        version: a whole number from 1.

    Returns:
        A decorator; the decorated function returns a `Law`, which `Symmetry` and `RandomSymmetry` take.

    Example:
        >>> import numpy as np
        >>> from symdata import RandomSymmetry, register_law
        >>> from symdata.measures import Density
        >>> @register_law("two-sided", version=1)
        ... def two_sided(axis=0.0):
        ...     return Density(lambda angle: np.cos(np.deg2rad(angle - axis)) ** 2)
        >>> RandomSymmetry("law@two-sided@axis=30").symmetry.degree < 1
        True
        >>> print(two_sided(axis=45))
        law@two-sided@version=1@axis=45
    """
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise SymmetryError(f"law name {name!r} is not made of small letters, digits and '-', as in 'two-sided'")
    if not is_whole(version, 1, math.inf):
        raise SymmetryError(f"version {version!r} of law {name!r} is not a whole number from 1")

    def register(function: Callable[..., Measure]) -> Callable[..., Law]:
        entry = _Entry(int(version), function)
        for key, parameter in inspect.signature(function).parameters.items():
            if key == "version" or not key.isascii() or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
                raise SymmetryError(
                    f"law {name!r} cannot have the parameter {key!r} in its text; write def {key}_(a, b=1)"
                )
        if name in _LAWS and _LAWS[name].home != entry.home:
            raise SymmetryError(f"law {name!r} is {_LAWS[name].home} already; choose another name for {entry.home}")
        _LAWS[name] = entry

        @wraps(function)
        def make(*args: Any, **parameters: Any) -> Law:
            return _law(name, entry, args, parameters)

        return make

    return register


def find_law(name: str, words: Sequence[str]) -> Law:
    """The measure of a registered law, from its parameters as texts such as `to=90`.

    Raises:
        UnregisteredLawError: if there is no law of this name, or another version of it.
        SymmetryError: for parameters that it does not take.
    """
    if not re.fullmatch(NAME, name):
        raise SymmetryError(f"{name!r} is not the name of a law, which is small letters, digits and '-'")
    given: dict[str, Value] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if not match:
            raise SymmetryError(f"{word!r} is not a parameter of a law, such as to=90 or kind=soft")
        if match[1] in given:
            raise SymmetryError(f"parameter {match[1]!r} comes twice")
        given[match[1]] = _value(match[2])
    version = given.pop("version", None)
    if name not in _LAWS:
        said = f", version={version}" if version is not None else ""
        mend = f"import the module that has @symdata.register_law({name!r}{said}) (commands: symdata --laws MODULE)"
        near = get_close_matches(name, _LAWS, 1, 0.8)
        raise UnregisteredLawError(f"law {name!r} is not registered; " + (f"did you mean {near[0]}?" if near else mend))
    entry = _LAWS[name]
    if version not in (None, entry.version):
        raise UnregisteredLawError(
            f"law {name!r} has version {entry.version} here, and version {version} is asked for; "
            f"import the code of version {version}"
        )
    return _law(name, entry, (), given)


def _law(name: str, entry: _Entry, args: tuple[Any, ...], given: Mapping[str, Any]) -> Law:
    signature = inspect.signature(entry.function)
    known = ", ".join(f"{key}=" for key in signature.parameters) or "none"
    try:
        bound = signature.bind(*args, **given)
    except TypeError as error:
        raise SymmetryError(f"law {name!r}: {error}; its parameters are {known}") from None
    bound.apply_defaults()
    parameters = tuple((key, _value(_text(value))) for key, value in bound.arguments.items())
    shown = ", ".join(f"{key}={_text(value)}" for key, value in parameters)
    try:
        measure = entry.function(**dict(parameters))
    except SymmetryError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise SymmetryError(f"law {name!r} cannot be made with {shown}: {first_line(error)}") from error
    _check(name, measure)
    return Law(name, entry.version, parameters, measure)


def _check(name: str, measure: Any) -> None:
    """Refuse what is no measure, or whose probabilities do not sum to 1."""
    if not isinstance(measure, Measure):
        raise SymmetryError(
            f"law {name!r} returns {type(measure).__name__}, expected a symdata.Measure, such as a Density"
        )
    ends = np.array([0.0, 360.0])
    mass = math.fsum(p if p >= 0.0 else math.nan for _, p in measure.points)
    mass += math.fsum(float(np.diff(measure.cumulative(ends, flip))[0]) for flip in measure.group.sides)
    if not abs(mass - 1.0) <= 1e-6:
        raise SymmetryError(f"the probabilities of law {name!r} sum to {number(mass)}, expected 1")
    if measure.group.is_finite and abs(math.fsum(p for _, p in measure.points) - 1.0) > 1e-6:
        raise SymmetryError(f"law {name!r} has a density, which its finite group {measure.group} cannot have")
    if outside := [e for e, _ in measure.points if e not in measure.group]:
        raise SymmetryError(f"law {name!r} gives {outside[0]}, which is not in its group {measure.group}")


def _value(text: str) -> Value:
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(NUMBER, text) else text


def _text(value: Any) -> str:
    """The text of a parameter; a float that is whole is written as a whole number."""
    if is_whole(value, -math.inf, math.inf):
        return str(value)
    if isinstance(value, float | np.floating) and math.isfinite(value):
        return number(float(value))
    if isinstance(value, str) and _PARAMETER.fullmatch(f"a={value}"):
        return value
    raise SymmetryError(f"a parameter of a law is {value!r}, expected a finite number or a word")
