"""Detection datasets in YOLO's format: layouts, convention and damage."""

from pathlib import Path

import numpy as np
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.annotated import CATEGORIES, SIDE, painted, write_yolo
from tests.support.images import encoded, noise


def test_a_folder_with_images_and_labels(tmp_path: Path) -> None:
    write_yolo(tmp_path, ("train", "val"))
    source = open_source(str(tmp_path))
    assert source.splits == {"train": 6, "validation": 6} and source.classes == ("image",)
    assert source.annotation_schema.categories == CATEGORIES
    found = source.annotations("train", np.arange(6)).objects
    assert found.image.tolist() == [0, 2, 3, 4, 5] and found.category.tolist() == [0, 2, 0, 1, 2]
    assert np.allclose(found.boxes, np.delete(painted()[1], 1, axis=0), atol=1e-10)


def test_other_layouts(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    for kind in ("images", "labels"):
        (tmp_path / "train" / kind).parent.mkdir(exist_ok=True)
        (tmp_path / kind / "train").rename(tmp_path / "train" / kind)
        (tmp_path / kind).rmdir()
    assert open_source(str(tmp_path)).annotations("train", [0]).objects.image.tolist() == [0]
    flat = tmp_path / "flat"
    write_yolo(flat, data="names: {0: a, 1: b, 2: c}")
    for kind in ("images", "labels"):
        for path in (flat / kind / "train").iterdir():
            path.rename(flat / kind / path.name)
        (flat / kind / "train").rmdir()
    source = open_source(str(flat))
    assert source.splits == {"train": 6} and source.annotation_schema.categories == ("a", "b", "c")


@pytest.mark.parametrize(("shape", "row"), [("[2, 3]", "0.25 0.5 1 0 0 0"), ("[2, 2]", "0.25 0.5 0 0")])
def test_keypoints_are_shares_of_the_image(shape: str, row: str, tmp_path: Path) -> None:
    write_yolo(tmp_path, data=f"names: {list(CATEGORIES)}\nkpt_shape: {shape}\n")
    for path in (tmp_path / "labels" / "train").iterdir():
        path.write_text("")
    (tmp_path / "labels" / "train" / "000003.txt").write_text(f"2 0.5 0.5 0.5 0.25 {row}\n")
    found = open_source(str(tmp_path)).annotations("train", [3]).objects
    assert found.boxes.tolist() == [[SIDE / 4, SIDE * 3 / 8, SIDE / 2, SIDE / 4]]
    visible = 1 if shape == "[2, 3]" else 2
    assert found.keypoints.tolist() == [[[SIDE / 4, SIDE / 2, visible], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0.5 0.5 0.25", r"is '0 0.5 0.5 0.25', expected `class x y width height`, or a polygon"),
        ("0 0.5 0.5 nan 0.5", r"is '0 0.5 0.5 nan 0.5', expected `class"),
        ("cat 0.5 0.5 0.5 0.5", r"is 'cat 0.5 0.5 0.5 0.5', expected"),
        ("0 0.1 0.1 0.9 0.1 0.5", r"is .*, expected `class x y width height`, or a polygon `class x1 y1 x2 y2 x3"),
        ("0 0.1 0.1 0.9 0.1", r": box .* leaves its image"),
        ("0 0.1 0.1 0.9 0.1 1.5 0.5", r": box \(1.2, 1.2, 16.8, 4.8\) leaves its image"),
        ("0 0.1 0.1 0.9 0.1 0.5 0.1", r": box .* has no area"),
        ("3 0.5 0.5 0.5 0.5", r"has class 3, expected 0..2 as named in data.yaml"),
        ("-1 0.5 0.5 0.5 0.5", r"has class -1, expected 0..2"),
        ("0.5 0.5 0.5 0.5 0.5", r"has class 0.5, expected 0..2"),
        ("1 0.9 0.5 0.5 0.5", r": box \(7.8, 3, 6, 6\) leaves its image, images/train/000003.png of 12x12 pixels"),
        ("1 0.5 0.5 0 0.5", r": box \(6, 3, 0, 6\) has no area"),
    ],
)
def test_bad_rows_are_named(row: str, message: str, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "labels" / "train" / "000003.txt").write_text(f"0 0.5 0.5 0.5 0.5\n\n{row}\n")
    with pytest.raises(SourceError, match=rf"labels/train/000003.txt line 3 ?{message}"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("names: 3", "has names 3, expected the names of all classes"),
        ("names: {1: a, 3: b}", "has names .*, expected the names of all classes"),
        ("[", "data.yaml cannot be read"),
        ("names: [a, b, c]\nkpt_shape: [2]", r"has kpt_shape \[2\], expected \[K, 2\] or \[K, 3\]"),
        ("names: [a, b, c]\nkpt_shape: [2, 4]", r"has kpt_shape \[2, 4\]"),
    ],
)
def test_bad_data_is_named(data: str, message: str, tmp_path: Path) -> None:
    write_yolo(tmp_path, data=data)
    with pytest.raises(SourceError, match=message):
        open_source(str(tmp_path))


def test_a_text_file_needs_an_image_and_the_names_a_file(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "images" / "train" / "extra.png").write_bytes(encoded(noise(SIDE, SIDE, 3)))
    assert open_source(str(tmp_path)).splits == {"train": 7}
    (tmp_path / "labels" / "train" / "lost.txt").write_text("")
    with pytest.raises(SourceError, match=r"labels/train/lost.txt has no image of its name"):
        open_source(str(tmp_path))
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(SourceError, match=r"data.yaml is missing; it names the classes"):
        open_source(str(tmp_path))


def test_names_that_refer_to_themselves_are_refused_at_once(tmp_path: Path) -> None:
    """Written out, this list would not fit into any memory."""
    lines = ["a0: &a0 [x, x]", *(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 60)), "names: [*a59]"]
    write_yolo(tmp_path, data="\n".join(lines))
    with pytest.raises(SourceError, match=r"data.yaml has names .*, expected the names of all classes"):
        open_source(str(tmp_path))
