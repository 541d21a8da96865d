"""The README mentions every command and says why a snippet is not run; reading a document is tried on an example."""

import re

import pytest

from cli.main import COMMANDS
from tests.conftest import ROOT
from tests.support.documents import Reader, commands, console_problems, sections, setup_problem, snippets

pytestmark = pytest.mark.checkout


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name):
    assert re.search(rf"\bsymdata {name}\b", readme()), f"README.md does not mention `symdata {name}`"


def test_every_snippet_that_is_not_run_says_why():
    assert not [
        snippet.line for snippet in snippets(readme()) if snippet.reason is not None and not snippet.reason.strip()
    ]


def test_the_readme_is_short_and_begins_with_what_to_do():
    assert len(readme().splitlines()) <= 120
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


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("symdata nosuch", "exit code 2"),
        ("symdata audit p4cnn_28    # approximate: no", "is said to be approximate, but prints\np4cnn_28: exact"),
        ("rm -rf demo", "not a symdata command"),
        ("make nosuch", "the Makefile has no target 'nosuch'"),
    ],
)
def test_a_command_that_fails_is_reported(command, problem):
    (found,) = console_problems(f"$ {command}\n")
    assert problem in found


@pytest.mark.parametrize("command", ["symdata --version", "symdata audit p4cnn_28    # exact", "make test"])
def test_a_command_that_works_is_none(command):
    assert console_problems(f"$ {command}\n") == []


def test_output_that_is_shown_is_compared():
    command = "$ symdata audit p4cnn_28\n"
    assert console_problems(f"{command}p4cnn_28:   exact: ...\n$ symdata --version\n") == []
    (problem,) = console_problems(f"{command}p4cnn_28: approximate: ...\n$ symdata --version\n")
    assert "is shown to print\np4cnn_28: approximate" in problem


@pytest.mark.parametrize(("shown", "right"), [("3 ... x\n", True), ("4\n", False), ("3\n", False)])
def test_what_a_python_snippet_prints_is_compared_with_the_block_below_it(shown, right, tmp_path):
    reader = Reader(f"# A\n```python\nprint(3, 'and', 'x')\n```\n\n```text\n{shown}```\n", tmp_path)
    if right:
        reader.follow("A")
    else:
        with pytest.raises(AssertionError, match="line 3 prints\n3 and x"):
            reader.follow("A")


def test_a_command_that_needs_a_shell_is_refused():
    with pytest.raises(AssertionError, match="needs a shell"):
        console_problems("$ symdata recipes | head\n")


def test_snippets_belong_to_the_heading_above_them():
    text = f"{EXAMPLE}```python\n# no heading\ny = 2\n```\n### Below\ntext\n## After\n```python\nz = 3\n```\n"
    found = sections(text)
    assert [*found] == ["A document", "Below", "After"]
    assert [len(part) for part in found.values()] == [4, 0, 1]
    assert [snippet for part in found.values() for snippet in part] == snippets(text)
