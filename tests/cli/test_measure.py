"""`symdata measure`: tables and JSON about exact, inexact and foreign networks, and everything that it refuses."""

import json
from pathlib import Path

import pytest

from tests.support import commands
from tests.support.classifiers import digits
from tests.support.commands import refused, run
from tests.support.folders import contents
from zoo import load
from zoo.measure import invariance_error, local_equivariance_error

NET = """
import torch
from torch import nn

class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.mix, self.head = nn.Conv2d(1, 8, 7, 7), nn.Linear(8, 8), nn.Linear(8, 10)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        tokens = self.relu(self.mix(self.patch(x).flatten(2).mT))
        return self.head(self.relu(tokens).mean(1))

def build():
    torch.manual_seed(0)
    return Patches()

def vectors():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

class Bad(Patches):
    def forward(self, x):
        raise KeyError("where")
"""
OWN = ["--size", 28, "--mean", 0.13, "--std", 0.31]
EXACT, OFF = "p4cnn_28.mnist-none", "p4cnn_27.mnist-none"


@pytest.fixture
def here(tmp_path, monkeypatch, data):
    """An empty folder to work in, with mynet.py, and `data` beside it."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    Path("data").symlink_to(data)
    with commands.reader(place, monkeypatch, NET):
        yield place


def measured(*arguments):
    result = run("measure", *arguments, "--data", "data/mnist", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_exact_network_as_text(here):
    before = contents(here)
    result = run("measure", EXACT, "--data", "data/mnist", "--limit", 3, "--generators", "rotation", "--layers")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{EXACT} on mnist, test: 3 images at 28x28, in float64")
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert float(lines["r90"][1]) < 1e-12 and float(lines["r90"][3]) < 1e-12  # logits, and the worst feature map
    assert float(lines["m"][1]) > 0.1 and lines["m"][3] == "-"  # mirrors are not in its group
    assert lines["rotation"][1] == "radian" and float(lines["rotation"][2]) > 1.0
    assert "central differences, bicubic, reflection at the border" in result.stdout
    assert "Where that of rotation arises; the terms add up to it within" in result.stdout
    shares = [float(lines[name][4]) for name in lines if name.startswith("trunk.") and "norm" not in name]
    assert len(shares) >= 15 and sum(shares) + float(lines["pool"][4]) == pytest.approx(100.0, abs=1.0)
    assert contents(here) == before


def test_json_has_what_the_library_gives(here, data):
    found = measured(EXACT, "--limit", 4, "--generators", "scale, rotation,scale", "--softmax")
    assert (found["name"], found["size"], found["images"]) == (EXACT, 28, 4)
    assert [local["generator"] for local in found["local"]] == ["scale", "rotation"] and found["layers"] == []
    assert found["equivariance"]["group"] == "c4" and found["equivariance"]["worst"] < 1e-12 and found["note"] == ""
    net = load(EXACT)
    from zoo.inference.sweep import spread

    x = net.preprocessing(digits(data, "test", 10_000)[0][spread(10_000, 4)])
    assert found["invariance"] == json.loads(json.dumps(invariance_error(net, x, output="softmax").to_dict()))
    assert found["local"][1] == local_equivariance_error(net, x, output="softmax").to_dict()


def test_a_pixel_off(here):
    found = measured(OFF, "--limit", 3, "--generators", "translate-x", "--elements", "c8")
    assert found["equivariance"]["worst"] > 0.01
    errors = found["invariance"]["errors"]
    assert list(errors) == ["e", "r45", "r90", "r135", "r180", "r225", "r270", "r315"]
    assert errors["e"]["value"] == 0.0 < errors["r90"]["value"] < errors["r45"]["value"]


def test_networks_that_are_not_ours(here):
    found = measured("mynet:build", *OWN, "--limit", 3, "--generators", "shear", "--layers", "--elements", "d1")
    assert found["note"] == "no layer ties its weights by a group: each channel is taken for an image"
    assert list(found["equivariance"]["errors"]) == ["patch", "mix", "relu", "relu#2"]  # tokens, and in place
    (layers,) = found["layers"]
    assert [layer["name"] for layer in layers["layers"]] == ["patch", "mix", "relu", "relu#2", "head", ""]
    assert layers["gap"] < 1e-12
    result = run("measure", "mynet:vectors", *OWN, "--data", "data/mnist", "--limit", 1, "--generators", "rotation")
    assert result.exit_code == 0, result.output
    assert "Note: feature maps were not compared: Sequential made no feature map" in result.stdout
    mirror = measured(EXACT, "--limit", 1, "--elements", "d1", "--generators", "rotation")
    assert mirror["equivariance"] is None and "d1 shares no element" in mirror["note"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["p4cnn_28"], "'p4cnn_28' has random weights; train it with `symdata train`"),
        (["mynet:build"], "does not say how images become its input; say --size 28 --mean 0.5 --std 0.5"),
        (["mynet:Bad", *OWN], "KeyError: 'where'"),
        (["nothing-here"], "there is no model 'nothing-here'"),
        ([EXACT, "--device", "nowhere"], "'nowhere'"),
        ([EXACT, "--split", "holdout"], "has no split 'holdout'"),
    ],
)
def test_what_is_refused(here, arguments, sentence):
    assert sentence in refused("measure", *arguments, "--data", "data/mnist", "--limit", 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--generators", "rotation,mirror"], "'mirror' has no generator: a mirror cannot be done by degrees"),
        (["--generators", "spin"], "'spin' is no generator; expected one of rotation, translate_x"),
        (["--elements", "so2"], "'so2' has infinitely many elements"),
        (["--limit", 0], "0 is not in the range x>=1"),
    ],
)
def test_wrong_usage(here, arguments, sentence):
    assert sentence in refused("measure", EXACT, "--data", "data/mnist", *arguments, code=2)


def test_alignment_is_measured_instead_with_text_and_json(here):
    asked = ("measure", EXACT, "--data", "data/mnist", "--alignment", "--elements", "c2", "--limit", 12)
    shown = run(*asked, "--against", OFF)
    assert shown.exit_code == 0, shown.output
    assert "6 images to match channels, 6 to classify" in shown.output and "Barriers" in shown.output
    found = json.loads(run(*asked, "--against", OFF, "--json").stdout)
    turned, other = found["pairs"]
    assert (turned["other"], other["other"], found["matched"]) == ("r180", OFF, 6)
    assert min(layer["correlation"] for layer in turned["layers"][:-1]) > 0.999
    assert turned["check"]["exact"] and other["check"] is None


def test_a_size_that_breaks_the_transform_is_a_note(here):
    shown = run("measure", OFF, "--data", "data/mnist", "--alignment", "--elements", "c2", "--limit", 8)
    assert "note: under r180 f_{g theta}(g x) differs from f_theta(x)" in shown.output
    assert "take images of 26 or 28 pixels" in shown.output


def test_alignment_that_cannot_be_is_refused(here):
    assert "say --alignment too" in refused("measure", EXACT, "--data", "data/mnist", "--against", OFF, code=2)
    plain = "z2cnn_28.mnist-none"
    told = refused("measure", EXACT, "--data", "data/mnist", "--alignment", "--limit", 8, "--against", plain)
    assert "in one network and" in told
    told = refused("measure", "mynet:vectors", *OWN, "--data", "data/mnist", "--alignment", "--limit", 8)
    assert "no filters to move" in told or "no convolution" in told or "no hidden channels" in told
