"""The README tells the truth: every command stands in it, and every snippet of it runs.

A snippet under `<!-- not run: reason -->` is left out; the reason is for whoever reads the source of the README.
In console snippets the lines that begin with `$ ` are commands. Those that set up the environment are held against
the Makefile and pyproject.toml instead of being run; all others must be `symdata`.
"""

import re
import shlex
import sys
import tomllib
from dataclasses import dataclass

import pytest

from cli.main import COMMANDS
from tests.conftest import ROOT
from tests.support.console import shell, symdata_script
from tests.support.hub_server import LoopbackHub

pytestmark = pytest.mark.checkout

SNIPPET = re.compile(
    r"^(?P<skip><!-- not run:(?P<reason>[^>]*)-->\n+)?```(?P<language>console|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

FILE = re.compile(r"# (?P<name>\w+\.py)\n")
"""The first line of a python snippet that the reader saves as a file."""


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a document."""

    line: int
    language: str
    code: str
    reason: str | None
    """Why it is not run; None if it is."""


def snippets(text: str) -> list[Snippet]:
    """The console and python snippets of a Markdown text, in order."""
    return [
        Snippet(text.count("\n", 0, m.start("code")) + 1, m["language"], m["code"], m["reason"] if m["skip"] else None)
        for m in SNIPPET.finditer(text)
    ]


def commands(code: str) -> list[str]:
    """The commands of a console snippet, continued lines joined, comments gone."""
    joined = code.replace("\\\n", " ")
    return [line[2:].partition("  #")[0].strip() for line in joined.splitlines() if line.startswith("$ ")]


def setup_problem(command: str, makefile: str, project: dict) -> str | None:
    """What is wrong with a command that sets up the environment: "" if nothing, None if it is no such command."""
    problems, known = [], True
    for part in re.split(r"\s*&&\s*", command):
        words = [word for word in shlex.split(part) if "=" not in word or word.startswith("-") or "==" in word]
        if words[0] == "make":
            targets = [word for word in words[1:] if not re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE)]
            problems += [f"the Makefile has no target {target!r}" for target in targets]
        elif words[0].split("/")[-1] == "pip" or words[1:3] == ["-m", "pip"]:
            extras = {extra for word in words for extra in re.findall(r"\[([\w,-]+)\]", word)}
            extras = {extra for group in extras for extra in group.split(",")}
            problems += [f"pyproject.toml has no extra {e!r}" for e in extras - set(project["optional-dependencies"])]
        elif not (words[:2] == ["git", "clone"] or words[0] in ("cd", "source", ".") or words[1:3] == ["-m", "venv"]):
            known = False
    return "; ".join(problems) if known else None


def run_console(code: str, folder, scripts) -> list[str]:
    """Runs the `symdata` commands of a console snippet in `folder`; a problem per command that did not work."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    problems = []
    for command in commands(code):
        command = command.replace(".venv/bin/symdata", "symdata")
        if command.startswith("symdata "):
            result = shell(command, folder, scripts)
            if result.returncode:
                problems.append(f"$ {command}\nexit code {result.returncode}\n{result.stdout}{result.stderr}")
            continue
        problem = setup_problem(command, makefile, project)
        if problem is None:
            problem = "not a symdata command: mark the snippet with <!-- not run: reason -->"
        if problem:
            problems.append(f"$ {command}\n{problem}")
    return problems


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_snippet_of_the_readme_runs(tmp_path, monkeypatch):
    """Those that speak to the Hub find the loopback one, where `user` is logged in."""
    with LoopbackHub() as hub:
        for name, value in hub.env().items():
            monkeypatch.setenv(name, value)
        hub.use_here(monkeypatch)
        before = set(sys.modules)
        run_snippets(tmp_path, monkeypatch)
        for name in set(sys.modules) - before:
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]  # the reader's own files


def run_snippets(tmp_path, monkeypatch) -> None:
    scripts = symdata_script(tmp_path / "bin")
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    namespace = {"__name__": "readme"}
    found = [snippet for snippet in snippets(readme()) if snippet.reason is None]
    assert {snippet.language for snippet in found} == {"console", "python"}
    for snippet in found:
        if snippet.language == "console":
            problems = run_console(snippet.code, folder, scripts)
            assert not problems, f"README.md:{snippet.line}\n" + "\n".join(problems)
            continue
        if file := FILE.match(snippet.code):
            (folder / file["name"]).write_text(snippet.code, encoding="utf-8")
            sys.modules.pop(file["name"].removesuffix(".py"), None)  # of another test
        exec(  # the line numbers of a traceback are those of the README
            compile("\n" * (snippet.line - 1) + snippet.code, "README.md", "exec"), namespace
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name):
    assert re.search(rf"\bsymdata {name}\b", readme()), f"README.md does not mention `symdata {name}`"


def test_every_snippet_that_is_not_run_says_why():
    assert not [
        snippet.line for snippet in snippets(readme()) if snippet.reason is not None and not snippet.reason.strip()
    ]


def test_the_quick_start_stands_by_line_15():
    assert min(snippet.line for snippet in snippets(readme())) <= 15


EXAMPLE = """# A document
```console
$ make demo && make test   # both
$ symdata make \\
    --out d
built
```
<!-- not run: no network -->
```console
$ symdata publish d user/name
```
```text
$ not ours
```
```python
x = 1
```
"""


def test_the_snippets_of_an_example():
    first, second, third = snippets(EXAMPLE)
    assert (first.line, first.language, first.reason) == (3, "console", None)
    assert commands(first.code) == ["make demo && make test", "symdata make      --out d"]
    assert second.reason == " no network "
    assert (third.line, third.language, third.code) == (16, "python", "x = 1\n")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("make demo", ""),
        ("make demo PYTHON=python3.12", ""),
        ("make nosuch", "the Makefile has no target 'nosuch'"),
        ("git clone https://example.org/symdata && cd symdata", ""),
        ("python3 -m venv .venv && source .venv/bin/activate", ""),
        (".venv/bin/pip install '.[planar]' && pip install --no-deps escnn==1.0.11", ""),
        ("pip install '.[nosuch]'", "pyproject.toml has no extra 'nosuch'"),
        ("python -m pip install '.[dev,nosuch]'", "pyproject.toml has no extra 'nosuch'"),
        ("rm -rf demo", None),
        ("cd demo && rm -rf x", None),
    ],
)
def test_commands_that_set_up_are_checked(command, problem):
    project = {"optional-dependencies": {"planar": [], "dev": []}}
    assert setup_problem(command, "demo: x\ntest:\n", project) == problem


def test_a_command_that_fails_is_reported(tmp_path):
    (problem,) = run_console("$ symdata nosuch\n", tmp_path, symdata_script(tmp_path / "bin"))
    assert "exit code 2" in problem
    assert "nosuch" in problem
