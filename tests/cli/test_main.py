"""The edge: help, exit codes, and one sentence instead of a traceback."""

import errno
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import cli
from cli.main import COMMANDS, main
from symdata import __version__
from symdata.errors import SymdataError
from tests.support.console import shell, symdata_script


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def failing(monkeypatch):
    """A function that makes `symdata recipes` raise."""

    def install(error):
        module = ModuleType("cli.recipes")

        @click.command()
        def command():
            raise error

        module.command = command
        monkeypatch.setitem(sys.modules, "cli.recipes", module)

    return install


def test_help_lists_every_command_with_its_sentence():
    result = invoke("--help")
    assert result.exit_code == 0
    for name, sentence in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert sentence in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    command = main.get_command(click.Context(main), name)
    assert command.help, f"cli/{name}.py: the docstring of `command` is its help"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"symdata {name} {parameter.opts[0]} has no help"


def test_every_module_with_a_command_is_listed():
    (folder,) = cli.__path__
    modules = {path.stem for path in Path(folder).glob("*.py")} - {"__init__"}
    assert {name for name in modules if hasattr(import_module(f"cli.{name}"), "command")} == set(COMMANDS)


def test_version():
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"symdata {__version__}\n")


@pytest.mark.parametrize("arguments", [["nosuch"], ["--nosuch"], ["doctor", "--nosuch"], ["doctor", "surplus"]])
def test_wrong_usage_is_exit_2(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert result.stdout == ""


def test_a_refusal_is_one_sentence_and_exit_1(failing):
    failing(SymdataError("'d5x' is no symmetry:\n    try d5"))
    result = invoke("recipes")
    assert result.exit_code == 1
    assert result.stderr == "symdata: 'd5x' is no symmetry: try d5\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "No space left on device: a/b. Free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "Permission denied: a"),
        (OSError("the Hub said\nno"), "the Hub said no"),
        (ImportError("pyarrow requires NumPy 2.0"), "pyarrow requires NumPy 2.0. `symdata doctor` names"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence_too(failing, error, text):
    failing(error)
    result = invoke("recipes")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"symdata: {text}")
    assert result.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback(failing):
    failing(ZeroDivisionError("a bug"))
    assert isinstance(invoke("recipes").exception, ZeroDivisionError)


def test_an_interrupt_is_exit_130(failing):
    failing(KeyboardInterrupt())
    result = invoke("recipes")
    assert result.exit_code == 130
    assert result.stderr.strip() == "symdata: interrupted"


def test_a_closed_pipe_ends_quietly(failing):
    failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    result = invoke("recipes")
    assert result.exit_code == 1
    assert result.stderr == ""


def test_as_a_process(tmp_path):
    scripts = symdata_script(tmp_path / "bin")
    assert shell("symdata --version", tmp_path, scripts).stdout == f"symdata {__version__}\n"
    wrong = shell("symdata nosuch", tmp_path, scripts)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_the_help_loads_no_command():
    code = (
        "import sys\nfrom cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('cli.')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "['cli.main']"
