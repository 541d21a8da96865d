"""The options of a configuration: one for every field of a dataclass whose fields are declared by `symdata.fields`."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import click

from symdata.fields import Rule, default_text

Command = TypeVar("Command", bound=Callable[..., Any])


class WordType(click.Choice[str]):
    """One of the words of a rule, which are asked for when the option is used or its help is shown."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.case_sensitive = rule, True

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.rule.words())


class ListType(click.ParamType[Any]):
    """A number, or several with commas between them: `10`, or `16,32,64`."""

    name = "numbers"

    def __init__(self, kind: Callable[[str], Any], example: str) -> None:
        self.kind, self.example = kind, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            numbers = [self.kind(word) for word in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is no list of numbers; write {self.example}", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


def field_options(
    configuration: Any, types: Mapping[str, click.ParamType[Any]], without: tuple[str, ...] = ()
) -> Callable[[Command], Command]:
    """A decorator that adds an option for every field, in their order; an option that is not given is None.

    Args:
        configuration: the dataclass.
        types: of options that the rule of a field does not decide.
        without: names of fields that are no options.
    """

    def decorate(command: Command) -> Command:
        for field in reversed(dataclasses.fields(configuration)):
            if field.name not in without:
                rule = field.metadata["rule"]
                kind = WordType(rule) if rule.kind == "word" else TYPES.get(rule.kind)
                option = click.option(_option(field), type=types.get(field.name, kind), default=None, help=_help(field))
                command = option(command)
        return command

    return decorate


def _option(field: "dataclasses.Field[Any]") -> str:
    name = field.name.replace("_", "-")
    return f"--{name}/--no-{name}" if field.metadata["rule"].kind == "flag" else f"--{name}"


def _help(field: "dataclasses.Field[Any]") -> str:
    default = default_text(field)
    return f"{field.metadata['help']}  [{default}]" if default else str(field.metadata["help"])


TYPES = {
    "whole": int,
    "wholes": ListType(int, "10, or 16,32,64"),
    "real": float,
    "reals": ListType(float, "0.5, or 0.49,0.48,0.45 for three channels"),
}
"""Kind of a rule -> type of its option; a text for any other."""
