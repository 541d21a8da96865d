"""A run stops when its validation accuracy has not risen for some epochs, says so, and resumes to the same bits."""

import json

import pytest
import torch

from tests.support.training import config, dataset, lines, run, weights
from zoo.errors import ModelError
from zoo.training import TrainedModel, prepare, train

PATIENT = {"epochs": 12, "schedule": "constant", "lr": 0.03, "patience": 2, "symmetry": "so2"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=96)


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    return run(data, out=str(tmp_path_factory.mktemp("stopped") / "run"), **PATIENT)


def record(folder):
    return json.loads((folder / "config.json").read_text())["training"]


def accuracies(folder) -> list[float]:
    return [line["validation_accuracy"] for line in lines(folder) if "loss" in line]


def test_it_stops_after_two_epochs_without_a_higher_accuracy(data, stopped, tmp_path):
    found = accuracies(stopped)
    ended = len(found)
    assert 3 <= ended < 12
    assert max(found[-2:]) <= max(found[:-2]), "the last two were no better"
    assert all(max(found[k - 1 : k + 1]) > max(found[: k - 1]) for k in range(2, ended - 1)), "and no two before them"
    said = record(stopped)
    assert said["stopped"] == {"epoch": ended, "reason": "no higher validation accuracy for 2 epochs", "lr": 0.03}
    assert (said["epochs"], said["kept_epoch"], said["images"], said["steps"]) == (12, ended, 96 * ended, 6 * ended)
    # It is the run of so many epochs, to the bit; without patience there are more of them.
    same = run(data, out=str(tmp_path / "same"), **PATIENT | {"patience": None, "epochs": ended})
    assert weights(same) == weights(stopped) and "stopped" not in record(same)
    longer = run(data, out=str(tmp_path / "longer"), **PATIENT | {"patience": None, "epochs": ended + 1})
    assert len(accuracies(longer)) == ended + 1 and weights(longer) != weights(stopped)


def test_the_best_epoch_is_the_one_that_patience_counts_from(data, stopped, tmp_path):
    best = run(data, out=str(tmp_path / "run"), keep="best", **PATIENT)
    found = accuracies(best)
    assert found == accuracies(stopped)
    assert record(best)["kept_epoch"] == found.index(max(found)) + 1 == record(best)["stopped"]["epoch"] - 2


def test_the_last_epoch_is_no_early_stop(data, stopped, tmp_path):
    ended = len(accuracies(stopped))
    assert "stopped" not in record(run(data, out=str(tmp_path / "run"), **PATIENT | {"epochs": ended}))


class Stop(Exception):  # noqa: N818
    """What stops a run here."""


@pytest.mark.parametrize("images", [100, 2 * 96 + 1, 3 * 96 - 8])
def test_a_resumed_run_stops_at_the_same_epoch_with_the_same_bits(data, stopped, tmp_path, images):
    seen = 0

    def progress(n):
        nonlocal seen
        seen += n
        if seen >= images:
            raise Stop

    out = str(tmp_path / "run")
    with pytest.raises(Stop):
        train(config(data, out=out, **PATIENT), progress=progress)
    with pytest.raises(ModelError, match="has patience = 2, and now it is 3; resume with 2"):
        run(data, out=out, resume=True, **PATIENT | {"patience": 3})
    folder = run(data, out=out, resume=True, **PATIENT)
    assert weights(folder) == weights(stopped) and lines(folder) == lines(stopped)
    assert record(folder)["stopped"] == record(stopped)["stopped"]


def test_killed_between_the_stop_and_the_model(data, stopped, tmp_path, monkeypatch):
    out = str(tmp_path / "run")

    def killed(*arguments):
        raise Stop

    rare = PATIENT | {"checkpoint_every": 5}
    with monkeypatch.context() as patch:
        patch.setattr("zoo.training.loop._publish", killed)
        with pytest.raises(Stop):
            run(data, out=out, **rare)
    assert torch.load(tmp_path / "run/.state/state.pt", weights_only=True)["stopped"]
    epochs = []
    folder = train(config(data, out=out, **rare), resume=True, report=epochs.append)
    assert not epochs, "no epoch runs again"
    assert weights(folder) == weights(stopped) and record(folder)["stopped"] == record(stopped)["stopped"]
    assert run(data, out=out, resume=True, **rare) == folder, "finished: left as it is"


def test_a_state_of_an_earlier_version_resumes_to_the_same_bits(data, tmp_path):
    whole = run(data, out=str(tmp_path / "whole"), keep="best", epochs=3)
    out, seen = tmp_path / "run", []

    def report(metrics):
        seen.append(metrics)
        if len(seen) == 2:
            raise Stop

    with pytest.raises(Stop):
        train(config(data, out=str(out), keep="best", epochs=3), report=report)
    state = torch.load(out / ".state/state.pt", weights_only=True)
    for name in ("highest", "waited", "stopped"):
        del state[name]
    for name in ("patience", "shift", "class_weights"):
        del state["config"][name]
    torch.save(state, out / ".state/state.pt")
    assert weights(run(data, out=str(out), keep="best", epochs=3, resume=True)) == weights(whole)


def test_what_it_says(data, stopped):
    row = next(line for line in str(TrainedModel(stopped, str(data))).splitlines() if line.startswith("stopped"))
    ended = record(stopped)["stopped"]["epoch"]
    assert row.endswith(f"after epoch {ended} of 12: no higher validation accuracy for 2 epochs; lr was 0.03 of 0.03")


def test_a_stop_before_the_rate_came_down_is_said(data, tmp_path):
    folder = run(data, out=str(tmp_path / "run"), **PATIENT | {"schedule": "cosine", "patience": 1, "epochs": 30})
    said = record(folder)["stopped"]
    assert 0 < said["lr"] < 0.03 and said["epoch"] < 30
    assert ", which had not come down yet" in str(TrainedModel(folder, str(data)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schedule": "onecycle"}, r"comes down only if all 12 epochs run; use schedule step or constant"),
        ({"validation": 0.0}, "patience is 2 and validation is 0; hold some images out"),
        ({"patience": 0}, "patience is 0, expected a whole number from 1"),
    ],
)
def test_what_is_refused(data, changes, sentence):
    with pytest.raises(ModelError, match=sentence):
        prepare(config(data, **PATIENT | changes))
