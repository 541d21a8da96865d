"""Detection datasets in COCO's format: layouts, convention, resizing and damage."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.annotated import CATEGORIES, SIDE, painted, write_coco
from tests.support.images import encoded, noise, write_folder

EVERY = np.arange(6)


def test_a_folder_with_instances(tmp_path: Path) -> None:
    content = write_coco(tmp_path, ("train", "val2017"))["train"]
    source = open_source(str(tmp_path))
    assert source.splits == {"train": 6, "validation": 6} and source.shape == (3, SIDE, SIDE)
    assert source.classes == ("image",) and source.labels("train").tolist() == [0] * 6
    assert source.annotation_schema.categories == CATEGORIES
    found = source.annotations("train", EVERY).objects
    assert found.boxes.tolist() == [entry["bbox"] for entry in content["annotations"]]
    assert found.category.tolist() == [0, 1, 2, 0, 1, 2] and found.crowd.tolist() == [k == 2 for k in range(6)]
    assert found.area.tolist() == [entry["area"] for entry in content["annotations"]]


@pytest.mark.parametrize("layout", ["annotations", "alone", "beside", "images", "file"])
def test_where_files_may_lie(layout: str, tmp_path: Path) -> None:
    write_coco(tmp_path)
    instances, place = tmp_path / "instances_train.json", tmp_path
    if layout == "annotations":
        (tmp_path / "annotations").mkdir()
        instances.rename(tmp_path / "annotations" / "instances_train2017.json")
        (tmp_path / "train").rename(tmp_path / "train2017")
    elif layout == "alone":
        instances.rename(tmp_path / "annotations.json")
    elif layout == "beside":
        instances.rename(tmp_path / "train" / "_annotations.coco.json")
    elif layout == "images":
        (tmp_path / "train").rename(tmp_path / "images")
    else:
        place = instances
    source = open_source(str(place))
    assert source.splits == {"train": 6}
    assert np.array_equal(source.read("train", EVERY).numpy().transpose(0, 2, 3, 1), painted()[0])


def test_keypoints_are_half_a_pixel_further(tmp_path: Path) -> None:
    write_coco(tmp_path, keypoints=True)
    source = open_source(str(tmp_path))
    found = source.annotations("train", EVERY).objects
    assert source.annotation_schema.keypoints == ("corner", "none")
    assert np.array_equal(found.keypoints[:, 0, :2], painted()[1][:, :2] + 0.5)  # the centre of the red pixel
    assert found.keypoints[:, 1].tolist() == [[0, 0, 0]] * 6


def test_objects_are_resized_with_their_images(tmp_path: Path) -> None:
    write_coco(tmp_path, size=(8, 12), keypoints=True)
    plain = open_source(str(tmp_path)).annotations("train", EVERY).objects
    squashed = open_source(str(tmp_path), size=24).annotations("train", [3, 3, 0])
    assert squashed.objects.boxes.tolist() == (plain.boxes[[3, 3, 0]] * [2, 3, 2, 3]).tolist()
    assert squashed.objects.keypoints[:, 0].tolist() == (plain.keypoints[[3, 3, 0], 0] * [2, 3, 1]).tolist()
    assert squashed.objects.keypoints[:, 1].tolist() == [[0, 0, 0]] * 3
    assert squashed.objects.area.tolist() == (plain.area[[3, 3, 0]] * 6).tolist() and squashed.size == (24, 24)
    padded = open_source(str(tmp_path), size=16, resize="pad").annotations("train", EVERY).objects
    assert padded.boxes.tolist() == np.add(plain.boxes, [2, 4, 0, 0]).tolist()
    assert padded.area.tolist() == plain.area.tolist()


def test_rounding_beyond_the_border_is_cut_off(tmp_path: Path) -> None:
    content = write_coco(tmp_path)["train"]
    content["annotations"][0]["bbox"] = [-0.25, 3, 4, SIDE - 2.5]
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    box = open_source(str(tmp_path)).annotations("train", [0]).objects.boxes[0]
    assert box.tolist() == [0, 3, 3.75, SIDE - 3]


def _set(key: str, value: Any, entry: str = "annotations") -> Any:
    def change(content: dict[str, Any]) -> None:
        content[entry][4][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("bbox", [1, 2, float("nan"), 4]), r"annotation 5: bbox is \[1, 2, nan, 4\], expected 4 finite numbers"),
        (_set("bbox", [1, 2, 4]), r"annotation 5: bbox is \[1, 2, 4\], expected 4 finite numbers"),
        (_set("bbox", [1, 2, 3, 10**400]), r"annotation 5: bbox is \[1, 2, 3, 1000"),
        (_set("file_name", "x" * 999, "images"), r"no file 'xxx"),
        (_set("file_name", "\ud800\0", "images"), r"no file '.*' in"),
        (lambda content: content["categories"][1].update(keypoints=5), r"category 2 has keypoints 5, expected a list"),
        (lambda content: content["categories"][1].update(name=7), r"category 2 has name 7, expected a text"),
        (_set("bbox", None), r"annotation 5: bbox is None"),
        (_set("bbox", [1, 2, 0, 4]), r"annotation 5: box \(1, 2, 0, 4\) has no area, train/000004.png of 12x12 pixels"),
        (_set("bbox", [1, 2, 40, 4]), r"annotation 5: box \(1, 2, 40, 4\) leaves its image, train/000004.png of 12x12"),
        (_set("bbox", [-0.9, 2, 0.5, 4]), r"annotation 5: box \(-0.9, 2, 0.5, 4\) has no area"),
        (_set("category_id", 9), r"annotation 5 has category_id 9, which no entry of the file has"),
        (_set("category_id", [9]), r"annotation 5 has category_id \[9\], which no entry"),
        (_set("image_id", 77), r"annotation 5 has image_id 77, which no entry of the file has"),
        (_set("iscrowd", 2), r"annotation 5 has iscrowd 2, expected 0 or 1"),
        (_set("area", "big"), r"annotation 5: area is \['big'\], expected 1 finite numbers"),
        (_set("id", 2, "images"), r"two entries are image 2"),
        (_set("id", None, "images"), r"image number 4 has id None, expected a whole number"),
        (_set("file_name", "gone.png", "images"), r"no file 'gone.png' in .*; add it or remove its entry"),
        (_set("file_name", "../x.png", "images"), r"file_name '../x.png' leaves the folder"),
        (_set("file_name", 3, "images"), r"image 5 has file_name 3, expected a text"),
        (_set("width", 14, "images"), r"train/000004.png is said to be 14x12 pixels and is 12x12"),
        (lambda content: content.pop("categories"), r"it has no list 'categories'"),
        (lambda content: content.update(categories=[]), r"it has no categories"),
    ],
)
def test_bad_entries_are_named(change: Any, message: str, tmp_path: Path) -> None:
    content = write_coco(tmp_path)["train"]
    change(content)
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"instances_train.json[:,] {message}"):
        open_source(str(tmp_path))


def test_files_that_are_no_json_or_disagree(tmp_path: Path) -> None:
    write_coco(tmp_path, ("train", "val"))
    other = json.loads((tmp_path / "instances_val.json").read_text())
    other["categories"].pop()
    other["annotations"] = []
    (tmp_path / "instances_val.json").write_text(json.dumps(other))
    with pytest.raises(SourceError, match="have different categories"):
        open_source(str(tmp_path))
    assert open_source(f"{tmp_path},splits=train").splits == {"train": 6}
    (tmp_path / "instances_train2.json").write_text("{}")
    with pytest.raises(SourceError, match="both name split 'train'; open one of them by its own path"):
        open_source(str(tmp_path))
    (tmp_path / "instances_train2.json").unlink()
    for text in ("{", "[" * 100_000):
        (tmp_path / "instances_train.json").write_text(text)
        with pytest.raises(SourceError, match=r"'instances_train.json' is not readable JSON"):
            open_source(str(tmp_path))


def test_another_json_file_beside_class_folders_changes_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "annotations.json").write_text('{"author": "me"}')
    assert open_source(str(tmp_path)).classes == ("cat", "dog")


def test_images_without_objects_are_kept(tmp_path: Path) -> None:
    content = write_coco(tmp_path)["train"]
    content["annotations"] = content["annotations"][:1]
    (tmp_path / "train" / "empty.png").write_bytes(encoded(noise(SIDE, SIDE, 3)))
    content["images"].append({"id": "new", "file_name": "empty.png"})
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    found = open_source(str(tmp_path)).annotations("train", np.arange(7))
    assert found.count == 7 and found.objects.image.tolist() == [0]


def test_a_source_travels_to_worker_processes(tmp_path: Path) -> None:
    write_coco(tmp_path)
    source = open_source(str(tmp_path))
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.annotations("train", [3]).objects.boxes, source.annotations("train", [3]).objects.boxes)


def test_the_fingerprint_covers_images_and_boxes(tmp_path: Path) -> None:
    content = write_coco(tmp_path)["train"]
    before = open_source(str(tmp_path)).fingerprint
    assert open_source(str(tmp_path)).fingerprint == before
    content["annotations"][0]["area"] += 1
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    second = open_source(str(tmp_path)).fingerprint
    (tmp_path / "train" / "000000.png").write_bytes(encoded(noise(SIDE, SIDE, 3)))
    assert len({before, second, open_source(str(tmp_path)).fingerprint}) == 3


def test_two_categories_of_one_name_are_refused(tmp_path: Path) -> None:
    content = write_coco(tmp_path)["train"]
    content["categories"][1]["name"] = "cat"
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match="two categories are called 'cat'; give each a name of its own"):
        open_source(str(tmp_path))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    write_coco(tmp_path)
    os.mkfifo(tmp_path / "instances_val.json")
    assert open_source(str(tmp_path)).splits == {"train": 6}
