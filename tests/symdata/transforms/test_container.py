"""`RandomSymmetry` in `AugmentationSequential`: masks, boxes and keypoints move with the pixels."""

import copy

import kornia.augmentation as K
import pytest
import torch
from kornia.constants import DataKey, Resample
from kornia.geometry.boxes import Boxes

from symdata import Elements, RandomSymmetry, Symmetry, act, split_keys
from symdata.errors import SymmetryError
from tests.support.pixels import moved_point, noise

B = 16
LATTICE = ["d4", "c4", "d4-partial@0.7", "o2@90..90", "0.5@r90m+0.3@r180+0.2@none"]


def container(augment, *keys, **options):
    return K.AugmentationSequential(augment, data_keys=["image", *keys], **options)


def elements_of(augment):
    return Elements(augment._params["angle"], augment._params["flip"])


def painted(boxes, n):
    """(B, 1, n, n): ones on the pixels of each box, given by its first and last column and row."""
    images = torch.zeros(len(boxes), 1, n, n)
    for image, (left, top, right, bottom) in zip(images, boxes.round().int().tolist(), strict=True):
        image[0, top : bottom + 1, left : right + 1] = 1.0
    return images


def test_classes_may_be_named():
    x, key, labels = noise(4, 1, 8, 8), torch.arange(4), torch.tensor([0, 1, 2, 1])
    classes = ("cat", "dog", "fox")
    augment = RandomSymmetry("dog:d4,rest:none", classes=classes)
    assert augment(x, labels=labels, keys=key).equal(RandomSymmetry("1:d4,rest:none")(x, labels=labels, keys=key))
    with pytest.raises(SymmetryError, match=r"names classes, .* use RandomSymmetry\(..., classes=dataset.classes\)"):
        RandomSymmetry("dog:d4,rest:none")
    with pytest.raises(SymmetryError, match="names class 'dogs'; did you mean dog"):
        RandomSymmetry("dogs:d4,rest:none", classes=classes)


@pytest.mark.parametrize("spec", LATTICE)
@pytest.mark.parametrize("n", [12, 13])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8, torch.bool])
def test_masks_follow_exactly(spec, n, dtype):
    images, augment = noise(B, 3, n, n), RandomSymmetry(spec)
    masks = (torch.arange(B * n * n).view(B, 1, n, n) * 7 % 5).to(dtype)
    moved, moved_masks = container(augment, "mask")(images, masks)
    assert moved.equal(act(images, elements_of(augment)))
    assert moved_masks.dtype == dtype and moved_masks.equal(act(masks, elements_of(augment)))


@pytest.mark.parametrize("options", [{}, {"mask": "none"}, {"resample": "bicubic"}, {"supersample": 3}], ids=str)
def test_masks_are_never_blended(options):
    """Off the lattice, masks are resampled with `nearest` and get the disk mask of their images."""
    images, augment = noise(B, 1, 15, 15), RandomSymmetry("c8", **options)
    masks = torch.randint(1, 5, (B, 1, 15, 15)).float() * 10
    moved, moved_masks = container(augment, "mask")(images, masks)
    assert set(moved_masks.unique().tolist()) <= {0.0, 10.0, 20.0, 30.0, 40.0}
    how = {"resample": "nearest", "mask": options.get("mask", "auto")}
    assert moved_masks.equal(act(masks, elements_of(augment), **how))
    assert moved.equal(act(images, elements_of(augment), **{"resample": augment.how.kernel} | options))


def test_soft_masks_can_be_asked_for():
    augment, masks = RandomSymmetry("c8"), torch.randint(0, 2, (B, 1, 15, 15)).float()
    soft = {DataKey.MASK: {"resample": Resample.BILINEAR, "align_corners": False}}
    moved = container(augment, "mask", extra_args=soft)(noise(B, 1, 15, 15), masks)[1]
    assert moved.equal(act(masks, elements_of(augment), resample="bilinear")) and len(moved.unique()) > 10


