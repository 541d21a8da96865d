"""Accuracy under elements and angles: against loops over single images, with models whose answers are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Group
from tests.support.classifiers import UNIT, BrokenAt, Centroids, Counting, SortedCentroids, digits
from zoo import ImageSet, ModelError, OpenedModel, evaluate
from zoo.evaluation import accuracies, accuracy, angle_curve
from zoo.inference.forward import eval_mode, rehearse
from zoo.inference.views import Views
from zoo.measure.estimates import Rate
from zoo.models.registry import create
from zoo.preprocessing import Preprocessing

D4 = Group(4, True)


@pytest.fixture(scope="module")
def test_images(data):
    return digits(data, "test", 300)


@pytest.fixture(scope="module")
def plain(data):
    return Centroids(*digits(data, "train", 1000))


@pytest.fixture(scope="module")
def invariant(data):
    return SortedCentroids(*digits(data, "train", 1000))


def by_hand(model, images, labels, preprocessing, element):
    """One image at a time, resized and normalised, then mirrored and turned by torch alone."""
    right = 0
    for image, label in zip(images, labels, strict=True):
        x = preprocessing(image[None])
        x = torch.rot90(x.flip(-1) if element.flip else x, round(element.angle / 90), (-2, -1))
        with torch.no_grad():
            right += int(model(x).argmax(1) == label)
    return right / len(images)


@pytest.mark.parametrize("size", [28, 27])
def test_elements_of_d4_agree_with_a_loop_over_single_images(plain, test_images, size):
    images, labels = test_images
    model = nn.Sequential(nn.Upsample((28, 28)), plain) if size != 28 else plain
    preprocessing = Preprocessing(size, (0.1,), (0.5,))
    found = accuracies(model, images, labels, preprocessing)
    assert found == [by_hand(model, images, labels, preprocessing, e) for e in D4.elements]
    assert len(set(found)) > 3
    report = evaluate(OpenedModel(model, preprocessing), (images, labels), angles=4, probe=0)
    assert [score.rate.value for score in report.elements] == found
    assert report.upright.value == accuracy(model, images, labels, preprocessing) == found[0]


@pytest.mark.parametrize(("fill", "mode"), [("background", "nearest"), ("zero", "grid-constant")])
@pytest.mark.parametrize("angle", [30.0, 45.0, 215.0])
def test_turned_images_are_those_of_scipy(test_images, fill, mode, angle):
    """After normalisation 0 is grey: the fill of `zero` is read there, and that of `background` before it."""
    images, preprocessing = test_images[0][:4] // 2 + 90, Preprocessing(28, (0.3,), (0.2,))
    x = preprocessing.unit(images) if fill == "background" else preprocessing(images)
    expected = ndimage.rotate(x.numpy(), angle, axes=(-1, -2), reshape=False, order=1, mode=mode, cval=0.0)
    found = Views(images, preprocessing, fill).under(Element(angle))
    expected = torch.from_numpy(expected)
    assert torch.allclose(found, preprocessing.normalise(expected) if fill == "background" else expected, atol=2e-3)


def test_the_fill_matters_off_the_lattice_alone(test_images):
    images = test_images[0][:8]
    one, other = (
        Views(images, Preprocessing(28, (0.3,), (0.2,))),
        Views(images, Preprocessing(28, (0.3,), (0.2,)), "zero"),
    )
    for element in D4.elements:
        assert torch.equal(one.under(element), other.under(element))
    assert not torch.equal(one.under(Element(45)), other.under(Element(45)))
    with pytest.raises(SymmetryError, match="fill is 'grey', expected one of background, zero"):
        Views(images, UNIT, "grey")


def test_a_curve_at_multiples_of_90_is_the_elements_exactly(plain, test_images):
    images, labels = test_images
    curve = angle_curve(plain, images, labels, UNIT, 12)
    by_element = accuracies(plain, images, labels, UNIT)
    assert curve[::3] == by_element[:4]
    report = evaluate(OpenedModel(plain, UNIT), (images, labels), angles=12, probe=0)
    assert list(report.curve.accuracies) == curve
    assert report.curve.angles == tuple(30.0 * k for k in range(12))
    assert angle_curve(plain, images, labels, UNIT, [90.0, 30.0]) == [curve[3], curve[1]]


def test_a_model_without_eyes_for_positions_has_no_gap_at_all(invariant, test_images):
    report = evaluate(OpenedModel(invariant, UNIT, seen="none"), test_images, angles=0, probe=0)
    assert report.gap.value == 0.0 and report.gap.seen.count == 300 and report.gap.unseen.count == 2100
    assert all(score.agreement == 1.0 and score.invariance == 0.0 for score in report.elements)
    assert report.curve is None and report.structure is None


@pytest.mark.parametrize("element", [e for e in D4.elements if str(e) != "e"], ids=str)
def test_a_model_broken_at_one_element_shows_that_one_alone(invariant, test_images, element):
    images, labels = BrokenAt.mark(test_images[0]), test_images[1]
    model = BrokenAt(invariant, element)
    report = evaluate(OpenedModel(model, UNIT, seen="none"), (images, labels), angles=0, probe=0)
    changed = {score.element for score in report.elements if score.agreement < 1.0}
    assert changed == {str(element)}
    assert next(score for score in report.elements if score.element == str(element)).agree == 0
    assert report.gap.value != 0.0


def test_predictions_do_not_depend_on_the_batch(plain, test_images):
    expected = accuracies(plain, *test_images, UNIT, batch_size=300)
    for batch_size in (1, 7, 299, 1000):
        counting = Counting(plain)
        assert accuracies(counting, *test_images, UNIT, batch_size=batch_size) == expected
        assert counting.batches == min(batch_size, 300) and counting.seen == 300 * 8 + 1  # one to begin with


def test_the_batch_fits_the_cache_and_the_images_go_through_once_per_element(test_images):
    net = create("p4cnn_28", width=4, in_chans=1).eval()
    step, layout = rehearse(net, torch.zeros(1, 1, 28, 28))
    assert step == (6 << 20) // (16 * 28 * 28 * 4) and layout == torch.channels_last
    counting, done = Counting(net), []
    images = ImageSet(test_images[0][:60], test_images[1][:60])
    evaluate(OpenedModel(counting, UNIT), images, angle_limit=10, probe=0, progress=done.append)
    assert counting.seen == 60 * 8 + 10 * 32 + 2  # and one image each to begin with
    assert sum(done) == 60 * 8 + 10 * 32


def test_the_mode_of_every_module_is_what_it_was(test_images):
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.BatchNorm1d(784), nn.Linear(784, 10)).train()
    net[2].eval()
    before = [module.training for module in net.modules()]
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first = accuracies(net, *test_images, UNIT)
    assert first == accuracies(net, *test_images, UNIT)
    assert [module.training for module in net.modules()] == before
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    with eval_mode(net):
        assert not any(module.training for module in net.modules())
    broken = Says(lambda x: 1 / 0).train()
    with pytest.raises(ZeroDivisionError):
        accuracy(broken, *test_images, UNIT)
    assert broken.training
    assert [module.training for module in net.modules()] == before


class Viewing(nn.Module):
    """Flattens by `view`, which torch allows in the usual layout only."""

    def __init__(self):
        super().__init__()
        self.conv, self.head, self.strides = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 28 * 28, 10), set()

    def forward(self, x):
        self.strides.add(x.stride()[1:])
        return self.head(self.conv(x).view(len(x), -1))


def test_images_lie_in_memory_as_the_model_can_take_them(test_images):
    images, labels = test_images[0].clone(memory_format=torch.channels_last), test_images[1]
    assert images.stride() == (784, 1, 28, 1)
    model = Viewing()
    report = evaluate(OpenedModel(model, UNIT), (images, labels), angles=8, angle_limit=20, batch_size=32)
    assert model.strides == {(1, 28, 1), (784, 28, 1)}  # the first was tried on one image, and failed
    assert not report.structure.note.startswith("feature maps were not")
    model = create("z2cnn_28", width=4, in_chans=1).eval()
    seen = set()
    model.register_forward_hook(lambda m, args, out: seen.add(args[0].stride()[1:]))
    accuracies(model, images[:5], labels[:5], UNIT)
    assert seen == {(1, 28, 1)}


def test_gradients_are_not_kept(plain, test_images):
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    assert accuracy(net, *test_images, UNIT) <= 1.0
    assert net[1].weight.grad is None


def test_finer_groups_and_half_sorted_images(plain, test_images):
    images, labels = test_images
    found = accuracies(plain, images, labels, UNIT, "c8")
    assert found[::2] == accuracies(plain, images, labels, UNIT, "c4")
    order = labels.argsort(stable=True)
    report = evaluate(OpenedModel(plain, UNIT), (images[order], labels[order]), limit=50, angles=0, probe=0)
    assert report.count == 50 and min(rate.count for rate in report.by_class) >= 3


def test_arrays_do_as_well_as_tensors(plain, test_images):
    images, labels = (t.numpy() for t in test_images)
    assert accuracy(plain, images, labels.astype(np.int32), UNIT) == accuracy(plain, *test_images, UNIT)


class Says(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            lambda x: x,
            r"gives torch.float32 \(1, 1, 28, 28\) for images \(1, 1, 28, 28\), expected logits \(1, classes\)",
        ),
        (lambda x: {"logits": x}, "gives dict for images"),
        (lambda x: x.flatten(1) * float("nan"), "not finite, so it has diverged"),
        (lambda x: x.flatten(1)[:, :3], "the labels are 0 to 9 and Says has 3 outputs, 0 to 2"),
        (lambda x: x.view(3, 3), r"Says cannot run on images \(1, 1, 28, 28\): "),
    ],
)
def test_models_that_are_no_classifiers_of_these_images(test_images, answer, sentence):
    with pytest.raises(ModelError, match=sentence):
        accuracy(Says(answer), *test_images, UNIT)


def test_bad_input_is_refused(plain, test_images):
    images, labels = test_images
    with pytest.raises(ShapeError, match=r"images are torch.float32 .*expected uint8 \(n, C, H, W\)"):
        accuracy(plain, images.float(), labels, UNIT)
    with pytest.raises(ShapeError, match=r"labels are torch.int64 \(3,\) for 300 images"):
        accuracy(plain, images, labels[:3], UNIT)
    with pytest.raises(ShapeError, match="limit is 0"):
        evaluate(OpenedModel(plain, UNIT), test_images, limit=0)
    with pytest.raises(ShapeError, match="no elements"):
        accuracies(plain, images, labels, UNIT, [])
    with pytest.raises(SymmetryError, match="infinitely many elements"):
        accuracies(plain, images, labels, UNIT, "so2")
    with pytest.raises(ModelError, match="has 10 outputs and there are 2 classes"):
        evaluate(OpenedModel(plain, UNIT, classes=("a", "b")), (images, labels.clamp_max(1)))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=50)
def test_the_interval_of_wilson_holds_the_share_and_stays_in_bounds(counts):
    rate = Rate(*counts)
    low, high = rate.interval
    assert 0.0 <= low <= rate.value + 1e-12 and rate.value - 1e-12 <= high <= 1.0 and low < high
    # the defining equation: |p - x| = z sqrt(x (1 - x) / n) at both ends
    for x in (low, high):
        assert abs(rate.value - x) == pytest.approx(1.959963984540054 * (x * (1 - x) / rate.count) ** 0.5, abs=1e-7)
