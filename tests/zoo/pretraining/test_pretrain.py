"""Pretraining from data to folder: learning, resuming, starting from it, publishing it; and what is refused."""

import json

import numpy as np
import pytest
import torch

import symdata
import zoo
from symdata.groups import Element, Group
from tests.support.training import dataset, lines, weights
from zoo.errors import ModelError
from zoo.layers.regular import move
from zoo.models.registry import create
from zoo.pretraining import (
    TASKS,
    MapError,
    PretrainConfig,
    act_on_labels,
    contrastive_loss,
    parse_pretext,
    prepare_pretraining,
    pretrain,
)
from zoo.pretraining.objectives import erase_square
from zoo.references.loading import read_trained

pytest_plugins = ["tests.support.hub_fixture"]
SMALL = {"model": "p4cnn_12", "width": 2, "epochs": 2, "batch_size": 16, "log_every": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("pretraining") / "data", count=64)


def run(data, out, objective="erased-quadrant", resume=False, **changes):
    return pretrain(PretrainConfig(data=str(data), out=str(out), objective=objective, **SMALL | changes), resume=resume)


@pytest.fixture(scope="module")
def body(data, tmp_path_factory):
    return run(data, tmp_path_factory.mktemp("body") / "body")


@pytest.mark.parametrize("name", [*TASKS, "contrastive", "jigsaw:head=invariant", "contrastive:maps=0.1,over=norm"])
def test_every_objective_trains_and_its_folder_loads(data, tmp_path, name):
    made = run(data, tmp_path / "run", name, epochs=1, symmetry="c4", shift=1)
    model = made.load()
    assert model.config["training"]["objective"] == name and model.config["training"]["kind"] == "pretrain"
    assert made.config["training"]["command"].startswith("symdata pretrain data --model p4cnn_12")
    assert model(torch.randn(2, 1, 12, 12)).shape == (2, len(model.classes))


