"""Networks that lower their resolution in other ways: the plan, the verdict of the audit, exactness under shifts."""

import copy
import json
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from symdata.errors import ShapeError
from symdata.groups import Group
from tests.support.torus import lively, moved, moved_fields
from zoo import audit, feature_error
from zoo.errors import ModelError
from zoo.layers import (
    BlurPool2d,
    EquivariantSubsample2d,
    EquivariantUpsample2d,
    GCGroupConv2d,
    GGroupConv2d,
    GroupConv2d,
    LiftingConv2d,
    downsampling,
)
from zoo.layers.subsampling.downsampling import KINDS, on_torus
from zoo.models.families.cnn import CNN
from zoo.models.families.knight import Knight
from zoo.models.families.resnet import ResNet
from zoo.models.registry import build, create, needs
from zoo.models.spec import NetworkSpec

C4 = Group(4).elements
CONVOLUTIONS = (GroupConv2d, GGroupConv2d, GCGroupConv2d)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def residual(kind, mode=None, blocks=1, channels=1):
    return ResNet("c4", (2, 3, 4), blocks, downsample=kind, padding_mode=mode, in_chans=channels)


@pytest.mark.parametrize("make", CONVOLUTIONS)
def test_circular_padding_is_a_convolution_of_the_tiled_image(make):
    layer = make("c4", 2, 3, 3, padding=1, padding_mode="circular").double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    plain = make("c4", 2, 3, 3).double()
    plain.load_state_dict(layer.state_dict())
    tiled = plain(x.tile(3, 3))[..., 4:9, 5:11]
    assert torch.allclose(layer(x), tiled) and "padding_mode=circular" in repr(layer)
    square = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    for e in C4:
        expected = moved_fields(layer(square), e, "c4", (1, 3))
        assert torch.allclose(layer(moved_fields(square, e, "c4", (1, 3))), expected)


@pytest.mark.parametrize("make", CONVOLUTIONS)
def test_padding_with_zeros_is_the_convolution_s_own(make):
    layer = make("c4", 2, 3, 3, padding=1)
    x = torch.randn(2, 8, 5, 5)
    filters = [t for t in layer.expand() if t is not None and t.ndim == 4]
    bias = layer.expand()[-1]
    y = F.conv2d(x, filters[0], None if len(filters) > 1 else bias, padding=0 if len(filters) > 1 else 1)
    if len(filters) > 1:
        y = F.conv2d(y, filters[1], bias, padding=1, groups=len(filters[1]))
    assert torch.equal(layer(x), y) and "padding_mode" not in repr(layer)


