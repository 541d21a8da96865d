"""`layerwise_alignment`: its numbers on a group network, its notes, its text and JSON, and what it refuses."""

import json

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import ShapeError, SymmetryError
from zoo.errors import ModelError
from zoo.measure import Alignment, layerwise_alignment


def images(count=24, size=12, channels=3):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


LABELS = torch.arange(24) % 10


@pytest.fixture(scope="module")
def found():
    net = zoo.create("p4cnn_12", width=2, seed=0).train()
    for _ in range(30):
        net(images())  # so that norms have statistics, and deep channels are alive
    return layerwise_alignment(net, images(), LABELS, "d4", name="mine", data="noise")


def test_a_group_network_has_ones_and_zeros_under_its_own_group(found):
    assert [pair.other for pair in found.pairs] == ["r90", "r180", "r270", "m", "r90m", "r180m", "r270m"]
    assert [pair.order for pair in found.pairs] == [4, 2, 4, 2, 2, 2, 2]
    for pair in found.pairs[:3]:
        known = [layer for layer in pair.layers if layer.correlation is not None]
        assert len(known) == 7 and min(layer.correlation for layer in known) > 0.999
        assert pair.barriers["permuted"] == pair.barriers["permuted, REPAIR"] == 0
        assert pair.check.exact
    assert min(layer.correlation for layer in found.pairs[3].layers if layer.correlation is not None) < 0.99


def test_it_prints_its_numbers_and_comes_back_from_json(found):
    text = str(found)
    assert text.startswith("mine on noise: each layer beside the same layer moved: 12 images to match channels, 12 to")
    assert "Residual of the weights" in text and "trunk.conv7" in text
    assert Alignment.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert len(found.to_pandas()) == 7 * len(found.pairs[0].layers)
    assert found.plot().axes


def test_a_subsampling_that_breaks_the_transform_is_a_note():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(4, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    off = layerwise_alignment(net, images(), LABELS, "c2")
    assert "note: under r180 f_{g theta}(g x) differs" in str(off) and "take images of 11 or 13 pixels" in str(off)
    assert not layerwise_alignment(net, images(size=13), LABELS, "c2").notes


def test_another_network_is_one_more_pair():
    one, two = (zoo.create("z2cnn_12", width=4, seed=seed) for seed in (0, 1))
    both = layerwise_alignment(one, images(), LABELS, "c1", against=two, against_name="two")
    (pair,) = both.pairs
    assert (pair.other, pair.order, pair.check) == ("two", None, None)
    assert all(layer.returns is None for layer in pair.layers)
    assert all(
        layer.residual == 0 for layer in layerwise_alignment(one, images(), LABELS, "c1", against=one).pairs[0].layers
    )


def test_what_cannot_be_aligned_is_refused():
    net = zoo.create("z2cnn_12", width=4)
    with pytest.raises(SymmetryError, match="off their lattice"):
        layerwise_alignment(net, images(), LABELS, "c8")
    with pytest.raises(ShapeError, match="take elements of d2"):
        layerwise_alignment(net, images()[..., :10], LABELS, "c4")
    with pytest.raises(ShapeError, match="one class index for each"):
        layerwise_alignment(net, images(), LABELS[:3], "c4")
    with pytest.raises(ModelError, match="0 to 9"):
        layerwise_alignment(net, images(), LABELS + 5, "c2")
    with pytest.raises(ModelError, match="in one network and"):
        layerwise_alignment(net, images(), LABELS, "c2", against=zoo.create("z2cnn_12", width=5))
    averaged = zoo.create("z2cnn_12", width=4, average="rotation")
    with pytest.raises(ModelError, match=r"no permutation of channels to find: .* in 'range'"):
        layerwise_alignment(averaged, images(), LABELS, "c2")
