"""The distance of a network to the equivariant ones: its axioms on whole networks, what it prints, what it refuses."""

import pytest
import torch
from torch import nn

import zoo
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.relaxed import RELAXATIONS, FreeConv2d
from zoo.measure import EquivariantDistance, equivariant_distance, project_


def free(name="p4cnn_12", noise=0.1, dtype=torch.float64, **choices):
    """A network with free filters, off the equivariant ones by some noise."""
    net = zoo.create(name, width=3, in_chans=1, relax="free", seed=0, **choices).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in layers(net):
            layer.weight += noise * torch.randn(layer.weight.shape, generator=generator, dtype=dtype)
    return net.eval()


def layers(net):
    return [layer for layer in net.modules() if isinstance(layer, FreeConv2d)]


@pytest.mark.parametrize("name", ["p4cnn_12", "p4mcnn_12"])
def test_it_is_zero_on_the_equivariant_networks_and_grows_with_the_noise(name):
    distances = [equivariant_distance(free(name, noise)).total for noise in (0.0, 0.1, 0.2)]
    assert distances[0] < 1e-14 < distances[1]
    assert distances[2] == pytest.approx(2 * distances[1], rel=1e-9), "the deviation is linear in the filters"


def test_the_projection_is_the_nearest_network():
    net, nearest = free(), project_(free())
    filters, closest = ([layer.filters() for layer in layers(model)] for model in (net, nearest))
    away = sum(float((a - b).square().sum()) for a, b in zip(filters, closest, strict=True)) ** 0.5
    assert equivariant_distance(net).total == pytest.approx(away, rel=1e-9)
    other = project_(free(noise=0.3))
    further = sum(float((a - b.filters()).square().sum()) for a, b in zip(filters, layers(other), strict=True)) ** 0.5
    assert further > away and equivariant_distance(nearest).total < 1e-14
    before = [layer.filters() for layer in layers(nearest)]
    assert all(torch.equal(a, b.filters()) or (a - b.filters()).abs().max() < 1e-15
               for a, b in zip(before, layers(project_(nearest)), strict=True))  # fmt: skip


@pytest.mark.parametrize("name", ["p4cnn_12", "p4mcnn_12"])
def test_no_element_changes_a_projected_network_and_every_one_changes_a_free_one(name):
    net, images = free(name), torch.randn(4, 1, 12, 12, dtype=torch.float64)
    changes = {}
    for word, model in {"free": net, "projected": project_(free(name))}.items():
        found = zoo.measure.invariance_error(model, images, model.group)
        changes[word] = [estimate.value for e, estimate in found.by_element.items() if e != "e"]
    assert len(changes["free"]) == len(Group(str(net.group)).elements) - 1
    assert max(changes["projected"]) < 1e-12 and min(changes["free"]) > 1e-6


@pytest.mark.parametrize("word", RELAXATIONS)
def test_every_relaxed_network_has_a_distance_and_starts_at_zero(word):
    net = zoo.create("p4cnn_12", width=2, in_chans=1, relax=word, seed=0)
    assert equivariant_distance(net).total < 1e-6
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(parameter)))
        if word == "partial":  # leaves its group by dropping elements
            net.trunk.conv5.keep[0] = -1.0
    assert equivariant_distance(net).total > 1e-3


def test_it_draws_nothing_so_it_changes_no_run():
    net = zoo.create("p4cnn_12", width=2, relax="partial", seed=0).train()
    torch.manual_seed(0)
    first = equivariant_distance(net).total
    state = torch.get_rng_state()
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())
    assert first == equivariant_distance(net.eval()).total


def test_gradients_flow_through_the_deviation_and_not_through_the_measure():
    net = free()
    layers(net)[1].deviation().square().sum().backward()
    assert float(layers(net)[1].weight.grad.norm()) > 0
    assert type(equivariant_distance(net).total) is float


def test_it_prints_draws_and_is_plain_data():
    found = equivariant_distance(free())
    assert isinstance(found, EquivariantDistance)
    assert str(found).startswith(f"distance to the equivariant networks: {found.total:.3e}")
    assert set(found.to_dict()) == {"total", "layers", "norms"}
    assert found.to_dict()["layers"].keys() == found.norms.keys() and found.to_pandas() is not None
    assert all(found.layers[name] < found.norms[name] for name in found.layers)
    assert len(found.plot().axes[0].lines[0].get_xdata()) == len(found.layers)


@pytest.mark.parametrize("measure", [equivariant_distance, project_])
def test_strict_and_foreign_networks_are_refused_in_a_sentence(measure):
    for model in (zoo.create("p4cnn_12", width=2), nn.Sequential(nn.Conv2d(1, 1, 3))):
        with pytest.raises(ModelError, match=r"may leave its group.*--start-from MODEL, or relax='free'"):
            measure(model)
