"""From bytes to what a network takes: right numbers, and every step commutes with quarter turns and mirrors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from symdata.errors import ShapeError, SymdataError
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4
from zoo.layers.regular import move
from zoo.preprocessing import Preprocessing

RGB = Preprocessing(16, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_values_by_hand():
    image = torch.tensor([0, 51, 255, 128], dtype=torch.uint8).view(1, 1, 2, 2)
    out = Preprocessing(2, (0.2,), (0.5,))(image)
    expected = torch.tensor([-0.4, 0.0, 1.6, (128 / 255 - 0.2) / 0.5]).view(1, 1, 2, 2)
    assert out.dtype == torch.float32
    assert torch.allclose(out, expected, atol=1e-6)


def test_one_number_stands_for_one_channel():
    assert Preprocessing(8, 0.5, 0.25) == Preprocessing(8, (0.5,), (0.25,))


def test_each_channel_has_its_own_numbers():
    out = RGB(torch.full((1, 3, 16, 16), 255, dtype=torch.uint8))
    assert torch.allclose(out[0, :, 0, 0], torch.tensor([3.0, 2.0, 4 / 3]))


def test_one_channel_is_repeated():
    grey = noise(2, 1, 16, 16)
    assert torch.equal(RGB(grey), RGB(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("element", D4.elements, ids=str)
@pytest.mark.parametrize(("size", "resize"), [(16, "bilinear"), (20, "pad"), (12, "area"), (27, "bicubic")])
def test_it_commutes_with_d4_bit_for_bit(element, size, resize):
    fit = Preprocessing(size, RGB.mean, RGB.std, resize)
    images = noise(3, 3, 16, 16)
    assert torch.equal(fit(move(images, element).contiguous()), move(fit(images), element))


def test_a_shift_does_not_commute():
    """The negative control: resizing is not the identity."""
    fit, images = Preprocessing(12, (0.5,), (0.5,)), noise(3, 1, 16, 16)
    assert not torch.equal(fit(images.roll(1, -1)), fit(images).roll(1, -1))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.zeros(1, 1, 8, 8), r"images are torch.float32 \(1, 1, 8, 8\), expected uint8 \(B, C, H, W\)"),
        (torch.zeros(1, 8, 8, dtype=torch.uint8), r"images are torch.uint8 \(1, 8, 8\), expected uint8"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.uint8), "images have 2 channels and the model takes 3"),
    ],
)
def test_images_that_do_not_fit(images, sentence):
    with pytest.raises(ShapeError, match=sentence):
        RGB.fitted(images)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"size": 0}, "size is 0, expected a whole number from 1 to 4096 pixels"),
        ({"size": True}, "size is True, expected a whole number from 1 to 4096 pixels"),
        ({"size": 28.0}, "size is 28.0, expected a whole number from 1 to 4096 pixels"),
        ({"resize": "nearest"}, "resize is 'nearest', expected one of bilinear"),
        ({"resize": ["bilinear"]}, "resize is .'bilinear'., expected one of"),
        ({"mean": ()}, r"mean is \(\), expected one number per channel"),
        ({"mean": "12"}, "mean is '12', expected one number per channel"),
        ({"mean": (0.1, 0.2)}, "must have one number for each of 1 or 3 channels"),
        ({"mean": (10**400,)}, "mean is .*, expected one number per channel"),
        ({"mean": (float("nan"),)}, "must be finite numbers"),
        ({"std": (float("inf"),)}, "must be finite numbers"),
        ({"std": (0.0,)}, r"std is \(0.0,\), expected numbers of at least 1e-06"),
        ({"std": (0.1, None, 0.1)}, "std is .*, expected one number per channel"),
    ],
)
def test_numbers_that_cannot_be(fields, sentence):
    with pytest.raises(ModelError, match=sentence):
        Preprocessing(**{"size": 28, "mean": (0.5,), "std": (0.5,)} | fields)


def test_plain_data_and_back():
    assert Preprocessing.from_dict(RGB.to_dict()) == RGB


@pytest.mark.parametrize("fields", [{}, {"size": 28}, RGB.to_dict() | {"crop": 1}, [], None, "size"])
def test_plain_data_of_something_else(fields):
    with pytest.raises(ModelError, match=r"preprocessing is .*, expected size, mean, std and resize"):
        Preprocessing.from_dict(fields)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["size", "mean", "std", "resize"]), json_values)
def test_no_plain_data_ends_in_a_traceback(key, value):
    try:
        read = Preprocessing.from_dict(RGB.to_dict() | {key: value})
    except SymdataError:
        return
    assert read.channels in (1, 3)


KINDS = {
    "Pillow": lambda x: Image.fromarray(x),
    "(H, W, C)": lambda x: x,
    "(C, H, W)": lambda x: x.transpose(2, 0, 1),
    "(B, H, W, C)": lambda x: x[None],
    "(B, C, H, W)": lambda x: x.transpose(2, 0, 1)[None],
    "not writable, in another order": lambda x: np.flip(np.flip(x, 0).copy(), 0),
    "a tensor": lambda x: torch.from_numpy(x).permute(2, 0, 1),
    "tensors": lambda x: torch.from_numpy(x).permute(2, 0, 1)[None],
    "float32": lambda x: x.astype("float32") / 255,
    "float64 tensor": lambda x: torch.from_numpy(x).permute(2, 0, 1).double() / 255,
    "a list": lambda x: [x],
    "a list of pictures": lambda x: [Image.fromarray(x)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, 7])
def test_images_of_any_kind_are_the_same_input(kind, size):
    x = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    take = Preprocessing(size, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert take(KINDS[kind](x)).equal(take(torch.from_numpy(x).permute(2, 0, 1)[None]))


def test_gray_pictures_palettes_and_orientations():
    take, gray = Preprocessing(4, (0.0,), (1.0,)), np.arange(16, dtype=np.uint8).reshape(4, 4)
    expected = torch.from_numpy(gray)[None, None] / 255
    assert take(Image.fromarray(gray)).equal(expected) and take(gray).equal(expected)
    palette = Image.fromarray(gray).convert("RGB").quantize(16)
    colour = Preprocessing(4, (0.0,) * 3, (1.0,) * 3)
    assert colour(palette).equal(colour(palette.convert("RGB")))
    turned = Image.fromarray(gray)
    turned.getexif()[0x0112] = 6  # to be seen, turned clockwise by 90 degrees
    assert take(turned).equal(torch.rot90(expected, -1, (-2, -1)))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((3, 8, 3), np.uint8), "the channels may be the first or the last axis; give a tensor"),
        (np.zeros((8, 8, 3), np.int64), "images are int64, expected uint8 or floats in"),
        (np.full((8, 8, 3), 255.0), r"floats from 255 to 255, expected values in \[0, 1\]"),
        (np.full((8, 8, 3), np.nan), "floats from nan to nan"),
        (torch.full((3, 8, 8), 1.5), r"floats from 1.5 to 1.5"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), "add an axis"),
        (np.zeros((8, 8, 4), np.uint8), "channels and the model takes 3"),
        (Image.new("RGBA", (8, 8)), "mode 'RGBA', expected gray or colour of 8 bits; image.convert"),
        (Image.new("I;16", (8, 8)), "mode 'I;16'"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)], r"the shapes \(3, 8, 8\), \(3, 9, 8\)"),
        ([], "shapes none"),
        ("cat.png", "images are a str, expected a picture of Pillow"),
    ],
)
def test_what_is_no_image_is_refused(images, sentence):
    with pytest.raises(ShapeError, match=sentence):
        Preprocessing(8, (0.5,) * 3, (0.5,) * 3)(images)
