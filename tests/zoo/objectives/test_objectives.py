"""Objectives as text, and what training does with one."""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.support.training import dataset, lines, weights
from zoo.errors import ModelError
from zoo.layers.relaxed import LikelihoodGroupConv2d, PartialGroupConv2d
from zoo.objectives import OBJECTIVES, objective_of, parse_objective, register
from zoo.objectives.objective import Objective, split_groups
from zoo.training import TrainConfig, train


@dataclass
class Shrink(Objective):
    """Pulls all weights of the head to zero, at a rate of its own."""

    name: ClassVar[str] = "shrink"
    by: float = 1.0
    every: int = 2

    def check(self, model):
        if not hasattr(model, "head"):
            raise ModelError("no head")

    def penalty(self, model) -> Tensor:
        return self.by * model.head.weight.square().sum()

    def groups(self, model, decay):
        return split_groups(model, list(model.head.parameters()), decay, 0.0, lr_scale=3.0)

    def after_epoch(self, model, epoch, batches):
        seen = sum(len(labels) for _, labels in batches())
        self.epochs = getattr(self, "epochs", 0) + 1
        return {"seen": seen, "epochs_seen": self.epochs}

    def state(self):
        return {"epochs": getattr(self, "epochs", 0)}

    def restore(self, state):
        self.epochs = state["epochs"]


@pytest.fixture(autouse=True)
def shrink(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "shrink", Shrink)


@pytest.mark.parametrize("text", ["cross-entropy", "shrink", "shrink:by=0.5", "shrink:by=0.5,every=3"])
def test_a_text_comes_back(text):
    assert str(parse_objective(text)) == text


def test_defaults_are_left_out():
    assert str(parse_objective("shrink:every=2,by=1")) == "shrink"
    assert parse_objective("shrink:every=3").every == 3


@pytest.mark.parametrize("text", ["shrink:by=0.123456789", "shrink:every=1234567", "shrink:by=1e-07"])
def test_a_text_keeps_all_digits(text):
    """The config of a run holds the text that comes back, and trains with that."""
    found = parse_objective(text)
    assert parse_objective(str(found)) == found and str(found) == text
    assert TrainConfig(data="x", model="p4cnn_12", objective=text).objective == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("shrnk", "did you mean shrink"),
        ("xyz", "there are cross-entropy"),
        ("shrink:of=1", "says 'of=1', expected each once of by=1, every=2"),
        ("shrink:by", "says 'by'"),
        ("shrink:by=1,by=2", "says 'by=2'"),
        ("shrink:by=much", "by of objective 'shrink' is 'much', expected a number"),
        ("shrink:by=-1", "expected a number from 0 on"),
        ("shrink:by=inf", "expected a number"),
        ("shrink:every=1.5", "expected a whole number"),
        ("cross-entropy:a=1", "expected each once of none"),
    ],
)
def test_bad_texts_are_refused_with_the_mend(text, sentence):
    with pytest.raises(ModelError, match=sentence.replace("(", r"\(")):
        parse_objective(text)


def test_an_objective_without_anything_to_act_on():
    with pytest.raises(ModelError, match="no head"):
        objective_of(nn.Linear(2, 2), "shrink")


def test_auto_is_plain_for_a_plain_network():
    assert str(objective_of(zoo.create("p4cnn_12", width=2), "auto")) == "cross-entropy"


def test_a_training_follows_its_objective(tmp_path):
    data = dataset(tmp_path / "data")
    common = {"data": str(data), "model": "p4cnn_12", "width": 2, "epochs": 2, "batch_size": 16, "schedule": "constant"}
    plain = zoo.load(train(TrainConfig(**common, out=str(tmp_path / "plain"))))
    pulled = zoo.load(train(TrainConfig(**common, objective="shrink:by=10", out=str(tmp_path / "pulled"))))
    assert pulled.head.weight.norm() < 0.5 * plain.head.weight.norm()
    assert pulled.config["training"]["objective"] == "shrink:by=10"
    epochs = [line for line in lines(tmp_path / "pulled") if "loss" in line]
    assert [line["epochs_seen"] for line in epochs] == [1, 2]
    assert epochs[0]["seen"] == round(epochs[0]["seen"]) > 0
    assert "seen" not in (tmp_path / "plain" / "metrics.jsonl").read_text()


