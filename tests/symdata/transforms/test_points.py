"""Points and boxes move with the pixels, in both conventions of boxes."""

import math

import kornia.augmentation as K
import pytest
import torch
from kornia.geometry.boxes import Boxes

from symdata import Element, Elements, Group, RandomSymmetry, act
from symdata.errors import ShapeError
from symdata.transforms.points import act_boxes, act_points

ELEMENTS = Elements.of(Group.parse("d4").elements)
BOX = torch.tensor([2, 1, 7, 3])
"""Columns 2 to 6 and rows 1 to 2, half-open."""


def painted(boxes, h, w):
    """(B, 1, H, W) ones on the pixels of half-open boxes (B, 4)."""
    images = torch.zeros(len(boxes), 1, h, w)
    for image, (left, top, right, bottom) in zip(images, boxes.tolist(), strict=True):
        image[0, int(top) : int(bottom), int(left) : int(right)] = 1
    return images


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bfloat16, torch.float64])
def test_boxes_cover_the_moved_pixels(n, dtype):
    boxes = BOX.to(dtype).expand(8, 4)
    expected = act(painted(boxes, n, n), ELEMENTS)
    moved = act_boxes(boxes, ELEMENTS, (n, n))
    assert moved.dtype == dtype and painted(moved, n, n).equal(expected)
    last = torch.tensor([0, 0, 1, 1], dtype=dtype)
    inclusive = act_boxes(boxes - last, ELEMENTS, (n, n), half_open=False)
    assert (inclusive + last).equal(moved)
    wrong = act_boxes(
        boxes, ELEMENTS, (n, n), half_open=False
    )  # one pixel off, except under the identity and transpose
    assert [row.equal(right) for row, right in zip(wrong, moved, strict=True)] == [
        True,
        *[False] * 4,
        True,
        False,
        False,
    ]


def test_many_boxes_an_image_and_one_element_for_all():
    boxes = torch.stack([BOX, BOX + 1]).expand(8, 2, 4)
    moved = act_boxes(boxes, ELEMENTS, (9, 9))
    for row, element in zip(moved, ELEMENTS, strict=True):
        assert row.equal(act_boxes(boxes[0], element, (9, 9)))
    assert act_boxes(boxes[0, 0], Element(90), (9, 9)).shape == (4,)
    assert act_boxes(torch.zeros(0, 4), Element(90), (9, 9)).shape == (0, 4)


def test_rectangles_under_d2():
    for element in Group.parse("d2").elements:
        moved = act_boxes(BOX[None], element, (5, 9))
        assert painted(moved, 5, 9).equal(act(painted(BOX[None], 5, 9), element))
    with pytest.raises(ShapeError, match="images are 5x9, and a quarter turn needs square ones"):
        act_boxes(BOX, Element(90), (5, 9))


def test_other_angles_give_the_box_around():
    moved = act_boxes(torch.tensor([4.0, 4.0, 6.0, 6.0]), Element(45), (10, 10))
    half = math.sqrt(2)
    assert moved.tolist() == pytest.approx([5 - half, 5 - half, 5 + half, 5 + half])


def test_points_are_those_of_the_matrix():
    augment = RandomSymmetry("o2")
    augment(torch.zeros(6, 1, 12, 12))
    points = torch.rand(6, 5, 2) * 11
    one = torch.cat([points, torch.ones(6, 5, 1)], -1)
    expected = (one @ augment.transform_matrix.mT)[..., :2]
    assert (act_points(points, augment.elements, (12, 12)) - expected).abs().max() < 1e-4
    assert (act_points(points + 0.5, augment.elements, (12, 12), edges=True) - expected - 0.5).abs().max() < 1e-4


def test_half_open_boxes_in_a_container():
    """As the docstring of RandomSymmetry says."""
    augment = RandomSymmetry("d4")
    pipeline = K.AugmentationSequential(augment, data_keys=["image", "bbox"])
    boxes = BOX.float().expand(8, 1, 4)
    moved, found = pipeline(painted(boxes[:, 0], 12, 12), Boxes.from_tensor(boxes, mode="xyxy"))
    found = found.to_tensor("xyxy")[:, 0]
    assert painted(found, 12, 12).equal(moved)
    assert found.equal(act_boxes(boxes[:, 0], augment.elements, (12, 12)))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: act_points(torch.zeros(3), Element(), (4, 4)), r"points have shape \(3,\), expected \(..., 2\)"),
        (lambda: act_boxes(torch.zeros(3), Element(), (4, 4)), r"boxes have shape \(3,\), expected \(..., 4\)"),
        (lambda: act_points(torch.zeros(3, 2), ELEMENTS, (4, 4)), "8 elements for points"),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(ShapeError, match=sentence):
        call()
