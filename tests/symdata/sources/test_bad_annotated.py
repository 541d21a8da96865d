"""Images that cannot be read are left out of annotated sources together with their masks and objects."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.store import load, make, verify
from tests.support.annotated import painted, write_coco, write_masks, write_yolo
from tests.support.images import encoded

BAD, REST = 2, np.array([0, 1, 3, 4, 5])


def _coco(root: Path) -> tuple[str, list[Path]]:
    write_coco(root, keypoints=True)
    return str(root), [root / "train" / f"{BAD:06d}.png"]


def _yolo(root: Path) -> tuple[str, list[Path]]:
    write_yolo(root)
    return str(root), [root / "images" / "train" / f"{BAD:06d}.png"]


def _masks(root: Path) -> tuple[str, list[Path]]:
    write_masks(root)
    return str(root), [root / "images" / f"{BAD}.png"]


def _table(root: Path) -> tuple[str, list[Path]]:
    images, boxes = painted()
    files = [root / f"{k}.png" for k in range(len(images))]
    root.mkdir()
    for file, image in zip(files, images, strict=True):
        file.write_bytes(encoded(image))
    objects = [{"bbox": [box], "category": [k % 3]} for k, box in enumerate(boxes.astype(float).tolist())]
    masks = [{"bytes": encoded(np.full((12, 12), k, np.uint8)), "path": None} for k in range(len(images))]
    names = [{"bytes": None, "path": file.name} for file in files]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(
        pa.table({"image": pa.array(names, kind), "mask": masks, "objects": objects}), root / "train.parquet"
    )
    return str(root / "train.parquet"), [files[BAD]]


KINDS = pytest.mark.parametrize("write", [_coco, _yolo, _masks, _table])
Write = Callable[[Path], tuple[str, list[Path]]]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


@KINDS
def test_annotations_follow_the_images_that_are_kept(write: Write, tmp_path: Path) -> None:
    ref, (bad,) = write(tmp_path / "s")
    whole = open_source(ref)
    images, expected = whole.read("train", REST), whole.annotations("train", REST)
    one_on = whole.annotations("train", np.arange(5))
    sizes = whole.stored_sizes("train")[REST]
    _cut(bad)
    with pytest.raises(SourceError, match="1 of 6 images cannot be used"):
        open_source(ref, check=True)
    some = open_source(ref, skip_bad=1)
    found = some.annotations("train", np.arange(5))
    assert some.splits == {"train": 5} and some.read("train", np.arange(5)).equal(images)
    assert np.array_equal(some.stored_sizes("train"), sizes)
    if expected.masks is not None:
        assert found.masks.equal(expected.masks) and not found.masks.equal(one_on.masks)
    if expected.objects is not None:
        for name in ("image", "boxes", "category", "area", "crowd", "keypoints"):
            assert np.array_equal(getattr(found.objects, name), getattr(expected.objects, name)), name
        assert not np.array_equal(found.objects.boxes, one_on.objects.boxes)


@KINDS
def test_a_dataset_of_the_rest_is_made_and_verified(write: Write, tmp_path: Path) -> None:
    ref, (bad,) = write(tmp_path / "s")
    _cut(bad)
    made = make(ref, tmp_path / "d", symmetry="c4", skip_bad=1)
    assert len(made.manifest["source"]["skipped"]) == 1 and len(load(made.folder).targets()) == 5
    assert verify(made.folder).passed


def test_a_size_that_a_later_entry_says_is_held_against_its_own_image(tmp_path: Path) -> None:
    ref, (bad,) = _coco(tmp_path / "s")
    _cut(bad)
    file = tmp_path / "s" / "instances_train.json"
    content = json.loads(file.read_text())
    content["images"][4]["width"] = 13
    file.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"train/000004.png is said to be 13x12 pixels and is 12x12"):
        open_source(ref, skip_bad=1)


def test_a_later_box_is_named_by_its_own_file_and_line(tmp_path: Path) -> None:
    ref, (bad,) = _yolo(tmp_path / "s")
    (tmp_path / "s" / "labels" / "train" / "000004.txt").write_text("0 0.5 0.5 3 3\n")
    with pytest.raises(SourceError, match=r"train/000004.txt line 1: box .* leaves its image, images/train/000004.png"):
        open_source(ref)
    _cut(bad)
    named = r"images/train/000004.png \(labels/train/000004.txt line 1: box \(-12, -12, 36, 36\) leaves its image\)"
    with pytest.raises(SourceError, match=rf"2 of 6 images cannot be used, .*{named}.*--skip-bad 2"):
        open_source(ref, skip_bad=1)


def test_a_later_mask_is_named_beside_its_own_image(tmp_path: Path) -> None:
    ref, (bad,) = _masks(tmp_path / "s")
    (tmp_path / "s" / "masks" / "4.png").write_bytes(encoded(np.zeros((5, 5), np.uint8)))
    named = r"mask masks/4.png is 5x5, its image images/4.png is 12x12"
    with pytest.raises(SourceError, match=f"{named}; replace or remove it"):
        open_source(ref)
    _cut(bad)
    with pytest.raises(SourceError, match=rf"2 of 6 images cannot be used, .*images/4.png \({named}\)"):
        open_source(ref, skip_bad=1)


def _spoil(root: Path) -> tuple[str, ...]:
    """Spoil four of six masks in four ways, and the image of one of them; returns what says so of each image."""
    (root / "masks" / "0.png").write_bytes(encoded(np.zeros((5, 5), np.uint8)))
    _cut(root / "images" / "0.png")
    (root / "masks" / "1.png").write_text("not an image")
    (root / "masks" / "3.png").unlink()
    (root / "masks" / "4.png").write_bytes(encoded(np.zeros((12, 12), np.uint16)))
    return "0.png (it is damaged", "1.png (mask masks/1.png cannot", "3.png (cannot read", "4.png (mask masks/4.png"


def test_every_bad_or_missing_mask_is_named_at_once(tmp_path: Path) -> None:
    write_masks(tmp_path / "s")
    whole = open_source(str(tmp_path / "s"), check=True)
    assert whole.fingerprint == open_source(str(tmp_path / "s")).fingerprint
    expected = whole.annotations("train", np.array([2, 5])).masks
    reasons = _spoil(tmp_path / "s")
    with pytest.raises(SourceError, match="4 of 6 images cannot be used: ") as caught:
        open_source(str(tmp_path / "s"), check=True)
    assert all(f"images/{reason}" in str(caught.value) for reason in reasons)
    some = open_source(str(tmp_path / "s"), skip_bad=4)
    assert list(some.omitted["skipped"]) == [f"images/{k}.png" for k in (0, 1, 3, 4)] and some.splits == {"train": 2}
    assert some.annotations("train", np.arange(2)).masks.equal(expected)
    made = make(str(tmp_path / "s"), tmp_path / "d", symmetry="c4", skip_bad=4)
    assert verify(made.folder).passed and "left out: images/3.png (cannot read" in str(made)


def test_the_size_of_an_image_that_is_left_out_for_its_mask_does_not_count(tmp_path: Path) -> None:
    write_masks(tmp_path / "s")
    (tmp_path / "s" / "images" / "4.png").write_bytes(encoded(np.zeros((5, 6), np.uint8)))
    with pytest.raises(SourceError, match="images of 2 sizes"):
        open_source(str(tmp_path / "s"))
    assert open_source(str(tmp_path / "s"), skip_bad=1).shape == (3, 12, 12)


def test_every_bad_box_and_keypoint_is_named_at_once(tmp_path: Path) -> None:
    root = tmp_path / "s"
    content = write_coco(root, keypoints=True)["train"]
    whole = open_source(str(root)).annotations("train", np.array([0, 2, 5])).objects
    entries = content["annotations"]
    entries[1]["bbox"][2], entries[3]["bbox"][0], entries[4]["keypoints"][:2] = 0, 40, [-9, 3]
    (root / "instances_train.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match="3 of 6 images cannot be used: ") as caught:
        open_source(str(root), check=True)
    for number, problem in ((2, "has no area"), (4, "leaves its image"), (5, "has keypoints outside its image")):
        assert f"train/{number - 1:06d}.png (instances_train.json, annotation {number}: box" in str(caught.value)
        assert problem in str(caught.value)
    found = open_source(str(root), skip_bad=3)
    objects = found.annotations("train", np.arange(3)).objects
    assert len(found.omitted["skipped"]) == 3
    for name in ("image", "boxes", "category", "area", "crowd", "keypoints"):
        assert np.array_equal(getattr(objects, name), getattr(whole, name)), name


def test_a_deep_mask_is_not_told_of_bits(tmp_path: Path) -> None:
    ref, _ = _masks(tmp_path / "s")
    (tmp_path / "s" / "masks" / "4.png").write_bytes(encoded(np.zeros((12, 12), np.uint16)))
    for options in ("", ",bits=16"):
        with pytest.raises(SourceError, match=r"mask masks/4.png cannot be used: it has 16 bits, .*save it in 8 bits"):
            open_source(ref + options)
