"""`zoo.evaluate` with everything that names a model or images: the same report whichever way they come."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import ShapeError
from symdata.sources import open_source
from tests.support import checkpoints
from tests.support.checkpoints import SIZE, network
from tests.support.folders import build
from zoo import ImageSet, ModelError, OpenedModel, Preprocessing, evaluate
from zoo.evaluation.images import check_classes, open_images

whole, here = checkpoints.whole, checkpoints.here
FEW = {"angles": 2, "probe": 0, "limit": 6}


@pytest.fixture
def letters(here):
    """A dataset of four classes in the current folder."""
    return build(here / "letters", source="glyphs:OXAF", symmetry="c4", count=40, size=SIZE).folder


@pytest.fixture
def model(here, letters):
    """A model folder for these classes."""
    names = open_source("glyphs:OXAF").classes
    return checkpoints.save(here / "m", classes=names)


def test_a_model_comes_by_reference_opened_or_loaded(model, letters):
    report = evaluate("m", "letters", **FEW)
    assert report.name == "p4cnn_20.squares-none" and report.count == 6 and report.split == "test"
    for other in (model, zoo.open_model("m"), zoo.load("m"), zoo.read_checkpoint("m")):
        assert evaluate(other, letters, **FEW) == report


def test_images_come_by_reference_or_as_they_are(model, letters):
    report, opened = evaluate("m", "letters", **FEW), zoo.open_model("m")
    images = open_images("letters", "test", opened.preprocessing, 6)
    assert evaluate(opened, images, **FEW) == report
    whole_split = open_images("letters", "test", opened.preprocessing)
    assert len(whole_split) > 6 and evaluate(opened, whole_split, **FEW) == report
    pair = evaluate(opened, (images.images.numpy(), images.labels.tolist()), **FEW)
    assert pair.upright == report.upright and (pair.data, pair.split, pair.manifest_sha256) == ("", None, None)
    upright = evaluate("m", "glyphs:OXAF", **FEW | {"limit": 3})
    assert upright.data == "glyphs, test" and upright.manifest_sha256 is None


def test_a_split_is_chosen(model, letters):
    assert evaluate("m", "letters", split="train", **FEW).data.endswith(", train")


def test_ones_own_network_needs_its_preprocessing_only():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    images, labels = torch.zeros(3, 1, 8, 8, dtype=torch.uint8), [0, 1, 0]
    with pytest.raises(ModelError, match=r"'Sequential' does not say .* preprocessing=zoo.Preprocessing\(28, 0.5, 0.5"):
        evaluate(net, (images, labels), **FEW)
    net.preprocessing = Preprocessing(8, 0.5, 0.5)
    report = evaluate(net, (images, labels), **FEW)
    assert report.name == "Sequential" and report.classes == ("0", "1") and report.gap is None
    net.classes, net.config = ["cat", "dog"], {"name": "pets"}
    report = evaluate(net, (images, labels), **FEW)
    assert report.name == "pets" and report.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("ref", "data", "error", "sentence"),
    [
        (3, "letters", ModelError, "model is int, expected a torch module, an OpenedModel or a reference"),
        ("p4cnn_20", "letters", ModelError, "'p4cnn_20' does not say how images become its input"),
        ("m", 3, ShapeError, r"data is int, expected \(images, labels\), an ImageSet or a reference"),
        ("m", (1, 2, 3), ShapeError, "data is tuple, expected"),
        ("m", "glyphs:digits", ModelError, "the model has 4 classes .* and the images have 10"),
        ("m", "nowhere", Exception, "'nowhere' is neither a file nor a folder here"),
    ],
)
def test_what_is_neither(model, ref, data, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate(ref, data, **FEW)


def test_classes_in_another_order_are_refused():
    with pytest.raises(ModelError, match=r"in another order: class 0 is 'a' to the model and 'b' in the images"):
        check_classes(("a", "b"), ("b", "a"))
    for model, data in ((None, ("a",)), (("a",), None), (("a", "b"), ["a", "b"])):
        check_classes(model, data)


def test_a_set_of_images_is_checked_and_cut_when_it_is_made():
    images = torch.zeros(9, 1, 8, 8, dtype=torch.uint8)
    found = ImageSet(images.numpy(), [0, 1, 2] * 3, name="nothing")
    assert found.labels.dtype == torch.int64 and torch.equal(found.images, images)
    assert len(found.limited(4)) == 4 and found.limited(9) is found and found.limited(None) is found
    assert repr(found) == "ImageSet('nothing', 9 images of 8x8 pixels)"
    with pytest.raises(ShapeError, match=r"images are torch\.float32"):
        ImageSet(images.float(), [0] * 9)
    with pytest.raises(ShapeError, match="for 9 images, expected one class index for each"):
        ImageSet(images, [0])


def test_an_opened_model_says_what_it_is(whole):
    opened = zoo.open_model(whole)
    assert str(opened) == repr(opened) and "p4cnn_20.squares-none" in repr(opened) and "4 classes" in repr(opened)
    assert OpenedModel.of(opened) is opened and opened.size == SIZE
    assert replace(opened, preprocessing=Preprocessing(21, 0.1, 0.3)).size == 21
    assert OpenedModel(network()).name == "CNN" and OpenedModel(network()).size is None
