"""The tracer sees every road to a subsampling, and each mend that an audit offers does mend."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from symdata.groups import Group
from tests.support.nets import knight, resnet
from tests.support.steerable import require_escnn
from zoo import ModelError, audit, exact_sizes, feature_error
from zoo.exactness.arithmetic import D4
from zoo.layers import GCGroupConv2d, GroupPool, LiftingConv2d, act_on_features
from zoo.layers.regular import move
from zoo.measure.isotropic import isotropise


class Apply(nn.Module):
    """A function as a module, and `conv` for those that want weights."""

    def __init__(self, function, channels=1):
        super().__init__()
        self.function, self.channels = function, channels
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x):
        return self.function(self, x)


ONE = torch.ones(1, 1, 3, 3)

ROADS = {
    "functional conv": (lambda m, x: F.conv2d(x, ONE.to(x), stride=2, padding=1), 32, 1, "conv"),
    "conv method": (lambda m, x: torch.conv2d(x, ONE.to(x), None, (2, 2), (1, 1)), 33, 0, "conv"),
    "module": (lambda m, x: m.conv(x), 32, 1, "conv"),
    "max pool": (lambda m, x: F.max_pool2d(x, 2), 31, 1, "max pool"),
    "max pool with indices": (lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0], 31, 1, "max pool"),
    "ceil": (lambda m, x: F.max_pool2d(x, 2, ceil_mode=True), 31, 1, "max pool"),
    "avg pool": (lambda m, x: F.avg_pool2d(x, 3), 32, 2, "avg pool"),
    "3d pool": (lambda m, x: F.max_pool3d(x[:, :, None], (1, 2, 2))[:, :, 0], 31, 1, "max pool"),
    "lp pool": (lambda m, x: F.lp_pool2d(x, 2, 2), 31, 1, "avg pool"),
    "slice": (lambda m, x: x[:, :, ::2, ::2], 32, 1, "slice"),
    "odd slice": (lambda m, x: x[..., 1::2, 1::2], 33, 0, "slice"),
    "even slice": (lambda m, x: x[..., 1::2, 1::2], 32, 1, "slice"),
    "permuted slice": (lambda m, x: x.permute(0, 2, 3, 1)[:, ::2, ::2].permute(0, 3, 1, 2), 32, 1, "slice"),
    "unfold": (lambda m, x: F.unfold(x, 2, stride=2), 31, 1, "unfold"),
    "tensor unfold": (lambda m, x: x.unfold(2, 2, 2).unfold(3, 2, 2), 31, 1, "unfold"),
    "adaptive": (lambda m, x: F.adaptive_avg_pool2d(x, 7), 32, 0, "adaptive avg pool"),
    "adaptive max": (lambda m, x: F.adaptive_max_pool2d(x, 5), 32, 0, "adaptive max pool"),
    "global": (lambda m, x: F.adaptive_avg_pool2d(x, 1), 32, 0, "global mean"),
    "bilinear": (lambda m, x: F.interpolate(x, size=17, mode="bilinear"), 32, 0, "bilinear resize"),
    "antialias": (lambda m, x: F.interpolate(x, size=17, mode="bilinear", antialias=True), 32, 0, "bilinear resize"),
    "bicubic": (lambda m, x: F.interpolate(x, size=40, mode="bicubic"), 32, 0, "bicubic resize"),
    "align corners": (
        lambda m, x: F.interpolate(x, size=9, mode="bilinear", align_corners=True), 32, 0, "bilinear resize",
    ),
    "given scale": (lambda m, x: F.interpolate(x, scale_factor=0.5, mode="bilinear"), 33, 1, "bilinear resize"),
    "nearest up": (lambda m, x: F.interpolate(x, scale_factor=2), 32, 0, "nearest resize"),
    "nearest down": (lambda m, x: F.interpolate(x, scale_factor=0.5), 32, 1, "nearest resize"),
    "nearest odd": (lambda m, x: F.interpolate(x, size=20), 32, 2, "nearest resize"),
    "nearest exact": (lambda m, x: F.interpolate(x, size=16, mode="nearest-exact"), 32, 1, "nearest resize"),
    "nearest exact thirds": (lambda m, x: F.interpolate(x, size=11, mode="nearest-exact"), 33, 0, "nearest resize"),
    "transposed": (lambda m, x: F.conv_transpose2d(x, ONE.to(x), stride=2, padding=1), 16, 0, "transposed conv"),
    "output padding": (
        lambda m, x: F.conv_transpose2d(x, ONE.to(x), None, 2, 1, output_padding=1), 16, 0.5, "transposed conv",
    ),
    "same": (lambda m, x: F.conv2d(x, torch.ones(1, 1, 2, 2).to(x), padding="same"), 32, 1, "padding"),
    "one-sided padding": (lambda m, x: F.conv2d(F.pad(x, (0, 1, 0, 1)), ONE.to(x), stride=2), 32, 1, "conv"),
    "one-sided padding that is left over": (
        lambda m, x: F.max_pool2d(F.relu(F.pad(x, (0, 1, 0, 1))), 2, 2), 32, 0, "max pool",
    ),
    "padding at the end": (lambda m, x: F.pad(x, (1, 0, 1, 0)), 32, 1, "padding"),
    "reflection": (lambda m, x: F.pad(x, (1, 0, 1, 0), mode="reflect"), 32, 1, "padding"),
    "odd crop": (lambda m, x: x[..., 1:, 1:], 32, 1, "cropping"),
    "crop of unequal sides": (lambda m, x: x[..., 1:, :-2], 32, 2, "cropping"),
    "crop before a conv": (lambda m, x: F.conv2d(x[..., :-1, :-1], ONE.to(x), padding=1), 32, 1, "cropping"),
    "crop that the next window leaves over": (lambda m, x: F.max_pool2d(x[..., 1:, 1:], 2), 34, 0, "max pool"),
    "crop and what is left over": (lambda m, x: F.max_pool2d(x[..., :-1, :-1], 2), 34, 2, "max pool"),
    "slice of unequal starts": (lambda m, x: x[..., ::2, 1::2], 33, 0, "slice"),
    "padding of one axis": (lambda m, x: F.avg_pool2d(F.pad(x, (0, 0, 1, 1)), 2, 1), 33, 0, "padding"),
    "even crop": (lambda m, x: F.avg_pool2d(x[..., 1:-1, 1:-1], 2), 32, 0, "avg pool"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("road", ROADS)
def test_every_road_is_seen_and_the_verdict_is_what_is_measured(road):
    function, size, r, kind = ROADS[road]
    model = Apply(function)
    report = audit(model, size)
    assert [layer.kind for layer in report.layers][-1] == kind
    assert max(max(layer.residue) for layer in report.layers) == r
    assert report.exact is (r == 0 and report.layers[-1].isotropic)
    if kind != "unfold":  # its result is not an image
        assert _alive(model, size) == report.survivors


def _alive(model, size):
    isotropise(model.double())
    x = torch.randn(24, 1, size, size, dtype=torch.float64)
    with torch.no_grad():
        y = model(x)
        return tuple(e for e in D4.elements if _same(model(move(x, e)), move(y, e)))


def _same(a, b):
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-9)


def test_what_cannot_be_analysed_is_called_unknown():
    for function in (
        lambda m, x: F.grid_sample(x, x[:, :1, :4, :4, None].expand(1, 1, 4, 4, 2)[:, 0], align_corners=False),
        lambda m, x: F.pixel_unshuffle(x, 2),
        lambda m, x: F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.5)),
    ):
        report = audit(Apply(function), 32)
        assert report.verdict.startswith("unknown: ") and not report.exact
        assert [str(e) for e in report.survivors] == ["e"]
    assert audit(Apply(lambda m, x: x.roll(1, 1)), 32).exact
    assert audit(Apply(lambda m, x: x.roll(1, -1)), 32).outcome == "approximate"


def test_control_what_moves_no_pixel_is_no_subsampling():
    def function(m, x):
        y = F.relu(x + 1).transpose(2, 3).transpose(2, 3).clone()
        return F.conv2d(torch.cat([y, y[:, :1]], 1)[:, 1:], ONE.to(x), padding=1).view(1, 1, -1)

    report = audit(Apply(function), 32)
    assert report.exact and not report.layers


def test_windows_that_are_not_square_break_the_quarter_turns():
    report = audit(Apply(lambda m, x: F.avg_pool2d(x, (2, 4))), 32)
    assert [str(e) for e in report.survivors] == ["e", "r180", "m", "r180m"] and not report.exact
    assert audit(Apply(lambda m, x: F.avg_pool2d(x, (2, 4))), 32, "d2").exact
    assert _alive(Apply(lambda m, x: F.avg_pool2d(x, (2, 4))), 32) == report.survivors


def test_a_model_whose_way_depends_on_the_image_is_unknown():
    report = audit(Apply(lambda m, x: m.conv(x) if float(x.sum()) == 0.0 else x), 33)
    assert report.outcome == "unknown" and "reads values of the image, on which its way may depend" in report.verdict
    assert [layer.name for layer in report.layers] == ["conv"]


def test_a_scripted_model_is_seen_too():
    scripted = torch.jit.trace(nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1)), torch.zeros(1, 1, 8, 8))
    report = audit(scripted, 32, in_chans=1)
    assert not report.exact and report.layers[0].kind == "conv"


def test_a_model_that_takes_one_size_only_has_no_others():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.Flatten(), nn.Linear(256, 2))
    assert not audit(net, 32).exact
    assert exact_sizes(net, range(29, 36)) == ()  # 31 and 32 give 16 pixels, and the linear layer weighs positions
    assert "weighs positions" in audit(net, 31).verdict
    assert exact_sizes(net[:1], range(29, 36)) == (29, 31, 33, 35)
    with pytest.raises(ModelError, match="cannot run on an input"):
        audit(net, 33)


def test_names_are_the_paths_of_the_modules_and_branches_count_once():
    report = audit(resnet("c4", 2), 32)
    assert [layer.name for layer in report.layers] == [
        "trunk.stage2.0.conv1", "trunk.stage2.0.shortcut.conv",
        "trunk.stage3.0.conv1", "trunk.stage3.0.shortcut.conv", "",
    ]  # fmt: skip
    assert [layer.phi[0] for layer in report.layers] == [1, 1, 3, 3, 3]
    separable = GCGroupConv2d("c4", 1, 1, 3, 2, 1)
    assert [layer.window for layer in audit(separable, 32).layers] == ["conv 3x3, stride 2, padding 1"]


STEM = [nn.Conv2d(3, 4, 7, 2, 3), nn.MaxPool2d(3, 2, 1), *(nn.Conv2d(4, 4, 3, 2, 1) for _ in range(3))]


def test_the_stem_of_resnet_18_wants_one_pixel_more():
    net = nn.Sequential(*STEM)
    assert exact_sizes(net, [*range(20, 101), 224, 225]) == (33, 65, 97, 225)
    report = audit(net, 224)
    assert report.phi == (31, 31) and report.nearest == ((193, 193), (225, 225))


@pytest.mark.parametrize("size", [32, 35, (28, 30), (29, 33)])
def test_every_mend_of_the_input_mends(size):
    net = resnet("d4", 2)
    report = audit(net, size)
    assert {mend.kind for mend in report.mends} >= {"resize"} if not report.exact else not report.mends
    x = torch.zeros(1, 3, *report.size)
    for mend in report.mends:
        if mend.size is not None:
            assert audit(net, mend.size).exact
            code = mend.sentence.rsplit(": ", 1)[1]
            assert tuple(eval(code, {"torch": torch, "x": x}).shape[2:]) == mend.size
            even = all((a - b) % 2 == 0 for a, b in zip(mend.size, report.size, strict=True))
            assert mend.kind == "resize" or even


@pytest.mark.parametrize("layer", [(3, 2, 1), (2, 3, 0), (3, 4, 1), (5, 3, 2)])
def test_a_larger_window_mends_and_keeps_the_output(layer):
    for size in range(24, 36):
        report = audit(knight(*layer), size)
        for mend in report.mends:
            if mend.kind == "kernel":
                mended = knight(mend.kernel, *layer[1:])
                assert audit(mended, size).exact and feature_error(mended, size).worst < 1e-9
                x = torch.zeros(1, 1, size, size)
                assert mended.features(x).shape == knight(*layer).features(x).shape
        assert report.exact or any(mend.kind == "kernel" for mend in report.mends)


def test_even_windows_are_offered_to_every_broken_layer():
    report = audit(resnet("c4", 2), 32)
    assert [(m.layer, m.kernel) for m in report.mends if m.kind == "kernel"] == [
        ("trunk.stage2.0.conv1", 4), ("trunk.stage2.0.shortcut.conv", 2),
        ("trunk.stage3.0.conv1", 4), ("trunk.stage3.0.shortcut.conv", 2),
    ]  # fmt: skip


def escnn_space(escnn, group):
    n = group.rotations
    if not group.flips:
        return escnn.gspaces.rot2dOnR2(n) if n > 1 else escnn.gspaces.trivialOnR2()
    return escnn.gspaces.flipRot2dOnR2(n) if n > 1 else escnn.gspaces.flip2dOnR2()


def to_escnn(features, group):
    """Group-major to field-major."""
    return features.unflatten(1, (group.order, -1)).transpose(1, 2).flatten(1, 2)


@pytest.mark.parametrize("name", ["c2", "c4", "d2", "d4"])
def test_escnn_moves_regular_feature_maps_as_we_do(name):
    escnn, group = require_escnn(), Group.parse(name)
    space = escnn_space(escnn, group)
    kind = escnn.nn.FieldType(space, 2 * [space.regular_repr])
    x = torch.randn(1, 2 * group.order, 5, 5)
    geometric = kind(to_escnn(x, group))
    for ours, theirs in zip(group.elements, space.fibergroup.elements, strict=True):
        expected = geometric.transform_fibers(theirs).tensor
        moved = act_on_features(x, ours, group)
        assert torch.allclose(to_escnn(move(moved, ~ours), group), expected, atol=1e-5)
        assert torch.allclose(to_escnn(moved, group), geometric.transform(theirs).tensor, atol=1e-4)


@pytest.mark.parametrize("name", ["c4", "d4"])
def test_a_convolution_of_escnn_is_equivariant_under_our_action(name):
    escnn, group = require_escnn(), Group.parse(name)
    space = escnn_space(escnn, group)
    before, after = (escnn.nn.FieldType(space, n * [space.regular_repr]) for n in (2, 3))
    conv = escnn.nn.R2Conv(before, after, 3, padding=1).eval()

    def layer(x):
        y = conv(before(to_escnn(x, group))).tensor
        return y.unflatten(1, (-1, group.order)).transpose(1, 2).flatten(1, 2)

    x = torch.randn(1, 2 * group.order, 7, 7)
    with torch.no_grad():
        for e in group.elements:
            assert torch.allclose(layer(act_on_features(x, e, group)), act_on_features(layer(x), e, group), atol=1e-5)


def test_a_network_of_escnn_is_audited():
    escnn = require_escnn()
    space = escnn.gspaces.rot2dOnR2(4)
    image, regular = escnn.nn.FieldType(space, [space.trivial_repr]), escnn.nn.FieldType(space, [space.regular_repr])

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = escnn.nn.R2Conv(image, regular, 3, stride=2, padding=1)
            self.pool = escnn.nn.PointwiseMaxPool2D(regular, 2)

        def forward(self, x):
            return self.pool(self.conv(image(x))).tensor

    report = audit(Net(), 32)
    assert [layer.name for layer in report.layers] == ["conv", "pool"]
    assert not report.exact and report.first_broken.name == "conv"
    assert exact_sizes(Net(), range(29, 38)) == (31, 35)


def test_coset_pooling_gives_invariant_logits_at_exact_sizes_only():
    for size, exact in ((9, True), (8, False)):
        net = nn.Sequential(LiftingConv2d("d4", 1, 4, 3, 2, 1), nn.ReLU(), GroupPool("d4"), nn.AdaptiveAvgPool2d(1))
        x = torch.randn(4, 1, size, size, dtype=torch.float64)
        with torch.no_grad():
            y = net.double()(x)
            gaps = [(net(move(x, e)) - y).abs().max() / y.abs().max() for e in D4.elements]
        assert bool(max(gaps) < 1e-12) is exact
