"""Linear layers of fields: to fields and to invariants; and dropout of whole fields, equivariant while it drops."""

import pytest
import torch
from torch import nn

from tests.support.layers import relative, worst_error
from zoo.errors import SymdataError
from zoo.layers import GroupConv2d, GroupDropout, GroupLinear, act_on_features, fields
from zoo.layers.regular import LATTICE, lattice_group


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("name", LATTICE)
def test_fields_go_to_fields_and_to_invariants(name):
    size = lattice_group(name).order
    layer, x = GroupLinear(name, 3, 5).double(), noise(2, 3 * size)
    assert layer(x).shape == (2, 5 * size) and worst_error(layer, x, layer.group) < 1e-12
    head = GroupLinear(name, 3, 5, invariant=True).double()
    assert head(x).shape == (2, 5) and worst_error(head, x, None) < 1e-12


def test_control_a_plain_linear_layer_does_neither():
    layer, x = GroupLinear("d4", 3, 5).double(), noise(2, 24)
    layer.forward = nn.Linear(24, 40).double().forward
    assert worst_error(layer, x, layer.group) > 0.1 and worst_error(layer, x, None) > 0.1


def test_it_is_the_group_convolution_of_one_pixel():
    layer, conv = GroupLinear("d4", 3, 5).double(), GroupConv2d("d4", 3, 5, 1).double()
    conv.load_state_dict({"weight": layer.weight[..., None, None], "bias": layer.bias})
    x = noise(2, 24)
    assert relative(layer(x), conv(x[..., None, None]).flatten(1)) < 1e-12


def test_invariants_are_made_of_the_sum_over_the_group():
    head, x = GroupLinear("c4", 3, 5, invariant=True).double(), noise(2, 12)
    assert relative(head(x), fields(x, "c4").sum(1) @ head.weight.T + head.bias) < 1e-12


@pytest.mark.parametrize("invariant", [True, False])
def test_outputs_start_at_the_scale_of_inputs(invariant):
    layer = GroupLinear("d4", 32, 64, bias=False, invariant=invariant)
    assert layer.weight.abs().max() <= (8 * 32) ** -0.5
    assert layer(torch.randn(400, 8 * 32)).std().item() == pytest.approx(3**-0.5, rel=0.1)


def test_other_shapes_are_refused():
    with pytest.raises(SymdataError, match=r"got \(2, 12, 3, 3\), expected \(B, 12\): 3 .*; average maps over space"):
        GroupLinear("c4", 3, 5)(torch.zeros(2, 12, 3, 3))
    with pytest.raises(SymdataError, match=r"GroupLinear got \(2, 3\), expected \(B, 12\): 3 input fields over c4"):
        GroupLinear("c4", 3, 5, invariant=True)(torch.zeros(2, 3))
    with pytest.raises(SymdataError, match="out_fields is 0"):
        GroupLinear("c4", 3, 0)


def seeded(layer, x):
    torch.manual_seed(1)
    return layer(x)


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("space", [(5, 5), ()])
def test_dropout_is_equivariant_while_it_drops(name, space):
    group = lattice_group(name)
    layer, x = GroupDropout(group, 0.5), noise(3, 4 * group.order, *space)
    for element in group.elements:
        moved = seeded(layer, act_on_features(x, element, group))
        assert torch.equal(moved, act_on_features(seeded(layer, x), element, group))
    assert not torch.equal(seeded(layer, x), x)


@pytest.mark.parametrize("plain", [nn.Dropout2d(0.5), nn.Dropout(0.5)])
def test_control_other_dropouts_are_not(plain):
    x, turn = noise(3, 16, 5, 5), lattice_group("c4").elements[1]
    moved = seeded(plain, act_on_features(x, turn, "c4"))
    assert relative(moved, act_on_features(seeded(plain, x), turn, "c4")) > 0.1


def test_fields_are_dropped_by_image_at_the_rate_and_the_mean_stays():
    out = GroupDropout("d4", 0.3)(torch.ones(200, 8 * 50, 2, 2))
    each = fields(out, "d4").flatten(3).movedim(2, 1).flatten(2)  # (B, C, orientations and pixels)
    assert torch.equal(each, each[..., :1].expand_as(each)), "all orientations and pixels together"
    kept = each[..., 0] > 0
    assert kept.double().mean().item() == pytest.approx(0.7, abs=0.02)  # 4.4 standard deviations of 10,000 draws
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert 0 < kept[0].sum() < 50 and not torch.equal(kept[0], kept[1]), "every image has its own"


def test_nothing_is_dropped_in_eval_mode_or_with_p_0_and_everything_with_1():
    x = noise(2, 8, 3, 3)
    assert GroupDropout("c4", 0.5).eval()(x) is x and GroupDropout("c4", 0.0)(x) is x
    assert not GroupDropout("c4", 1.0)(x).any()
    assert GroupDropout("c4")(x[:0]).shape == (0, 8, 3, 3)
    last = x.to(memory_format=torch.channels_last)
    assert GroupDropout("c4")(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "half", True])
def test_other_rates_are_refused(p):
    with pytest.raises(SymdataError, match=r"p is .*, expected a number from 0 to 1, for example 0.1"):
        GroupDropout("c4", p)


def test_channels_that_are_no_fields_are_refused():
    with pytest.raises(SymdataError, match="have no axis of c4 at 1"):
        GroupDropout("c4")(torch.zeros(2, 6, 3, 3))
