"""How far filters are from equivariant ones: brute force, our own layers, escnn's, and what it says of feature maps."""

import numpy as np
import pytest
import torch
from torch import nn

from symdata.errors import ShapeError
from symdata.groups import Group
from tests.support.layers import TIED
from tests.support.nets import small
from tests.support.steerable import require_escnn
from zoo import ModelError
from zoo.layers import GCGroupConv2d, GGroupConv2d, GroupConv2d, LiftingConv2d, act_on_features
from zoo.measure import equivariance_error, kernel_deviation, kernel_deviations
from zoo.measure.kernels import averaged, filters_of, moved_filters

LAYERS = {"full": GroupConv2d, "g": GGroupConv2d, "gc": GCGroupConv2d}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_scalars_by_brute_force():
    weight = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    k = weight.numpy()
    copies = [np.rot90(m, turns, (-2, -1)) for m in (k, k[..., ::-1]) for turns in range(4)]
    found = kernel_deviation(weight, "d4")
    assert found.distance == pytest.approx(np.linalg.norm(k - np.mean(copies, 0)) / np.linalg.norm(k))
    assert list(found.by_element.values()) == pytest.approx([np.linalg.norm(c - k) / np.linalg.norm(k) for c in copies])
    assert list(found.by_element) == [str(e) for e in Group(4, True).elements]
    assert found.to_dict() == {
        "name": "",
        "group": "d4",
        "distance": found.distance,
        "by_element": found.by_element,
    }


@pytest.mark.parametrize("group", ["c4", "d1", "d4"])
@pytest.mark.parametrize("kind", LAYERS)
def test_tied_filters_are_equivariant_and_free_ones_are_not(kind, group):
    net = nn.Sequential(LiftingConv2d(group, 2, 3, 3), LAYERS[kind](group, 3, 2, 3))
    found = kernel_deviations(net)
    assert [d.name for d in found] == ["0", "1"] and all(d.group == group for d in found)
    assert max(d.distance for d in found) < 1e-6  # float32, and two roundings in a separable one
    free = nn.Conv2d(net[1].in_channels, 2 * len(Group.parse(group).elements), 3)
    assert kernel_deviations(free, group, lambda name, conv: (group, group))[0].distance > 0.5


def test_filters_that_leave_the_group_are_as_far_as_they_went():
    """A learned group convolution: the bank of one, as free weights, and a step away from it."""
    bank = GroupConv2d("c4", 2, 3, 3).expand()[0].detach().double()
    step = torch.randn_like(bank)
    step -= averaged(step, "c4", "c4", "c4")  # the part of it that no equivariant filter has
    for size in (0.0, 0.1, 0.2):
        moved_away = bank + size * step
        wanted = size * float(step.norm() / moved_away.norm())
        assert kernel_deviation(moved_away, "c4", "c4", "c4").distance == pytest.approx(wanted, abs=1e-12)


def test_the_average_is_the_nearest_equivariant_filter():
    weight = torch.randn(8, 8, 3, 3, dtype=torch.float64)
    nearest = averaged(weight, "c4", "c4", "c4")
    assert kernel_deviation(nearest, "c4", "c4", "c4").distance < 1e-15
    for _ in range(5):
        other = GroupConv2d("c4", 2, 2, 3).expand()[0].detach().double()  # any equivariant filter at all
        assert abs(float(((weight - nearest) * other).sum())) < 1e-12
        assert float((weight - nearest).norm()) < float((weight - nearest - 0.1 * other).norm())


def test_on_white_noise_it_is_the_error_of_the_feature_maps():
    weight = torch.randn(8, 8, 3, 3, dtype=torch.float64)
    noise = torch.randn(40, 8, 16, 16, dtype=torch.float64)
    found = kernel_deviation(weight, "c4", "c4", "c4").by_element
    for e in Group(4).elements:
        before = nn.functional.conv2d(noise, weight)
        after = nn.functional.conv2d(act_on_features(noise, e, "c4"), weight)
        error = float((after - act_on_features(before, e, "c4")).norm() / before.norm())
        assert found[str(e)] == pytest.approx(error, abs=0.03)
    conv = nn.Conv2d(1, 3, 3, bias=False)
    scalars = equivariance_error(conv, torch.randn(200, 1, 16, 16)).by_element
    assert list(kernel_deviations(conv)[0].by_element.values()) == pytest.approx(list(scalars.values()), abs=0.03)


