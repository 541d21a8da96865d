"""f_{g theta}(g x) = f_theta(x) where the sampling grids allow it, and the layer that breaks it where they do not."""

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import SymmetryError
from symdata.groups import Group
from tests.support.layers import TIED, inputs
from zoo.alignment import plain_copy, transform_check, transform_weights
from zoo.errors import ModelError
from zoo.files import bundled
from zoo.layers import GroupUpsampleConv2d
from zoo.layers.regular import move

D4 = Group("d4").elements
EXACT = {"p4cnn_27.mnist-none": 28, "p4cnn_29.mnist-none": 28, "z2pathcnn_16.digit-quadrant-conv": 17}
"""Bundled network -> a size at which it is exact, where that is not its own."""
ON_TORUS = "p4cnn_28.mnist-equivariant"


def strided():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_network_moves_with_its_weights_at_an_exact_size(name):
    model = zoo.load(name)
    size = EXACT.get(name, model.preprocessing.size)
    assert max(transform_check(model, g, size).error for g in D4) < 1e-5


@pytest.mark.parametrize("name", ["p4cnn_27.mnist-none", "p4mcnn_28.mnist-none", "z2pathcnn_16.digit-quadrant-conv"])
def test_one_pixel_off_the_subsampling_is_named_and_the_sizes_that_mend_it(name):
    model = zoo.load(name)
    size = EXACT.get(name, model.preprocessing.size)
    found = transform_check(model, "r90", size + 1)
    assert not found.exact and ("pool2" in found.layer or "block1" in found.layer)
    assert size in found.nearest
    with pytest.raises(ModelError, match=rf"leaves pixels over at one side; take images of {size} or .*check=False"):
        transform_weights(model, "r90", size + 1)


def test_a_network_on_a_torus_does_not_run_one_pixel_off():
    with pytest.raises(ModelError, match="multiples of 2"):
        transform_weights(zoo.load(ON_TORUS), "r90", 29)


def test_the_transpose_survives_a_stride_that_no_other_element_survives():
    exact = {str(g): transform_check(strided(), g, 32).exact for g in D4}
    assert [name for name, yes in exact.items() if yes] == ["e", "r90m"]
    assert all(transform_check(strided(), g, 33).exact for g in D4)


def test_maps_move_with_the_image():
    net, x = nn.Conv2d(2, 3, 3).eval(), torch.rand(1, 2, 9, 9)
    for g in D4:
        torch.testing.assert_close(transform_weights(net, g, 9)(move(x, g)), move(net(x), g))


def test_weights_that_read_positions_are_said_not_to_move():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 5))
    with pytest.raises(ModelError, match="a linear layer after a flatten"):
        transform_weights(net, "m", 8)
    assert isinstance(transform_weights(net, "m", 8, check=False), nn.Sequential)


def test_the_model_stays_as_it_is():
    net = strided().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    transform_weights(net, "r180", 33)
    assert net.training and all(torch.equal(before[key], value) for key, value in net.state_dict().items())


@pytest.mark.parametrize("element", ["r45", "r30m"])
def test_an_element_off_the_lattice_is_refused(element):
    with pytest.raises(SymmetryError, match=r"expected one of e, r90"):
        transform_weights(strided(), element, 33)


def test_filters_that_are_no_squares_are_flipped_and_not_turned():
    net = nn.Sequential(nn.Conv2d(1, 2, (1, 3), padding=(0, 1)), nn.AdaptiveAvgPool2d(1))
    assert transform_check(net, "m", 8).exact and transform_check(net, "r180", 8).exact
    with pytest.raises(ModelError, match="exchanges height and width; take elements that do not: those of d2"):
        transform_weights(net, "r90", 8)


def test_a_model_without_convolutions_is_refused():
    with pytest.raises(ModelError, match="no filters to move"):
        transform_weights(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), "m", 3, check=False)


@pytest.mark.parametrize("group", ["c4", "d4"])
@pytest.mark.parametrize("kind", sorted(set(TIED) - {"nearest", "bilinear", "corners"}))
def test_a_plain_copy_computes_the_same_without_layers_of_ours(kind, group):
    layer = TIED[kind](group).double().eval()
    plain, x = plain_copy(layer), inputs(layer, torch.float64)
    assert type(plain).__module__.startswith("torch.nn")
    torch.testing.assert_close(plain(x), layer(x), rtol=1e-12, atol=1e-12)


def test_a_layer_that_interpolates_has_no_plain_copy():
    with pytest.raises(ModelError, match="'1' is a GroupUpsampleConv2d"):
        plain_copy(nn.Sequential(nn.ReLU(), GroupUpsampleConv2d("c4", 1, 1)))


def test_a_plain_copy_is_no_network_of_the_zoo_by_name():
    net = zoo.create("p4resnet44_33", width=2)
    assert net.architecture and not plain_copy(net).architecture
