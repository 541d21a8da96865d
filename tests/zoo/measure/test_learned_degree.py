"""What a model claims of its symmetry, and what its data has: one scale, from the library and the command line."""

import json
import math
import re

import pytest
import torch
from PIL import Image

import zoo
from symdata.groups import Group
from symdata.pictures.figure import as_picture
from symdata.symmetry import Symmetry
from tests.support.commands import refused, run
from tests.support.training import dataset
from zoo.errors import ModelError
from zoo.layers import GroupConv2d, LiftingConv2d
from zoo.measure.degree_picture import rows
from zoo.measure.learned import learned_degree, truth
from zoo.models.registry import create


@pytest.mark.parametrize(
    ("law", "group", "degree"),
    [
        ("none", "c4", 0.0),
        ("c4", "c4", 1.0),
        ("c4-partial@0.3", "c4", 0.3),
        ("c2", "c4", 1 / 3),
        ("c2", "d4", 1 / 7),
        ("d4-partial@0.25", "d4", 0.25),
    ],
)
def test_a_law_is_held_against_the_group_of_the_model(law, group, degree):
    found = truth(Symmetry.parse(law), zoo.create(f"{ {'c4': 'p4', 'd4': 'p4m'}[group] }cnn_12", width=2).group)
    assert (found.group, found.symmetry) == (group, str(Symmetry.parse(law)))
    assert found.degree == pytest.approx(degree)
    assert math.fsum(found.elements.values()) == pytest.approx(1.0)
    assert found.by_class is None


def test_a_law_beyond_the_model_is_measured_in_its_own_group():
    found = truth(Symmetry.parse("so2@-45..45"), zoo.create("p4cnn_12", width=2).group)
    assert (found.group, found.degree, found.elements) == ("so2", pytest.approx(0.25), None)


def test_a_law_per_class_is_told_by_class_and_as_a_mean():
    found = truth(Symmetry.parse("0-1:c4,2:c2,rest:none"), zoo.create("p4cnn_12", width=2).group, tuple("abcd"))
    assert found.by_class == pytest.approx({"a": 1.0, "b": 1.0, "c": 1 / 3, "d": 0.0})
    assert found.degree == pytest.approx((2 + 1 / 3) / 4)
    assert found.elements["e"] == pytest.approx((0.25 + 0.25 + 0.5 + 1.0) / 4)


def test_what_networks_claim():
    strict = learned_degree(create("p4mcnn_12", width=2), "strict", "d4-partial@0.5")
    assert strict.degree == pytest.approx(1.0, abs=1e-6) and {layer.kind for layer in strict.layers} == {"strict"}
    assert strict.truth.degree == pytest.approx(0.5)
    plain = learned_degree(create("z2cnn_12", width=2))
    assert (plain.degree, plain.layers, plain.truth) == (None, (), None)


def test_a_layer_that_breaks_is_the_degree_of_the_model():
    model = create("p4cnn_12", width=2, relax="residual", seed=0)
    assert learned_degree(model).degree == pytest.approx(1.0, abs=1e-6)
    free = [p for name, p in model.named_parameters() if name.startswith("trunk.conv3.") and p.ndim == 4]
    with torch.no_grad():
        for parameter in free:
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    found = learned_degree(model)
    degrees = {layer.name: layer.degree for layer in found.layers}
    assert found.degree == degrees.pop("trunk.conv3") < 0.9
    assert min(degrees.values()) == pytest.approx(1.0, abs=1e-6)


def test_learned_augmentations_claim_their_rotation():
    model = create("z2cnn_12", width=2, average="rotation,translate_x")
    with torch.no_grad():
        model.range.half_width[0] = math.pi / 4
    found = learned_degree(model)
    assert found.degree == pytest.approx(0.25) and found.half_widths["rotation"] == pytest.approx(45.0, abs=1e-3)
    assert found.layers == ()
    assert learned_degree(create("z2cnn_12", width=2, average="translate_x")).degree is None


def test_the_picture_has_a_row_for_each_layer_and_for_the_data():
    found = learned_degree(create("p4cnn_12", width=2), "name", "c4-partial@0.5")
    labels, columns, cells = rows(found)
    assert labels == [*(f"trunk.conv{k}" for k in range(1, 8)), "law of the data"] and columns == [
        "e",
        "r90",
        "r180",
        "r270",
    ]
    assert cells[-1] == pytest.approx([1.0, 0.2, 0.2, 0.2])
    assert as_picture(found.plot()).size[0] > 200
    with pytest.raises(ModelError, match="has no layer whose degree could be drawn; leave --plot out"):
        learned_degree(create("z2cnn_12", width=2), "plain").plot()


