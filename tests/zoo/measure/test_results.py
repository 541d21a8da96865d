"""Every result shows itself: as text, as HTML of a notebook, as plain data."""

import json

import pytest
import torch
from torch import nn

import zoo
from symdata.display import Result
from tests.support.nets import small
from zoo.layers.relaxed import PartialGroupConv2d
from zoo.measure import (
    checked_audit,
    degree_of_equivariance,
    equivariance_error,
    invariance_error,
    kernel_deviations,
    layerwise_equivariance_error,
    learned_degree,
    lie_derivative,
    local_equivariance_error,
    measure_all,
    orbit_accuracy,
)

NOISE = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
MODEL = small("p4cnn_28", in_chans=1)
PREPROCESSING = zoo.Preprocessing(28, (0.5,), (0.5,))

RESULTS = {
    "audit": (lambda: zoo.audit(MODEL, 27), "CNN: approximate: at 27x27 trunk.pool2 (max pool 2x2, stride 2): its inp"),
    "checked": (lambda: checked_audit(MODEL, 27, name="mine"), "mine: approximate: at 27x27"),
    "features": (lambda: equivariance_error(MODEL, NOISE), "Error of the feature maps in float64, |F(g x) - g F(x)|"),
    "invariance": (lambda: invariance_error(MODEL, NOISE), "Change of the logits in float64, relative to their norm:"),
    "orbit": (
        lambda: orbit_accuracy(MODEL, (255 * NOISE).byte(), [0, 1], PREPROCESSING, "c4"),
        "Over whole orbits, 2 images: accuracy",
    ),
    "derivative": (
        lambda: lie_derivative(MODEL, NOISE, "scale"),
        "Lie derivative of the logits along scale: |L f| =",
    ),
    "local": (lambda: local_equivariance_error(MODEL, NOISE), "Lie derivative L f = df/dt of the logits (central diff"),
    "layers": (
        lambda: layerwise_equivariance_error(MODEL, NOISE),
        "Where that of rotation arises; the terms add up to it within",
    ),
    "kernels": (lambda: kernel_deviations(MODEL)[0], "trunk.conv1: filters at 0.0000 from the nearest ones that are"),
    "degree": (lambda: degree_of_equivariance(MODEL)[0], "trunk.conv1: strict filters, degree 1.000 in c4"),
    "learned": (lambda: learned_degree(MODEL, "mine", "c4"), "mine: degree 1.000 in c4, that of its least equivariant"),
    "summary": (
        lambda: measure_all(MODEL, NOISE, "c4", generators=["rotation"], data="noise"),
        "CNN on noise: 2 images at 28x28, in float64",
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_shows_itself(name):
    make, start = RESULTS[name]
    result = make()
    assert isinstance(result, Result) and str(result).startswith(start)
    html = result._repr_html_()
    assert html.startswith("<div>") and html.count("<table>") == html.count("</table>") == str(result).count("\n---")
    assert json.loads(json.dumps(result.to_dict()))


def test_what_is_measured_stands_below_the_audit():
    found = checked_audit(MODEL, 27)
    assert found.agrees and found == checked_audit(MODEL, 27)
    assert str(found).startswith(str(zoo.audit(MODEL, 27))) and str(found).endswith("The two agree.")
    assert found.to_dict()["measured"]["agrees"] is True and "measured" not in zoo.audit(MODEL, 27).to_dict()


def test_elements_that_a_partial_layer_keeps_are_named():
    layer = PartialGroupConv2d("c4", 2, 2, 3)
    with torch.no_grad():
        layer.keep.copy_(torch.tensor([-1.0, 1.0, -1.0]))
    (found,) = degree_of_equivariance(nn.Sequential(layer))
    assert str(found).startswith("0: partial filters, degree") and str(found).endswith("keeps e, r180")
