"""What a network costs: counts by hand, the price of a group, and where it is said."""

import json

import pytest
import torch
from torch import nn

import zoo
from tests.support.commands import refused, run
from zoo import ModelError, create
from zoo.references.cost import cost_if_known


def test_counts_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 10))
    found = zoo.cost(net, 32)
    assert found.parameters == 3 * 8 * 9 + 8 + 2048 * 10 + 10
    assert found.multiply_adds == 16 * 16 * 8 * 27 + 2048 * 10
    assert found.activations == 8 * 16 * 16 + 10 and found.plain is None and found.price is None
    assert zoo.cost(net, (32, 32), 3).to_dict() == found.to_dict()


@pytest.mark.parametrize(("name", "order"), [("p2cnn_28", 2), ("p4cnn_28", 4), ("p4mcnn_28", 8)])
def test_a_group_costs_as_many_multiply_adds_as_it_has_elements(name, order):
    """With as many parameters as the plain network, each is used under every element."""
    found = zoo.cost(name)
    assert found.plain.name == "z2cnn_28" and abs(found.parameters / found.plain.parameters - 1) < 0.1
    assert found.price == pytest.approx(order, rel=0.1)
    assert found.activations / found.plain.activations == pytest.approx(order**0.5, rel=0.1)
    assert f"{found.price:.1f} and " in str(found) and "times those of z2cnn_28" in str(found)


def test_what_is_done_once_for_a_batch_is_not_counted():
    """Relaxed filters are mixed once; the forward is that of the strict network."""
    strict, relaxed = (zoo.cost(create("p4cnn_12", relax=how)) for how in ("none", "likelihood"))
    assert relaxed.multiply_adds == strict.multiply_adds and relaxed.parameters > strict.parameters
    averaged = zoo.cost(create("z2cnn_12", average="rotation", copies=3))
    assert averaged.multiply_adds > 2.9 * averaged.plain.multiply_adds


def test_models_with_weights_and_of_other_hands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert zoo.cost("p4cnn_28.mnist-none").parameters == 24810

    class Values(nn.Module):
        """Looks at a value, which a tensor without values does not have."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x):
            return self.conv(x) if float(x.sum()) == 0 else x

    assert zoo.cost(Values(), 5).multiply_adds == 9 * 9
    with pytest.raises(ModelError, match=r"Conv2d cannot run on an input \(1, 1, 2, 2\): .*; give another size"):
        zoo.cost(nn.Conv2d(1, 1, 3), 2)
    assert cost_if_known(nn.Conv2d(1, 1, 3), 2, None) is None
    with pytest.raises(ModelError, match="does not say its input size"):
        zoo.cost(nn.Conv2d(1, 1, 3))
    half = nn.Conv2d(1, 1, 3).to(torch.float64)
    assert zoo.cost(half, 5).multiply_adds == 81


def test_commands_say_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    said = run("audit", "p4cnn_28")
    assert "p4cnn_28 costs 24,990 parameters, 26.5 M multiply-adds and 98.9 k activations" in said.output
    assert json.loads(run("audit", "p4cnn_28", "--json").stdout)["cost"] == zoo.cost("p4cnn_28").to_dict()
    listed = run("models", "p4knight_3?", "--cost")
    assert "multiply-adds" in listed.output and "times the plain" in listed.output
    assert "multiply-adds" not in run("models", "p4knight_3?").output
    assert "--cost counts networks that are here" in refused("models", "--hub", "user", "--cost", code=2)
