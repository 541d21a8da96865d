"""Running `symdata` in this process, and holding its refusals against what a refusal has to be."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from tests.support.folders import contents


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that is alone in its parent, of which `refused` takes a snapshot."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@contextmanager
def reader(place: Path, monkeypatch: pytest.MonkeyPatch, net: str) -> Iterator[Path]:
    """The folder of somebody with a network of their own, mynet.py, which no other test has imported nor will find."""
    monkeypatch.syspath_prepend(str(place))
    (place / "mynet.py").write_text(net, encoding="utf-8")
    sys.modules.pop("mynet", None)
    try:
        yield place
    finally:
        sys.modules.pop("mynet", None)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def said(*arguments: object) -> str:
    """What a command prints that succeeds without a word on stderr."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def refused(*arguments: object, code: int = 1) -> str:
    """What stderr says when a command is refused; in one sentence, without traceback, leaving everything as it was."""
    before = contents(Path.cwd().parent)
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)
    lines = result.stderr.splitlines()
    if code == 1:
        assert len(lines) == 1 and lines[0].startswith("symdata: ")
    else:
        assert lines[0].startswith("Usage: ") and lines[-1].startswith("Error: ")
    after = contents(Path.cwd().parent)
    assert after == before
    return lines[-1]
