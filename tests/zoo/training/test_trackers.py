"""Trackers get the lines of metrics.jsonl: each is really run, where it is installed."""

import os
import re
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from symdata.installation.hints import install_line, pip
from tests.conftest import ROOT
from tests.support.training import config, dataset, lines, run
from zoo.errors import ModelError
from zoo.training import prepare
from zoo.training.engine import start_trackers


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=96)


def tracked(data, folder, tracker, **environment):
    """A run in a process of its own, since a tracker may change the process that it runs in."""
    if find_spec(tracker) is None:
        pytest.skip(f"{tracker} is not installed: pip install {tracker}")
    words = [sys.executable, "-m", "symdata", "train", data, "--model", "p4cnn_12", "--width", 2, "--epochs", 2]
    words += ["--log-every", 2, "--tracker", tracker, "--out", folder / "mine"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    result = subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return folder / "mine"


def test_a_tracker_that_is_not_installed_is_named_with_its_line(data, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.training.engine.find_spec", lambda name: None)
    for tracker, line in (("trackio", install_line("trackers")), ("wandb", pip("install wandb"))):
        with pytest.raises(ImportError, match=re.escape(f"{tracker} is not installed: {line}")):
            run(data, out=str(tmp_path / "run"), tracker=tracker)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModelError, match="tracker is 'comet', expected one of tensorboard, trackio, wandb, mlflow"):
        config(data, tracker="comet")


def test_a_tracker_that_does_not_start_is_a_sentence(data):
    def fails(*arguments, **keywords):
        raise RuntimeError("no api_key\nand more")

    plan = prepare(config(data, tracker="wandb"))
    with pytest.raises(ModelError, match="wandb does not start: no api_key; mend that and go on with --resume, or"):
        start_trackers(SimpleNamespace(init_trackers=fails), plan)


@pytest.mark.slow
def test_tensorboard(data, tmp_path):
    folder = tracked(data, tmp_path, "tensorboard")
    events = [path.read_bytes() for path in (folder / "tensorboard").rglob("*") if path.is_file()]
    assert any(b"validation_accuracy" in event for event in events)
    assert not any(str(data.parent).encode() in event for event in events), "no path of this machine"
    again = run(data, out=str(folder), overwrite=True, width=2, epochs=2, batch_size=64)
    assert not (again / "tensorboard").exists()


@pytest.mark.slow
def test_wandb_offline(data, tmp_path):
    tracked(data, tmp_path, "wandb", WANDB_MODE="offline", WANDB_SILENT="true")
    (log,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"validation_accuracy" in log.read_bytes() and b"mine" in log.read_bytes()


@pytest.mark.slow
def test_mlflow(data, tmp_path):
    folder = tracked(data, tmp_path, "mlflow", MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'tracked.db'}")
    with sqlite3.connect(tmp_path / "tracked.db") as store:
        found = store.execute("select value from metrics where key = 'loss' order by step").fetchall()
        names = store.execute("select name, status from runs").fetchall()
    store.close()
    assert [value for (value,) in found] == [line["loss"] for line in lines(folder) if "loss" in line]
    assert names == [("mine", "FINISHED")]


@pytest.mark.slow
def test_trackio(data, tmp_path):
    tracked(data, tmp_path, "trackio", TRACKIO_DIR=str(tmp_path / "tracked"))
    (store,) = (tmp_path / "tracked").glob("*.db")
    assert b"validation_accuracy" in store.read_bytes() and b"mine" in store.read_bytes()
