"""Reading a Markdown document as its reader does: its sections, their snippets, and the commands in them.

A snippet under `<!-- not run: reason -->` is left out; the reason is for whoever reads the source of the document.
In console snippets the lines that begin with `$ ` are commands. Those that set up the environment are compared with
the Makefile and pyproject.toml instead of being run; all others must be `symdata`.

Output that is shown must be what is printed, but for runs of blanks, and for whatever `...` stands for: in a console
snippet the lines below a command, and after a python snippet the ```text block that follows it directly.
"""

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from io import StringIO
from pathlib import Path
from typing import Any

from tests.support.commands import run
from tests.support.console import ROOT, shell, symdata_script

SNIPPET = re.compile(
    r"^(?P<skip><!-- not run:(?P<reason>[^>]*)-->\n+)?```(?P<language>console|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

OUTPUT = re.compile(r"\n*^```text\n(?P<shown>.*?)^```$", re.MULTILINE | re.DOTALL)
"""The block after a python snippet."""

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(?P<title>.+)$", re.MULTILINE)

FILE = re.compile(r"# (?P<name>\w+\.py)\n")
"""The first line of a python snippet that the reader saves as a file."""

VERDICT = re.compile(r"# +(exact|approximate)\b")
"""What the comment behind an audit says that it prints."""


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a document."""

    line: int
    language: str
    code: str
    reason: str | None
    """Why it is not run; None if it is."""
    shown: str | None = None
    """Of a python snippet: what the document says that it prints."""


def snippets(text: str) -> list[Snippet]:
    """The console and python snippets of a Markdown text, in order."""
    found = []
    for m in SNIPPET.finditer(text):
        after = OUTPUT.match(text, m.end()) if m["language"] == "python" else None
        line, reason = text.count("\n", 0, m.start("code")) + 1, m["reason"] if m["skip"] else None
        found.append(Snippet(line, m["language"], m["code"], reason, after["shown"] if after else None))
    return found


def sections(text: str) -> dict[str, list[Snippet]]:
    """Title -> the snippets between this heading, of whatever level, and the next."""
    visible = FENCED.sub(lambda fenced: re.sub(r"[^\n]", " ", fenced[0]), text)  # a comment in code is no heading
    headings = [(visible.count("\n", 0, m.start()) + 1, m["title"]) for m in HEADING.finditer(visible)]
    found: dict[str, list[Snippet]] = {title: [] for _, title in headings}
    assert len(found) == len(headings), "two sections of one title"
    for snippet in snippets(text):
        title = [title for line, title in headings if line < snippet.line][-1]
        found[title].append(snippet)
    return found


def command_lines(code: str) -> list[str]:
    """The lines of a console snippet that are commands, without the prompt, continued lines joined."""
    return [line for line, _ in exchanges(code)]


def exchanges(code: str) -> list[tuple[str, str]]:
    """The command lines of a console snippet, each with the output that is shown below it."""
    joined = "\n" + code.replace("\\\n", " ")
    parts = [part.partition("\n") for part in joined.split("\n$ ")[1:]]
    return [(line, shown) for line, _, shown in parts]


def is_output(shown: str, printed: str) -> bool:
    """Whether a command or a snippet has printed what is shown; where nothing is shown it may print anything."""
    if not shown.strip():
        return True
    return OutputChecker().check_output(shown.rstrip() + "\n", printed.rstrip() + "\n", ELLIPSIS | NORMALIZE_WHITESPACE)


def commands(code: str) -> list[str]:
    """The commands of a console snippet, continued lines joined, comments gone."""
    return [line.partition("  #")[0].strip() for line in command_lines(code)]


def setup_problem(command: str, makefile: str, project: dict[str, Any]) -> str | None:
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


Outcome = tuple[int, str, str]
"""Exit code, stdout and stderr of a command."""


def in_process(command: str) -> Outcome:
    """Runs a `symdata` command in this process, in the current folder."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = list(lexer)
    assert not [word for word in words if set(word) <= set("();<>|&")], f"{command!r} needs a shell"
    result = run(*words[1:])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def console_problems(code: str, execute: Callable[[str], Outcome] = in_process) -> list[str]:
    """Runs the `symdata` commands of a console snippet; a problem for each that failed or printed another verdict."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    problems = []
    for (line, shown), command in zip(exchanges(code), commands(code), strict=True):
        command = command.replace(".venv/bin/symdata", "symdata")
        if command.startswith("symdata "):
            exit_code, stdout, stderr = execute(command)
            if exit_code:
                problems.append(f"$ {command}\nexit code {exit_code}\n{stdout}{stderr}")
            elif (said := VERDICT.search(line)) and f": {said[1]}" not in stdout.splitlines()[0]:
                problems.append(f"$ {command}\nis said to be {said[1]}, but prints\n{stdout}")
            elif not is_output(shown, stdout):
                problems.append(f"$ {command}\nis shown to print\n{shown}\nbut prints\n{stdout}")
            continue
        problem = setup_problem(command, makefile, project)
        if problem is None:
            problem = "not a symdata command: mark the snippet with <!-- not run: reason -->"
        if problem:
            problems.append(f"$ {command}\n{problem}")
    return problems


@dataclass
class Reader:
    """Somebody who follows a document section by section, in one folder and in one session of Python.

    A section finds the files and the names of the sections that it builds on, which are read first, and the modules
    that any earlier section imported; of other sections nothing.
    """

    text: str
    folder: Path
    """The current folder while a section is read."""
    builds_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    as_user: str = ""
    """The one command that runs in a process of its own, as a user runs it."""
    title: str = "README.md"
    """Of the document, for tracebacks."""
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "reader"})
    read: list[str] = field(default_factory=list)
    shell_ran: int = 0
    """How many commands ran in a process of their own."""

    def follow(self, title: str) -> None:
        """Runs what the section says, after the sections that it builds on, unless it was read already."""
        if title in self.read:
            return
        for earlier in self.builds_on.get(title, ()):
            self.follow(earlier)
        for statement in self._imports_before(title):
            exec(statement, self.names)
        for snippet in sections(self.text)[title]:
            if snippet.reason is None:
                self._run(snippet)
        self.read.append(title)

    def forget_modules(self) -> None:
        """Removes the reader's own modules from this process."""
        for name, module in list(sys.modules.items()):
            if str(self.folder) in str(getattr(module, "__file__", "")):
                del sys.modules[name]

    def _run(self, snippet: Snippet) -> None:
        if snippet.language == "console":
            problems = console_problems(snippet.code, self._execute)
            assert not problems, f"line {snippet.line}\n" + "\n".join(problems)
            return
        if file := FILE.match(snippet.code):
            (self.folder / file["name"]).write_text(snippet.code, encoding="utf-8")
            sys.modules.pop(file["name"].removesuffix(".py"), None)  # of another test
        numbered = "\n" * (snippet.line - 1) + snippet.code  # a traceback has the line numbers of the document
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(numbered, self.title, "exec"), self.names)
        assert is_output(snippet.shown or "", printed.getvalue()), f"line {snippet.line} prints\n{printed.getvalue()}"

    def _execute(self, command: str) -> Outcome:
        if command != self.as_user:
            return in_process(command)
        self.shell_ran += 1
        done = shell(command, self.folder, symdata_script(self.folder.with_name("bin")))
        return done.returncode, done.stdout, done.stderr

    def _imports_before(self, title: str) -> Iterator[str]:
        """The import statements of earlier sections, but for those of the reader's own files."""
        found = sections(self.text)
        earlier = [snippet for name in list(found)[: list(found).index(title)] for snippet in found[name]]
        python = [snippet.code for snippet in earlier if snippet.language == "python"]
        own = {Path(file["name"]).stem for code in python if (file := FILE.match(code))}
        for node in (node for code in python for node in ast.parse(code).body):
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module not in own):
                yield ast.unparse(node)
