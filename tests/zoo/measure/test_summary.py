"""`zoo.measure.summary`: one call, with the preprocessing that the model says."""

import subprocess
import sys

import pytest
import torch

import symdata
import zoo
from symdata.errors import ShapeError
from zoo import ImageSet, ModelError

FEW = {"generators": ["rotation"], "limit": 2}


def digits(count=4):
    return torch.randint(0, 256, (count, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def test_images_as_they_are_give_what_prepared_ones_give():
    model, images = zoo.load("p4cnn_28.mnist-none"), digits()
    found = zoo.measure.summary(model, images, "c4", **FEW)
    rows = zoo.measure.summary(model, ImageSet(images, [0] * 4, name="noise"), "c4", **FEW)
    assert found.images == 2 and found.name == "p4cnn_28.mnist-none" and rows.data == "noise"
    from zoo.inference.sweep import spread

    prepared = zoo.measure.measure_all(model, model.preprocessing(images[spread(4, 2)]), "c4", generators=["rotation"])
    assert found.to_dict()["invariance"] == prepared.to_dict()["invariance"] == rows.to_dict()["invariance"]
    assert found.to_dict()["local"] == prepared.to_dict()["local"]
    assert found.to_pandas()["element"].tolist() == ["e", "r90", "r180", "r270"]


def test_a_dataset_is_enough(tmp_path):
    symdata.make("glyphs:digits", tmp_path / "d", count=8, size=28)
    found = zoo.measure.summary(zoo.load("z2cnn_28.mnist-none"), symdata.load(tmp_path / "d", "test"), "c2", **FEW)
    assert found.size == 28 and found.images == 1


def test_what_cannot_be_is_refused():
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 2))
    with pytest.raises(ModelError, match="does not say how images become its input"):
        zoo.measure.summary(plain, digits(), **FEW)
    assert zoo.measure.summary(plain, digits().float(), "c2", **FEW).images == 2, "floats are normalised images"
    with pytest.raises(ShapeError, match=r"images are \(28, 28\), expected \(n, C, H, W\)"):
        zoo.measure.summary(plain, digits()[0, 0])


def test_the_name_is_the_function_whatever_was_imported_before():
    code = (
        "import zoo, zoo.measure.summary; from zoo.measure.summary import Summary; print(callable(zoo.measure.summary))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
