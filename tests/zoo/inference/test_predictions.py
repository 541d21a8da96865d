"""From pictures to answers."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from symdata.errors import ShapeError, SourceError
from zoo.errors import ModelError
from zoo.inference.predictions import classify_images
from zoo.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def digits():
    return zoo.load("p4cnn_28.mnist-none")


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)


def test_every_kind_of_image_gives_the_same_answer(digits, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "one.png")
    unit = torch.from_numpy(pixels)[None] / 255
    kinds = [tmp_path / "one.png", str(tmp_path / "one.png"), Image.fromarray(pixels), pixels, pixels[None], unit]
    found = [digits.predict(kind) for kind in (*kinds, torch.from_numpy(pixels)[None, None])]
    wanted = digits(digits.preprocessing(torch.from_numpy(pixels)[None, None])).softmax(1)
    for one in found:
        torch.testing.assert_close(one.probabilities, wanted.detach())
        assert one.labels == (digits.classes[int(wanted.argmax())],)
    together = digits.predict([kinds[0], pixels])
    assert together.names == (str(kinds[0]), "1") and len(together.labels) == 2
    assert not digits.predict(255 - pixels).probabilities.equal(found[0].probabilities), "it reads its images"


def test_images_of_several_sizes_are_brought_to_that_of_the_model(digits):
    found = digits.predict([Image.new("L", (40, 30)), Image.new("L", (17, 60), 255)])
    assert found.probabilities.shape == (2, 10)
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(2))


def test_a_turned_image_has_the_same_answer_at_an_exact_size(digits, pixels):
    turned = digits.predict([pixels, np.rot90(pixels).copy()])
    torch.testing.assert_close(turned.probabilities[0], turned.probabilities[1])


def test_the_result_prints_and_converts_itself(digits, pixels):
    found = digits.predict([pixels] * 25)
    text = str(found)
    assert text.splitlines()[0].split() == ["image", "label", "second"] and "and 5 more images" in text
    assert found.to_dict()["images"][3]["label"] == found.labels[3]
    assert [(row["label"], row["score"]) for row in found.scores(3)[0]] == found.top(3)[0]
    assert found.top(3)[0][0] == (found.labels[0], pytest.approx(float(found.probabilities[0].max())))


def test_gray_images_into_a_network_of_three_channels_are_said(pixels):
    model = zoo.load("p4cnn_28.mnist-none", in_chans=3)
    assert "repeated for the three" in str(model.predict(pixels))
    assert "repeated" not in str(model.predict(np.stack([pixels] * 3, -1)))


def test_the_model_keeps_its_mode(pixels):
    model = zoo.create("p4cnn_28", pretrained="p4cnn_28.mnist-none", dropout=0.5)
    assert model.training
    assert model.predict(pixels).probabilities.equal(model.predict(pixels).probabilities)
    assert model.training


def test_your_own_network_answers_too(pixels):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    net.preprocessing = Preprocessing(8, (0.5,), (0.5,))
    assert classify_images(net, pixels).labels[0] in ("0", "1", "2")


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ("absent.png", SourceError, r"'absent\.png' cannot be read"),
        ([], ModelError, "there are no images"),
        (np.zeros((28, 28, 3), np.uint8), ShapeError, "3 channels and the model takes 1"),
        (np.full((28, 28), 2.0), ShapeError, r"expected values in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(digits, images, error, message):
    with pytest.raises(error, match=message):
        digits.predict(images)


def test_a_file_that_is_no_image_is_named(digits, tmp_path):
    (tmp_path / "notes.png").write_text("not an image")
    with pytest.raises(SourceError, match=r"notes\.png' cannot be used"):
        digits.predict(tmp_path / "notes.png")