def test_the_picture_of_a_network_that_claims_nothing_leaves_the_data_out():
    found = learned_degree(create("z2cnn_12", width=2), "plain", "c4")
    assert found.truth.elements is not None and rows(found) == ([], [], [])


def test_layers_over_different_groups_stand_in_one_table():
    net = torch.nn.Sequential(LiftingConv2d("c2", 1, 2, 3), GroupConv2d("c2", 2, 2, 3), LiftingConv2d("c4", 4, 2, 3))
    net.group = Group(4)
    found = learned_degree(net, "odd", "c4")
    labels, columns, cells = rows(found)
    assert columns == ["e", "r90", "r180", "r270"] and labels[-1] == "law of the data"
    assert cells[0] == pytest.approx([1.0, 0.0, 1.0, 0.0]) and cells[2] == pytest.approx([1.0] * 4, abs=1e-6)
    (line,) = [line.split() for line in str(found).splitlines() if line.startswith("1 ")]
    assert line == ["1", "strict", "1.000", "0.000", "-", "0.000", "-"]


def test_learned_augmentations_are_shown_with_their_units():
    found = learned_degree(create("z2cnn_12", width=2, average="rotation,translate_x,scale"), "name")
    _, columns, cells = rows(found)
    assert columns == ["rotation\n8.59 degrees", "translate_x\n0.09 pixels", "scale\n0.15 log of a factor"]
    assert cells[0] == pytest.approx([8.594 / 180, 0.09, 0.15], abs=1e-3)
    assert as_picture(found.plot()).size[0] > 200
    assert str(found).startswith("name: degree 0.048, its half-width of rotation over 180 degrees\n")
    shifted = learned_degree(create("p4cnn_12", width=2, average="translate_x"), "name")
    assert str(shifted).startswith("name: no degree: the augmentations that it learned turn nothing\n")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset(tmp_path / "data", symmetry="c4-partial@0.4")
    return tmp_path


def test_the_command(here):
    trained = run("train", "data", "--model", "p4cnn_12", "--width", 2, "--epochs", 1, "--batch-size", 16, "--out", "m",
                  "--relax", "banks")  # fmt: skip
    assert trained.exit_code == 0, trained.output
    result = run("degree", "m", "--plot", "degree.png")
    assert result.exit_code == 0, result.output
    assert re.search("trunk.conv7 +banks", result.stdout)
    assert "data: c4-partial@0.4, degree 0.400 in c4" in result.stdout
    with Image.open(here / "degree.png") as picture:
        assert picture.size[0] > 200
    found = json.loads(run("degree", "m", "--json").stdout)
    assert found["truth"]["degree"] == pytest.approx(0.4) and 0 <= found["degree"] <= 1 and len(found["layers"]) == 7
    dataset(here / "full", symmetry="c4")
    assert json.loads(run("degree", "m", "--data", "full", "--json").stdout)["truth"]["degree"] == pytest.approx(1.0)


def test_a_network_whose_grids_are_out_of_step_is_said_to_be(here):
    assert (
        "This is about filters alone; its grids are approximate: at 27x27"
        in run("degree", "p4cnn_27.mnist-none").stdout
    )
    assert "grids" not in run("degree", "p4cnn_28.mnist-none").stdout


def test_labels_that_speak_of_the_pose_are_pointed_at(here):
    said = "the labels of this dataset depend on the pose"
    assert said in run("degree", "p4cnn_14.mnist6-180-bias").stdout
    assert said not in run("degree", "p4cnn_28.mnist-none").stdout


def test_bad_input_is_refused_with_the_mend(here):
    assert "there is no model" in refused("degree", "nothing")
    assert "'nowhere'" in refused("degree", "p4cnn_12", "--data", "nowhere")
    assert "test" in refused("degree", "p4cnn_12", "--data", "data", "--split", "tset")
    assert "is no picture; name it 'x.png'" in refused("degree", "p4cnn_12", "--plot", "x.pdf", code=2)