@pytest.mark.parametrize("spec", LATTICE)
@pytest.mark.parametrize("n", [12, 13])
def test_keypoints_follow_exactly(spec, n):
    augment = RandomSymmetry(spec)
    points = torch.randint(0, n, (B, 5, 2)).float()
    _, moved = container(augment, "keypoints")(noise(B, 1, n, n), points.clone())
    for before, after, element in zip(points, moved, elements_of(augment), strict=True):
        for (x, y), (u, v) in zip(before.tolist(), after.tolist(), strict=True):
            spot = torch.zeros(1, 1, n, n)
            spot[0, 0, int(y), int(x)] = 1.0
            assert act(spot, element)[0, 0].nonzero().tolist() == [[v, u]]  # exactly that pixel


def test_keypoints_follow_any_angle():
    augment, points = RandomSymmetry("o2"), torch.rand(B, 5, 2) * 20
    _, moved = container(augment, "keypoints")(noise(B, 1, 21, 21), points.clone())
    for before, after, element in zip(points, moved, elements_of(augment), strict=True):
        for point, target in zip(before.tolist(), after.tolist(), strict=True):
            assert target == pytest.approx(moved_point(*point, element.angle, element.flip, 21), abs=1e-4)


BOXES = torch.tensor(
    [[2.0, 3.0, 7.0, 9.0], [0.0, 0.0, 0.0, 0.0], [1.0, 4.0, 11.0, 5.0], [0.0, 0.0, 11.0, 11.0]]
).repeat(4, 1)
"""First and last column and row of the pixels in each box."""


def to_key(boxes, key):
    left, top, right, bottom = boxes.unbind(-1)
    if key == "bbox_xyxy":
        return boxes[:, None]
    if key == "bbox_xywh":
        return torch.stack([left, top, right - left + 1, bottom - top + 1], -1)[:, None]
    return torch.stack([left, top, right, top, right, bottom, left, bottom], -1).view(-1, 1, 4, 2)


@pytest.mark.parametrize("key", ["bbox", "bbox_xyxy", "bbox_xywh"])
@pytest.mark.parametrize("spec", LATTICE)
def test_boxes_follow_their_pixels(spec, key):
    augment = RandomSymmetry(spec)
    images = painted(BOXES, 12)
    moved, boxes = container(augment, key)(images, to_key(BOXES, key))
    rows, columns = moved[:, 0].amax(2), moved[:, 0].amax(1)
    spans = [
        torch.stack([c.nonzero()[[0, -1], 0], r.nonzero()[[0, -1], 0]], 1) for r, c in zip(rows, columns, strict=True)
    ]
    expected = torch.stack([span.flatten() for span in spans]).float()  # left, top, right, bottom
    if key == "bbox":  # four corners, which rotate with the image
        corners = boxes[:, 0]
        assert torch.cat([corners.amin(1), corners.amax(1)], 1).equal(expected)
    else:
        assert boxes.equal(to_key(expected, key))
    if spec == "d4":
        assert not expected.equal(BOXES)


@pytest.mark.parametrize(("mode", "plus"), [("xyxy", 1.0), ("xyxy_plus", 0.0)])
def test_boxes_of_both_conventions(mode, plus):
    """`xyxy_plus` ends with the last pixel, `xyxy` one after it."""
    augment, shift = RandomSymmetry("d4"), torch.tensor([0.0, 0.0, plus, plus])
    moved, boxes = container(augment, "bbox")(
        painted(BOXES, 12), Boxes.from_tensor((BOXES + shift)[:, None], mode=mode)
    )
    assert painted(boxes.to_tensor(mode)[:, 0] - shift, 12).equal(moved)


