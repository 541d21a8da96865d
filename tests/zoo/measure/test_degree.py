"""The degree of equivariance of layers: of known mixtures, strict and free filters, and beside what was learned."""

import math

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from symdata.groups import Group
from symdata.symmetry import Symmetry
from tests.support.nets import small
from zoo.errors import ModelError
from zoo.layers import GCGroupConv2d, GGroupConv2d, GroupConv2d, LiftingConv2d
from zoo.layers.relaxed import (
    RELAXATIONS,
    GroupLikelihood,
    LikelihoodGroupConv2d,
    LikelihoodLiftingConv2d,
    PartialGroupConv2d,
)
from zoo.layers.steerable.convolution import FieldConvSpec
from zoo.layers.steerable.fibre import IMAGE, Fibre
from zoo.layers.steerable.likelihood import LikelihoodSteerableConv2d
from zoo.measure import degree_of_equivariance, kernel_deviations, model_degree
from zoo.measure.kernels import averaged


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def mixture(group, weight):
    """`weight` uniform, the rest at the identity."""
    size = len(Group.parse(group).elements)
    chances = torch.full((size,), weight / size, dtype=torch.float64)
    chances[0] += 1 - weight
    return chances


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("group", ["c2", "c4", "d4"])
@pytest.mark.parametrize("kind", [LikelihoodLiftingConv2d, LikelihoodGroupConv2d])
def test_of_a_mixture_of_uniform_and_identity_it_is_the_share_of_uniform(kind, group, weight):
    layer = kind(group, 24, 24, 3).double()
    layer.likelihood.assign(mixture(group, weight))
    (found,) = degree_of_equivariance(layer)
    assert found.degree == pytest.approx(weight, abs=0.015)
    assert found.likelihood_degree == pytest.approx(weight, abs=1e-6)
    assert found.likelihood_degree == pytest.approx(Symmetry.parse(f"{group}-partial@{weight}").degree, abs=1e-6)


@hypothesis.given(logits=st.lists(st.floats(-2, 2), min_size=3, max_size=3))
@hypothesis.settings(max_examples=15)
def test_the_deviation_is_what_the_likelihood_says(logits):
    """|g K - K|^2 / |K|^2 of white filters is sum_h (lambda(g^-1 h) - lambda(h))^2 / |lambda|^2, without any filter."""
    torch.manual_seed(0)
    layer, group = LikelihoodGroupConv2d("c4", 16, 16, 3).double(), Group(4)
    with torch.no_grad():
        layer.likelihood.logits.copy_(torch.tensor(logits))
    (found,) = degree_of_equivariance(layer)
    chances = layer.likelihood.probabilities().detach()
    for g, element in enumerate(group.elements):
        shifted = chances[[group.product(group.inverse(g), h) for h in range(4)]]
        wanted = float((shifted - chances).norm() / chances.norm())
        assert found.deviation[str(element)] == pytest.approx(wanted, abs=0.03)


def test_it_is_the_formula():
    filters = torch.randn(8, 12, 3, 3, dtype=torch.float64)
    conv = nn.Conv2d(12, 8, 3, bias=False).double()
    with torch.no_grad():
        conv.weight.copy_(filters)
    mean = averaged(filters, "c4", "c4", "c4")
    wanted = 1 - float((filters - mean).norm() / mean.norm()) / math.sqrt(3)
    (found,) = degree_of_equivariance(conv, "c4", lambda name, module: ("c4", "c4"))
    assert found.degree == pytest.approx(max(wanted, 0.0), abs=1e-12)
    assert found.kind == "plain" and found.group == "c4" and found.likelihood is None and found.kept is None


def test_filters_without_any_equivariant_part_have_degree_zero():
    conv = nn.Conv2d(4, 8, 3).double()
    with torch.no_grad():
        conv.weight.sub_(averaged(conv.weight, "c4", "c4", "c4"))
    (found,) = degree_of_equivariance(conv, "c4", lambda name, module: ("c4", "c4"))
    assert found.degree == 0.0


@pytest.mark.parametrize("name", ["p4cnn_28", "p4mcnn_28", "gp4resnet44_33", "gcp4resnet44_33"])
def test_strict_networks_have_degree_one(name):
    layers = degree_of_equivariance(small(name))
    assert layers and all(layer.kind == "strict" and layer.degree == 1.0 for layer in layers)
    assert max(max(layer.deviation.values()) for layer in layers) < 1e-5


