"""Objects in a column of a table, as the Hub's detection datasets have it."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.store import load, make
from tests.support.annotated import CATEGORIES, painted, write_coco
from tests.support.images import encoded

EVERY = np.arange(6)


def cells(**more: Any) -> list[dict[str, Any]]:
    return [{"bbox": [box], "category": [k % 3], **more} for k, box in enumerate(painted()[1].astype(float).tolist())]


def table(path: Path, objects: list[Any], **columns: Any) -> str:
    images = [{"bytes": encoded(image), "path": None} for image in painted()[0]]
    pq.write_table(pa.table({"image": images, "objects": objects, **columns}), path)
    return str(path)


def test_a_table_of_objects_needs_no_labels(tmp_path: Path) -> None:
    source = open_source(table(tmp_path / "t.parquet", cells()))
    found = source.annotations("train", EVERY).objects
    assert source.classes == ("image",) and source.annotation_schema.categories == ("0", "1", "2")
    assert np.array_equal(found.boxes, painted()[1]) and found.category.tolist() == [0, 1, 2, 0, 1, 2]
    assert np.array_equal(found.area, painted()[1][:, 2:].prod(1))


def test_beside_labels_the_column_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", cells(), label=["a", "b"] * 3)
    assert not hasattr(open_source(path), "annotation_schema")
    assert open_source(f"{path},objects=objects").annotations("train", [5]).objects.category.tolist() == [2]
    with pytest.raises(SourceError, match="column 'label' does not hold lists of bbox and category"):
        open_source(f"{path},objects=label")


def test_names_come_from_the_table_and_lists_of_structs_are_read(tmp_path: Path) -> None:
    objects = {
        "bbox": datasets.List(datasets.Value("float32"), length=4),
        "category": datasets.ClassLabel(names=CATEGORIES),
    }
    features = datasets.Features({"image": datasets.Image(), "objects": datasets.List(objects)})
    rows = [{"image": {"bytes": encoded(image)}, "objects": []} for image in painted()[0]]
    rows[2]["objects"] = [{"bbox": [1, 2, 3, 4], "category": 1}, {"bbox": [0, 0, 1, 1], "category": 0}]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(tmp_path / "saved")
    source = open_source(str(tmp_path / "saved"))
    found = source.annotations("train", EVERY).objects
    assert source.annotation_schema.categories == CATEGORIES
    assert found.image.tolist() == [2, 2] and found.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 1, 1]]


def test_categories_may_be_texts(tmp_path: Path) -> None:
    words = [{**cell, "category": [("dog", "cat")[k % 2]]} for k, cell in enumerate(cells())]
    source = open_source(table(tmp_path / "t.parquet", words))
    assert source.annotation_schema.categories == ("cat", "dog")
    assert source.annotations("train", EVERY).objects.category.tolist() == [1, 0] * 3


def test_a_dataset_of_ours_is_a_source(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", keypoints=True)
    one = load(make(str(tmp_path / "coco"), tmp_path / "one", symmetry="c4", seed=1).folder)
    two = load(make(f"{tmp_path / 'one'},objects=objects", tmp_path / "two", symmetry="none").folder)
    assert two.rows(EVERY)[3]["objects"] == one.rows(EVERY)[3]["objects"] and two.annotated.categories == CATEGORIES


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bbox": [[1.0, 2.0, 3.0]]}, r"a box is \[1.0, 2.0, 3.0\], expected x, y, width and height"),
        ({"bbox": [[1.0, 2.0, 3.0, float("nan")]]}, r"box \(1, 2, 3, nan\) is not four finite numbers"),
        ({"bbox": [[1.0, 2.0, 30.0, 4.0]]}, r"box \(1, 2, 30, 4\) leaves its image"),
        ({"bbox": None}, r"it has 0 boxes and 1 values of category"),
        ({"category": [0, 1]}, r"it has 1 boxes and 2 values of category"),
        ({"category": [-1]}, r"a category is -1, expected 0 or more"),
        ({"category": [None]}, r"a category is None, expected a number or a text"),
    ],
)
def test_bad_rows_are_named(change: dict[str, Any], problem: str, tmp_path: Path) -> None:
    objects = cells()
    objects[4] |= change
    with pytest.raises(SourceError, match=rf"t.parquet row 4: {problem}"):
        open_source(table(tmp_path / "t.parquet", objects))
