"""Training as a whole: it learns, says what it did, repeats itself to the bit, and stops with a sentence."""

import json
import os
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from symdata.installation.hints import install_line
from symdata.store import load
from symdata.store.lock import locked
from tests.support.folders import contents
from tests.support.training import MODEL, config, dataset, lines, run, weights
from zoo.checkpoint.folder import read_checkpoint
from zoo.errors import ModelError
from zoo.training import DivergedError, TrainConfig, prepare, read_recipe, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=160)


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "run")


def test_it_learns(data, out):
    folder = run(data, out=out, epochs=6, lr=0.02, width=4)
    losses = [line["loss"] for line in lines(folder) if "loss" in line]
    assert losses[-1] < 0.2 * losses[0]
    assert lines(folder)[-1]["validation_accuracy"] > 0.9
    checkpoint = read_checkpoint(folder)
    test = load(data, "test")
    with torch.no_grad():
        logits = checkpoint.model(checkpoint.preprocessing(test.images()))
    assert (logits.argmax(1) == test.labels).float().mean() > 0.9
    turned = torch.rot90(test.images(), 1, (-2, -1))
    with torch.no_grad():
        assert torch.allclose(checkpoint.model(checkpoint.preprocessing(turned)), logits, atol=1e-4), (
            "p4 at 12 is exact"
        )


def test_what_the_folder_says(data, out):
    folder = run(data, out=out, symmetry="d4-partial", lr="1e-3")
    assert sorted(p.name for p in folder.iterdir()) == [
        *("README.md", "config.json", "golden.safetensors", "metrics.jsonl", "model.safetensors", "recipe.yaml"),
    ]
    said = json.loads((folder / "config.json").read_text())
    training, about = said["training"], said["dataset"]
    assert said["name"] == f"{MODEL}.glyphs-none-aug-d4-partial_at_0p5"
    assert (training["symmetry"], training["lr"], training["images"]) == ("d4-partial@0.5", 1e-3, 320)
    assert training["loss"] == lines(folder)[-1]["loss"] and training["seconds"] > 0
    assert training["validation_accuracy"] == lines(folder)[-1]["validation_accuracy"]
    assert (about["name"], about["symmetry"]["train"], about["seed"], about["rows"]) == ("glyphs-none", "none", 0, 160)
    assert about["source"]["fingerprint"].startswith("sha256:") and len(about["manifest_sha256"]) == 64
    assert (about["split"], about["validation_split"], about["validation_rows"]) == ("train", "validation", 27)
    assert str(data.parent) not in (folder / "config.json").read_text() + (folder / "README.md").read_text()
    assert str(data.parent) not in (folder / "recipe.yaml").read_text()


def test_the_recipe_beside_the_weights_trains_them_again(data, out, tmp_path):
    folder = run(data, out=out, symmetry="c4", seed=3, weight_decay="1e-4")
    fields = read_recipe(folder / "recipe.yaml") | {"data": str(data), "out": str(tmp_path / "again")}
    again = train(TrainConfig.from_dict(fields))
    assert weights(again) == weights(folder) and lines(again) == lines(folder)


