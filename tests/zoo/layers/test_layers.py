"""The layers: equivariant to rounding over every group, element, kernel and format; with controls that must fail."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from tests.support.layers import CONVS, TIED, error_of, inputs, relative, worst_error
from zoo.exactness.arithmetic import residue
from zoo.layers import (
    BlurPool2d,
    GCGroupConv2d,
    GGroupConv2d,
    GroupAvgPool2d,
    GroupBatchNorm2d,
    GroupConv2d,
    GroupMaxPool2d,
    GroupPool,
    LiftingConv2d,
    act_on_features,
    fields,
    flat,
)
from zoo.layers.bank import ROW_FIELDS, bank_index
from zoo.layers.regular import LATTICE, move

TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("kind", CONVS)
def test_convolutions_are_equivariant(name, kind):
    conv = CONVS[kind]
    for kernel in (1, 2, 3, 4, 5):
        for size in (7, 8):
            layer = conv(name, 2, 4, kernel, padding=(kernel - 1) // 2).double()
            assert worst_error(layer, noise(2, layer.in_channels, size, size), layer.group) < TOLERANCE
    for kernel, stride, padding, dilation in ((3, 2, 1, 1), (2, 2, 0, 1), (3, 1, 2, 2), (3, 3, 0, 2)):
        layer = conv(name, 2, 2, kernel, stride, padding, dilation, bias=False).double()
        size = next(i for i in range(9, 13) if residue(i, kernel, stride, padding, dilation) == 0)
        assert worst_error(layer, noise(2, layer.in_channels, size, size), layer.group) < TOLERANCE


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("kind", TIED)
def test_every_layer_is_equivariant_on_odd_and_even_sizes(name, kind):
    layer = TIED[kind](name).double()
    for size in (1, 4, 7, 8):
        assert error_of(layer, inputs(layer, torch.float64, size=size)) < TOLERANCE


@pytest.mark.parametrize("kind", CONVS)
def test_rows_and_single_values_make_the_same_bank(kind, monkeypatch):
    fields = 2 * ROW_FIELDS  # of which a layer in two parts has ROW_FIELDS each
    layer = CONVS[kind]("d4", fields, 2, 3).double()
    monkeypatch.setattr("zoo.layers.bank.ROW_FIELDS", fields + 1)
    bank_index.cache_clear()
    other = CONVS[kind]("d4", fields, 2, 3).double()
    bank_index.cache_clear()
    other.load_state_dict(layer.state_dict())
    for a, b in zip(layer.expand(), other.expand(), strict=True):
        assert torch.equal(a, b)
    assert worst_error(layer, noise(1, layer.in_channels, 5, 5), layer.group) < TOLERANCE


def test_control_an_inexact_stride_an_untied_filter_and_a_wrong_action_are_seen():
    x = noise(2, 16, 8, 8)
    layer = GroupConv2d("d4", 2, 2, 3, 2, 1).double()
    assert worst_error(layer, x, layer.group) > 0.1
    untied = GroupConv2d("d4", 2, 2, 3, padding=1).double().eval()
    untied.expand = lambda: (noise(16, 16, 3, 3), None)
    assert worst_error(untied, x, untied.group) > 0.1
    layer = GroupConv2d("d4", 2, 2, 3, padding=1).double()
    quarter = layer.group.elements[1]
    wrong = flat(fields(move(layer(x), quarter), "d4").roll(-1, 1))
    assert relative(layer(act_on_features(x, quarter, "d4")), wrong) > 0.1


@pytest.mark.parametrize("name", LATTICE)
def test_norm_and_pools_are_equivariant(name):
    group = Group.parse(name)
    channels = 3 * group.order
    norm = GroupBatchNorm2d(group, 3).double()
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    layers = [norm, GroupMaxPool2d(2), GroupAvgPool2d(3, 2, 1), BlurPool2d(channels, 3), BlurPool2d(channels, 4)]
    for layer in (*layers, norm.eval()):
        size = 8 if isinstance(layer, GroupMaxPool2d | GroupBatchNorm2d) or layer.kernel_size == 4 else 9
        x = noise(2, channels, size, size)
        for format_ in (torch.contiguous_format, torch.channels_last):
            layer.group = group
            assert worst_error(layer.double(), x.contiguous(memory_format=format_), group) < TOLERANCE
    for mode in ("max", "mean"):
        assert worst_error(GroupPool(group, mode), noise(2, channels, 5, 6)[..., :5], None) < TOLERANCE


def test_control_a_norm_per_channel_is_not_equivariant():
    norm = nn.BatchNorm2d(16).double()
    norm.group = Group.parse("d4")
    nn.init.uniform_(norm.weight)
    assert worst_error(norm, noise(2, 16, 5, 5), norm.group) > 0.1


def test_a_lifting_layer_correlates_with_the_moved_filters():
    layer = LiftingConv2d("d4", 1, 1, 3, bias=False).double()
    bank = layer.expand()[0]
    for g, element in enumerate(layer.group.elements):
        assert torch.equal(bank[g], move(layer.weight[0], element))


def test_a_group_layer_of_c4_is_that_of_the_paper():
    """W_out=g,in=h = rot90ccw^g (W[(h - g) mod 4])."""
    layer = GroupConv2d("c4", 1, 1, 3, bias=False).double()
    bank = layer.expand()[0]
    for g in range(4):
        for h in range(4):
            assert torch.equal(bank[g, h], torch.rot90(layer.weight[0, (h - g) % 4], g, (-2, -1)))


def test_a_turn_rolls_the_group_axis_by_one_and_grouPy_has_the_same_mirror():  # noqa: N802 (a name)
    marks = torch.arange(8.0).view(1, 8)
    d4 = Group.parse("d4")
    r90, mirror, transpose = d4.elements[1], d4.elements[4], d4.elements[5]
    assert act_on_features(marks[:, :4], r90, "c4").tolist() == [[3, 0, 1, 2]]
    assert act_on_features(marks, r90, d4).tolist() == [[3, 0, 1, 2, 7, 4, 5, 6]]
    assert act_on_features(marks, mirror, d4).tolist() == [[4, 7, 6, 5, 0, 3, 2, 1]]
    ours = [0, 1, 2, 3, *(4 + (2 - k) % 4 for k in range(4))]  # of GrouPy's index i
    theirs = {ours[i]: i for i in range(8)}
    facts = ((r90, [3, 0, 1, 2, 5, 6, 7, 4]), (mirror, [6, 7, 4, 5, 2, 3, 0, 1]), (transpose, [5, 6, 7, 4, 3, 0, 1, 2]))
    for element, permutation in facts:
        moved = act_on_features(marks, element, d4)[0]
        assert [theirs[int(moved[ours[i]])] for i in range(8)] == permutation


@pytest.mark.parametrize("name", LATTICE)
def test_the_action_on_features_is_a_homomorphism(name):
    group, x = Group.parse(name), noise(1, 2 * Group.parse(name).order, 3, 3)
    for a in group.elements:
        for b in group.elements:
            twice = act_on_features(act_on_features(x, b, group), a, group)
            assert torch.equal(twice, act_on_features(x, a @ b, group))


def test_views_cost_no_copy_in_either_format():
    for x in (torch.zeros(2, 12, 4, 4), torch.zeros(2, 12, 4, 4).to(memory_format=torch.channels_last)):
        assert fields(x, "c4").data_ptr() == x.data_ptr() and fields(x, "c4").shape == (2, 4, 3, 4, 4)
        assert torch.equal(flat(fields(x, "c4")), x)


@pytest.mark.parametrize("format_", [torch.contiguous_format, torch.channels_last])
def test_the_norm_is_batch_norm_3d(format_):
    norm, reference = GroupBatchNorm2d("d4", 5).double(), nn.BatchNorm3d(5).double()
    x = noise(4, 40, 6, 6).contiguous(memory_format=format_).requires_grad_()
    y, z = norm(x), flat(reference(fields(x, "d4").transpose(1, 2)).transpose(1, 2))
    dy = noise(*y.shape)
    assert relative(y, z) < TOLERANCE
    for a, b in zip(
        torch.autograd.grad(y, (x, *norm.parameters()), dy),
        torch.autograd.grad(z, (x, *reference.parameters()), dy),
        strict=True,
    ):
        assert relative(a, b) < TOLERANCE
    state = {name: value for name, value in reference.state_dict().items() if name != "num_batches_tracked"}
    assert list(norm.state_dict()) == list(state)
    for name, value in norm.state_dict().items():
        assert torch.allclose(value, state[name], rtol=TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_norm_takes_low_precision_with_parameters_in_float32(dtype):
    norm, x = GroupBatchNorm2d("c4", 6), torch.randn(4, 24, 5, 5).to(memory_format=torch.channels_last)
    exact, low = norm(x), norm(x.to(dtype).requires_grad_())
    assert low.dtype == dtype and torch.allclose(low.float(), exact, atol=0.05)
    low.float().square().sum().backward()
    assert norm.weight.grad.dtype == torch.float32


def test_fan_in_counts_the_group():
    layer = GroupConv2d("c4", 16, 64, 3)
    assert layer.weight.abs().max() <= (16 * 4 * 9) ** -0.5
    assert nn.init._calculate_correct_fan(layer.weight, "fan_in") == 16 * 4 * 9
    y = GroupConv2d("d4", 32, 16, 3, bias=False)
    nn.init.kaiming_normal_(y.weight, nonlinearity="linear")
    assert y(torch.randn(2, 256, 9, 9)).std().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("conv", "shape"),
    [(LiftingConv2d, (2, 5, 4, 4)), (GroupConv2d, (2, 4, 4, 4)), (GCGroupConv2d, (1, 2, 8)), (GGroupConv2d, (8, 4, 4))],
)
def test_wrong_channels_are_refused_with_the_layout(conv, shape):
    with pytest.raises(ShapeError, match=r"expected \(B, (2|8), H, W\): 2 input fields over c4"):
        conv("c4", 2, 2, 3)(torch.zeros(shape))


def test_bad_arguments_are_refused():
    with pytest.raises(SymmetryError, match="c8 moves pixels off their lattice; exact layers need one of c1"):
        GroupConv2d("c8", 1, 1, 3)
    with pytest.raises(ShapeError, match="stride is 0, expected a whole number"):
        GroupConv2d("c4", 1, 1, 3, 0)
    with pytest.raises(ShapeError, match="have no axis of c4 at 1"):
        fields(torch.zeros(2, 6, 3, 3), "c4")
    with pytest.raises(ShapeError, match="GroupBatchNorm2d got"):
        GroupBatchNorm2d("c4", 3)(torch.zeros(2, 6, 3, 3))
    with pytest.raises(ShapeError, match="mode is 'sum'"):
        GroupPool("c4", "sum")
    with pytest.raises(ShapeError, match="kernel_size is 9"):
        BlurPool2d(4, 9)


def test_a_blur_keeps_a_constant_image():
    blurred = BlurPool2d(2, 5, padding=0)(torch.ones(1, 2, 9, 9))
    assert torch.equal(blurred, torch.ones(1, 2, 3, 3))
    assert F.conv2d(torch.ones(1, 1, 4, 4), BlurPool2d(1, 4).kernel[None, None]).item() == 1