def test_the_folder_answers_as_the_network_with_its_head_did(data, tmp_path):
    seen = []
    config = PretrainConfig(data=str(data), out=str(tmp_path / "run"), objective="jigsaw", **SMALL)
    made = pretrain(config, callbacks=[lambda view: seen.append(view.model)])
    images = torch.randn(3, 1, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(made.load()(images), seen[-1].eval()(images))


def test_logits_of_the_folder_move_with_the_labels(body):
    model, task = body.load().double(), TASKS["erased-quadrant"]("c4")
    images = torch.randn(3, 1, 12, 12, dtype=torch.float64)
    for element in Group(4).elements:
        moved = act_on_labels(task, element, torch.arange(4))
        with torch.no_grad():
            torch.testing.assert_close(model(move(images, element))[:, moved], model(images))


def test_the_loss_of_a_network_stays_when_one_view_turns():
    torch.manual_seed(0)
    model = create("p4cnn_12", in_chans=1, width=4, num_classes=0, coset_pool=False, seed=0).eval()
    a, b = torch.randn(2, 8, 1, 12, 12)
    with torch.no_grad():
        for over, low, high in (("max", 0, 1e-5), ("mean", 0, 1e-5), ("norm", 0, 1e-5), ("plain", 1e-4, 10)):
            losses = [contrastive_loss(model(a), model(x), "c4", over) for x in (b, move(b, Element(90)))]
            assert low <= abs(float(losses[0] - losses[1])) <= high, over


def test_a_stopped_run_goes_on_with_the_same_bits(data, tmp_path):
    class StopError(Exception):
        """Ends a run after its first epoch."""

    def stop(metrics):
        raise StopError

    for name in ("relative-patch", "contrastive"):
        whole = run(data, tmp_path / f"whole-{name}", name, dropout=0.2)
        config = PretrainConfig(data=str(data), out=str(tmp_path / name), objective=name, dropout=0.2, **SMALL)
        with pytest.raises(StopError):
            pretrain(config, report=stop)
        resumed = pretrain(config, resume=True)
        assert weights(resumed.folder) == weights(whole.folder)
        assert lines(resumed.folder) == lines(whole.folder)


def test_labels_of_the_data_are_not_used(tmp_path):
    """The same images under other labels give the same weights, and the classes are those of the task."""
    images, runs = np.random.default_rng(0).integers(0, 256, (32, 12, 12), dtype=np.uint8), []
    for name, labels in (("halves", np.arange(32) // 16), ("turns", np.arange(32) % 2)):
        folder = symdata.make((images, labels), tmp_path / name, symmetry="none").folder
        runs.append(run(folder, tmp_path / f"run-{name}", epochs=1, validation=0.0))
    assert runs[0].config["classes"][0] == "top left"
    assert weights(runs[0].folder) == weights(runs[1].folder)


def test_a_training_starts_from_the_body_and_says_what_is_new(data, body, tmp_path, caplog):
    plan = zoo.training.prepare(
        zoo.TrainConfig(data=str(data), model="p4cnn_12", width=2, init=str(body.folder), batch_size=16)
    )
    assert "not trained, because they are new: head.weight, head.bias" in caplog.text
    before, now = body.load().state_dict(), plan.model.state_dict()
    trunk = [key for key in before if key.startswith("trunk.")]
    assert trunk and all(now[key].equal(before[key]) for key in trunk)
    assert plan.model.architecture["coset_pool"] and plan.model.num_features == 2
    fresh = zoo.training.prepare(zoo.TrainConfig(data=str(data), model="p4cnn_12", width=2, batch_size=16))
    assert not all(fresh.model.state_dict()[key].equal(before[key]) for key in trunk)
    tuned = zoo.train("p4cnn_12", data, width=2, init=str(body.folder), batch_size=16, epochs=1, out=tmp_path / "t")
    assert tuned.model.classes == ("O", "X", "A", "F")


def test_a_pretext_head_of_the_right_size_is_new_too(data, tmp_path, caplog):
    """4 quadrants and 4 letters: a head of the same shape is no head of the same classes."""
    pooled = run(data, tmp_path / "pooled", "erased-quadrant:head=invariant", epochs=1)
    plan = zoo.training.prepare(
        zoo.TrainConfig(data=str(data), model="p4cnn_12", width=2, init=str(pooled.folder), batch_size=16)
    )
    assert "its classes are others" in caplog.text
    assert not plan.model.head.weight.equal(pooled.load().head.weight)


def test_the_folder_makes_a_round_trip_through_the_hub(hub, data, body, tmp_path):
    zoo.push(body.folder, "user/body")
    assert "image-feature-extraction" in hub.api().model_info("user/body").pipeline_tag
    there = zoo.pull("user/body", out=tmp_path / "pulled")
    images = torch.randn(2, 1, 12, 12)
    with torch.no_grad():
        assert zoo.load("user/body")(images).equal(body.load()(images))
    plan = zoo.training.prepare(
        zoo.TrainConfig(data=str(data), model="p4cnn_12", width=2, init="user/body", batch_size=16)
    )
    assert plan.model.trunk.conv1.weight.equal(body.load().trunk.conv1.weight)
    assert there


def test_the_card_says_what_it_is(body):
    card = (body.folder / "README.md").read_text()
    assert "pretrained without labels (erased-quadrant)" in card and "An image classifier" not in card
    assert "symdata train DATA --model p4cnn_12" in card


def test_validation_counts_found_labels_and_an_invariant_head_cannot(data, tmp_path):
    """On the same images and labels, whatever it has learned: within an orbit it is a guess."""
    plan = prepare_pretraining(
        PretrainConfig(data=str(data), objective="erased-quadrant:head=invariant", **SMALL, out=str(tmp_path / "x"))
    )
    model, task = plan.model.eval(), TASKS["erased-quadrant"]("c4")
    images, labels = torch.randn(5, 1, 12, 12), torch.arange(4)
    with torch.no_grad():
        for image in images:
            turned = torch.cat([move(task(image[None], labels[:1]), e) for e in Group(4).elements])
            answers = model(turned).argmax(1)
            right = torch.stack([act_on_labels(task, e, labels[:1]) for e in Group(4).elements]).flatten()
            assert int((answers == right).sum()) == 1


def test_the_map_error_is_of_networks_that_are_not_equivariant(data, tmp_path):
    torch.manual_seed(0)
    images, found = torch.randn(4, 1, 13, 13), {}
    for name in ("p4cnn_13", "p4cnn_12", "z2cnn_13"):
        model, term = create(name, in_chans=1, width=2, seed=0).double(), MapError(2.0)
        term.groups(model, 0.0)
        model(images.double()[..., : int(name[-2:]), : int(name[-2:])])
        found[name] = term.penalty(model)
    assert found["p4cnn_12"].item() < 1e-20 < 1e-4 < found["p4cnn_13"].item()
    found["z2cnn_13"].backward()
    assert MapError().penalty(model) is None


def test_erased_squares_are_where_they_should_be():
    images = torch.ones(500, 1, 7, 7)
    u = torch.rand(2, 500, generator=torch.Generator().manual_seed(0)).double().numpy()
    erased = erase_square(images, 3, u[0], u[1]) == 0
    assert (erased.flatten(1).sum(1) == 9).all()
    assert erased.any(0).all(), "every pixel is erased in some image"
    assert erase_square(images, 0, u[0], u[1]).eq(images).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"objective": "jigsav"}, "no objective of a pretraining 'jigsav'; did you mean"),
        ({"objective": "jigsaw:over=max"}, "says 'over=max', expected each once of maps=0, head=equivariant"),
        ({"objective": "contrastive:over=most"}, "over is 'most', expected one of max, mean, norm, plain"),
        ({"objective": "contrastive:temperature=0"}, "temperature is '0', expected a number"),
        ({"label_smoothing": 0.1}, "label_smoothing is 0.1, which a pretraining has not"),
        ({"coset_pool": False}, "coset_pool is False, which a pretraining has not"),
        ({"init": "p4cnn_28.mnist-none"}, "init is 'p4cnn_28.mnist-none', which a pretraining has not"),
    ],
)  # fmt: skip
def test_bad_configs_are_refused(data, change, match):
    with pytest.raises(ModelError, match=match):
        PretrainConfig(**{"data": str(data), **SMALL, **change})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": "mynet:build"}, "heads that move with labels need regular fields; take a network of the zoo"),
        ({"model": "z2pathcnn_12"}, "has no choice 'coset_pool'|regular fields"),
    ],
)
def test_networks_without_regular_fields_are_refused(data, change, match):
    with pytest.raises(ModelError, match=match):
        prepare_pretraining(PretrainConfig(**{"data": str(data), **SMALL, **change}))


def test_text_and_objective_are_inverse():
    for text in ("contrastive", "contrastive:over=mean,temperature=0.1", "jigsaw:head=invariant", "rotation:maps=0.5"):
        assert str(parse_pretext(text)) == text


def test_metrics_have_the_pretext_accuracy(body):
    last = json.loads((body.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert 0 <= last["validation_accuracy"] <= 1 and last["loss"] > 0
    assert read_trained(body.folder).classes == TASKS["erased-quadrant"]("c4").classes
