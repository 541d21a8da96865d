"""Masks, boxes and keypoints move with the pixels: compared with images that are painted and then moved."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symdata.annotations import Annotations, Objects, Schema
from symdata.errors import ShapeError
from symdata.groups import Element, Elements, Group
from symdata.transforms.action import act, move
from symdata.transforms.resampling import Resampling
from tests.support.pixels import by_definition, noise

D4, D2 = Group.parse("d4").elements, Group.parse("d2").elements
EXACT = Resampling("exact", "none")
SIZES = [(12, 12), (13, 13), (9, 14)]


def painted(boxes, size):
    """(m, 1, H, W): ones on the pixels that each box (x, y, width, height) covers."""
    images = torch.zeros(len(boxes), 1, *size)
    for image, (x, y, w, h) in zip(images, np.asarray(boxes).astype(int).tolist(), strict=True):
        image[0, y : y + h, x : x + w] = 1.0
    return images


def bounds(images):
    """(m, 4): the smallest box around the pixels that are not 0."""
    found = []
    for image in images[:, 0].numpy():
        y, x = np.nonzero(image)
        found.append([x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()])
    return np.array(found, np.float64)


def random_boxes(size, m=20, seed=0):
    random, (h, w) = np.random.default_rng(seed), size
    near = random.integers(0, [w, h], (m, 2))
    return np.concatenate([near, random.integers(1, np.array([w, h]) - near + 1)], axis=1).astype(float)


def objects_of(boxes, keypoints=None):
    """One object an image."""
    objects = Objects.boxed(boxes, image=np.arange(len(boxes)))
    if keypoints is None:
        return objects
    return Objects(objects.image, objects.boxes, objects.category, objects.area, objects.crowd, keypoints)


def elements_for(size):
    return D4 if size[0] == size[1] else D2


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_the_bounds_of_painted_rectangles(size):
    boxes, told_apart = random_boxes(size), 0
    for element in elements_for(size):
        batch = Elements.of(element, len(boxes))
        wanted = bounds(by_definition(painted(boxes, size), element.angle, element.flip))
        assert np.array_equal(objects_of(boxes).moved(batch, size).boxes, wanted)
        told_apart += not np.array_equal(objects_of(boxes).moved(~batch, size).boxes, wanted)
        assert np.array_equal(objects_of(wanted).moved(~batch, size).boxes, boxes)
    assert told_apart == sum(~element != element for element in elements_for(size))


@pytest.mark.parametrize("size", SIZES)
def test_keypoints_follow_a_painted_pixel(size):
    random, (h, w), m = np.random.default_rng(1), size, 20
    x, y = random.integers(0, w, m), random.integers(0, h, m)
    images = torch.zeros(m, 1, h, w)
    images[np.arange(m), 0, y, x] = 1.0
    points = np.stack([x + 0.5, y + 0.5, np.full(m, 2.0)], axis=-1)[:, None]
    corners = np.stack([x, y, np.full(m, 2.0)], axis=-1)[:, None]  # the wrong convention
    for element in elements_for(size):
        batch = Elements.of(element, m)
        _, _, row, column = torch.nonzero(by_definition(images, element.angle, element.flip), as_tuple=True)
        wanted = torch.stack([column, row], -1).numpy()
        boxes = np.tile([0.0, 0.0, w, h], (m, 1))
        moved = objects_of(boxes, points).moved(batch, size).keypoints[:, 0]
        assert np.array_equal(moved[:, :2], wanted + 0.5) and (moved[:, 2] == 2).all()
        wrong = objects_of(boxes, corners).moved(batch, size).keypoints[:, 0, :2]
        assert np.array_equal(wrong, wanted) == (element in (Element(), Element(90, True)))  # the transpose fixes it


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("void", [255, 0, 7])
def test_masks_move_as_images_do(size, void):
    elements = Elements.of(elements_for(size))
    masks = noise(len(elements), 1, *size, dtype=torch.uint8)
    annotated = Annotations(Schema(masks=True, void=void), len(elements), size, masks[:, 0])
    moved = annotated.moved(elements, EXACT).masks
    assert torch.equal(moved, act(masks, elements)[:, 0])
    assert not torch.equal(moved, masks[:, 0])


def test_outside_the_disk_a_mask_is_void():
    masks = torch.ones(8, 1, 12, 12, dtype=torch.uint8)
    annotated = Annotations(Schema(masks=True), 8, (12, 12), masks[:, 0])
    for how, batch in ((Resampling("exact", "disk"), Elements.of(D4)), (Resampling(), Elements.of(Element(33), 8))):
        shown = move(255 * masks, batch.to("cpu"), how)[:, 0] > 0
        moved = annotated.moved(batch, how).masks
        assert (moved[shown] == 1).all() and (moved[~shown] == 255).all() and (~shown).any()


def test_zeros_beyond_the_border_are_void_and_copies_are_not():
    masks = torch.ones(1, 10, 10, dtype=torch.uint8)
    turned = Elements.of(Element(45))
    for padding, values in (("zeros", {1, 255}), ("border", {1}), ("reflection", {1})):
        moved = Annotations(Schema(masks=True), 1, (10, 10), masks).moved(turned, Resampling("halves", "none", padding))
        assert set(moved.masks.unique().tolist()) == values


def test_off_the_lattice_a_mask_has_no_new_class():
    masks = torch.tensor([3, 200], dtype=torch.uint8)[noise(6, 15, 15, dtype=torch.uint8).long() % 2]
    elements = Elements.of(Group.parse("c8").elements[:6])
    moved = Annotations(Schema(masks=True), 6, (15, 15), masks).moved(elements, Resampling()).masks
    assert set(moved.unique().tolist()) == {3, 200, 255}
    shown = moved != 255  # the elements of c4 are still permutations
    for k, element in enumerate(elements):
        if element.angle % 90 == 0:
            wanted = by_definition(masks[k : k + 1], element.angle, element.flip)[0]
            assert torch.equal(moved[k][shown[k]], wanted[shown[k]])


angles = st.floats(0, 360, exclude_max=True, width=32)
boxes_in = st.tuples(*[st.floats(0, 1, width=32)] * 4)


@settings(max_examples=200, deadline=None)
@given(angle=angles, flip=st.booleans(), shares=boxes_in, size=st.sampled_from(SIZES))
def test_a_moved_box_is_that_of_its_moved_corners_cut_at_the_border(angle, flip, shares, size):
    (h, w), batch = size, Elements.of(Element(angle, flip))
    x, y = shares[0] * (w - 1), shares[1] * (h - 1)
    box = np.array([[x, y, 0.5 + shares[2] * (w - x - 0.5), 0.5 + shares[3] * (h - y - 0.5)]])
    if h != w and batch.lattice_index()[0] % 2 == 1:
        with pytest.raises(ShapeError, match="a quarter turn needs square ones"):
            objects_of(box).moved(batch, size)
        return
    x, y, dx, dy = box[0]
    corners = np.array([(x, y), (x + dx, y), (x, y + dy), (x + dx, y + dy)]) - [w / 2, h / 2]
    corners[:, 0] *= -1 if flip else 1
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    there = corners @ np.array([[c, -s], [s, c]]) + [w / 2, h / 2]
    near, far = there.min(0).clip(0, [w, h]), there.max(0).clip(0, [w, h])
    moved = objects_of(box).moved(batch, size)
    assert len(moved) == bool((far - near > 1e-6).all()) or (far - near).min() < 1e-5
    if len(moved):
        assert np.allclose(moved.boxes[0], [*near, *(far - near)], atol=1e-5)
        assert (moved.boxes[0, :2] >= 0).all() and (
            moved.boxes[0, :2] + moved.boxes[0, 2:] <= [w + 1e-9, h + 1e-9]
        ).all()


@settings(max_examples=50, deadline=None)
@given(angle=angles, flip=st.booleans())
def test_a_painted_rectangle_stays_inside_its_moved_box(angle, flip):
    box, size, batch = np.array([[8.0, 5.0, 9.0, 3.0]]), (25, 25), Elements.of(Element(angle, flip))
    seen = bounds(act(painted(box, size), batch, resample="nearest", mask="none"))[0]
    x, y, w, h = objects_of(box).moved(batch, size).boxes[0]
    assert x <= seen[0] + 0.5 and y <= seen[1] + 0.5
    assert x + w >= seen[0] + seen[2] - 0.5 and y + h >= seen[1] + seen[3] - 0.5
    assert abs(x - seen[0]) <= 1.5 and abs(y - seen[1]) <= 1.5


def test_an_object_that_leaves_the_image_is_left_out_and_its_neighbour_is_not():
    objects = Objects.boxed(np.array([[0.0, 0.0, 1.0, 1.0], [4.0, 4.0, 2.0, 2.0]]), category=np.array([0, 1]))
    gone = objects.moved(Elements.of(Element(45)), (10, 10))
    assert gone.category.tolist() == [1]
    assert len(objects.moved(Elements.of(Element(90)), (10, 10))) == 2


@pytest.mark.parametrize("element", [*D4, Element(30)])
def test_an_object_in_a_black_corner_is_left_out(element):
    objects = Objects.boxed(np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 4.0, 1.0, 2.0]]), category=np.array([0, 1]))
    batch = Elements.of(element)
    assert objects.moved(batch, (10, 10), "disk").category.tolist() == [1]
    if element in D4:
        assert objects.moved(batch, (10, 10)).category.tolist() == [0, 1]


def test_keypoints_that_leave_are_not_annotated_and_those_under_the_disk_are_hidden():
    points = np.array([[[0.5, 0.5, 2.0], [5.5, 5.5, 2.0], [0.0, 0.0, 0.0]]])
    objects = objects_of(np.array([[0.0, 0.0, 9.0, 9.0]]), points)
    turned = objects.moved(Elements.of(Element(45)), (10, 10), "disk").keypoints[0]
    assert turned[:, 2].tolist() == [0, 2, 0] and turned[0].tolist() == turned[2].tolist() == [0, 0, 0]
    upright = objects.moved(Elements.of(Element()), (10, 10), "disk").keypoints[0]
    assert upright.tolist() == [[0.5, 0.5, 1.0], [5.5, 5.5, 2.0], [0.0, 0.0, 0.0]]
    assert objects.moved(Elements.of(Element()), (10, 10)).keypoints[0, 0].tolist() == [0.5, 0.5, 2.0]


def test_each_image_of_a_batch_moves_its_own_objects():
    objects = Objects.boxed(np.tile([1.0, 2.0, 3.0, 4.0], (3, 1)), image=np.array([0, 0, 2]))
    moved = objects.moved(Elements.of([Element(90), Element(), Element(0, True)]), (10, 10))
    assert moved.boxes.tolist() == [[2, 6, 4, 3], [2, 6, 4, 3], [6, 2, 3, 4]]
    chosen = moved.of_images(np.array([2, 1, 0, 2]))
    assert chosen.image.tolist() == [0, 2, 2, 3] and chosen.boxes[0].tolist() == [6, 2, 3, 4]
    joined = Objects.joined([chosen, moved], [4, 3])
    assert joined.image.tolist() == [0, 2, 2, 3, 4, 4, 6]


def test_a_schema_is_what_its_dictionary_says():
    schema = Schema(masks=True, void=3, categories=("cat",), keypoints=("nose", "tail"))
    assert Schema.from_dict(schema.to_dict()) == schema and schema.kinds == ("mask", "boxes", "keypoints")
