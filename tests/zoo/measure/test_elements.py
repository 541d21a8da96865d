"""Errors under elements of a group: invariance, equivariance, whole orbits, and the assertions over them."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

import zoo.measure
from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Group
from tests.support.classifiers import UNIT, BrokenAt, Centroids, SortedCentroids, digits
from tests.support.nets import BROKEN, EXACT, resnet, small
from tests.support.steerable import require_escnn
from zoo import ModelError, feature_error
from zoo.evaluation import accuracies
from zoo.layers.regular import move
from zoo.measure import (
    Estimate,
    assert_equivariant,
    assert_invariant,
    equivariance_error,
    invariance_error,
    orbit_accuracy,
)
from zoo.measure.equivariance import shared_group
from zoo.models.registry import create

D4 = Group(4, True)
NOISE = torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def lop_sided(x):
    """No symmetry at all."""
    weight = torch.randn(144, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return torch.tanh(x.flatten(1) @ weight.to(x))


@pytest.mark.parametrize("output", ["logits", "softmax"])
def test_the_invariance_error_is_that_of_plain_loops(output):
    found = invariance_error(lop_sided, NOISE, "d4", output=output)
    assert found.elements == tuple(str(e) for e in D4.elements)

    def f(x):
        out = lop_sided(x[None])[0]
        return (out.softmax(0) if output == "softmax" else out).numpy()

    upright = [f(x) for x in NOISE]
    for k, e in enumerate(D4.elements):
        moved = [np.rot90(x.flip(-1).numpy() if e.flip else x.numpy(), k % 4, (-2, -1)).copy() for x in NOISE]
        changes = np.array([((f(torch.from_numpy(y)) - u) ** 2).sum() for y, u in zip(moved, upright, strict=True)])
        sizes = np.array([(u**2).sum() for u in upright])
        ratio = changes.sum() / sizes.sum()
        assert found.errors[k].value == pytest.approx(math.sqrt(ratio), abs=1e-12)
        if k:
            spread = math.sqrt(((changes - ratio * sizes) ** 2).sum() / 20) / sizes.mean()
            assert found.errors[k].standard_error == pytest.approx(spread / (2 * math.sqrt(ratio)), rel=1e-9)
    assert found.errors[0].value == 0.0 and found.worst > 0.1
    assert found.to_dict()["errors"]["r90"]["images"] == 5


def test_angles_off_the_lattice_are_those_of_scipy():
    found = invariance_error(lop_sided, NOISE, [Element(30), Element(30, flip=True)])
    for e, error in zip((Element(30), Element(30, flip=True)), found.errors, strict=True):
        mirrored = NOISE.flip(-1) if e.flip else NOISE
        turned = [ndimage.rotate(x[0].numpy(), 30, reshape=False, order=3, mode="reflect") for x in mirrored]
        moved = torch.from_numpy(np.stack(turned))[:, None]
        wanted = (lop_sided(moved) - lop_sided(NOISE)).norm() / lop_sided(NOISE).norm()
        assert error.value == pytest.approx(float(wanted), rel=1e-6)


def test_an_invariant_is_at_rounding_and_others_are_far_above():
    def brightness(x):
        return torch.stack([x.flatten(1).sum(1), x.flatten(1).amax(1)], 1)

    assert invariance_error(brightness, NOISE).worst < 1e-14
    assert invariance_error(lop_sided, NOISE).by_element["r180m"].value > 0.1
    assert invariance_error(brightness, NOISE, "c8").by_element["r45"].value > 1e-3  # corners leave, and others come


def test_an_exact_network_and_one_a_pixel_off():
    exact, off = (create(name, width=8, in_chans=1, seed=0) for name in ("p4cnn_28", "p4cnn_27"))
    x = torch.randn(3, 1, 28, 28)
    assert_invariant(exact, x, "c4")
    assert_equivariant(exact, x)
    with pytest.raises(AssertionError, match=r"CNN is not equivariant: under r\d+ feature map 'trunk.pool2' is off by"):
        assert_equivariant(off, x[..., 1:, 1:])
    with pytest.raises(
        AssertionError, match=r"CNN is not invariant: r?\d*m changes its logits by .* it holds under e, r90,"
    ):
        assert_invariant(exact, x, "d4")
    assert_invariant(exact, x, "d4", tolerance=2.0)


def test_feature_maps_of_our_layers_are_those_of_feature_error():
    net, x = resnet("d4", 2), torch.randn(3, 3, 32, 32)
    found = equivariance_error(net, x)
    assert found == feature_error(net, inputs=x)
    early = [max(row) for name, row in found.errors.items() if name.startswith(("trunk.stem", "trunk.stage1"))]
    assert found.worst > BROKEN > EXACT > max(early) and len(early) > 5
    one = found.estimate("trunk.stage2.0", "r90")
    singles = [equivariance_error(net, x[i : i + 1]).errors["trunk.stage2.0"][1] for i in range(3)]
    assert min(singles) < one.value < max(singles) and 0 < one.standard_error < max(singles) - min(singles)
    assert found.to_dict()["standard_errors"]["trunk.stage2.0"][1] == one.standard_error
    assert equivariance_error(net, x[:1]).estimate("trunk.stem", "e").standard_error is None


def test_a_foreign_network_is_measured_with_the_filters_that_it_has():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    assert equivariance_error(net, NOISE).worst > 0.1 > EXACT > feature_error(net, inputs=NOISE).worst
    shared = nn.Sequential(nn.Conv2d(1, 3, 3), relu := nn.ReLU(), nn.Conv2d(3, 3, 3), relu)
    assert list(equivariance_error(shared, NOISE).errors) == ["0", "1", "2", "1#2"]


class Patches(nn.Module):
    """Tokens of 3x3 patches under a class token, which pass one layer that treats them alike."""

    def __init__(self, isotropic=True):
        super().__init__()
        self.patch, self.mix = nn.Conv2d(1, 4, 3, 3), nn.Linear(4, 4)
        if isotropic:
            self.patch.weight.data[:] = 1.0
        self.start = nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x):
        tokens = torch.cat([self.start.expand(len(x), -1, -1), self.patch(x).flatten(2).mT], 1)
        return self.mix(tokens).mean(1)


def test_tokens_are_maps():
    found = equivariance_error(Patches(), NOISE)
    assert list(found.errors) == ["patch", "mix"] and found.worst < 1e-14
    assert equivariance_error(Patches(isotropic=False), NOISE).errors["mix"][1] > 0.1
    rolled = equivariance_error(
        Patches(), NOISE, to_grid=lambda f: f[:, :16].mT.unflatten(2, (4, 4)) if f.ndim == 3 else f
    )
    assert rolled.errors["mix"][1] > 0.1 and rolled.errors["patch"][1] < 1e-14  # the class token is in the first place


def test_outputs_with_an_action():
    mean, skewed = nn.AvgPool2d(3, 1, 1), nn.Conv2d(1, 1, 3, padding=1)
    assert_equivariant(mean, NOISE, act="image")
    with pytest.raises(AssertionError, match=r"Conv2d is not equivariant: under \w+ its output is off by .* under e$"):
        assert_equivariant(skewed, NOISE, act="image")
    assert_equivariant(lambda x: x.amax(2), NOISE, "d1", act=lambda out, e: out.flip(-1) if e.flip else out)
    with pytest.raises(AssertionError, match="<lambda> is not equivariant"):
        assert_equivariant(lambda x: x.amax(2), NOISE, "d1", act=lambda out, e: out)
    assert equivariance_error(lambda x: x[..., 1:], NOISE, act="image").errors["output"][1] == 1.0  # another shape


def test_escnn_comes_to_the_same_verdict():
    """Its own check, on its own layer, and ours with its action of the group; then both on a layer that is bent."""
    escnn = require_escnn()
    space = escnn.gspaces.rot2dOnR2(4)
    into, out = (escnn.nn.FieldType(space, n * [r]) for n, r in ((1, space.trivial_repr), (2, space.regular_repr)))
    layer = escnn.nn.R2Conv(into, out, 3, padding=1).eval()
    theirs = escnn.nn.EquivariantModule.check_equivariance  # that of R2Conv needs scikit-image

    def convolved(x):
        return nn.functional.conv2d(x, layer.filter.to(x), padding=1)  # what it uses in eval mode

    def act(features, element):
        g = list(space.fibergroup.elements)[Group(4).index(element)]
        return escnn.nn.GeometricTensor(features, out).transform(g).tensor

    theirs(layer, atol=1e-5)
    assert equivariance_error(convolved, NOISE, "c4", act=act).worst < 1e-6
    wrong = equivariance_error(convolved, NOISE, "c4", act=lambda f, e: act(f, ~e))
    assert wrong.errors["output"][1] > 0.1 and wrong.errors["output"][2] < 1e-6  # a half turn is its own inverse
    with torch.no_grad():
        layer.filter.add_(0.1 * torch.randn(layer.filter.shape))
    with pytest.raises(AssertionError, match="equivariance check with element"):
        theirs(layer, atol=1e-5)
    assert equivariance_error(convolved, NOISE, "c4", act=act).worst > 1e-2


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ModelError, match="a function has no feature maps; say act='image'"):
        equivariance_error(lop_sided, NOISE)
    with pytest.raises(ModelError, match="act is 'turn', expected 'image' or a function"):
        equivariance_error(lop_sided, NOISE, act="turn")
    with pytest.raises(ModelError, match="act gave NoneType for outputs"):
        equivariance_error(lop_sided, NOISE, act=lambda out, e: None)
    with pytest.raises(SymmetryError, match="c8 moves pixels off their lattice"):
        equivariance_error(nn.Conv2d(1, 1, 3), NOISE, "c8")
    with pytest.raises(ModelError, match="made no feature map"):
        equivariance_error(nn.Sequential(nn.Flatten(), nn.Linear(144, 2)), NOISE)
    with pytest.raises(SymmetryError, match="so2 has infinitely many elements"):
        invariance_error(lop_sided, NOISE, "so2")
    with pytest.raises(ShapeError, match="there are no elements to measure under"):
        invariance_error(lop_sided, NOISE, [])
    with pytest.raises(ShapeError, match="preprocess the images first"):
        invariance_error(lop_sided, NOISE.byte())


@pytest.mark.parametrize(
    ("name", "asked", "shared"),
    [("p4cnn_28", "d4", "c4"), ("p4mcnn_28", "c8", "c4"), ("p4cnn_28", "d1", "c1"), ("z2cnn_28", "d8", "d4")],
)
def test_the_elements_that_two_groups_share(name, asked, shared):
    assert str(shared_group(small(name, in_chans=1), Group.parse(asked))) == shared


def test_orbits_are_counted_as_by_hand(data):
    images, labels = digits(data, "test", 60)
    model = Centroids(*digits(data, "train", 300))
    found = orbit_accuracy(model, images, labels, UNIT)
    answers = np.array(
        [[int(model(move(x, e)[None].float().contiguous() / 255).argmax()) for x in images] for e in D4.elements]
    )
    right, same = answers == labels.numpy(), answers == answers[0]
    assert [rate.correct for rate in found.rates] == right.sum(1).tolist()
    assert [rate.value for rate in found.rates] == accuracies(model, images, labels, UNIT)
    assert found.accuracy.value == pytest.approx(right.mean())
    assert found.accuracy.standard_error == pytest.approx(right.mean(0).std(ddof=1) / math.sqrt(60))
    assert found.agreement.value == pytest.approx(same[1:].mean())
    assert found.always_right.correct == right.all(0).sum() and found.always_same.correct == same.all(0).sum()
    assert 0 < found.rates[1].correct < found.rates[0].correct
    halves = orbit_accuracy(model, images, labels, UNIT, [Element(180)])  # held against upright images all the same
    assert halves.elements == ("r180",) and halves.agreement.value == pytest.approx(same[2].mean())
    assert halves.to_dict()["elements"]["r180"]["count"] == 60


def test_an_invariant_classifier_agrees_with_itself_and_one_broken_at_an_element_does_not(data):
    images, labels = digits(data, "test", 20)
    model = SortedCentroids(*digits(data, "train", 300)).train()
    found = orbit_accuracy(model, images, labels, UNIT)
    assert found.agreement == Estimate(1.0, 0.0, 20) and found.always_same.correct == 20 and model.training
    assert found.always_right == found.rates[0] and found.rates[0].correct > 0
    broken = orbit_accuracy(BrokenAt(model, Element(90)), BrokenAt.mark(images), labels, UNIT)
    assert broken.agreement.value == pytest.approx(6 / 7) and broken.always_same.correct == 0
    with pytest.raises(ShapeError, match="there are no elements"):
        orbit_accuracy(model, images, labels, UNIT, [])


def test_estimates():
    values = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    mean = Estimate.mean(values)
    assert mean == Estimate(3.0, pytest.approx(math.sqrt(7 / 3)), 3) and str(mean) == "3 +- 2"
    assert Estimate.mean(values[:1]) == Estimate(1.0, None, 1) and str(Estimate.mean(values[:1])) == "1"
    assert Estimate.ratio(2 * values, values) == Estimate(2.0, 0.0, 3)
    zero = torch.zeros(3)
    assert (Estimate.ratio(zero, zero).value, Estimate.ratio(values, zero).value) == (0.0, 1.0)
    assert mean.scaled(-2).standard_error == 2 * mean.standard_error and mean.scaled(-2).value == -6.0
    assert Estimate(0.0, 0.0, 3).root == Estimate(0.0, 0.0, 3)
    draws = torch.rand(4000, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    ratios = [Estimate.ratio(row[:25] * row[25:], row[25:]) for row in draws]
    spread = float(torch.tensor([r.value for r in ratios]).std())
    assert float(np.mean([r.standard_error for r in ratios])) == pytest.approx(spread, rel=0.05)


def test_the_public_names():
    assert dir(zoo.measure) == sorted(zoo.measure.__all__)
    assert all(getattr(zoo.measure, name).__doc__ for name in zoo.measure.__all__)
    with pytest.raises(AttributeError, match=r"module 'zoo.measure' has no attribute 'lee'; it has Alignment, "):
        _ = zoo.measure.lee