@pytest.mark.parametrize("key", ["bbox", "bbox_xyxy", "bbox_xywh"])
@pytest.mark.parametrize("spec", LATTICE)
@pytest.mark.parametrize("n", [12, 13])
def test_the_inverse_of_the_container_is_exact(spec, key, n):
    augment = RandomSymmetry(spec)
    pipeline = container(augment, "mask", key, "keypoints")
    given = (
        noise(B, 3, n, n),
        torch.randint(0, 5, (B, 1, n, n)),
        to_key(BOXES, key),
        torch.randint(0, n, (B, 5, 2)).float(),
    )
    moved = pipeline(*[value.clone() for value in given])
    back = pipeline.inverse(*[value.clone() for value in moved])
    for before, after, between in zip(given, back, moved, strict=True):
        assert not between.equal(before)
        if key == "bbox" and before.ndim == 4 and before.shape[1:] == (1, 4, 2):
            assert after.sort(2).values.equal(before.sort(2).values)
        else:
            assert after.equal(before)


def test_two_in_a_row_and_among_others():
    images, points = noise(B, 1, 13, 13), torch.randint(0, 13, (B, 3, 2)).float()
    first, second = RandomSymmetry("d4"), RandomSymmetry("c4-partial")
    pipeline = K.AugmentationSequential(first, K.RandomHorizontalFlip(p=1.0), second, data_keys=["image", "keypoints"])
    moved, moved_points = pipeline(images, points.clone())
    assert moved.equal(act(act(images, elements_of(first)).flip(-1), elements_of(second)))
    back, back_points = pipeline.inverse(moved, moved_points)
    assert back.equal(images) and back_points.equal(points)


def test_per_class_symmetries_and_keys():
    images, labels = noise(B, 1, 9, 9), torch.arange(B) % 3
    keys, symmetry = split_keys(0, "train", "augment", torch.arange(B)), Symmetry.parse("0:d4,1:c2,rest:none")
    augment = RandomSymmetry(symmetry)
    pipeline = container(augment, "mask")
    with augment.given(labels=labels, keys=keys):
        moved, masks = pipeline(images, images.clone())
        assert pipeline(images, images.clone())[0].equal(moved)
    assert moved.equal(act(images, symmetry.sample(labels, keys))) and masks.equal(moved)
    with pytest.raises(SymmetryError, match="no labels were given"):
        pipeline(images, images)


def test_a_call_is_repeated_with_its_params():
    images = noise(B, 1, 9, 9)
    pipeline = container(RandomSymmetry("d4"), "mask")
    moved, masks = pipeline(images, images.clone())
    params = copy.deepcopy(pipeline._params)
    pipeline(images, images)
    again = pipeline(images, images.clone(), params=params)
    assert again[0].equal(moved) and again[1].equal(masks)


def test_one_draw_for_the_whole_batch():
    images = noise(1, 1, 9, 9).expand(B, 1, 9, 9)
    moved = container(RandomSymmetry("o2"), "mask", same_on_batch=True)(images, images)[0]
    assert moved.equal(moved[:1].expand_as(moved))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_keypoints_of_images_in_half_precision(dtype):
    augment, points = RandomSymmetry("d4"), torch.randint(0, 400, (4, 5, 2)).float()
    pipeline = container(augment, "keypoints")
    moved, moved_points = pipeline(noise(4, 1, 400, 400, dtype=dtype), points.clone())
    assert moved.dtype == dtype and moved_points.frac().abs().max() == 0.0
    assert pipeline.inverse(moved, moved_points)[1].equal(points)


def test_batches_of_nothing():
    moved = container(RandomSymmetry("d4"), "mask")(torch.zeros(0, 3, 8, 8), torch.zeros(0, 1, 8, 8))
    assert [value.shape for value in moved] == [(0, 3, 8, 8), (0, 1, 8, 8)]


def test_dictionaries_and_videos():
    augment = RandomSymmetry("d4")
    images = noise(B, 3, 8, 8)
    moved = K.AugmentationSequential(augment, data_keys=None)({"image": images, "mask": images[:, :1]})
    assert moved["image"].equal(act(images, elements_of(augment))) and moved["mask"].equal(moved["image"][:, :1])
    frames = noise(2, 3, 1, 8, 8).expand(2, 3, 5, 8, 8)
    film = K.VideoSequential(RandomSymmetry("o2"), data_format="BCTHW", same_on_frame=True)(frames)
    assert film.equal(film[:, :, :1].expand_as(film)) and not film.equal(frames)