def test_tied_filters_that_were_set_free_keep_degree_one_until_they_move():
    tied = GroupConv2d("c4", 4, 4, 3).double()
    conv = nn.Conv2d(16, 16, 3, bias=False).double()
    with torch.no_grad():
        conv.weight.copy_(tied.expand()[0])
    before = degree_of_equivariance(conv, "c4", lambda name, module: ("c4", "c4"))[0]
    with torch.no_grad():
        conv.weight.add_(0.05 * torch.randn_like(conv.weight))
    after = degree_of_equivariance(conv, "c4", lambda name, module: ("c4", "c4"))[0]
    assert before.degree == 1.0 and 0.1 < after.degree < 0.95
    assert before.deviation["r90"] < 1e-12 < 0.05 < after.deviation["r90"]


def test_what_was_learned_stands_beside_it():
    words = ("likelihood", "residual", "banks", "bias", "partial", "free")
    assert {*words} == {*RELAXATIONS}
    net = nn.Sequential(*(RELAXATIONS[word][1]("c4", 2, 2, 3) for word in words), GroupConv2d("c4", 2, 2, 3))
    with torch.no_grad():
        net[0].likelihood.assign(torch.tensor([0.7, 0.1, 0.1, 0.1]))
        net[4].keep.copy_(torch.tensor([-1.0, 1.0, -1.0]))
    layers = degree_of_equivariance(net)
    assert [layer.kind for layer in layers] == [*words, "strict"]
    assert layers[0].likelihood == pytest.approx({"e": 0.7, "r90": 0.1, "r180": 0.1, "r270": 0.1}, abs=1e-6)
    assert layers[0].likelihood_degree == pytest.approx(0.4, abs=1e-6)
    assert layers[4].kept == ("e", "r180")
    assert layers[4].deviation["r180"] < 1e-6 < 0.1 < layers[4].deviation["r90"]
    assert model_degree(layers) == min(layer.degree for layer in layers) < 0.9
    plain = layers[4].to_dict()
    assert plain["kept"] == ["e", "r180"] and plain["likelihood"] is None and plain["name"] == "4"


def test_the_deviation_is_that_of_the_filters():
    net = nn.Sequential(LiftingConv2d("c4", 1, 2, 3), *(kind("c4", 2, 2, 3) for kind in (GGroupConv2d, GCGroupConv2d)))
    assert [d.deviation for d in degree_of_equivariance(net)] == [d.by_element for d in kernel_deviations(net)]


def test_a_network_in_training_is_measured_as_it_evaluates_and_stays_in_training():
    layer = PartialGroupConv2d("c4", 2, 2, 3).train()
    nn.init.zeros_(layer.keep)  # drawn evenly in training; kept in evaluation
    assert {degree_of_equivariance(layer)[0].degree for _ in range(8)} == {1.0} and layer.training


def test_both_measures_look_at_the_filters_of_evaluation():
    """A partial convolution draws others in training, and says nothing to the global generator here."""
    layer = PartialGroupConv2d("c4", 2, 2, 3).train()
    with torch.no_grad():
        layer.keep.copy_(torch.tensor([-0.1, 0.1, -0.1]))
    state = torch.get_rng_state()
    assert kernel_deviations(layer)[0].by_element == degree_of_equivariance(layer)[0].deviation
    assert torch.get_rng_state().equal(state) and layer.training


def test_layers_on_finer_groups_are_held_against_their_part_on_pixels_by_both_measures():
    conv = LikelihoodSteerableConv2d(FieldConvSpec(IMAGE, Fibre(Group(8)), 2, 3, 3), Group(8)).double()
    nn.init.normal_(conv.likelihood.logits)
    (found,), (degree,) = kernel_deviations(conv), degree_of_equivariance(conv)
    assert (found.group, found.by_element) == ("c4", degree.deviation) and found.by_element["r90"] > 0.1
    assert degree.kind == "likelihood" and degree.degree == pytest.approx(conv.degree)


def test_a_shared_likelihood_is_reported_by_each_layer():
    shared = GroupLikelihood("c4")
    net = nn.Sequential(*(LikelihoodGroupConv2d("c4", 2, 2, 3, likelihood=shared) for _ in range(2)))
    shared.assign(torch.tensor([0.4, 0.3, 0.2, 0.1]))
    first, second = degree_of_equivariance(net)
    assert first.likelihood == second.likelihood and first.likelihood["r270"] == pytest.approx(0.1)


def test_a_model_without_convolutions_has_no_degree():
    assert degree_of_equivariance(nn.Linear(2, 2)) == ()
    with pytest.raises(ModelError, match="no convolution with square filters"):
        model_degree(())


def test_layers_over_the_trivial_group_are_plain():
    assert {layer.kind for layer in degree_of_equivariance(nn.Sequential(LiftingConv2d("c1", 1, 2, 3)), "c4")} == {
        "plain"
    }
    assert {layer.kind for layer in degree_of_equivariance(nn.Sequential(LiftingConv2d("c2", 1, 2, 3)))} == {"strict"}
