"""`symdata`: the group of commands, and the one place where errors become a line on stderr and an exit code.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.
"""

import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from cli.options.basic import Failure
from symdata import __version__
from symdata.errors import SymdataError, first_line

# Read by libgomp when torch is loaded: waiting threads sleep. Threads that spin make a busy machine many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMMANDS = {
    "make": "Build a dataset whose symmetry is known.",
    "inspect": "Count, test and draw a dataset; audit any images.",
    "verify": "Re-hash a dataset and derive a sample of it again.",
    "train": "Train a network on a dataset.",
    "pretrain": "Train the body of a network without labels.",
    "audit": "Say where a network is exactly equivariant, and what mends it.",
    "evaluate": "Measure what a model does on images, upright and moved.",
    "measure": "Measure invariance, equivariance and Lie derivatives.",
    "degree": "Say how much symmetry a model learned, beside the truth.",
    "report": "Write one page about models, side by side.",
    "export": "Write a model with its preprocessing as ONNX or pt2.",
    "card": "Render a model's card again, with its picture.",
    "publish": "Upload a dataset or a model with its card to the Hub.",
    "pull": "Fetch a model or a dataset from the Hub into a folder.",
    "reproduce": "Run an experiment of the literature, and print its tables.",
    "models": "List the networks by name, and which come trained.",
    "recipes": "List the datasets of the literature by name.",
    "sources": "List where upright images come from.",
    "doctor": "Say what is installed or in conflict, and the line that repairs it.",
}
"""Name -> short help, in the order of a first use. The command itself is `command` in the module `cli.<name>`."""


class LazyGroup(click.Group):
    """Commands that are imported when they are called, so that `symdata --help` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of module `cli.<cmd_name>`, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"cli.{cmd_name}").command
        command.short_help = COMMANDS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table of commands from COMMANDS alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the program, after its streams are in order."""
        _prepare_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; expected errors end it with one line, unexpected ones with their traceback."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `symdata recipes | head`: click ends quietly
        except (SymdataError, OSError, ImportError) as error:
            raise Failure(sentence(error)) from error
        except KeyboardInterrupt:
            click.echo("\nsymdata: interrupted", err=True)
            raise click.exceptions.Exit(130) from None


def _prepare_streams() -> None:
    """Give closed streams (`2>&-`) the null device, and write characters that an encoding lacks (cp1252) as `?`.

    Without the first, the next file that is opened would get the number of a closed stream, and receive its warnings.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  it lasts as long as the process
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def sentence(error: Exception) -> str:
    """The text of an error in one line, with advice where the error itself has none."""
    if isinstance(error, SymdataError):
        return _one_line(str(error))
    if isinstance(error, ImportError):
        return f"{_one_line(str(error))}. `symdata doctor` names what is missing and the line that mends it."
    if not isinstance(error, OSError) or error.errno is None:  # a network error: an OSError without a number
        return _one_line(str(error)) or type(error).__name__
    where = f": {str(error.filename)[:200]}" if error.filename is not None else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}{where}. Free some space or choose another place with --out, then run it again."
    return f"{error.strerror}{where}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="symdata", message="%(prog)s %(version)s")
@click.option("--laws", multiple=True, metavar="MODULE", help="Python module that registers laws of your own.")
def main(laws: tuple[str, ...]) -> None:
    """Image datasets whose symmetry is known.

    `symdata make --symmetry d4-partial` builds one from embedded glyphs; nothing else is needed.
    `symdata COMMAND --help` explains each command.
    """
    for module in laws:
        import_laws(module)


def import_laws(module: str) -> None:
    """Import a module, also from the current folder; whatever it raises is wrong usage."""
    sys.path.append(os.getcwd())  # it stays there: worker processes import the module, too
    try:
        import_module(module.removesuffix(".py"))
    except Exception as error:
        raise click.UsageError(f"--laws {module}: {type(error).__name__}: {first_line(error)}") from error


if __name__ == "__main__":
    main(prog_name="symdata")
