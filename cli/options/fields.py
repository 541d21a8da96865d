"""The options of a configuration: one for every field of a dataclass whose fields are declared by `symdata.fields`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import click

from cli.options.basic import Decorator, Parsed, add_options
from symdata.errors import SymdataError
from symdata.fields import Rule, default_text


class WordType(click.Choice[str]):
    """One of the words of a rule, which are asked for when the option is used or its help is shown."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.case_sensitive = rule, True

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.rule.words())


def numbers(kind: Callable[[str], Any], example: str) -> Parsed[Any]:
    """The type of a number, or of several with commas between them: `10`, or `16,32,64`."""

    def read(text: str) -> Any:
        try:
            found = [kind(word) for word in text.split(",")]
        except ValueError:
            raise SymdataError(f"{text!r} is no list of numbers; write {example}") from None
        return found[0] if len(found) == 1 else found

    return Parsed("numbers", read, end="")


def field_options(
    configuration: Any, types: Mapping[str, click.ParamType[Any]], names: Sequence[str], *, defaults: bool = True
) -> Decorator:
    """A decorator that adds an option for each of some fields; an option that is not given is None.

    Args:
        configuration: the dataclass.
        types: of options that the rule of a field does not decide.
        names: of the fields, in the order of the options.
        defaults: whether the help says the default of a field, besides what None means.
    """

    fields = {field.name: field for field in dataclasses.fields(configuration)}
    options = []
    for field in map(fields.__getitem__, names):
        rule = field.metadata["rule"]
        kind = types.get(field.name) or (WordType(rule) if rule.kind == "word" else TYPES.get(rule.kind))
        options.append(click.option(_option(field), type=kind, default=None, help=_help(field, defaults)))
    return add_options(options)


def _option(field: "dataclasses.Field[Any]") -> str:
    name = field.name.replace("_", "-")
    return f"--{name}/--no-{name}" if field.metadata["rule"].kind == "flag" else f"--{name}"


def _help(field: "dataclasses.Field[Any]", defaults: bool) -> str:
    default = default_text(field) if defaults else field.metadata["none"]
    return f"{field.metadata['help']}  [{default}]" if default else str(field.metadata["help"])


TYPES = {
    "whole": int,
    "wholes": numbers(int, "10, or 16,32,64"),
    "real": float,
    "reals": numbers(float, "0.5, or 0.49,0.48,0.45 for three channels"),
}
"""Kind of a rule -> type of its option; a text for any other."""
