"""Transposed and upsampling convolutions: equivariant at every size, and what of torch's own is not."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support.layers import relative, worst_error
from zoo.errors import SymdataError
from zoo.layers import GroupConv2d, GroupConvTranspose2d, GroupUpsampleConv2d, fields
from zoo.layers.regular import LATTICE, inverses, move, products

TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("name", LATTICE)
def test_a_transposed_convolution_is_equivariant_at_every_size(name):
    for kernel, stride, padding, dilation in (
        (1, 1, 0, 1), (2, 2, 0, 1), (3, 2, 1, 1), (4, 2, 1, 1), (5, 3, 2, 1), (2, 3, 0, 1), (3, 2, 2, 2),
    ):  # fmt: skip
        layer = GroupConvTranspose2d(name, 2, 2, kernel, stride, padding, dilation, groups=stride % 2 + 1).double()
        for size in (4, 5):
            x = noise(1, layer.in_channels, size, size)
            side = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            assert layer(x).shape == (1, layer.in_channels, side, side)
            assert worst_error(layer, x, layer.group) < TOLERANCE


def test_every_pixel_adds_the_filter_that_its_equation_says():
    layer, stride = GroupConvTranspose2d("d4", 1, 1, 3, 2, bias=False).double(), 2
    table, back = products(layer.group), inverses(layer.group)
    for h in range(8):
        x = torch.zeros(1, 8, 3, 3, dtype=torch.float64)
        x[0, h, 1, 2] = 1
        y = layer(x)[0]
        for g, element in enumerate(layer.group.elements):
            expected = torch.zeros(7, 7, dtype=torch.float64)
            expected[stride : stride + 3, 2 * stride : 2 * stride + 3] = move(
                layer.weight[0, table[back[g]][h]], element
            )
            assert torch.equal(y[g], expected)


def test_it_is_the_adjoint_of_a_group_convolution():
    down = GroupConv2d("d4", 2, 3, 3, 2, 1, bias=False).double()
    up = GroupConvTranspose2d("d4", 3, 2, 3, 2, 1, bias=False).double()
    up.expand = lambda: (down.expand()[0], None)
    x, y = noise(1, 16, 9, 9), noise(1, 24, 5, 5)
    assert torch.allclose((down(x) * y).sum(), (x * up(y)).sum())


def test_control_output_padding_and_untied_filters_are_not_equivariant():
    layer, x = GroupConvTranspose2d("d4", 2, 2, 3, 2, 1).double(), noise(1, 16, 5, 5)
    weight, bias = layer.expand()
    assert worst_error(layer, x, layer.group) < TOLERANCE
    layer.forward = lambda x: F.conv_transpose2d(x, weight, bias, 2, 1, output_padding=1)
    assert worst_error(layer, x, layer.group) > 0.1
    layer.forward = nn.ConvTranspose2d(16, 16, 3, 2, 1).double().forward
    assert worst_error(layer, x, layer.group) > 0.1


MODES = {"nearest": {}, "bilinear": {"mode": "bilinear"}, "corners": {"mode": "bilinear", "align_corners": True}}


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("mode", MODES)
def test_an_upsampling_convolution_is_equivariant_at_every_size(mode, name):
    for scale in (1, 2, 3):
        layer = GroupUpsampleConv2d(name, 2, 2, scale=scale, **MODES[mode], groups=scale % 2 + 1).double()
        for size in (1, 4, 5):
            x = noise(1, layer.in_channels, size, size)
            side = scale * (size - 1) + 1 if mode == "corners" else scale * size
            assert layer(x).shape == (1, layer.in_channels, side, side)
            assert worst_error(layer, x, layer.group) < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
def test_it_moves_with_shifts_too_where_the_image_ends_in_zeros(mode):
    x = F.pad(noise(1, 8, 3, 3), (3, 3, 3, 3))
    layer = GroupUpsampleConv2d("c4", 2, 2, scale=2, bias=False, **MODES[mode]).double()
    assert relative(layer(x.roll(1, 3)), layer(x).roll(2, 3)) < TOLERANCE


def test_control_a_size_that_is_no_multiple_and_corners_of_torch_itself():
    x = noise(1, 8, 9, 9)
    skewed = F.interpolate(x, (13, 13))
    assert relative(F.interpolate(x.flip(3), (13, 13)), skewed.flip(3)) > 0.1
    padded = F.pad(noise(1, 8, 3, 3), (3, 3, 3, 3))
    stretched = F.interpolate(padded, (18, 18), mode="bilinear", align_corners=True)
    turned = F.interpolate(padded.rot90(1, (2, 3)), (18, 18), mode="bilinear", align_corners=True)
    assert relative(turned, stretched.rot90(1, (2, 3))) < TOLERANCE, "symmetric"
    shifted = F.interpolate(padded.roll(1, 3), (18, 18), mode="bilinear", align_corners=True)
    assert relative(shifted, stretched.roll(2, 3)) > 0.05, "and no shift by whole pixels"


def test_nearest_pixels_are_repeated_at_every_scale_and_size():
    for scale in range(1, 17):
        layer = GroupUpsampleConv2d("c1", 1, 1, 1, scale=scale, bias=False).double()
        layer.weight.data.fill_(1)
        for size in (1, 7, 10, 41, 100):
            x = noise(1, 1, 1, size)
            assert torch.equal(layer(x)[0, 0, 0], x[0, 0, 0].repeat_interleave(scale))


def test_outputs_start_at_the_scale_of_inputs():
    for kernel, stride in ((2, 2), (4, 2), (3, 1), (6, 3)):
        layer = GroupConvTranspose2d("d4", 8, 32, kernel, stride, bias=False)
        inner = layer(torch.randn(8, 64, 9, 9))[..., kernel:-kernel, kernel:-kernel]
        assert inner.std().item() == pytest.approx(3**-0.5, rel=0.1)  # as `GroupConv2d`: the variance of a uniform
    assert GroupConv2d("d4", 8, 32, 3, bias=False)(torch.randn(8, 64, 9, 9)).std().item() == pytest.approx(
        3**-0.5, rel=0.1
    )


def test_bad_arguments_are_refused():
    with pytest.raises(SymdataError, match=r"output_padding is 1, which adds pixels on one side only .* kernel_size=4"):
        GroupConvTranspose2d("c4", 2, 2, 3, 2, 1, output_padding=1)
    with pytest.raises(SymdataError, match="padding is 'same', expected a whole number from 0"):
        GroupConvTranspose2d("c4", 2, 2, 3, padding="same")
    with pytest.raises(SymdataError, match="align_corners is True and mode 'nearest'"):
        GroupUpsampleConv2d("c4", 2, 2, align_corners=True)
    with pytest.raises(SymdataError, match="mode is 'bicubic', expected one of nearest, bilinear"):
        GroupUpsampleConv2d("c4", 2, 2, mode="bicubic")
    with pytest.raises(SymdataError, match=r"scale is 1.5, expected a whole number from 1 to 16, for example 2"):
        GroupUpsampleConv2d("c4", 2, 2, scale=1.5)
    with pytest.raises(SymdataError, match="'same' and kernel_size 2"):
        GroupUpsampleConv2d("c4", 2, 2, 2)
    for layer in (GroupConvTranspose2d("c4", 2, 2, 3), GroupUpsampleConv2d("c4", 2, 2)):
        for shape in ((2, 6, 4, 4), (8, 4, 4)):
            with pytest.raises(SymdataError, match=r"expected \(B, 8, H, W\): 2 input fields over c4"):
                layer(torch.zeros(shape))


def test_fields_of_a_transposed_layer_in_parts_read_their_own_part():
    layer = GroupConvTranspose2d("d4", 2, 2, 2, 2, groups=2, bias=False).double()
    x = noise(1, 16, 3, 3)
    fields(x, "d4")[:, :, 0] = 0
    first, second = fields(layer(x), "d4").unbind(2)
    assert not first.any() and second.any()
