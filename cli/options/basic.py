"""What several commands share: types that parse at the edge, so that a command receives valid values only."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from symdata.errors import SymmetryError


class SymmetryType(click.ParamType[str]):
    """Text of the grammar to its canonical text; a bad one is a usage error that shows the position."""

    name = "symmetry"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from symdata.symmetry import Symmetry

        try:
            return str(Symmetry.parse(value))
        except SymmetryError as error:
            self.fail(str(error), param, ctx)


SYMMETRY = SymmetryType()

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
folder_argument = click.argument("folder", type=click.Path(exists=True, file_okay=False))


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_options(options: Sequence[Decorator]) -> Decorator:
    """A decorator that adds several options to a command, in this order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def print_json(value: Any) -> None:
    """A result as JSON on stdout."""
    click.echo(json.dumps(value, indent=2))


def table(rows: list[list[str]], header: list[str]) -> str:
    """Left-aligned columns under a header."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def progress_bar(total: int, label: str) -> Any:
    """A tqdm bar on stderr; silent where stderr is not a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=label, unit=" images", file=sys.stderr, disable=None, leave=False)
