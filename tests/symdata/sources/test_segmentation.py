"""Polygons and run-length masks of COCO as semantic masks, beside those of pycocotools, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.segmentation import painted
from symdata.store import load, make, verify
from symdata.transforms.action import act
from tests.support.annotated import SIDE, write_coco
from tests.support.images import encoded

KNOWN = {"size": [40, 30], "counts": "e2Q17TOJf06600[a0b1d^O\\3b3"}
"""Compressed by pycocotools: two rectangles with holes."""


def _polygon(box: list[float]) -> list[float]:
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def _segmented(root: Path, change: Any = lambda entries: None) -> Path:
    """A COCO dataset whose objects are the painted rectangles, as polygons and, every second one, as runs."""
    content = write_coco(root)["train"]
    for k, entry in enumerate(content["annotations"]):
        entry["segmentation"] = [_polygon(entry["bbox"])]
        if k % 2:
            inside = painted(entry["segmentation"], SIDE, SIDE).T.ravel()
            edges = np.flatnonzero(np.diff(inside, prepend=0, append=0))
            runs = np.diff([0, *edges.tolist(), inside.size])
            entry["segmentation"] = {"size": [SIDE, SIDE], "counts": runs.tolist()}
    change(content["annotations"])
    (root / "instances_train.json").write_text(json.dumps(content))
    return root


def test_semantic_masks_cover_the_painted_pixels_and_move_with_them(tmp_path: Path) -> None:
    root = _segmented(tmp_path / "s")
    source = open_source(f"{root},mask=semantic")
    masks, images = source.annotations("train", np.arange(6)).masks, source.read("train", np.arange(6))
    expected = (images.amax(1) > 0) * (torch.tensor([0, 1, 2, 0, 1, 2])[:, None, None] + 1)
    assert torch.equal(masks, expected.to(torch.uint8))
    made = make(f"{root},mask=semantic", tmp_path / "d", symmetry="d4", count=24, seed=2)
    dataset = load(made.folder)
    found = dataset.annotations()
    assert torch.equal(found.masks, act(masks[dataset.index][:, None], dataset.elements)[:, 0])
    assert not torch.equal(found.masks, masks[dataset.index]) and found.schema.kinds == ("mask", "boxes")
    assert verify(made.folder).passed
    plain = open_source(root)
    assert not plain.annotation_schema.masks and plain.fingerprint == source.fingerprint


def test_pixels_of_several_categories_are_void(tmp_path: Path) -> None:
    def second(entries: list[dict[str, Any]]) -> None:
        full, left = [[0, 0, SIDE, 0, SIDE, SIDE, 0, SIDE]], [[0, 0, 3, 0, 3, SIDE, 0, SIDE]]
        entries[0] |= {"segmentation": full, "category_id": 1}
        entries.append(entries[0] | {"id": 99, "segmentation": left, "category_id": 2})
        entries.append(entries[0] | {"id": 100, "segmentation": left, "category_id": 1})

    root = _segmented(tmp_path / "s", second)
    for void in (255, 0, 9):
        mask = open_source(f"{root},mask=semantic,void={void}").annotations("train", np.array([0])).masks[0]
        assert (mask[:, :3] == void).all() and (mask[:, 3:] == 1).all()
    with pytest.raises(
        SourceError, match=r"its 3 categories are 1..3 in masks, and void is 2; give void another number"
    ):
        open_source(f"{root},mask=semantic,void=2")


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        (None, "segmentation is None, expected polygons or runs"),
        ([], r"segmentation is \[\], expected polygons or runs"),
        ([[1, 2, 3, 4]], r"a polygon is \[1, 2, 3, 4\], expected x, y, x, y, ... of three points or more"),
        ([[1, 2, 3, 4, 5]], "a polygon is"),
        ([[1, 2, 3, 4, 5, "6"]], "a polygon is"),
        ([[1, 2, 3, 4, 5, float("nan")]], "a polygon is"),
        ([7], "a polygon is 7"),
        ({"size": [5, 5], "counts": [25]}, r"its runs are for size \[5, 5\], its image is 12x12"),
        ({"size": [12, 12], "counts": [100]}, r"its runs \[100\] do not add up to 144 pixels"),
        ({"size": [12, 12], "counts": [-6, 150]}, "do not add up"),
        ({"size": [12, 12], "counts": "%"}, "hold a character that no run has"),
        ({"size": [12, 12], "counts": "o" * 40}, "hold a number that is too large"),
        ({"size": [12, 12], "counts": KNOWN["counts"]}, "do not add up to 144"),
        ({"size": [12, 12]}, "its runs None do not add up"),
    ],
)
def test_segmentations_that_make_no_sense_are_named(segmentation: Any, said: str, tmp_path: Path) -> None:
    def spoil(entries: list[dict[str, Any]]) -> None:
        entries[1]["segmentation"] = entries[4]["segmentation"] = segmentation

    root = _segmented(tmp_path / "s", spoil)
    with pytest.raises(SourceError, match=f"instances_train.json, annotation 2: .*{said}.*; mend or remove it"):
        open_source(f"{root},mask=semantic")
    with pytest.raises(SourceError, match=r"2 of 6 images cannot be used: .*annotation 2: .*annotation 5: "):
        open_source(f"{root},mask=semantic", check=True)
    assert open_source(f"{root},mask=semantic", skip_bad=2).splits == {"train": 4}
    assert open_source(root).splits == {"train": 6}  # boxes alone do not need it


def test_instances_are_refused_in_a_sentence(tmp_path: Path) -> None:
    root = _segmented(tmp_path / "s")
    with pytest.raises(SourceError, match=r"mask=instance, expected mask=semantic; objects that overlap do not fit"):
        open_source(f"{root},mask=instance")
    with pytest.raises(SourceError, match=r"void= is for masks, and there are none; name them with ,mask=NAME"):
        open_source(f"{root},void=3")
    content = json.loads((root / "instances_train.json").read_text())
    for height in (None, "12", 10**9, -1):
        content["images"][0]["height"] = height
        (root / "instances_train.json").write_text(json.dumps(content))
        said = rf"'000000.png' has height {height!r} and width 12 in its file, and its mask needs those of the image"
        with pytest.raises(SourceError, match=said):
            open_source(f"{root},mask=semantic")


def test_a_pixel_is_inside_if_its_centre_is() -> None:
    triangle = painted([[0, 0, 6, 0, 0, 6]], 6, 6)
    y, x = np.mgrid[:6, :6] + 0.5
    assert np.array_equal(triangle, x + y < 6)
    ring = painted([[0, 0, 5, 0, 5, 5, 0, 5], [4, 4, 6, 4, 6, 6, 4, 6]], 6, 6)  # parts of an object are joined
    assert ring.sum() == 25 + 4 - 1
    assert not painted([[20, 20, 30, 20, 30, 30]], 6, 6).any()
    whole = painted([[-5, -5, 30, -5, 30, 30, -5, 30]], 6, 6)
    assert whole.all()


def test_compressed_runs_of_pycocotools() -> None:
    expected = np.zeros((40, 30), bool)
    expected[5:38, 2:6], expected[10, 3], expected[:, 20:27], expected[3:9, 22] = True, False, True, False
    assert np.array_equal(painted(KNOWN, 40, 30), expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_beside_those_of_pycocotools() -> None:
    mask = pytest.importorskip("pycocotools.mask")
    random, differ = np.random.default_rng(0), []
    for _ in range(50):
        pixels = np.asfortranarray(random.random((37, 53)) < random.uniform(0.02, 0.98))
        runs = mask.encode(pixels.astype(np.uint8))
        text = {"size": list(runs["size"]), "counts": runs["counts"].decode()}
        assert np.array_equal(painted(text, 37, 53), pixels)
        box = [*random.integers(0, 20, 2).tolist(), *random.integers(1, 17, 2).tolist()]
        theirs = mask.decode(mask.merge(mask.frPyObjects([_polygon(box)], 37, 53)))
        assert np.array_equal(painted([_polygon(box)], 37, 53), theirs)
        angles = np.sort(random.uniform(0, 2 * np.pi, 7))
        star = (18 + random.uniform(4, 16, (7, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)).ravel().tolist()
        theirs = mask.decode(mask.merge(mask.frPyObjects([star], 37, 53))).astype(bool)
        differ.append([(painted([star], 37, 53) != theirs).sum(), theirs.sum()])
    borders, area = np.array(differ).sum(0)
    assert borders < 0.03 * area  # they round corners to a fifth of a pixel; only pixels on the border differ


def _yolo_polygons(root: Path) -> np.ndarray:
    """A dataset in YOLO's format of triangles and squares of two categories; returns its masks."""
    random, masks = np.random.default_rng(3), []
    (root / "images" / "train").mkdir(parents=True)
    (root / "labels" / "train").mkdir(parents=True)
    (root / "data.yaml").write_text("names: [triangle, square]\n")
    for k in range(5):
        height, width = 20, 30
        x, y, side = random.integers(2, 10), random.integers(2, 8), random.integers(4, 10)
        far = side if k % 2 else side - 0.37  # no pixel's centre lies on an edge
        corners = [(x, y), (x + side, y), (x + side, y + far), (x, y + far)][: 3 + k % 2]
        mask = painted([[float(v) for corner in corners for v in corner]], height, width)
        image = np.where(mask[..., None], 200, 0).astype(np.uint8).repeat(3, 2)
        shares = " ".join(f"{a / width:.9f} {b / height:.9f}" for a, b in corners)
        (root / "images" / "train" / f"{k}.png").write_bytes(encoded(image))
        (root / "labels" / "train" / f"{k}.txt").write_text("" if k == 4 else f"{k % 2} {shares}\n")
        masks.append(mask * (0 if k == 4 else 1 + k % 2))
    return np.stack(masks)


