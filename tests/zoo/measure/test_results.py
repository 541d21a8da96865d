"""Every result shows itself: as text, as HTML of a notebook, as plain data."""

import json

import pytest
import torch
from torch import nn

import zoo
from symdata.display import Result
from symdata.groups import Group
from tests.support.nets import small
from zoo.layers.relaxed import PartialGroupConv2d
from zoo.measure import (
    assert_invariant,
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
from zoo.measure.element_errors import ElementErrors
from zoo.measure.equivariance import has_other_fields

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


def test_an_error_that_is_the_tolerance_is_allowed():
    """The identity changes nothing, which a tolerance of nothing allows; a mean over columns is kept by one more."""
    with pytest.raises(AssertionError, match=r"it holds under e, \w+$"):
        assert_invariant(lambda x: x.mean(-1).flatten(1), NOISE, "d2", tolerance=0.0)


def element_table(group, features=None):
    invariance = invariance_error(lambda x: x.flatten(1)[:, :3], NOISE, group)
    return str(ElementErrors(Group.parse(group), invariance, features, "")).splitlines()


@pytest.mark.parametrize(("group", "rows"), [("c24", 24), ("d16", 24), ("d4", 8)])
def test_a_row_for_each_element_or_for_the_24_worst(group, rows):
    lines = element_table(group)
    note = f"({Group.parse(group).order} elements; the worst)"
    assert (note in lines) == (Group.parse(group).order > 24)
    assert len([line for line in lines[3:] if line and line != note]) == rows


def test_the_worst_map_stands_beside_its_element():
    features = equivariance_error(small("p4cnn_27", in_chans=1), NOISE[..., 1:, 1:], "c4")
    turned = next(line for line in element_table("c4", features) if line.startswith("r90 "))
    name, error = features.worst_map("r90")
    assert turned.split()[-3:] == [*error.cells, name]
    assert next(line for line in element_table("c4") if line.startswith("r90 ")).split()[3:] == ["-"]


def test_fields_beyond_the_lattice_are_seen_wherever_they_are():
    class Fields(nn.Module):
        def __init__(self, group):
            super().__init__()
            self.group = Group.parse(group)

    assert not has_other_fields(nn.Sequential(Fields("c4"), nn.ReLU(), Fields("d4")))
    assert has_other_fields(nn.Sequential(Fields("c4"), nn.ReLU(), Fields("c8")))
    known = nn.Sequential(Fields("c8"))
    known.act = known.features = lambda x, e=None: x
    assert not has_other_fields(known)