@pytest.mark.parametrize(
    "make", [lambda m: LiftingConv2d("c4", 1, 1, 3, padding_mode=m), lambda m: BlurPool2d(4, padding_mode=m)]
)
def test_other_paddings_are_refused(make):
    with pytest.raises(ShapeError, match="padding_mode is 'reflect', expected 'zeros' or 'circular'"):
        make("reflect")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_smaller_maps(kind):
    for stride in (2, 3) if kind == "blur" else (1, 2, 3):
        y = downsampling(kind, "c4", 2, stride)(torch.randn(2, 8, 12, 12))
        assert y.shape == (2, 8, 12 // stride, 12 // stride)
    with pytest.raises(ShapeError, match="stride is 0"):
        downsampling(kind, "c4", 2, 0)


def test_what_is_no_kind_is_refused():
    with pytest.raises(ShapeError, match="'mean' is unknown, expected one of stride, max, avg, blur, aps, equivariant"):
        downsampling("mean", "c4", 2)
    with pytest.raises(ShapeError, match="which needs 'circular'"):
        CNN("c4", 2, downsample="aps", padding_mode="zeros")
    with pytest.raises(ModelError, match="does not keep the size of a torus"):
        Knight("c4", kernel=4, downsample="aps")


SAME = [
    ("p4cnn_28", "max"),
    ("p4mcnn2_28", "max"),
    ("p4cwcnn_28", "max"),
    ("p4resnet44_33", "stride"),
    ("p4knight_33", "stride"),
]


@pytest.mark.parametrize(("name", "kind"), SAME)
def test_by_default_an_architecture_is_as_it_was(name, kind):
    width = (2, 2, 2) if "resnet" in name else 2
    usual, named = (create(name, width=width, seed=0, downsample=k).eval() for k in (None, kind))
    assert "downsample" not in usual.architecture and named.architecture["downsample"] == kind
    assert usual.architecture | {"downsample": kind} == named.architecture
    x = torch.randn(2, usual.in_chans, 29, 29)
    assert torch.equal(usual(x), named(x))
    modules = [type(m) for m in usual.modules()]
    assert not {
        m
        for m in modules
        if m.__module__ in ("zoo.layers.subsampling.polyphase", "zoo.layers.subsampling.downsampling")
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["p4cnn_28", "p4mcnn2_28", "p4cwcnn_28", "gcp4resnet44_32", "p4knight_32"])
def test_a_network_is_made_again_from_its_architecture(name, kind):
    width = (2, 2, 2) if "resnet" in name else 2
    net = create(name, width=width, seed=0, downsample=kind).eval()
    again = build(json.loads(json.dumps(net.architecture)))
    again.load_state_dict(net.state_dict())
    x = torch.randn(2, net.in_chans, 32, 32)
    y = net(x)
    assert again.architecture == net.architecture and torch.equal(again.eval()(x), y)
    assert torch.equal(copy.deepcopy(net)(x), y) and torch.equal(pickle.loads(pickle.dumps(net))(x), y)
    assert NetworkSpec.from_dict(net.architecture).parameters() == sum(p.numel() for p in net.parameters())
    assert set(net.state_dict()) == set(create(name, width=width).state_dict())


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_the_bound_of_the_largest_map_holds(kind):
    net, largest = create("p4resnet44_32", width=(2, 5, 11), downsample=kind).eval(), []
    for module in net.modules():
        module.register_forward_hook(lambda _m, _a, out: largest.append(out.numel()))
        module.register_forward_pre_hook(lambda _m, args: largest.append(args[0].numel()))
    net(torch.zeros(1, 3, 32, 32))
    assert max(largest) <= needs(net.architecture, 32).largest_map


WRONG = [
    (lambda: create("p4cnn_28", downsample="mean"), "downsample is 'mean', expected one of stride, max, avg"),
    (
        lambda: build(create("p4cnn_28").architecture | {"downsample": ["max"]}),
        "downsample is ['max'], expected one of",
    ),
    (lambda: build(create("p4cnn_28").architecture | {"down": "max"}), "expected exactly the keys name, classes"),
    (lambda: create("p4cnn_27", downsample="equivariant"), "expected a multiple of 2, for example p4cnn_28"),
    (lambda: create("p4cnn2_30", downsample="aps"), "expected a multiple of 4, for example p4cnn2_32"),
    (lambda: create("p4resnet18_225", downsample="aps"), "expected a multiple of 8, for example p4resnet18_232"),
    (lambda: create("p4cnn_2", downsample="aps"), "needs at least 4 pixels, for example p4cnn_28"),
    (lambda: create("p4resnet44_3", downsample="max", width=2), "needs at least 4 pixels, for example p4resnet44_33"),
    (lambda: create("c8cnn_28", downsample="stride"), "c8cnn_28 has no such choice; leave it out, or take p4cnn_28"),
    (lambda: create("z2pathcnn_16", downsample="max"), "z2pathcnn_16 has no such choice"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_what_cannot_be_built_is_refused_with_a_mend(call, sentence):
    with pytest.raises(ModelError) as caught:
        call()
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_none_may_stand_in_an_architecture_or_be_left_out():
    plain = create("p4cnn_28").architecture
    assert NetworkSpec.from_dict(plain) == NetworkSpec.from_dict(plain | {"downsample": None})
    assert NetworkSpec.from_dict(plain | {"downsample": None}).to_dict() == plain


def test_images_of_another_size_are_refused_with_a_mend():
    net = create("p4cnn_28", width=2, downsample="equivariant")
    with pytest.raises(ShapeError, match=r"images are 27x30, expected sides that are multiples of 2.* to 30 pixels"):
        net(torch.zeros(1, 3, 27, 30))


EXACT_AT = {"stride": 27}
"""Of a CNN with one pool, among 27 and 28; for the other kinds 28."""


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_the_verdict_is_what_is_measured(kind):
    net = lively(CNN("c4", 2, in_chans=1, downsample=kind), torch.randn(8, 1, 28, 28, dtype=torch.float64))
    for size in (27, 28):
        if on_torus(kind) and size % 2:
            for question in (audit, feature_error):
                with pytest.raises(ModelError, match="multiples of 2"):
                    question(net, size)
            continue
        report = audit(net, size)
        assert report.exact is (size == EXACT_AT.get(kind, 28)) and "unknown" not in report.verdict
        error = feature_error(net, size, images=2)
        assert error.worst < 1e-9 if report.exact else error.worst > 1e-3
        assert "trunk.pool2" in error.errors or kind is None
    names = [layer.kind for layer in audit(net, 28).layers]
    sampling = {"aps": "adaptive polyphase", "equivariant": "equivariant subsample"}
    assert names == [sampling[kind], "global mean"] if on_torus(kind) else len(names) == 2


class Pair(nn.Module):
    """Two layers that hand on cosets, and words that mean something else in other people's modules."""

    def __init__(self):
        super().__init__()
        self.sampling, self.stride = "of users", None
        self.lifting = LiftingConv2d("c4", 1, 2, 3, padding=1)
        self.down, self.up = EquivariantSubsample2d(2, "c4"), EquivariantUpsample2d(2, "c4", smooth=3)

    def forward(self, x):
        return self.up(*self.down(self.lifting(x).relu()))


def test_an_audit_believes_our_layers_alone():
    report = audit(Pair(), 28, in_chans=1)
    assert report.exact and [(one.name, one.kind) for one in report.layers] == [
        ("down", "equivariant subsample"), ("up", "equivariant upsample"),
    ]  # fmt: skip
    assert [one.scale for one in report.layers] == [(1.0, 1.0), (2.0, 2.0)]
    error = feature_error(Pair(), 28, images=2)
    assert error.worst < 1e-9 and "up" in error.errors
    with pytest.raises(ModelError, match="multiples of 2"):
        audit(Pair(), 27, in_chans=1)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_the_verdict_on_residual_networks(kind, mode):
    if on_torus(kind) and mode == "zeros":
        return
    net = lively(residual(kind, mode), torch.randn(8, 1, 32, 32, dtype=torch.float64))
    for size in (28, 29):
        if on_torus(kind) and size % 4:
            continue
        report = audit(net, size)
        assert report.exact is (size % 4 == (1 if kind in (None, "stride") else 0)), (size, report.verdict)
        error = feature_error(net, size, images=2).worst
        assert error < 1e-9 if report.exact else error > 1e-3


def test_it_learns():
    net = create("p4cnn_16", in_chans=1, num_classes=2, width=3, seed=0, downsample="equivariant")
    images = torch.randn(32, 1, 16, 16)
    images[16:, :, ::2] *= 3
    labels = torch.arange(32) // 16
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.1 and all(p.grad is not None for p in net.parameters())
    net.eval()
    assert torch.equal(net(moved(images, C4[1], (3, 5))).argmax(1), net(images).argmax(1))
    assert isinstance(net.trunk, nn.Sequential)
