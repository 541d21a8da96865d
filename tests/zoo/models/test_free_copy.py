"""Unconstrained copies: the same function bit for bit, filters that are free, published like any other network."""

import pytest
import torch
from torch import nn

import zoo
from tests.support.checkpoints import SIZE, golden, network, save
from tests.support.hub_server import LoopbackHub
from zoo.errors import ModelError
from zoo.layers.relaxed import RELAXATIONS, FreeConv2d
from zoo.measure import equivariant_distance
from zoo.models.free_copy import free_copy

pytest_plugins = ["tests.support.hub_fixture"]

SOURCES = {
    **{word: ("p4cnn_12", {"relax": word}) for word in RELAXATIONS},
    "c4": ("p4cnn_12", {}),
    "d4": ("p4mcnn_12", {}),
    "residual-network": ("c4resnet18_32", {}),
    "averaged": ("p4cnn_12", {"average": "rotation"}),
    "equivariant": ("p4cnn_12", {"downsample": "equivariant"}),
    "features": ("p4cnn_12", {"coset_pool": False}),
}


def source(word):
    """A network with weights and statistics of its own."""
    name, choices = SOURCES[word]
    net = zoo.create(name, width=8, in_chans=1, seed=0, **choices)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    side = int(name.rpartition("_")[2])
    net(torch.rand(8, 1, side, side, generator=generator))  # moves the statistics of batch norm
    return net.eval(), torch.rand(3, 1, side, side, generator=generator)


@pytest.mark.parametrize("word", SOURCES)
def test_a_copy_is_the_same_function(word):
    net, images = source(word)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    copy = free_copy(net)
    found = []
    for model in (net, copy):
        torch.manual_seed(0)  # of the angles of an average
        found.append(model(images))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-6)
    assert float(found[0].detach().std(0).max()) > 1e-4, "the answer depends on the image"
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not copy.training and free_copy(net.train()).training


def test_its_filters_are_free_and_know_their_distance():
    net, images = source("c4")
    copy = free_copy(net)
    tied, free = (sum(p.numel() for p in model.parameters()) for model in (net, copy))
    assert free > 3 * tied and equivariant_distance(copy).total < 1e-6
    torch.manual_seed(0)
    copy.train()
    nn.functional.cross_entropy(copy(images), torch.arange(3)).backward()
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter -= 0.1 * parameter.grad
    assert equivariant_distance(copy).total > 1e-5, "upright images alone make them leave"
    tied_in_one = [layer for layer in copy.modules() if isinstance(layer, FreeConv2d)]
    assert all(layer.bias is None or layer.bias.numel() == layer.out_fields for layer in tied_in_one)


def test_it_is_published_and_comes_back_from_the_hub(hub: LoopbackHub, tmp_path):
    copy = free_copy(network())
    with torch.no_grad():
        for layer in copy.modules():
            if isinstance(layer, FreeConv2d):
                layer.weight += 0.1 * torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(0))
    zoo.push(save(tmp_path / "free", copy), "user/free")
    back = zoo.load("user/free")
    images = golden()
    assert images.shape[-1] == SIZE and torch.equal(back(images), copy(images))
    assert equivariant_distance(back).to_dict() == equivariant_distance(copy).to_dict()
    assert back.config["architecture"]["relax"] == "free" and not back.config["exactness"]["exact"]


def test_what_has_no_fields_or_no_lattice_is_refused_in_a_sentence():
    with pytest.raises(ModelError, match="Sequential is no network of the zoo, so the fields of its layers"):
        free_copy(nn.Sequential(nn.Conv2d(1, 1, 3)))
    with pytest.raises(ModelError, match="z2cnn_12 has no group to leave; take p4cnn_12"):
        free_copy(zoo.create("z2cnn_12", width=2))
    with pytest.raises(ModelError, match="has no choice 'relax'"):
        free_copy(zoo.create("z2pathcnn_20", width=2))
