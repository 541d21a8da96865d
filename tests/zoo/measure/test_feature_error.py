"""What `feature_error` measures: real images, sums of residual blocks, nothing whose representation is unknown."""

import numpy as np
import pytest
import torch
from torch import nn

from symdata.errors import ShapeError
from symdata.groups import Group
from tests.support.classifiers import digits
from tests.support.nets import BROKEN, EXACT, resnet
from zoo import ModelError, act_on_features, feature_error
from zoo.layers import GroupConv2d, GroupPool, LiftingConv2d
from zoo.layers.regular import move
from zoo.measure.isotropic import isotropise
from zoo.models.registry import create
from zoo.preprocessing import Preprocessing

D4 = Group(4, True)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def captured(model, name, x):
    """The output of one module, taken by a hook of our own."""
    out = []
    handle = model.get_submodule(name).register_forward_hook(lambda m, a, o: out.append(o.clone()))
    with torch.no_grad():
        model(x)
    handle.remove()
    return out[0]


@pytest.mark.parametrize(("size", "broken"), [(33, ""), (32, "trunk.stage2.0"), (31, "trunk.stage3.0")])
def test_the_sum_at_the_end_of_a_residual_block_is_measured(size, broken):
    net = resnet("d4", 2)
    found = feature_error(net, size, images=2).errors
    blocks = {name: row for name, row in found.items() if name.count(".") == 2 and name[-1].isdigit()}
    assert list(blocks) == ["trunk.stage1.0", "trunk.stage2.0", "trunk.stage3.0"]
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = net.double().eval()
    for name, row in blocks.items():
        before = captured(net, name, x)
        for e, error in zip(D4.elements, row, strict=True):
            difference = captured(net, name, move(x, e)) - act_on_features(before, e, "d4")
            assert error == pytest.approx(float(difference.norm() / before.norm()), rel=1e-6, abs=1e-12)
    assert next((name for name, row in blocks.items() if max(row) > BROKEN), "") == broken
    assert all(max(row) < EXACT or max(row) > BROKEN for row in blocks.values())


class Joins(nn.Module):
    """Two maps of c4, joined in some way, and a convolution behind them."""

    def __init__(self, join):
        super().__init__()
        self.lift, self.conv, self.plain = LiftingConv2d("c4", 1, 2, 3, padding=1), None, nn.Conv2d(8, 8, 3, padding=1)
        self.again, self.pool, self.join = GroupConv2d("c4", 2, 2, 3, padding=1), GroupPool("c4"), join

    def forward(self, x):
        lifted = self.lift(x)
        return self.join(self, lifted, self.again(lifted))


KNOWN = {
    "sum": lambda net, a, b: a + b,
    "in place": lambda net, a, b: a.add_(b),
    "bent": lambda net, a, b: torch.relu(a - 2 * b).clamp(max=1.0),
    "product": lambda net, a, b: torch.sigmoid(a) * b,
    "pooled": lambda net, a, b: torch.nn.functional.max_pool2d(a + b, 3, 1, 1),
    "in place and bent": lambda net, a, b: a.add_(b).relu_(),
}
UNKNOWN = {
    "plain convolution": lambda net, a, b: a + net.plain(b),
    "plain convolution in place": lambda net, a, b: b.add_(net.plain(a)),
    "other group": lambda net, a, b: a + net.pool(b).repeat(1, 4, 1, 1),
    "concatenation": lambda net, a, b: torch.cat([a, b], 1),
    "rolled": lambda net, a, b: a.roll(1, 1),
    "turned": lambda net, a, b: torch.rot90(a, 1, (-2, -1)),
    "weighed by position": lambda net, a, b: a * torch.ones(8, 9, 9, dtype=a.dtype),
}


@pytest.mark.parametrize("join", KNOWN.values(), ids=KNOWN)
def test_maps_that_are_joined_value_by_value_are_measured(join):
    found = feature_error(Joins(join), 9, images=2).errors
    assert "" in found and max(map(max, found.values())) < EXACT


@pytest.mark.parametrize("join", UNKNOWN.values(), ids=UNKNOWN)
def test_maps_of_unknown_representation_are_left_out(join):
    assert "" not in feature_error(Joins(join), 9, images=2).errors