def test_the_command_on_the_card_trains_them_again(data, out, tmp_path, monkeypatch):
    from tests.support import commands

    folder = run(data, out=out, symmetry="c4", mean=0.1, std=0.5, channels_last=True, coset_pool=False, keep="best")
    words = json.loads((folder / "config.json").read_text())["training"]["command"].split()
    assert words[:3] == ["symdata", "train", "data"]
    monkeypatch.chdir(data.parent)
    result = commands.run(*words[1:], "--out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert weights(tmp_path / "again") == weights(folder)


def test_metrics_are_a_line_per_epoch_and_per_so_many_steps(data, out):
    folder = run(data, out=out, log_every=4)
    steps = [(line["epoch"], line["step"], "window_loss" in line) for line in lines(folder)]
    assert steps == [(1, 4, True), (1, 8, True), (1, 10, False), (2, 14, True), (2, 18, True), (2, 20, False)]
    assert lines(folder)[2].keys() == {
        *("epoch", "step", "loss", "accuracy", "lr", "validation_loss", "validation_accuracy"),
    }


def test_losses_are_those_of_a_bare_loop(data, out):
    """The same steps written out with torch alone."""
    from torch.nn.functional import cross_entropy

    from zoo.models.registry import create

    changes = {"optimizer": "sgd", "schedule": "constant", "lr": 0.01, "momentum": 0.5, "label_smoothing": 0.1}
    folder = run(data, out=out, log_every=1, epochs=1, **changes)
    plan = prepare(config(data, **changes))
    model = create(MODEL, num_classes=4, in_chans=1, width=2, seed=0).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5, weight_decay=1e-5)
    from zoo.training.batches import Batches

    served = Batches(plan.config, plan.data.train, plan.preprocessing, torch.device("cpu"), (0, 1))
    losses = []
    for images, labels, *_ in served.epoch(0):
        loss = cross_entropy(model(images), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    found = [line["window_loss"] for line in lines(folder) if "window_loss" in line]
    assert found == pytest.approx(losses[:-1], rel=1e-5)


# Repeating itself


def test_the_same_config_gives_the_same_bits_whatever_ran_before(data, out, tmp_path):
    first = run(data, out=out, symmetry="so2", dropout=0.3)
    torch.rand(1000)
    random.random()
    second = run(data, out=str(tmp_path / "second"), symmetry="so2", dropout=0.3)
    assert weights(first) == weights(second) and lines(first) == lines(second)
    other = run(data, out=str(tmp_path / "other"), symmetry="so2", dropout=0.3, seed=1)
    assert weights(other) != weights(first)


def test_nothing_global_is_left_changed(data, out):
    from accelerate.state import AcceleratorState

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads, environment = torch.get_num_threads(), dict(os.environ)
    run(data, out=out, symmetry="so2", dropout=0.3)
    assert not AcceleratorState._shared_state
    assert torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    assert np.array_equal(states[2], np.random.get_state()[1])  # noqa: NPY002
    assert (torch.get_num_threads(), dict(os.environ)) == (threads, environment)


def test_dropout_is_there_and_differs_between_epochs(data, out, tmp_path):
    assert weights(run(data, out=out, dropout=0.4)) != weights(run(data, out=str(tmp_path / "o")))


def test_a_plan_can_be_trained_twice(data, tmp_path):
    plan = prepare(config(data, out=str(tmp_path / "run")))
    first = weights(train(plan))
    assert weights(train(plan, overwrite=True)) == first


def test_progress_and_reports(data, out):
    images, reports = [], []
    train(config(data, out=out), progress=images.append, report=reports.append)
    assert sum(images) == 320 and max(images) <= 16
    assert [line["epoch"] for line in reports] == [1, 2] and reports[0]["seconds"] > 0


def test_the_library_is_silent(data, out, capfd):
    run(data, out=out)
    assert capfd.readouterr() == ("", "")


def test_the_best_epoch_is_kept(data, out, tmp_path):
    changes = {"epochs": 4, "lr": 0.05, "schedule": "constant"}
    best = run(data, out=out, keep="best", **changes)
    accuracies = [line["validation_accuracy"] for line in lines(best) if "loss" in line]
    training = json.loads((best / "config.json").read_text())["training"]
    assert training["validation_accuracy"] == max(accuracies)
    assert training["kept_epoch"] == accuracies.index(max(accuracies)) + 1
    last = run(data, out=str(tmp_path / "last"), **changes)
    assert json.loads((last / "config.json").read_text())["training"]["kept_epoch"] == 4
    assert (weights(best) == weights(last)) == (training["kept_epoch"] == 4)


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"channels_last": True}, {"optimizer": "adamw"}])
def test_other_ways_learn_as_well(data, out, changes):
    folder = run(data, out=out, epochs=4, lr=0.02, width=4, **changes)
    losses = [line["loss"] for line in lines(folder) if "loss" in line]
    assert losses[-1] < 0.5 * losses[0]
    assert next(read_checkpoint(folder).model.parameters()).dtype == torch.float32


# Divergence


