"""A network shows itself in one line at a prompt, and its layers when printed."""

import torch
from torch import nn

import zoo


def test_a_loaded_network_is_one_line_and_its_layers_are_printed():
    model = zoo.load("p4cnn_28.mnist-none")
    assert repr(model) == "CNN('p4cnn_28.mnist-none', c4, 24,810 parameters, 28x28 pixels, 10 classes)"
    assert str(model) == nn.Module.__repr__(model) and len(str(model).splitlines()) > 10


def test_so_are_fresh_ones_those_without_a_classifier_and_averages():
    for words in ({}, {"num_classes": 0}, {"average": "rotation"}):
        model = zoo.create("z2cnn_28", in_chans=1, seed=0, **words)
        assert "\n" not in repr(model) and "parameters" in repr(model)
    assert "0 classes" in repr(zoo.create("z2cnn_28", num_classes=0, seed=0))


def test_results_of_a_model_are_short_too():
    model = zoo.load("p4cnn_28.mnist-none")
    report = zoo.evaluate(model, "glyphs:digits", limit=5, angles=0, probe=0)
    assert repr(report).startswith("Report(name='p4cnn_28.mnist-none', data='glyphs, test', classes=")
    assert len(repr(report)) < 700 and "\n" not in repr(report)
    frame = report.to_pandas()
    assert frame["element"].tolist()[:2] == ["e", "r90"] and frame["accuracy"][0] == report.upright.value
    assert frame["high"][0] == report.upright.interval[1]
    assert report.to_pandas(1)["images"].sum() == 5
    assert {"image", "label"} <= set(model.predict(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).to_pandas().columns)
