"""A model with its preprocessing inside."""

import pytest
import torch

import zoo
from zoo.errors import ModelError


def test_it_is_the_model_after_its_preprocessing():
    model = zoo.load("p4cnn_28.mnist-none")
    images = torch.randint(0, 256, (3, 1, 35, 35), dtype=torch.uint8)
    whole = zoo.pipeline(model)
    assert whole(images).equal(model(model.preprocessing(images)))
    assert whole.classes == model.classes
    unit = torch.rand(3, 1, 28, 28)
    assert whole(unit).equal(model(model.preprocessing.normalise(unit)))
    assert not whole(unit).equal(model(unit)), "the normalisation is inside"


def test_it_opens_what_open_model_opens():
    assert zoo.pipeline("p4cnn_28.mnist-none").name == "p4cnn_28.mnist-none"
    assert zoo.pipeline(zoo.open_model("z2cnn_28.mnist-none")).preprocessing.size == 28


def test_a_model_without_preprocessing_is_refused():
    with pytest.raises(ModelError, match="does not say how images become its input"):
        zoo.pipeline(torch.nn.Flatten())