def test_the_action_on_filters_is_that_on_maps():
    """g K g^-1 as operators: convolving a moved map with moved filters moves the result."""
    weight, x = torch.randn(8, 16, 3, 3, dtype=torch.float64), torch.randn(2, 16, 9, 9, dtype=torch.float64)
    for e in Group(4, True).elements:
        one = nn.functional.conv2d(act_on_features(x, e, "d4"), moved_filters(weight, e, "d4", "d4"))
        assert torch.allclose(one, act_on_features(nn.functional.conv2d(x, weight), e, "d4"), atol=1e-12)


def test_filters_of_escnn():
    """Its layout and representations, as matrices."""
    escnn = require_escnn()
    space = escnn.gspaces.rot2dOnR2(4)
    one, two = (escnn.nn.FieldType(space, n * [space.regular_repr]) for n in (1, 2))
    weight = escnn.nn.R2Conv(one, two, 5).expand_parameters()[0].detach()
    matrix = [lambda e, f=f: torch.tensor(f.representation(_element(space, e))) for f in (one, two)]
    assert kernel_deviation(weight, "c4", *matrix).distance < 1e-6
    assert kernel_deviation(weight, "c4").distance > 0.1  # scalars they are not
    assert kernel_deviation(weight.roll(1, 0), "c4", *matrix).distance > 0.1


def _element(space, e):
    return list(space.fibergroup.elements)[Group(4).index(e)]


def test_whole_networks():
    found = kernel_deviations(small("p4cnn_28", in_chans=1))
    assert len(found) == 7 and max(d.distance for d in found) < 1e-6
    plain = kernel_deviations(small("z2cnn_28", in_chans=1), "c4")
    assert len(plain) == 7 and min(d.distance for d in plain) > 0.3 and {d.group for d in plain} == {"c4"}
    flat = nn.Sequential(nn.Conv2d(1, 2, (1, 3)), nn.Conv2d(2, 4, 1), nn.Linear(4, 2))
    assert [(d.name, d.distance) for d in kernel_deviations(flat)] == [("1", 0.0)]


def test_what_is_no_such_filter_is_refused():
    with pytest.raises(ShapeError, match=r"filters \(2, 1, 1, 3\) cannot be turned, expected \(C_out, C_in, k, k\)"):
        kernel_deviation(torch.randn(2, 1, 1, 3))
    with pytest.raises(ShapeError, match="6 channels are no regular fields of c4; expected a multiple of 4"):
        kernel_deviation(torch.randn(4, 6, 3, 3), "c4", "c4", "c4")
    with pytest.raises(ShapeError, match=r"the matrix of e is \(2, 2\), expected \(4, 4\)"):
        kernel_deviation(torch.randn(4, 4, 3, 3), "c4", lambda e: torch.eye(2))
    with pytest.raises(ModelError, match="convolves its channels in 4 groups"):
        kernel_deviations(nn.Conv2d(4, 4, 3, groups=4), "c4", lambda name, conv: ("c4", "c4"))


@pytest.mark.parametrize("kind", [LiftingConv2d, *LAYERS.values()])
def test_the_filters_are_those_that_the_layer_convolves_with(kind):
    layer, group = kind("d4", 2, 3, 3, bias=False).double().eval(), Group.parse("d4")
    lifting = kind is LiftingConv2d
    ((filters, own, before, after),) = filters_of("", layer, group, None)
    assert (own, before, after) == (group, None if lifting else group, group)
    x = torch.randn(2, layer.in_channels, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(nn.functional.conv2d(x, filters), layer(x), atol=1e-12, rtol=0)


def test_a_depthwise_convolution_is_compared_as_scalars_alone():
    depthwise = nn.Conv2d(4, 4, 3, groups=4)
    assert kernel_deviations(depthwise, "c4")[0].distance > 0.3
    for fields in ((None, "c4"), ("c4", None)):
        with pytest.raises(ModelError, match="convolves its channels in 4 groups"):
            kernel_deviations(depthwise, "c4", lambda name, conv, f=fields: f)


@pytest.mark.parametrize("kind", [kind for kind in TIED if kind not in ("gc", "linear", "invariant")])
def test_filters_of_every_tied_layer_are_equivariant_until_they_are_untied(kind):
    layer = TIED[kind]("d4").double()
    (found,) = kernel_deviations(nn.Sequential(layer))
    assert found.distance < 1e-12
    untied = layer.expand()[0].detach().clone().normal_()
    layer.expand = lambda: (untied, None)
    (found,) = kernel_deviations(nn.Sequential(layer))
    assert found.distance > 0.5
