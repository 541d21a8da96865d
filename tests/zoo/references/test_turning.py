"""One image that turns: the pictures are its moved pixels, the answers those of the models, in every form."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import zoo
from symdata.errors import ArgumentError, ShapeError, StoreError, SymmetryError
from symdata.groups import Element, Group
from symdata.sources import open_source
from symdata.transforms.action import act
from zoo import ImageOrbit, ModelError, OpenedModel, Preprocessing

D4 = Group.parse("d4")
EXACT, BROKEN = "p4cnn_28.mnist-none", "p4cnn_27.mnist-none"


@pytest.fixture(scope="module")
def digit():
    return open_source("glyphs:digits", size=28).read("train", np.arange(40))[4:5]


@pytest.fixture(scope="module")
def both(digit):
    return zoo.orbit([EXACT, BROKEN], digit, elements="c4", label="4")


class Corner(nn.Module):
    """The classes are the corner that is bright: top left, top right, bottom left, bottom right."""

    def forward(self, x):
        return 9 * torch.stack([x[:, 0, 0, 0], x[:, 0, 0, -1], x[:, 0, -1, 0], x[:, 0, -1, -1]], 1)


CORNER = OpenedModel(
    Corner(),
    Preprocessing(8, (0.0,), (1.0,)),
    name="corner",
    classes=("top left", "top right", "low left", "low right"),
)


def bright():
    image = torch.zeros(1, 8, 8, dtype=torch.uint8)
    image[0, 0, 0] = 255
    return image


def test_pictures_and_answers_follow_the_image():
    found = zoo.orbit(CORNER, bright(), elements="d4")
    for element, picture in zip(found.elements, found.pictures, strict=True):
        assert torch.equal(picture, act(bright()[None], element)[0])
    assert found.labels["corner"][:4] == ("top left", "low left", "low right", "top right")
    assert found.views == ("0°", "90°", "180°", "270°", "m", "r90m", "r180m", "r270m")
    assert found.probabilities["corner"].sum(1) == pytest.approx(1)


def test_answers_are_those_of_predict(digit, both):
    for name, shares in both.probabilities.items():
        for element, row in zip(both.elements, shares, strict=True):
            moved = zoo.predict(name, act(digit, element))
            assert row.numpy() == pytest.approx(moved.probabilities[0].numpy(), abs=1e-5)
    exact, broken = both.probabilities.values()
    assert (exact - exact[0]).abs().max() < 1e-5 < (broken - broken[0]).abs().max(), "one of them is broken"


def test_it_reads_and_converts_itself(both):
    text = str(both)
    assert text.startswith("An image of class 4 under 4 elements, 0° to 270°")
    assert f"{EXACT}: 4 4 times" in text and "r90" not in text and "270°" in text
    plain = json.loads(json.dumps(both.to_dict()))
    assert plain["elements"] == ["e", "r90", "r180", "r270"] and plain["label"] == "4"
    assert np.shape(plain["models"][BROKEN]["probabilities"]) == (4, 10)
    frame = both.to_pandas()
    assert len(frame) == 8 and set(frame["angle"]) == {0, 90, 180, 270} and {"label", "p 9"} <= set(frame.columns)
    assert len(both.plot().axes) == 5


def test_in_a_notebook_it_is_a_slider(both):
    html = both._repr_html_()
    assert html.count("<figure") == 1 and "http" not in html and f"{EXACT} says 4" in html
    assert 'max="3"' in html and html.count("<script>") == 1


def test_it_is_saved_by_its_ending(both, tmp_path):
    for ending in ("gif", "webp"):
        with Image.open(both.save(tmp_path / f"a.{ending}", zoom=1)) as file:
            for k in range(4):
                file.seek(k)
                assert np.array_equal(np.asarray(file.convert("L")), both.pictures[k, 0].numpy())
    page = both.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "Content-Security-Policy" in page
    with pytest.raises(ArgumentError, match=r"a.mp4' is no animation"):
        both.save(tmp_path / "a.mp4")
    with pytest.raises(StoreError, match=r"a.html' cannot be written: No such file or directory"):
        both.save(tmp_path / "absent" / "a.html")


def test_angles_of_any_number_and_models_of_one_name(digit):
    found = zoo.orbit([EXACT, EXACT], digit)
    assert len(found.elements) == 36 and found.elements[1] == Element(10.0)
    assert list(found.probabilities) == [EXACT, f"{EXACT} (2)"] and len(str(found).splitlines()) < 45
    assert torch.equal(*found.probabilities.values()) and isinstance(found, ImageOrbit)


def small(num_classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes))


def test_code_is_for_the_folder_that_needs_it_alone(digit, tmp_path):
    net, known = small(), Preprocessing(28, (0.1,), (0.3,))
    facts = {"name": "own", "preprocessing": known, "classes": tuple("0123456789"), "training": {}, "dataset": {}}
    zoo.save_checkpoint(tmp_path / "own", net, **facts)
    found = zoo.orbit([tmp_path / "own", EXACT], digit, elements="c4", arch=small)
    assert list(found.probabilities) == [str(tmp_path / "own"), EXACT]
    assert found.probabilities[str(tmp_path / "own")].numpy() == pytest.approx(
        torch.stack([net(known(act(digit, e))).softmax(1)[0] for e in found.elements]).detach().numpy(),
        abs=1e-5,
    )


@pytest.mark.parametrize(
    ("models", "image", "options", "error", "reason"),
    [
        ([], bright(), {}, ModelError, "there is no model to ask"),
        (CORNER, bright().expand(2, 1, 8, 8), {}, ShapeError, "2 images came, expected one"),
        (CORNER, bright(), {"elements": 0}, SymmetryError, "there are no elements to turn the image by"),
        (CORNER, bright(), {"elements": "so2"}, SymmetryError, "so2"),
        (CORNER, bright(), {"label": "middle"}, ModelError, "label is 'middle', and the classes are top left"),
        (CORNER, bright(), {"fill": "snow"}, SymmetryError, "snow"),
        ([CORNER, EXACT], bright(), {}, ModelError, "compare models of the same classes"),
        (Corner(), bright(), {}, ModelError, "preprocessing"),
    ],
)
def test_what_cannot_be_turned_is_refused(models, image, options, error, reason):
    with pytest.raises(error, match=reason):
        zoo.orbit(models, image, **options)