def test_a_container_that_hands_on_what_its_last_layer_made_is_not_listed_twice():
    net = create("p4cnn_28", width=2, in_chans=1)
    assert "trunk" not in feature_error(net, 28, images=1).errors


@pytest.mark.parametrize(("name", "exact"), [("p4cnn_28", True), ("p4cnn_27", False), ("p4mresnet44_29", True)])
def test_real_images(data, name, exact):
    size = int(name.split("_")[1])
    images = Preprocessing(size, (0.1307,), (0.3081,))(digits(data, "test", 3)[0])
    net = create(name, width=2, in_chans=1)
    found = feature_error(net, inputs=images)
    assert found.size == (size, size)
    assert found.worst < EXACT if exact else found.worst > BROKEN
    assert found == feature_error(net, inputs=images.double())
    assert found != feature_error(net, size)


def test_images_are_compared_a_few_at_a_time_and_counted_together():
    net, x = resnet("c4", 2), torch.randn(5, 3, 128, 128)  # two of them at a time
    together = feature_error(net, inputs=x).errors
    parts = [feature_error(net, inputs=x[i : i + 1]).errors for i in range(5)]
    for name, row in together.items():
        for k, error in enumerate(row):
            singles = [part[name][k] for part in parts]
            assert min(singles) * 0.99 - 1e-15 <= error <= max(singles) * 1.01 + 1e-15


def test_our_own_layers_on_c1_are_measured_by_their_grids():
    net = create("z2cnn_28", width=4, in_chans=1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert feature_error(net, 28, images=2).worst < EXACT
    assert feature_error(net, 27, images=2).worst > BROKEN
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_bad_inputs_are_refused():
    net = create("p4cnn_28", width=2, in_chans=1)
    with pytest.raises(ShapeError, match=r"inputs are torch.uint8 \(1, 1, 28, 28\), expected normalised floats"):
        feature_error(net, inputs=torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ModelError, match="neither a size nor images were given; say size=28"):
        feature_error(net)
    with pytest.raises(ModelError, match="cannot run on float64 images"):
        feature_error(net, inputs=torch.zeros(1, 2, 28, 28))


def test_filters_are_averaged_over_all_that_keeps_their_shape():
    square, oblong, up = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, (3, 5)), nn.ConvTranspose2d(2, 3, 2)
    net = nn.Sequential(square, oblong, up, nn.Linear(4, 4)).double()
    before = [p.detach().numpy().copy() for p in net.parameters()]
    isotropise(net)
    after = [p.detach().numpy() for p in net.parameters()]
    for k, turns in ((0, (0, 1, 2, 3)), (2, (0, 2)), (4, (0, 1, 2, 3))):
        copies = [np.rot90(w, t, (-2, -1)) for w in (before[k], before[k][..., ::-1]) for t in turns]
        np.testing.assert_allclose(after[k], np.mean(copies, 0), atol=1e-14)
    assert all(np.array_equal(before[k], after[k]) for k in (1, 3, 5, 6, 7)), "biases and other layers stay"


def test_a_number_does_not_hide_how_a_map_transforms():
    class Scale(nn.Module):
        def forward(self, x):
            return x * torch.tensor(2.0, dtype=x.dtype)

    found = feature_error(nn.Sequential(LiftingConv2d("c4", 1, 2, 3), Scale()), 8)
    assert set(found.errors) == {"0", "1"} and found.worst < 1e-12


class Single(nn.Module):
    """A strided convolution, and a softmax in float32."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2)

    def forward(self, x):
        y = (10 * self.conv(x)).float()
        return y.flatten(2).softmax(-1, dtype=torch.float32).view(y.shape).to(x.dtype)


def test_a_network_that_computes_in_float32_inside_is_measured_in_float64():
    net = Single()
    assert feature_error(net, 33, images=2, output=True).worst < EXACT
    assert feature_error(net, 32, images=2, output=True).worst > BROKEN
    isotropise(net.double())
    x = torch.randn(1, 1, 33, 33, dtype=torch.float64)
    with torch.no_grad():
        rounding = [float((net(move(x, e)) - move(net(x), e)).norm() / net(x).norm()) for e in D4.elements]
    assert max(rounding) > EXACT, "or there would be nothing to test"
