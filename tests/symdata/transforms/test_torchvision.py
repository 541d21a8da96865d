"""`RandomSymmetry` and `act` on the tv_tensors of torchvision, and in its pipelines."""

import importlib.util

import pytest
import torch

from symdata import Element, Group, RandomSymmetry, act
from symdata.errors import ShapeError


def _loads():
    """torchvision is built for one version of torch and does not load beside another."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        import torchvision.transforms.v2  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


if not _loads():
    pytest.skip("torchvision is not installed, or not for this version of torch", allow_module_level=True)

from torchvision import tv_tensors  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

N = 12
BOX = (2.0, 1.0, 7.0, 3.0)
"""Half-open: columns 2 to 6, rows 1 to 2."""


def image():
    return tv_tensors.Image(torch.randint(0, 255, (3, N, N), dtype=torch.uint8))


def boxes(form, dtype=torch.float32):
    corners = tv_tensors.BoundingBoxes(torch.tensor([BOX, BOX]).to(dtype), format="XYXY", canvas_size=(N, N))
    return v2.functional.convert_bounding_box_format(corners, new_format=tv_tensors.BoundingBoxFormat[form])


def painted(found):
    """Ones on the pixels of the first box."""
    corners = v2.functional.convert_bounding_box_format(found, new_format=tv_tensors.BoundingBoxFormat.XYXY)
    left, top, right, bottom = map(int, corners[0].tolist())
    plane = torch.zeros(1, N, N, dtype=torch.uint8)
    plane[:, top:bottom, left:right] = 1
    return plane


@pytest.mark.parametrize("form", ["XYXY", "XYWH", "CXCYWH"])
def test_the_parts_of_a_sample_move_together(form):
    augment = RandomSymmetry("d4")
    given = {
        "image": image(),
        "mask": tv_tensors.Mask(painted(boxes("XYXY"))),
        "boxes": boxes(form),
        "points": tv_tensors.KeyPoints(torch.tensor([[2.0, 1.0]]), canvas_size=(N, N)),
        "labels": torch.tensor([1, 2]),
    }
    seen = set()
    for _ in range(40):
        moved = augment(given)
        element = augment.elements.one(0)
        seen.add(str(element))
        for name in given:
            assert type(moved[name]) is type(given[name])
        assert moved["image"].equal(act(given["image"], element)) and moved["image"].dtype == torch.uint8
        assert moved["mask"].equal(act(given["mask"], element))
        assert moved["boxes"].format == given["boxes"].format and moved["boxes"].canvas_size == (N, N)
        assert painted(moved["boxes"]).equal(moved["mask"].as_subclass(torch.Tensor))
        x, y = moved["points"][0].int().tolist()
        spot = torch.zeros(1, 1, N, N)
        spot[..., 1, 2] = 1
        assert act(spot, element)[0, 0, y, x] == 1
        assert moved["labels"] is given["labels"]
        back = augment.inverse(moved)
        assert all(back[name].equal(given[name]) for name in given)
    assert len(seen) > 5


def test_mirrors_are_those_of_torchvision():
    points = tv_tensors.KeyPoints(torch.tensor([[2.0, 1.0], [0.0, 11.0]]), canvas_size=(N, N))
    sample = (image(), boxes("XYWH"), points, tv_tensors.Mask(painted(boxes("XYXY"))))
    ours = RandomSymmetry("d4")
    for element, theirs in (
        (Element(flip=True), v2.RandomHorizontalFlip(1.0)),
        (Element(180, True), v2.RandomVerticalFlip(1.0)),
    ):
        expected = theirs(*sample)
        params = ours.forward_parameters((1, 3, N, N))
        params |= {"angle": torch.tensor([element.angle]).double(), "flip": torch.tensor([element.flip])}
        for one, other in zip(ours(*sample, params=params), expected, strict=True):
            assert type(one) is type(other) and one.equal(other)


def test_in_a_pipeline_of_torchvision():
    pipeline = v2.Compose([v2.ToImage(), RandomSymmetry("d4"), v2.ToDtype(torch.float32, scale=True)])
    pil = v2.functional.to_pil_image(image())
    assert pipeline(pil).shape == (3, N, N)
    before = v2.Compose([RandomSymmetry("d4"), v2.PILToTensor()])
    assert before(pil).dtype == torch.uint8
    moved, target = v2.Compose([v2.ToImage(), RandomSymmetry("so2"), v2.RandomCrop(8)])(pil, {"boxes": boxes("XYXY")})
    assert moved.shape == (3, 8, 8) and target["boxes"].shape == (2, 4)


def test_other_angles():
    augment = RandomSymmetry("c8@45..45")
    mask = tv_tensors.Mask(torch.randint(1, 4, (2, N, N), dtype=torch.uint8) * 10)
    edge = tv_tensors.BoundingBoxes(torch.tensor([[0, 0, N, 2]]), format="XYXY", canvas_size=(N, N))
    moved, labels, found = augment(image(), mask, edge)
    assert set(labels.unique().tolist()) <= {0, 10, 20, 30}
    assert found.dtype == torch.int64 and found.min() >= 0 and found.max() <= N
    assert labels.equal(act(mask, Element(45))) and moved.dtype == torch.uint8 and type(moved) is tv_tensors.Image


def test_the_frames_of_a_film_move_together():
    film = tv_tensors.Video(torch.randint(0, 255, (5, 3, N, N), dtype=torch.uint8))
    moved = RandomSymmetry("c4@90..90")(film)
    assert type(moved) is tv_tensors.Video and moved.equal(torch.rot90(film.as_subclass(torch.Tensor), 1, (-2, -1)))
    floats = tv_tensors.Image(torch.rand(3, N, N))
    assert type(RandomSymmetry("d4")(floats)) is tv_tensors.Image


def test_refusals():
    augment = RandomSymmetry("d4")
    turned = tv_tensors.BoundingBoxes(torch.rand(1, 5), format="XYWHR", canvas_size=(N, N))
    with pytest.raises(ShapeError, match="boxes are XYWHR, expected XYXY, XYWH or CXCYWH"):
        augment(image(), turned)
    with pytest.raises(ShapeError, match=r"a sample holds sizes \(12, 12\) and \(20, 12\)"):
        augment(image(), tv_tensors.BoundingBoxes(torch.rand(1, 4), format="XYXY", canvas_size=(20, N)))
    with pytest.raises(ShapeError, match="BoundingBoxes are no image; use act_boxes"):
        act(boxes("XYXY"), Group.parse("d4").elements[1])