def test_a_stopped_run_goes_on_with_its_state_and_rates(tmp_path):
    data = dataset(tmp_path / "data")
    common = {"data": str(data), "model": "p4cnn_12", "width": 2, "epochs": 3, "batch_size": 16, "objective": "shrink"}

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    whole = train(TrainConfig(**common, out=str(tmp_path / "whole")))
    config = TrainConfig(**common, out=str(tmp_path / "part"))
    with pytest.raises(KeyboardInterrupt):
        train(config, report=stop)
    part = train(config, resume=True)
    assert weights(part) == weights(whole)
    assert lines(part)[-1]["epochs_seen"] == 3


def test_a_group_has_its_own_rate():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    groups = split_groups(model, list(model[1].parameters()), 0.1, 0.0, lr_scale=3.0)
    assert [g.get("lr_scale", 1.0) for g in groups] == [1.0, 3.0]
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0]
    assert sum(len(g["params"]) for g in groups) == 4
    from zoo.training.schedule import make_optimizer, set_rate

    config = TrainConfig(data="x", model="p4cnn_12", schedule="constant", lr=0.5, optimizer="sgd")
    optimizer = make_optimizer(config, groups)
    set_rate(optimizer, config, 0, 1)
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 1.5]


def test_the_numbers_of_the_papers_are_the_defaults():
    numbers = {name: dataclasses.asdict(OBJECTIVES[name]()) for name in ("augerino", "banks", "partial", "residual")}
    assert numbers == {
        "augerino": {"reg": 0.05, "lr_scale": 5.0},
        "banks": {"alpha": 1e-3},
        "partial": {"monotone": 0.1},
        "residual": {"free_decay": 1e-3},
    }
    assert dataclasses.asdict(OBJECTIVES["likelihood"]()) == {"align": 1.0, "kl": 0.1, "uniform": 0.1}


def test_only_what_a_later_layer_keeps_and_an_earlier_one_dropped_is_penalised():
    """monotone sum relu(p_l+1 - p_l): elements 1 and 3 come back, by .3 and .1; element 2 goes, by .2, unpunished."""
    kept = [[0.2, 0.8, 0.5], [0.5, 0.6, 0.5], [0.4, 0.6, 0.6]]
    model = nn.Sequential(*(PartialGroupConv2d("c4", 1, 1, 3) for _ in kept))
    for layer, probabilities in zip(model, kept, strict=True):
        layer.keep.data = torch.tensor(probabilities).logit()
    assert float(parse_objective("partial").penalty(model).detach()) == pytest.approx(0.1 * (0.3 + 0.1), rel=1e-5)
    assert float(parse_objective("partial:monotone=2").penalty(model[::2]).detach()) == pytest.approx(0.6, rel=1e-5)
    assert float(parse_objective("partial").penalty(model[1:2]).detach()) == 0.0


def test_the_penalty_of_likelihoods_is_that_of_the_paper():
    """align (max_h log lambda(h) - log lambda(e)) + kl KL(lambda_l | lambda_l-1) + uniform KL(lambda_0), by hand."""
    laws = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.5, 0.1, 0.3]], dtype=torch.float64)
    model = nn.Sequential(*(LikelihoodGroupConv2d("c4", 1, 1, 3).double() for _ in laws))
    for layer, law in zip(model, laws, strict=True):
        layer.likelihood.assign(law)
    uniform = float((laws[0] * (4 * laws[0]).log()).sum())
    between = float((laws[1] * (laws[1] / laws[0]).log()).sum())
    align = math.log(0.5 / 0.1)  # the identity is the likeliest element of the first layer
    for text, expected in (
        ("likelihood", align + 0.1 * between + 0.1 * uniform),
        ("likelihood:align=0,kl=2,uniform=3", 2 * between + 3 * uniform),
    ):
        assert float(parse_objective(text).penalty(model).detach()) == pytest.approx(expected, rel=1e-6)
    total = parse_objective("likelihood:align=0,uniform=0").penalty(model)
    first, second = torch.autograd.grad(total, [layer.likelihood.logits for layer in model])
    assert not first.any() and second.abs().max() > 0, "the later layer follows the earlier one"


def test_every_file_of_the_folder_is_registered_once():
    assert set(OBJECTIVES) >= {"cross-entropy", "likelihood", "residual", "banks", "partial", "augerino", "evidence"}
    assert all(kind.name == name for name, kind in OBJECTIVES.items())
    with pytest.raises(AssertionError, match="shrink"):
        register(Shrink)
