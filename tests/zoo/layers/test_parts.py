"""`groups=` divides fields with all their orientations, and `padding="same"` keeps the size; both stay equivariant."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support.layers import relative, worst_error
from zoo.errors import SymdataError
from zoo.layers import GCGroupConv2d, GroupConv2d, GroupConvTranspose2d, LiftingConv2d, fields, flat
from zoo.layers.regular import LATTICE
from zoo.layers.relaxed import BanksGroupConv2d


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("conv", [GroupConv2d, LiftingConv2d])
def test_a_layer_in_parts_is_one_layer_for_each_part(conv, name):
    layer = conv(name, 6, 4, 3, padding=1, groups=2).double()
    size = layer.group.order
    halves = [conv(name, 3, 2, 3, padding=1).double() for _ in range(2)]
    for number, half in enumerate(halves):
        half.weight.data = layer.weight.data[2 * number : 2 * number + 2]
        half.bias.data = layer.bias.data[2 * number : 2 * number + 2]
    x = noise(2, layer.in_channels, 6, 7)
    inputs = x.chunk(2, 1) if layer.lifting else [flat(part) for part in fields(x, name).chunk(2, 2)]
    outs = [fields(half(part), name) for half, part in zip(halves, inputs, strict=True)]
    assert relative(layer(x), flat(torch.cat(outs, 2))) < 1e-12
    assert layer(x).shape == (2, 4 * size, 6, 7)


@pytest.mark.parametrize("conv", [GroupConv2d, LiftingConv2d])
def test_the_filters_of_a_layer_in_parts_are_those_of_a_full_convolution(conv):
    layer, x = conv("d4", 4, 6, 3, padding=1, groups=2, bias=False).double(), noise(2, 4 * 8, 5, 5)
    x = x[:, : layer.in_channels]
    assert relative(F.conv2d(x, layer.filters(), padding=1), layer(x)) < 1e-12


def test_the_filters_of_a_transposed_layer_in_parts_are_those_of_a_full_one():
    layer = GroupConvTranspose2d("d4", 4, 6, 3, 2, 1, groups=2, bias=False).double()
    x = noise(2, 32, 5, 5)
    assert relative(F.conv_transpose2d(x, layer.filters().transpose(0, 1), None, 2, 1), layer(x)) < 1e-12


def test_a_depthwise_layer_mixes_the_orientations_of_one_field_only():
    layer, x = GroupConv2d("d4", 3, 3, 3, padding="same", groups=3, bias=False).double(), noise(1, 24, 5, 5)
    assert layer.weight.shape == (3, 8, 3, 3)
    fields(x, "d4")[:, :, 1] = 0
    assert [bool(part.any()) for part in fields(layer(x), "d4").unbind(2)] == [True, False, True]


def test_control_to_divide_channels_instead_of_fields_is_not_equivariant():
    layer = GroupConv2d("d4", 2, 2, 3, padding=1).double()
    layer.forward = nn.Conv2d(16, 16, 3, padding=1, groups=2).double().forward
    assert worst_error(layer, noise(1, 16, 6, 6), layer.group) > 0.1
    tied = GroupConv2d("d4", 4, 4, 3, padding=1, groups=2).double()
    assert worst_error(tied, noise(1, 32, 6, 6), tied.group) < 1e-12
    weight, bias = tied.expand()  # without the exchange of channels
    tied.forward = lambda x: F.conv2d(x, weight, bias, 1, 1, 1, 2)
    assert worst_error(tied, noise(1, 32, 6, 6), tied.group) > 0.1


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 2), (3, 3), (2, 2), (4, 2)])
@pytest.mark.parametrize("conv", [GroupConv2d, LiftingConv2d, GCGroupConv2d])
def test_same_keeps_the_size_and_is_equivariant(conv, kernel, dilation):
    layer = conv("d4", 2, 2, kernel, padding="same", dilation=dilation).double()
    for side in (6, 7):
        x = noise(1, layer.in_channels, side, side)
        assert layer(x).shape[2:] == (side, side) and worst_error(layer, x, layer.group) < 1e-12


def test_control_same_with_an_even_window_is_not_equivariant_and_refused():
    layer = GroupConv2d("d4", 2, 2, 4).double()
    weight, bias = layer.expand()
    with warnings.catch_warnings():  # torch warns the first time alone
        warnings.simplefilter("ignore", UserWarning)
        assert F.conv2d(torch.zeros(1, 16, 6, 6).double(), weight, bias, padding="same").shape[2:] == (6, 6)
    layer.forward = lambda x: F.conv2d(F.pad(x, (1, 2, 1, 2)), weight, bias)  # what torch does
    assert worst_error(layer, noise(1, 16, 6, 6), layer.group) > 0.1
    with pytest.raises(SymdataError, match=r"'same' and kernel_size 4, which needs one pixel more on one side .* odd"):
        GroupConv2d("d4", 2, 2, 4, padding="same")
    with pytest.raises(SymdataError, match="'same' and kernel_size 2"):
        LiftingConv2d("d4", 2, 2, 2, padding="same")


def test_bad_paddings_and_groups_are_refused():
    with pytest.raises(SymdataError, match=r"'same' and stride 2, which does not keep the size; .* padding=1"):
        GroupConv2d("c4", 2, 2, 3, stride=2, padding="same")
    with pytest.raises(SymdataError, match="padding is 'valid', expected a whole number from 0 to 1048576, or 'same'"):
        GroupConv2d("c4", 2, 2, 3, padding="valid")
    with pytest.raises(SymdataError, match=r"groups is 8, in_fields 4 and out_fields 6; groups divide fields, .* 2"):
        GroupConv2d("c4", 4, 6, 3, groups=8)
    with pytest.raises(SymdataError, match="groups is 0, expected a whole number from 1"):
        LiftingConv2d("c4", 4, 6, 3, groups=0)
    for conv in (GCGroupConv2d, BanksGroupConv2d):
        with pytest.raises(SymdataError, match=r"groups is 2, and .* mixes all fields; take groups=1"):
            conv("c4", 4, 6, 3, groups=2)


def test_parts_and_padding_are_said():
    assert repr(GroupConv2d("c4", 2, 2, 3, padding="same", groups=2)).endswith(
        "padding=1, dilation=1, bias=True, groups=2)"
    )
    assert "groups" not in repr(GroupConv2d("c4", 2, 2, 3))