def test_a_loss_that_is_not_finite_stops_the_run(data, out):
    # Batch norm hides the scale of weights until weight decay, times such a rate, makes them overflow.
    diverged = {"optimizer": "sgd", "schedule": "constant", "weight_decay": 1e3, "epochs": 3}
    with pytest.raises(DivergedError, match=r"epoch 1, step \d+, at lr .*--resume and a smaller --lr") as caught:
        run(data, out=out, lr=1e4, **diverged)
    assert 1 < caught.value.step <= 10 and caught.value.lr == 1e4
    with pytest.raises(ModelError, match="holds a run that was stopped"):
        run(data, out=out, lr=1e4, **diverged)
    with pytest.raises(ModelError, match="has seed = 0, and now it is 1"):
        run(data, out=out, lr=1e-5, resume=True, **diverged, seed=1)
    folder = run(data, out=out, lr=1e-5, resume=True, **diverged)
    training = json.loads((folder / "config.json").read_text())["training"]
    assert training["changes"] == [{"after_epoch": 0, "lr": [1e4, 1e-5]}]
    assert run(data, out=out, lr=1e-5, resume=True, **diverged) == folder, "finished: left as it is"


def test_a_weight_that_is_not_finite_stops_the_run(data, out):
    plan = prepare(config(data, out=out))
    with torch.no_grad():
        next(plan.model.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(DivergedError, match="epoch 1, step 1,"):
        train(plan)


# What is refused


def test_folders_in_the_way(data, tmp_path):
    (tmp_path / "thesis").mkdir()
    for name in ("README.md", "thesis.tex"):
        (tmp_path / "thesis" / name).write_text("do not lose")
    before = contents(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(ModelError, match="is not a model of symdata; it is left alone: choose another --out"):
            run(data, out=str(tmp_path / "thesis"), overwrite=overwrite)
        with pytest.raises(ModelError, match="is a file"):
            run(data, out=str(tmp_path / "thesis" / "thesis.tex"), overwrite=overwrite)
        with pytest.raises(ModelError, match="is left alone"):
            run(data, out=str(data), overwrite=overwrite)
    (tmp_path / "thesis" / ".state").mkdir()
    with pytest.raises(ModelError, match="is left alone"):
        run(data, out=str(tmp_path / "thesis"), overwrite=True)
    assert contents(tmp_path) == before
    with pytest.raises(ModelError, match="Not a directory"):
        run(data, out=str(tmp_path / "thesis" / "thesis.tex" / "below"))


def test_a_model_is_replaced_when_asked_and_what_lies_beside_it_stays(data, out, tmp_path):
    folder = run(data, out=out)
    (folder / "notes.txt").write_text("mine")
    before = weights(folder)
    with pytest.raises(ModelError, match="holds a trained model; replace it with --overwrite"):
        run(data, out=out, seed=1)
    with pytest.raises(ModelError, match="is a finished model with seed = 0, and now it is 1"):
        run(data, out=out, seed=1, resume=True)
    assert weights(folder) == before
    assert weights(run(data, out=out, seed=1, overwrite=True)) != before
    assert (folder / "notes.txt").read_text() == "mine"


def test_two_runs_in_one_folder(data, out):
    os.mkdir(out)
    with locked(Path(out)), pytest.raises(ModelError, match="another process trains in"):
        run(data, out=out)
    assert os.listdir(out) == []
    run(data, out=out)


def test_devices_and_precisions_that_are_not_there(data, out, monkeypatch):
    with pytest.raises(ModelError, match="device is 'tpu9', expected auto, cpu"):
        run(data, out=out, device="tpu9")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="there is no device 'cuda:7' here; use --device cpu"):
            run(data, out=out, device="cuda:7")
    with pytest.raises(
        ModelError, match="precision 'fp16' needs an accelerator, and the device is cpu; use --precision bf16"
    ):
        run(data, out=out, device="cpu", precision="fp16")
    assert not os.path.exists(out)


def test_without_accelerate(data, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=re.escape(f"training needs accelerate: {install_line('train')}")):
        run(data, out=out)
    assert not os.path.exists(out)
