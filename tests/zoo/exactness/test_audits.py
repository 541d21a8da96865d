"""The arithmetic of exactness is an iff, and what it says about networks is what is measured on their feature maps."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zoo
from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from tests.support.nets import BROKEN, EXACT, cnn, knight, resnet
from zoo import Audit, FeatureError, ModelError, audit, exact_sizes, feature_error
from zoo.exactness.arithmetic import D4, residue, survivors
from zoo.layers import GroupConv2d, LiftingConv2d
from zoo.layers.regular import move

IMAGES = 24


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def symmetric_kernel(k):
    w = torch.randn(k, k, dtype=torch.float64)
    return torch.stack([move(w, e) for e in D4.elements]).mean(0)[None, None]


def cases(sizes):
    """(operation, i, k, s, p, d): every one that torch accepts, with windows that touch the image."""
    for i in sizes:
        for k in range(1, 6):
            for s in range(1, 5):
                for p in range(k // 2 + 1):
                    for d in (1, 2):
                        if d * (k - 1) + 1 + s * (d > 1) <= i + 2 * p:  # dilated: at least two windows
                            w = symmetric_kernel(k)
                            yield lambda x, w=w, s=s, p=p, d=d: F.conv2d(x, w, None, s, p, d), i, k, s, p, d
                            for ceil in (False, True):
                                yield lambda x, a=(k, s, p, d, ceil): F.max_pool2d(x, *a), i, k, s, p, d
                    if k <= i + 2 * p:
                        for ceil in (False, True):
                            yield lambda x, a=(k, s, p, ceil): F.avg_pool2d(x, *a), i, k, s, p, 1


def alive(operation, x):
    """The elements of d4 under which an operation on images is seen to be equivariant."""
    y = operation(x)
    found = []
    for e in D4.elements:
        z = operation(move(x, e))
        if z.shape == move(y, e).shape and torch.allclose(z, move(y, e), rtol=1e-12, atol=1e-12):
            found.append(e)
    return tuple(found)


def test_the_condition_is_an_iff_and_what_survives_is_the_transpose():
    images = {i: torch.randn(IMAGES, 1, i, i, dtype=torch.float64) for i in range(5, 15)}
    count, kinds = 0, set()
    for operation, i, *window in cases(images):
        r = residue(i, *window)
        expected = survivors(D4, (r, r))
        kinds.add((r == 0, tuple(map(str, expected))))
        assert alive(operation, images[i]) == expected, (i, window)
        count += 1
    assert count >= 3_000
    assert kinds == {(True, tuple(map(str, D4.elements))), (False, ("e", "r90m"))}


def test_each_axis_of_a_rectangle_has_its_own_condition():
    kernel = symmetric_kernel(3)
    for h, w in ((8, 9), (9, 8), (9, 11), (8, 10), (7, 10)):
        x = torch.randn(IMAGES, 1, h, w, dtype=torch.float64)
        expected = survivors(D4, (residue(h, 3, 2, 1), residue(w, 3, 2, 1)))
        assert alive(lambda x: F.conv2d(x, kernel, None, 2, 1), x) == expected


RECTANGLES = [
    ((30, 33), "e r90 m r90m"),
    ((33, 30), "e r270 r90m r180m"),
    ((33, 37), "e r90 r180 r270 m r90m r180m r270m"),
]


@pytest.mark.parametrize(("size", "expected"), RECTANGLES)
def test_rectangles_through_a_residual_network(size, expected):
    net = resnet("d4", 2)
    assert " ".join(map(str, audit(net, size).survivors)) == expected
    measured = feature_error(net, size, images=2).by_element
    assert {name for name, error in measured.items() if error < EXACT} == set(expected.split())
    assert all(error < EXACT or error > BROKEN for error in measured.values())


NETS = [
    (lambda: cnn("c4", 3), lambda i: i % 2 == 0),
    (lambda: cnn("c4", 3, padding=0), lambda i: i % 2 == 0),
    (lambda: cnn("d4", 2, pools=2), lambda i: i % 4 == 0),
    (lambda: resnet("c4", 2), lambda i: i % 4 == 1),
    (lambda: resnet("d2", 2), lambda i: i % 4 == 1),
    (lambda: resnet("d1", 2, stages=4), lambda i: i % 8 == 1),
]


@pytest.mark.parametrize(("build", "rule"), NETS)
def test_predicted_sizes_are_those_of_the_reference_and_those_measured(build, rule):
    net = build()
    for norm in net.modules():
        if hasattr(norm, "running_var"):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, 0.0, 1.0)
    start = max(20, net.minimum)
    sizes = range(start, 41)
    predicted = exact_sizes(net, sizes)
    assert predicted == tuple(i for i in sizes if rule(i))
    for i in sizes:
        error = feature_error(net, i, images=2).worst
        assert error < EXACT if i in predicted else error > BROKEN, (i, error)


def test_sizes_of_the_whole_range():
    sizes = [*range(20, 101), 224, 225]
    assert exact_sizes(resnet("c4", 2), sizes) == tuple(i for i in sizes if i % 4 == 1)
    assert exact_sizes(cnn("c4", 2), sizes) == tuple(i for i in sizes if i % 2 == 0)


def test_phi_and_the_first_broken_layer():
    net = resnet("c4", 2, stages=4)
    for i in (25, 32, 31, 29, 28, 224, 226):
        report = audit(net, i)
        phi = (i - 1) % 8
        assert report.phi == (phi, phi)
        first = next((j for j in range(3) if phi >> j & 1), None)
        assert (report.first_broken.name if report.first_broken else None) == (
            None if first is None else f"trunk.stage{first + 2}.0.conv1"
        )
    assert [layer.scale[0] for layer in audit(net, 33).layers] == [1, 1, 2, 2, 4, 4, 8]


def test_the_broken_half_is_seen_through_another_polyphase_component():
    """D(g x) = g D_phi(x), where D_phi starts r pixels later on every axis that g reverses."""
    x, kernel = torch.randn(4, 1, 10, 10, dtype=torch.float64), symmetric_kernel(2)
    r90 = D4.elements[1]
    shifted = F.conv2d(x[..., 1:], kernel, stride=(3, 3))  # r = (10 - 2) mod 3 = 2; here the width starts 2 later
    shifted = F.conv2d(x[..., 2:], kernel, stride=(3, 3))
    assert torch.allclose(F.conv2d(move(x, r90), kernel, stride=3), move(shifted, r90), rtol=1e-12)


def test_a_plain_network_is_measured_with_isotropic_filters():
    net = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.MaxPool2d(2))
    before = [p.clone() for p in net.parameters()]
    for i in range(18, 30):
        report, measured = audit(net, i), feature_error(net, i)
        assert (measured.worst < EXACT) is report.exact
        alive_ = {name for name, error in measured.by_element.items() if error < EXACT}
        assert alive_ == set(map(str, report.survivors))
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_subgroup_asks_less():
    net = LiftingConv2d("d4", 1, 2, 3, 2, 1)
    assert audit(net, (32, 33), "d1").exact
    assert not audit(net, (33, 32), "d1").exact
    assert not audit(net, (32, 33)).exact
    assert feature_error(net, (32, 33), "d1").worst < EXACT
    assert not audit(net, 32, "c2").exact
    assert audit(net, 32, "c1").exact


@pytest.mark.parametrize(
    ("size", "layer", "exact"),
    [
        (32, (3, 2, 1), False), (33, (3, 2, 1), True), (31, (3, 2, 1), True), (32, (3, 1, 1), True),
        (32, (2, 2, 0), True), (32, (4, 2, 1), True),
    ],
)  # fmt: skip
def test_the_knight_learns_its_own_rotation_exactly_where_the_grid_is_broken(size, layer, exact):
    """One image and its quarter turn, under two labels: to an exact network they are one image."""
    net = knight(*layer)
    assert audit(net, size).exact is exact
    y, x = torch.meshgrid(torch.arange(size) * 1.0, torch.arange(size) * 1.0, indexing="ij")
    image = 20.0 * ((x + 2 * y) % 8 < 3) + 10 * ((x // 4) % 2)
    batch = torch.stack([image, torch.rot90(image)])[:, None]
    labels = torch.tensor([0, 1])
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(800):
        optimiser.zero_grad()
        loss = F.cross_entropy(net(batch), labels)
        loss.backward()
        optimiser.step()
    assert loss.item() == pytest.approx(math.log(2), abs=1e-3) if exact else loss.item() < 0.02


def test_the_report_is_plain_data_and_sentences():
    report = audit(resnet("d4", 2), 32)
    assert isinstance(report, Audit) and report.group == Group.parse("d4")
    assert report.verdict == (
        "approximate: at 32x32 trunk.stage2.0.conv1 (conv 3x3, stride 2, padding 1): its input is 32x32, which "
        "leaves r = 1 pixel over; of d4 only e, r90m survive"
    )
    assert report.nearest == ((29, 29), (33, 33))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["phi"] == [3, 3] and data["first_broken"] == 0 and not data["exact"]
    assert data["layers"][0]["survivors"] == ["e", "r90m"]
    assert audit(resnet("d4", 2), 33).verdict == "exact: at 33x33 its feature maps move with the image under d4"
    measured = feature_error(resnet("d4", 2), 9, images=1)
    assert isinstance(measured, FeatureError)
    assert json.loads(json.dumps(measured.to_dict()))["elements"] == [str(e) for e in D4.elements]
    assert next(iter(measured.errors)) == "trunk.stem"


def test_random_logits_hide_what_feature_maps_show():
    net = cnn("c4", 10).double().eval()
    x = torch.randn(8, 3, 27, 27, dtype=torch.float64)
    with torch.no_grad():
        gap = (net(x) - net(torch.rot90(x, 1, (-2, -1)))).norm() / net(x).norm()
    assert gap < 0.1 < feature_error(net, 27).worst


class Reads(nn.Module):
    def forward(self, x):
        return x[..., :20]


def test_bad_input_is_refused_with_a_mend():
    net = resnet("c4", 2)
    with pytest.raises(SymmetryError, match="so2 moves pixels off"):
        audit(net, 32, "so2")
    with pytest.raises(ShapeError, match="size is 0, expected pixels such as 32"):
        audit(net, 0)
    with pytest.raises(ModelError, match=r"CNN cannot run on an input \(1, 3, 2, 2\): .*larger --size"):
        audit(cnn("c4", 2, padding=0), 2)
    with pytest.raises(ModelError, match="has no convolution to read the number of channels from; say in_chans=3"):
        audit(Reads(), 32)
    with pytest.raises(ModelError, match="is built on c4, which does not contain d4; ask for c4"):
        feature_error(net, 32, "d4")
    with pytest.raises(ModelError, match="made no feature map"):
        feature_error(nn.Sequential(nn.Flatten()), 8, in_chans=3)
    with pytest.raises(ModelError, match="cannot run on float64 images"):
        feature_error(GroupConv2d("c4", 1, 1, 3), 8, in_chans=3)


@pytest.mark.parametrize("first", [True, False])
def test_the_worse_of_two_branches_counts(first):
    """8x8 -> 3x3 by a 3x3 window at stride 2, which leaves 1 over, and by a 4x4 one, which leaves 0. A 2x2 pool of
    these leaves 1 over at scale 2: phi = 1 + 2 after the worse branch."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.odd, self.even = nn.Conv2d(1, 1, 3, 2), nn.Conv2d(1, 1, 4, 2)

        def forward(self, x):
            both = [self.odd(x), self.even(x)]
            return F.avg_pool2d(torch.cat(both if first else both[::-1], 1), 2)

    assert not audit(Branches(), 8).exact
    assert max(audit(Branches(), 8).phi) == 3.0


def test_the_size_is_that_of_the_model_where_none_is_given():
    named, plain = zoo.create("p4cnn_27", width=2), torch.nn.Conv2d(3, 4, 3)
    assert zoo.audit(named).size == (27, 27) and not zoo.audit(named).exact
    assert zoo.audit(zoo.create("z2cnn_28", average="rotation", width=2)).size == (28, 28)
    assert zoo.audit(zoo.load("p4cnn_28.mnist-none")).size == (28, 28)
    plain.default_cfg = {"input_size": (3, 9, 11)}
    assert zoo.audit(plain).size == (9, 11)
    with pytest.raises(ModelError, match="does not say its input size; give it, as in size=32"):
        zoo.audit(torch.nn.Conv2d(3, 4, 3))