def test_polygons_of_yolo_are_the_same_masks_and_move_with_their_images(tmp_path: Path) -> None:
    masks = _yolo_polygons(tmp_path / "y")
    source = open_source(f"{tmp_path / 'y'},mask=semantic")
    found = source.annotations("train", np.arange(5))
    assert found.schema.kinds == ("mask", "boxes") and np.array_equal(found.masks.numpy(), masks)
    y, x = np.nonzero(masks[1])
    assert np.allclose(found.objects.boxes[1], [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1], atol=1e-6)
    assert np.allclose(found.objects.area[1::2], (masks[[1, 3]] > 0).sum((1, 2)), atol=1e-6), "squares"
    assert np.allclose(found.objects.area[::2], found.objects.boxes[::2, 2:].prod(1) / 2, atol=1e-5), "triangles"
    made = make(f"{tmp_path / 'y'},mask=semantic", tmp_path / "d", symmetry="d2", count=20, seed=1)
    dataset = load(made.folder)
    assert torch.equal(dataset.annotations().masks, act(found.masks[dataset.index][:, None], dataset.elements)[:, 0])
    assert verify(made.folder).passed


def test_polygons_of_yolo_without_masks_are_boxes_and_boxes_are_no_masks(tmp_path: Path) -> None:
    _yolo_polygons(tmp_path / "y")
    plain = open_source(str(tmp_path / "y"))
    assert plain.annotation_schema.kinds == ("boxes",)
    assert plain.fingerprint == open_source(f"{tmp_path / 'y'},mask=semantic").fingerprint
    (tmp_path / "y" / "labels" / "train" / "2.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    assert len(open_source(str(tmp_path / "y")).annotations("train", np.array([2])).objects) == 1
    said = r"labels/train/2.txt line 1: segmentation is None, expected polygons or runs; mend or remove it"
    with pytest.raises(SourceError, match=said):
        open_source(f"{tmp_path / 'y'},mask=semantic")
    assert open_source(f"{tmp_path / 'y'},mask=semantic", skip_bad=1).splits == {"train": 4}
    with pytest.raises(SourceError, match="mask=instance, expected mask=semantic"):
        open_source(f"{tmp_path / 'y'},mask=instance")
