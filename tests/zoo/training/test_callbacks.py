"""Callbacks see every epoch, may end a run, and change nothing else."""

import json

import pytest
import torch

from tests.support.training import config, dataset, run, weights
from zoo.errors import ModelError
from zoo.training import EpochView, train

CONSTANT = {"epochs": 3, "schedule": "constant", "dropout": 0.2, "symmetry": "so2"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=64)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    return run(data, out=str(tmp_path_factory.mktemp("whole") / "run"), **CONSTANT)


def trained(data, out, *callbacks, **changes):
    return train(config(data, out=str(out), **CONSTANT | changes), callbacks=callbacks)


def test_they_see_every_epoch_and_leave_the_run_as_it_is(data, whole, tmp_path):
    views, lines = [], []

    def curious(view: EpochView) -> None:
        views.append(view)
        assert not view.model.training and not (view.folder / "config.json").exists()
        torch.rand(100)
        view.model.train()
        view.metrics["loss"] = -1.0  # a copy

    folder = train(config(data, out=str(tmp_path / "run"), **CONSTANT), callbacks=[curious], report=lines.append)
    assert [(view.epoch, view.epochs, view.is_main) for view in views] == [(1, 3, True), (2, 3, True), (3, 3, True)]
    assert [line["loss"] for line in lines] != [-1.0] * 3 and views[0].metrics.keys() == lines[0].keys()
    assert weights(folder) == weights(whole)


def test_the_view_shows_the_weights_of_its_epoch(data, whole, tmp_path):
    sums = []
    trained(
        data, tmp_path / "run", lambda view: sums.append(float(sum(p.detach().sum() for p in view.model.parameters())))
    )
    assert len(set(sums)) == 3, "they move"


def test_one_of_them_ends_the_run(data, tmp_path):
    heard = []
    first, second = lambda view: view.epoch == 2, lambda view: heard.append(view.epoch)
    folder = trained(data, tmp_path / "run", first, second)
    assert heard == [1, 2], "the others are still called"
    training = json.loads((folder / "config.json").read_text())["training"]
    assert training["stopped"] == {"epoch": 2, "reason": "a callback asked for it", "lr": 0.01}
    assert weights(folder) == weights(run(data, out=str(tmp_path / "two"), **CONSTANT | {"epochs": 2}))
    assert trained(data, tmp_path / "other", lambda view: False) and not heard[2:]


def test_an_error_in_one_is_like_a_kill(data, whole, tmp_path):
    def fails(view):
        if view.epoch == 2:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        trained(data, tmp_path / "run", fails)
    assert weights(run(data, out=str(tmp_path / "run"), resume=True, **CONSTANT)) == weights(whole)


@pytest.mark.parametrize("answer", [0.97, 1, "stop", torch.tensor(True)])
def test_an_answer_that_is_no_answer(data, tmp_path, answer):
    with pytest.raises(ModelError, match=r"after epoch 1, expected True to end the run, False or None; .* bool\("):
        trained(data, tmp_path / "run", lambda view: answer)
