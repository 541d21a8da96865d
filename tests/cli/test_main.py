"""The edge: help, exit codes, and one sentence instead of a traceback."""

import errno
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import pytest
from click.testing import CliRunner

import cli
from cli.main import COMMANDS, main
from symdata import __version__
from symdata.errors import SymdataError
from symdata.store import verify
from tests.conftest import ROOT
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


@pytest.fixture
def intruder(tmp_path):
    """A folder with modules of the user that are called like our packages, and fail when they are imported."""
    for name in ("cli.py", "zoo/__init__.py", "cards/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the module of somebody else')\n")
    return tmp_path


def started(folder, start, *arguments):
    """stdout of a command in that folder, which is also on PYTHONPATH before our packages."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, *start, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


MODULE = ("-m", "symdata")
SCRIPT = ("-c", "from symdata.__main__ import main; main(prog_name='symdata')")


@pytest.mark.parametrize("start", [MODULE, SCRIPT])
def test_modules_of_the_user_are_not_taken_for_ours(intruder, start):
    """`python -m` puts the current folder first on the path, and so does a PYTHONPATH for the installed script."""
    assert started(intruder, start, "--version") == f"symdata {__version__}\n"
    assert started(intruder, start, "models", "p4cnn_28").startswith("model ")


@pytest.mark.slow
def test_nor_by_the_processes_that_a_command_starts(intruder):
    options = ["--count", "30", "--num-shards", "2", "--workers", "2", "--out", "d"]
    assert started(intruder, MODULE, "make", *options).startswith("split ")


def test_without_that_care_they_would_be(intruder):
    """The negative control."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli.main", "--version"]
    done = subprocess.run(command, cwd=intruder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "the module of somebody else" in done.stderr


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "symdata", "nosuch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("Usage: symdata ")


def test_the_help_loads_no_command():
    code = (
        "import sys\nfrom cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('cli.')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "['cli.options', 'cli.options.basic', 'cli.main']"


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_dataset_is_built_with_streams_closed(closed, tmp_path):
    """Files that were opened under the number of a closed stream would receive what is printed there."""
    shell(f"symdata make glyphs:OX --size 8 --count 8 --out made {closed}", tmp_path, symdata_script(tmp_path))
    assert verify(tmp_path / "made", samples=4).passed


def test_the_exit_code_is_all_that_a_refusal_says_with_streams_closed(tmp_path):
    done = shell("symdata audit p4ccn_28 >&- 2>&- || exit $((40 + $?))", tmp_path, symdata_script(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (41, "", "")


@pytest.mark.parametrize(
    ("charset", "shown"), [("cp1252", "caf\xe9 ??"), ("latin-1", "caf\xe9 ??"), ("utf-8", "caf\xe9 \u732b\u72ac")]
)
def test_characters_that_the_encoding_lacks_are_replaced(monkeypatch, charset, shown):
    command = click.Command("recipes", callback=lambda: click.echo("caf\xe9 \u732b\u72ac"))
    monkeypatch.setitem(sys.modules, "cli.recipes", SimpleNamespace(command=command))
    result = CliRunner(charset=charset).invoke(main, ["recipes"])
    assert (result.exit_code, result.stdout_bytes.decode(charset)) == (0, f"{shown}\n")


def test_a_name_that_is_not_utf_8_is_printed(monkeypatch):
    command = click.Command("recipes", callback=lambda: click.echo("caf\udce9"))
    monkeypatch.setitem(sys.modules, "cli.recipes", SimpleNamespace(command=command))
    assert CliRunner().invoke(main, ["recipes"]).exit_code == 0
