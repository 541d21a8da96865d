"""What several commands share: types that parse at the edge, so that a command receives valid values only."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from symdata.errors import SymdataError

T = TypeVar("T")


class Parsed(click.ParamType[T]):
    """What a function makes of a word; a `SymdataError` of the function is wrong usage.

    Args:
        name: of the values, as the help shows it.
        read: the function.
        end: of the sentence, after the message of the error.
    """

    def __init__(self, name: str, read: Callable[[str], T], end: str = ".") -> None:
        self.name, self.read, self.end = name, read, end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self.read(value)
        except SymdataError as error:
            self.fail(f"{error}{self.end}", param, ctx)


def _canonical(text: str) -> str:
    from symdata.symmetry import Symmetry

    return str(Symmetry.parse(text))


SYMMETRY = Parsed("symmetry", _canonical, end="")  # the message ends with a form of the grammar, to be copied
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
folder_argument = click.argument("folder", type=click.Path(exists=True, file_okay=False))


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_options(options: Sequence[Decorator]) -> Decorator:
    """A decorator that adds several options to a command, in this order."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


def print_json(value: Any) -> None:
    """A result as JSON on stdout."""
    click.echo(json.dumps(value, indent=2))


def show(result: Any, as_json: bool) -> None:
    """Print a result: as JSON, or as the text that it has itself."""
    print_json(result.to_dict()) if as_json else click.echo(result)


class Failure(click.ClickException):
    """An expected error: one line on stderr, exit code 1."""

    def show(self, file: Any = None) -> None:
        """Writes the line, which begins with the name of the program."""
        click.echo(f"symdata: {self.message}", file=file, err=file is None)


def check_outside(out: Path, dataset: str | Path) -> None:
    """Refuse to write into the folder of a dataset."""
    if out.resolve().is_relative_to(Path(dataset).resolve()):
        problem = f"--out {str(out)!r} is inside the dataset, whose files are hashed"
        raise click.UsageError(f"{problem}; name a folder beside it.")


@contextmanager
def resumable(total: int, label: str) -> Iterator[Any]:
    """The progress bar of a command that `--resume` finishes after Ctrl-C."""
    with progress_bar(total, label) as bar:
        try:
            yield bar
        except KeyboardInterrupt:
            click.echo("\nstopped; the same command with --resume goes on from here", err=True)
            raise


LINE_EVERY = 10.0
"""Seconds until the first line of progress where there is no terminal; later ones come at most once a minute."""


def progress_bar(total: int, label: str) -> Any:
    """What counts images on stderr: a bar of tqdm on a terminal, a line now and then elsewhere, and nothing where there
    is no stderr or nothing to count."""
    from tqdm import tqdm

    if sys.stderr is not None and not sys.stderr.isatty() and total:
        return ProgressLines(total, label)
    disable = None if total and sys.stderr is not None else True
    return tqdm(total=total, desc=label, unit=" images", file=sys.stderr, disable=disable, leave=False)


class ProgressLines:
    """Lines on stderr that say how far a long run is, for logs and notebooks.

    Args:
        total: images.
        label: first word of every line.
        clock: seconds.
    """

    def __init__(self, total: int, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.label, self.clock = total, label, clock
        self.done, self.start = 0, clock()
        self.next = self.start + LINE_EVERY

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, images: int) -> None:
        """Count images that are done; writes a line if it is time for one."""
        self.done += images
        if (now := self.clock()) < self.next or not 0 < self.done < self.total:
            return
        spent = now - self.start
        self.next = now + min(60.0, max(LINE_EVERY, spent / 2))
        left = spent * (self.total - self.done) / self.done
        share = f"{self.done:,} of {self.total:,} images, {self.done / self.total:.0%}"
        click.echo(f"{self.label}: {share}, about {_duration(left)} left", err=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
