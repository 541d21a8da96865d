"""A disk that is full while a command writes: one sentence, exit code 1, and every file as it was."""

import errno
import json
import os
import shutil
from contextlib import contextmanager

import pytest

from symdata.store.files import UNFINISHED, replacing, write_file, write_together
from tests.support.commands import run
from tests.support.folders import contents
from tests.support.training import config, dataset, weights
from tests.support.training import run as trained
from zoo.errors import ModelError
from zoo.training import run_folder, train

resource = pytest.importorskip("resource", reason="the limit of a file's size is POSIX's")


@contextmanager
def files_of(limit):
    """Within the block no file can grow beyond `limit` bytes: the system refuses to write, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset and a model that was trained on it."""
    folder = tmp_path_factory.mktemp("place")
    trained(dataset(folder / "data", count=48), epochs=1)
    return folder


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


SMALL = ("--data", "data", "--limit", "4", "--angles", "4")


@pytest.mark.parametrize(
    "words",
    [
        ("make", "glyphs:OXAF", "--size", "12", "--count", "8", "--seed", "3", "--out", "data", "--overwrite"),
        ("inspect", "data", "--out", "pictures"),
        ("degree", "run", "--plot", "degree.png"),
        ("evaluate", "run", *SMALL, "--out", "evaluation"),
        ("evaluate", "run", *SMALL, "--save", "--out", "evaluation"),
        ("report", "run", *SMALL, "--measured", "0", "-o", "page.html", "--markdown", "table.md"),
        ("card", "run"),
        ("train", "data", "--model", "p4cnn_12", "--width", "2", "--epochs", "1", "--batch-size", "16", "--out", "new"),
    ],
    ids=lambda words: " ".join(word for word in words[:1] + words[-2:-1]),
)
def test_a_command_that_cannot_write_leaves_what_was_there(here, words):
    if words[0] != "train":
        assert run(*words).exit_code == 0
    before = contents(here)
    with files_of(300):
        result = run(*words)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    assert [line for line in result.stderr.splitlines() if line.startswith("symdata: ")] == [
        result.stderr.splitlines()[-1]
    ]
    assert "File too large" in result.stderr
    left = contents(here)
    assert {name: left.get(name) for name in before} == before
    assert not any(name.endswith(UNFINISHED) or "partial" in name for name in left)
    assert all(name.startswith("new/") for name in left.keys() - before.keys())


def test_a_state_that_cannot_be_written_is_one_sentence_and_the_run_goes_on(place, tmp_path):
    """torch.save raises an error of its own over that of the system."""
    fields = {"out": str(tmp_path / "run"), "epochs": 2}
    size = []

    def limited(line):
        state = tmp_path / "run" / run_folder.STATE / "state.pt"
        size.append(state.stat().st_size)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size[0] // 2, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with files_of(resource.RLIM_INFINITY), pytest.raises(ModelError, match=r"state.pt'.*large; free.*--resume"):
        train(config(place / "data", **fields), report=limited)
    state = tmp_path / "run" / run_folder.STATE
    assert sorted(path.name for path in state.iterdir()) == [run_folder.RUN, "state.pt"]
    whole = train(config(place / "data", out=str(tmp_path / "whole"), epochs=2))
    assert weights(train(config(place / "data", **fields), resume=True)) == weights(whole)


def test_metrics_that_cannot_be_written_are_one_sentence(place, tmp_path):
    out = tmp_path / "run"
    with files_of(resource.RLIM_INFINITY), pytest.raises(ModelError, match=r"metrics.jsonl'.*--resume"):
        train(config(place / "data", out=str(out), epochs=2), progress=_limit_metrics(out))
    assert train(config(place / "data", out=str(out), epochs=2), resume=True) == out
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def _limit_metrics(out):
    def progress(images):
        if images and (out / "metrics.jsonl").exists():
            size = (out / "metrics.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return progress


def test_of_files_written_together_none_is_replaced_unless_all_are_written(tmp_path):
    a, b = tmp_path / "a", tmp_path / "more" / "b"
    write_file(a, "old")
    with files_of(100), pytest.raises(OSError) as refusal:
        write_together({a: "new", b: "x" * 101})
    assert refusal.value.errno == errno.EFBIG
    assert a.read_text() == "old" and not list((tmp_path / "more").iterdir())
    assert write_together({a: "new", b: "x" * 101}) == [a, b]
    assert (a.read_text(), len(b.read_text())) == ("new", 101)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), MemoryError(), RuntimeError()])
def test_an_unfinished_file_is_removed_after_any_error(tmp_path, error):
    write_file(tmp_path / "a", "old")
    with pytest.raises(type(error)):
        _write_until(error, tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def _write_until(error, path):
    with replacing(path) as file:
        file.write(b"new")
        raise error
