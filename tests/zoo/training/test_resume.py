"""A run that was killed goes on and ends with the bits that it would have had, wherever it was killed."""

import json
import os
import random
import shutil
import signal
import time

import pytest
import torch

from tests.support import kills
from tests.support.processes import prepared, start
from tests.support.training import config, dataset, lines, run, weights
from zoo.errors import ModelError
from zoo.training import train

CHANGES = {"epochs": 4, "symmetry": "so2", "dropout": 0.2, "keep": "best", "log_every": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=96)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The same run, never stopped."""
    return run(data, out=str(tmp_path_factory.mktemp("whole") / "run"), **CHANGES)


def killed(data, out, where, count) -> None:
    process = start(kills.train_until, data, CHANGES | {"out": out}, where, count, log=data.parent / "killed.log")
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL


def same(folder, whole) -> None:
    assert weights(folder) == weights(whole) and lines(folder) == lines(whole)
    before, after = (json.loads((f / "config.json").read_text())["training"] for f in (whole, folder))
    assert {k: v for k, v in before.items() if k != "seconds"} == {k: v for k, v in after.items() if k != "seconds"}
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in whole.iterdir())


def test_killed_within_an_epoch(data, whole, tmp_path):
    out = str(tmp_path / "run")
    killed(data, out, "step", 2 * 96 + 40)
    assert len(lines(tmp_path / "run")) > 2 * 2, "lines that are not in the state"
    same(run(data, out=out, resume=True, **CHANGES), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "count"), [("step", 1), ("torn", 0), ("torn", 2), ("log", 12), ("step", 4 * 96), ("published", 0)]
)
def test_killed_anywhere(data, whole, tmp_path, where, count):
    out = str(tmp_path / "run")
    killed(data, out, where, count)
    same(run(data, out=out, resume=True, **CHANGES), whole)


@pytest.mark.slow
def test_killed_at_random_moments_again_and_again(data, whole, tmp_path):
    out, dice = str(tmp_path / "run"), random.Random(0)
    for _ in range(4):
        hears, says = prepared().Pipe(duplex=False)
        log = data.parent / "random.log"
        process = start(kills.train_and_say, data, CHANGES | {"out": out}, says, log=log)
        assert hears.poll(120) and hears.recv()
        time.sleep(dice.uniform(0.05, 1.0))
        process.kill()
        process.join(timeout=120)
        assert process.exitcode in (-signal.SIGKILL, 0), log.read_text()
    same(run(data, out=out, resume=True, **CHANGES), whole)


class Stop(Exception):  # noqa: N818
    """What stops a run here."""


def stopped(data, out, images, **changes) -> None:
    seen = 0

    def progress(n):
        nonlocal seen
        seen += n
        if seen >= images:
            raise Stop

    with pytest.raises(Stop):
        train(config(data, out=out, **{**CHANGES, **changes}), progress=progress, resume=True)


@pytest.mark.parametrize("images", [1, 96, 97, 192, 250, 384])
def test_an_exception_is_like_a_kill(data, whole, tmp_path, images):
    out = str(tmp_path / "run")
    before = torch.get_rng_state()
    stopped(data, out, images)
    assert torch.equal(torch.get_rng_state(), before)
    same(run(data, out=out, resume=True, **CHANGES), whole)


def test_rare_states_resume_as_well(data, whole, tmp_path):
    out = str(tmp_path / "run")
    stopped(data, out, 350, checkpoint_every=3)
    assert torch.load(tmp_path / "run/.state/state.pt", weights_only=True)["epochs"] == 3
    folder = run(data, out=out, resume=True, **CHANGES)
    assert weights(folder) == weights(whole) and lines(folder) == lines(whole)


def test_a_run_resumes_elsewhere(data, whole, tmp_path):
    """Folders may be moved; what counts is what the dataset holds."""
    stopped(data, str(tmp_path / "run"), 250)
    (tmp_path / "run").rename(tmp_path / "moved")
    shutil.copytree(data, tmp_path / "data")
    folder = run(tmp_path / "data", out=str(tmp_path / "moved"), resume=True, **CHANGES)
    assert weights(folder) == weights(whole)


def test_resuming_what_is_not_there_begins_and_what_is_done_stays(data, whole, tmp_path):
    same(run(data, out=str(tmp_path / "run"), resume=True, **CHANGES), whole)
    written = (tmp_path / "run/config.json").stat().st_mtime_ns
    same(run(data, out=str(tmp_path / "run"), resume=True, **CHANGES), whole)
    assert (tmp_path / "run/config.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lr": 0.02}, "has lr = 0.01, and now it is 0.02; resume with 0.01, or begin again with --overwrite"),
        ({"epochs": 9}, "has epochs = 4, and now it is 9"),
        ({"symmetry": "d4"}, "has symmetry = 'so2', and now it is 'd4'"),
        ({"model": "p4cnn_13"}, "has model = 'p4cnn_12'"),
    ],
)
def test_another_run_is_not_resumed(data, tmp_path, change, sentence):
    out = str(tmp_path / "run")
    stopped(data, out, 100)
    with pytest.raises(ModelError) as caught:
        run(data, out=out, resume=True, **{**CHANGES, **change})
    assert sentence in str(caught.value)
    with pytest.raises(ModelError, match="go on with --resume or begin again with --overwrite"):
        run(data, out=out, **{**CHANGES, **change})


def test_another_dataset_is_not_resumed(data, tmp_path):
    out = str(tmp_path / "run")
    stopped(data, out, 100)
    other = dataset(tmp_path / "data", count=96, seed=1)
    with pytest.raises(ModelError, match="was on another dataset than"):
        run(other, out=out, resume=True, **CHANGES)


class Exploit:
    """Runs code when a pickle is opened."""

    def __reduce__(self):
        return (os.mkdir, ("opened",))


@pytest.mark.parametrize("damage", ["half", "empty", "text", "pickle", "other"])
def test_a_state_that_is_damaged_or_hostile(data, tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    stopped(data, "run", 100)
    path = tmp_path / "run/.state/state.pt"
    whole = path.read_bytes()
    if damage == "pickle":
        torch.save({"format": 1, "model": Exploit()}, path)
    elif damage == "other":
        torch.save({"format": 99}, path)
    else:
        path.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(ModelError, match="begin again with --overwrite"):
        run(data, out="run", resume=True, **CHANGES)
    assert not (tmp_path / "opened").exists()
    run(data, out="run", overwrite=True, **CHANGES)


def test_metrics_that_lost_lines(data, tmp_path):
    out = str(tmp_path / "run")
    stopped(data, out, 250)
    (tmp_path / "run/metrics.jsonl").write_text("")
    with pytest.raises(ModelError, match="has lost lines: 0 bytes of"):
        run(data, out=out, resume=True, **CHANGES)
