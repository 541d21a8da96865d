"""Images as libraries hold them: what goes into `act` and `RandomSymmetry` comes out, moved exactly."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from symdata import Element, Elements, Group, RandomSymmetry, act
from symdata.errors import ArgumentError, ShapeError, SymmetryError
from tests.support.pixels import noise

TURN = Element(90)
ELEMENTS = Group.parse("d4").elements
MODES = ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LA", "HSV", "I", "F", "I;16"]
TRANSPOSES = {
    "r90": Image.Transpose.ROTATE_90, "r180": Image.Transpose.ROTATE_180, "r270": Image.Transpose.ROTATE_270,
    "m": Image.Transpose.FLIP_LEFT_RIGHT, "r90m": Image.Transpose.TRANSPOSE,
    "r180m": Image.Transpose.FLIP_TOP_BOTTOM, "r270m": Image.Transpose.TRANSVERSE,
}  # fmt: skip
"""What Pillow calls the elements of d4."""


def pixels(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def picture(mode, n=10):
    """An image of a mode of Pillow."""
    if mode in ("I", "F", "I;16"):
        return Image.fromarray(pixels(n, n, dtype={"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]))
    if mode in ("LA", "HSV"):
        return Image.fromarray(pixels(n, n, 4), "RGBA" if mode == "LA" else None).convert("RGB").convert(mode)
    return Image.fromarray(pixels(n, n, 4)).convert("RGB" if mode != "RGBA" else mode).convert(mode)


def same(one, other):
    return one.mode == other.mode and one.size == other.size and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("mode", MODES)
def test_pillow_images_of_every_mode_are_permuted(mode):
    image = picture(mode)
    image.info["dpi"] = (72, 72)
    for element in ELEMENTS:
        moved = act(image, element)
        expected = image.transpose(TRANSPOSES[str(element)]) if str(element) != "e" else image
        assert isinstance(moved, Image.Image) and same(moved, expected) and moved.info["dpi"] == (72, 72)
        assert moved.getpalette() == image.getpalette()
    augment = RandomSymmetry("d4")
    moved = augment(image)
    assert same(moved, act(image, augment.elements.one(0))) and same(augment.inverse(moved), image)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "F"])
def test_pillow_images_are_resampled_as_tensors(mode):
    image = picture(mode)
    moved = act(image, Element(30))
    assert moved.mode == mode and moved.size == image.size and not same(moved, image)
    if mode in ("L", "RGB", "F"):
        tensor = torch.from_numpy(np.array(image))
        tensor = tensor[None, None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)[None]
        expected = act(tensor, Element(30))[0].permute(1, 2, 0).squeeze(-1)
        assert np.array_equal(np.array(moved), expected.numpy())
    assert RandomSymmetry("so2")(image).mode == mode


def test_a_transparent_colour_does_not_bleed():
    """White and transparent beside black and opaque: interpolation between them is black, never gray."""
    array = np.zeros((12, 12, 4), np.uint8)
    array[:, :6, :3], array[:, 6:, 3] = 255, 255
    moved = np.array(act(Image.fromarray(array), Element(45)))
    assert moved[..., :3].max() <= 1 and ((moved[..., 3] > 0) & (moved[..., 3] < 255)).sum() > 0
    straight = act(array, Element(45))  # of an array it is not known what the fourth channel means
    assert straight[..., :3].max() > 100


@pytest.mark.parametrize("mode", ["1", "P", "HSV", "I", "I;16"])
def test_values_that_cannot_be_averaged_are_refused(mode):
    for call in (RandomSymmetry("c8"), RandomSymmetry("c4", mask="disk"), lambda x: act(x, Element(30))):
        with pytest.raises(ShapeError, match=rf"mode '{mode}' cannot be averaged; use image.convert\('RGB'\)"):
            call(picture(mode))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64, bool])
@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 3), (3, 9, 9), (9, 9, 1), (5, 9, 9, 4), (5, 2, 9, 9)])
def test_arrays_keep_their_layout(shape, dtype):
    array = pixels(*shape).astype(dtype)
    before = array.copy()
    last = shape[-1] != 9
    for element in ELEMENTS:
        moved = act(array, element)
        axes = (-3, -2) if last else (-2, -1)
        expected = np.rot90(np.flip(array, axes[1]) if element.flip else array, int(element.angle // 90), axes)
        assert moved.dtype == array.dtype and np.array_equal(moved, expected) and moved.flags.c_contiguous
    assert np.array_equal(array, before)
    augment = RandomSymmetry("d4")
    moved = augment(array)
    assert moved.shape == shape and np.array_equal(augment.inverse(moved), array)
    assert len(augment.elements) == (5 if len(shape) == 4 else 1)


def test_an_array_of_which_some_are_off_the_lattice_is_moved_as_tensors_are():
    images = pixels(4, 3, 12, 12)
    elements = Elements.of([Element(90), Element(33), Element(), Element(45, True)])
    expected = act(torch.from_numpy(images), elements)
    assert np.array_equal(act(images, elements, layout="CHW"), expected.numpy())


def test_ambiguous_arrays_are_refused_until_the_layout_is_said():
    array = pixels(3, 3, 3)
    with pytest.raises(
        ShapeError, match=r"shape \(3, 3, 3\), and both the first and the last axis .* say layout='HWC'"
    ):
        act(array, TURN)
    with pytest.raises(ShapeError, match=r"shape \(9, 9, 9\), and neither the first nor the last axis"):
        RandomSymmetry("d4")(pixels(9, 9, 9))
    assert np.array_equal(act(array, TURN, layout="HWC"), np.rot90(array))
    assert np.array_equal(act(array, TURN, layout="CHW"), np.rot90(array, 1, (1, 2)))
    keys = torch.arange(1)
    hwc, chw = (RandomSymmetry("c4@90..90", layout=layout)(array, keys=keys) for layout in ("HWC", "CHW"))
    assert np.array_equal(hwc, np.rot90(array)) and not np.array_equal(hwc, chw)
    with pytest.raises(SymmetryError, match="layout is 'NHWC', expected one of auto, CHW, HWC"):
        RandomSymmetry("d4", layout="NHWC")
    with pytest.raises(ShapeError, match="expected a tensor, an array or a PIL image"):
        act("cat.png", TURN)
    with pytest.raises(ShapeError, match="which torch does not have"):
        act(np.array([["a", "b"], ["c", "d"]]), TURN)


@pytest.mark.parametrize("spec", ["d4", "c8"])
def test_tensors_of_bytes(spec):
    images = torch.from_numpy(pixels(16, 3, 9, 9))
    augment, keys = RandomSymmetry(spec), torch.arange(16)
    moved = augment(images, keys=keys)
    assert moved.dtype == torch.uint8
    assert moved.equal(act(images, augment.elements, resample=augment.how.kernel)) and not moved.equal(images)
    single = augment(images[3], keys=3)
    assert single.shape == (3, 9, 9) and single.equal(moved[3])
    assert augment(images[3].float(), keys=3).shape == (3, 9, 9)
    assert augment(images, params=copy.deepcopy(augment._params) | augment.forward_parameters(images.shape)) is not None
    if spec == "d4":
        augment(images, keys=keys)
        assert augment.inverse(moved).equal(images)
        assert augment.transform_matrix.shape == (16, 3, 3)
        assert augment(images.flip(1), params=augment._params).equal(moved.flip(1))


class Letters(Dataset):
    """Twelve images of Pillow, with a transform, as the datasets of torchvision."""

    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return np.asarray(self.transform(Image.fromarray(pixels(8, 8, 3)))).copy(), i


def test_it_is_a_transform_of_a_dataset():
    torch.manual_seed(0)
    batch, labels = next(iter(DataLoader(Letters(RandomSymmetry("d4")), batch_size=12)))
    assert batch.shape == (12, 8, 8, 3) and labels.tolist() == list(range(12))
    moved = {act(pixels(8, 8, 3), element).tobytes() for element in ELEMENTS}
    assert {image.numpy().tobytes() for image in batch} <= moved and len(
        {image.numpy().tobytes() for image in batch}
    ) > 2


def test_the_parts_of_a_sample_move_together():
    augment, image = RandomSymmetry("d4"), pixels(8, 8, 3)
    sample = {"image": Image.fromarray(image), "mask": Image.fromarray(image[..., 0]), "label": 3, "names": ["a", None]}
    moved = augment(sample)
    element = augment.elements.one(0)
    assert same(moved["image"], act(sample["image"], element)) and same(moved["mask"], act(sample["mask"], element))
    assert moved["label"] == 3 and moved["names"] == ["a", None] and sample["image"] is not moved["image"]
    back = augment.inverse(moved)
    assert same(back["image"], sample["image"]) and same(back["mask"], sample["mask"])
    tensor, label = augment(torch.from_numpy(image).permute(2, 0, 1), torch.tensor(5))
    assert tensor.shape == (3, 8, 8) and label == 5 and not augment.elements.angle.shape[0] > 1


def test_a_sample_that_would_be_torn_apart_is_refused():
    augment, image = RandomSymmetry("d4"), torch.from_numpy(pixels(3, 8, 8))
    with pytest.raises(ArgumentError, match=r"part 1 of a sample, \(8, 8\), has the sides of the image and would not"):
        augment(image, torch.zeros(8, 8))
    with pytest.raises(ArgumentError, match=r"part 1 of a sample, \(8, 8, 3\), has the sides"):
        augment(image, np.zeros((8, 8, 3)))
    assert augment(image, torch.ones(5, 8))[1].equal(torch.ones(5, 8))  # no image: it passes
    with pytest.raises(ArgumentError, match=r"takes no mask=; put it into AugmentationSequential"):
        augment(image, mask=image)
    with pytest.raises(ShapeError, match="a sample of str, int holds no image"):
        augment(("cat", 3))
    with pytest.raises(ShapeError, match=r"a sample holds sizes \(8, 8\) and \(6, 6\)"):
        augment((picture("L", 8), picture("L", 6)))


def test_labels_of_one_image():
    augment = RandomSymmetry("0:c4@90..90,rest:none")
    image = pixels(8, 8, 3)
    assert np.array_equal(augment(image, labels=0), np.rot90(image)) and np.array_equal(augment(image, labels=1), image)
    assert act(noise(2, 1, 4, 4), Elements.of([TURN, Element()])).shape == (2, 1, 4, 4)
