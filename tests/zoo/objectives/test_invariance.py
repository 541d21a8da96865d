"""The objective `invariance`: its text, its value, what it refuses, and that it makes a network more invariant."""

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import ShapeError
from symdata.groups import Group
from symdata.store import load as load_dataset
from tests.support.training import dataset, run, weights
from zoo.errors import ModelError
from zoo.layers.regular import move
from zoo.objectives import parse_objective
from zoo.objectives.invariance import InvarianceObjective


@pytest.mark.parametrize("text", ["invariance", "invariance:weight=0.5", "invariance:weight=0.1,group=c4"])
def test_a_text_comes_back(text):
    assert str(parse_objective(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("invariance:group=c8", "moves pixels off their lattice"),
        ("invariance:group=x", "is not a group"),
        ("invariance:group=c1", "which moves nothing: group=d4"),
        ("invariance:weight=-1", "expected a number from 0 on"),
        ("invariance:of=1", "expected each once of weight=0.3, group=d4"),
    ],
)
def test_a_bad_text_is_refused(text, sentence):
    with pytest.raises(ModelError, match=sentence):
        parse_objective(text)


def test_it_is_the_distance_of_the_logits_of_each_image():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.rand(5, 1, 4, 4)
    found = InvarianceObjective(0.5, "c2").per_image(net, x, net(x))
    torch.testing.assert_close(found, 0.5 * (net(torch.rot90(x, 2, (2, 3))) - net(x)).norm(dim=1))
    found.sum().backward()
    assert net[1].weight.grad.norm() > 0


def test_it_is_zero_with_a_finite_gradient_for_an_invariant_network():
    net, x = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3)), torch.rand(5, 1, 4, 4)
    found = InvarianceObjective(1.0, "d4").per_image(net, x, net(x))
    found.sum().backward()
    assert found.max() < 1e-5 and net[2].weight.grad.isfinite().all()


def test_every_element_but_the_identity_is_drawn():
    torch.manual_seed(0)
    x, seen = torch.rand(1, 1, 3, 3), []
    for _ in range(200):
        InvarianceObjective(1.0, "d4").per_image(lambda moved: seen.append(moved) or moved.flatten(1), x, x.flatten(1))
    counts = [sum(torch.equal(one, move(x, g)) for one in seen) for g in Group("d4").elements]
    assert counts[0] == 0 and min(counts[1:]) > 10 and sum(counts) == 200


def test_a_rectangle_under_a_quarter_turn_is_refused():
    torch.manual_seed(0)
    x = torch.rand(1, 1, 3, 4)
    objective = InvarianceObjective(1.0, "c4")
    with pytest.raises(ShapeError, match="take squares, or group=d2"):
        [objective.per_image(lambda moved: moved.flatten(1), x, x.flatten(1)) for _ in range(20)]


def test_training_with_it_is_reproducible_and_makes_a_network_more_invariant(tmp_path):
    data, errors = dataset(tmp_path / "data"), {}
    for text in ("cross-entropy", "invariance:weight=5"):
        out = run(data, out=str(tmp_path / text[:5]), model="z2cnn_12", epochs=6, objective=text)
        model = zoo.load(out)
        x = model.preprocessing(load_dataset(data, "test").images())
        with torch.no_grad():
            errors[text] = float((model(torch.rot90(x, 1, (2, 3))) - model(x)).norm() / model(x).norm())
    assert errors["invariance:weight=5"] < 0.5 * errors["cross-entropy"]
    again = run(data, out=str(tmp_path / "again"), model="z2cnn_12", epochs=6, objective="invariance:weight=5")
    assert weights(again) == weights(out)
