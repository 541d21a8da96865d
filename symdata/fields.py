"""The fields of a configuration: what each may hold and what it means, declared once.

A frozen dataclass declares its fields with `declare`. `read` takes a value, as YAML or a command line may give it, and
returns it in its own type; the command line makes an option of every field.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from reprlib import repr as short
from typing import Any

from symdata.errors import SymdataError, is_whole


@dataclass(frozen=True)
class Rule:
    """What a field may hold."""

    kind: str
    """`flag`, `text`, `word`, `whole`, `wholes`, `real` or `reals`."""
    read: Callable[[Any], Any]
    """The value in its own type, or None if the field cannot hold it."""
    expected: str = ""
    words: Callable[[], Sequence[str]] = tuple
    """All words that the field may hold; called late, since the module that defines them may take long to import."""

    def __str__(self) -> str:
        """End of the sentence `lr is 'fast', expected`."""
        return self.expected or f"one of {', '.join(self.words())}"


FLAG = Rule("flag", lambda value: value if isinstance(value, bool) else None, "true or false")


def text(canonical: Callable[[str], str] = str) -> Rule:
    """A text, which a function may bring into its canonical form, or refuse with an error of its own."""

    def read(value: Any) -> str | None:
        found = str(value) if isinstance(value, PurePath) else value
        return canonical(found) if isinstance(found, str) and found and "\0" not in found else None

    return Rule("text", read, "a text")


def one_of(*words: str, source: Callable[[], Sequence[str]] | None = None) -> Rule:
    """One of some words, or of those that a function gives."""
    known = source or (lambda: words)

    def read(value: Any) -> str | None:
        word = "no" if value is False else value  # YAML reads `no` as false
        return word if isinstance(word, str) and word in known() else None

    return Rule("word", read, words=known)


def whole(low: float, high: float, mend: str = "") -> Rule:
    """A whole number."""
    expected = f"a whole number from {low} to {high}{mend}"
    return Rule("whole", lambda value: value if is_whole(value, low, high) else None, expected)


def real(low: float, high: float) -> Rule:
    """A number, or its text."""

    def read(value: Any) -> float | None:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if low <= number <= high and not isinstance(value, bool) else None

    return Rule("real", read, f"a number from {low:g} to {high:g}")


def several(one: Rule, counts: Sequence[int], many: str, listed: bool = False) -> Rule:
    """Numbers under one rule: a single one, or a list of one of these lengths.

    Args:
        one: the rule of each.
        counts: the lengths.
        many: a list in words, for the error.
        listed: whether a single number becomes a list, too.
    """

    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple) and not listed:
            return one.read(value)
        found = tuple(map(one.read, value if isinstance(value, list | tuple) else [value]))
        return found if len(found) in counts and None not in found else None

    return Rule(f"{one.kind}s", read, f"{one}, or {many}")


def declare(default: Any, rule: Rule, help: str, none: str = "") -> Any:
    """A field of a dataclass.

    Args:
        default: `dataclasses.MISSING` for a field that has to be given; None for one that may be left empty.
        rule: what it may hold.
        help: what it means, in a sentence.
        none: what None means, in a few words.
    """
    return dataclasses.field(default=default, metadata={"rule": rule, "help": help, "none": none})


def default_text(field: "dataclasses.Field[Any]") -> str:
    """The default of a field as the help shows it; empty where there is none."""
    default = field.default
    if default is None or default is dataclasses.MISSING:
        return str(field.metadata["none"])
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}".replace("e-0", "e-") if isinstance(default, float) else str(default)


def read(field: "dataclasses.Field[Any]", value: Any, error: type[SymdataError]) -> Any:
    """The value of a field in its own type. The text `none` is None where None is the default.

    Raises:
        SymdataError: of the kind `error`, for a value that the field cannot hold.
    """
    if value is None or (value == "none" and field.default is None):
        if field.default is None:
            return None
        raise error(f"{field.name} is empty; leave it out for {field.default!r}")
    found = field.metadata["rule"].read(value)
    if found is None:
        raise error(f"{field.name} is {short(value)}, expected {field.metadata['rule']}")
    return found
