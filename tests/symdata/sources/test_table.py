"""Tables: parquet in its layouts, with and without features, and `datasets.save_to_disk` folders."""

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from symdata.errors import SourceError
from symdata.sources import open_source, parquet
from tests.support.images import encoded, noise

PIXELS = noise(40, 6, 6)
BLOBS = [encoded(image) for image in PIXELS]
FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["ant", "bee", "cow"]}}


def write_table(path: Path, *, features: dict[str, Any] | None = None, group: int = 7, **columns: Any) -> Path:
    """A parquet file; columns replace or add to `image` (a struct of bytes and path) and `label` (0, 1, 0, ...)."""
    rows: dict[str, Any] = {"image": [{"bytes": blob, "path": None} for blob in BLOBS], "label": np.arange(40) % 2}
    made = pa.table({name: values for name, values in (rows | columns).items() if values is not None})
    if features is not None:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=group)
    return path


def check(ref: str, split: str = "train") -> None:
    source = open_source(ref)
    order = np.random.default_rng(0).permutation(source.splits[split])
    assert np.array_equal(source.read(split, order).numpy()[:, 0], PIXELS[order])


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], {"train": 80}),
        (["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"], {"train": 40, "test": 40}),
        (["train/0000.parquet", "val/0000.parquet"], {"train": 40, "validation": 40}),
        (["holdout-40.parquet", "test.parquet"], {"test": 40, "holdout": 40}),
        (["birds.parquet"], {"train": 40}),
    ],
)
def test_layouts(names: list[str], splits: dict[str, int], tmp_path: Path) -> None:
    for name in names:
        write_table(tmp_path / name)
    source = open_source(str(tmp_path))
    assert (source.splits, list(source.splits)) == (splits, list(splits))
    assert source.classes == ("0", "1")


def test_one_file_is_a_source(tmp_path: Path) -> None:
    path = write_table(tmp_path / "test-40.parquet", features=FEATURES)
    source = open_source(str(path))
    assert (source.splits, source.name, source.classes) == ({"test": 40}, "test-40", ("ant", "bee", "cow"))
    check(str(path), "test")


def test_shards_of_a_split_are_read_in_order(tmp_path: Path) -> None:
    for shard in range(3):
        write_table(tmp_path / f"train-{shard:05}-of-00003.parquet", label=np.arange(40) % 2 + shard)
    source = open_source(str(tmp_path))
    assert source.labels("train").tolist() == [i % 2 + shard for shard in range(3) for i in range(40)]
    assert np.array_equal(source.read("train", np.array([119, 3, 41])).numpy()[:, 0], PIXELS[[39, 3, 1]])


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_bytes_are_images_too(kind: pa.DataType, tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", image=None, img=pa.array(BLOBS, kind), label=None, labels=["x", "a"] * 20)
    source = open_source(str(tmp_path))
    assert source.classes == ("a", "x")
    assert source.labels("train")[:3].tolist() == [1, 0, 1]
    check(str(tmp_path))


def test_paths_lead_to_files_beside_the_table(tmp_path: Path) -> None:
    for i, blob in enumerate(BLOBS):
        (tmp_path / f"{i}.png").write_bytes(blob)
    rows = [{"bytes": None, "path": f"{i}.png"} for i in range(40)]
    write_table(
        tmp_path / "train.parquet", image=pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    )
    check(str(tmp_path))
    (tmp_path / "3.png").unlink()
    with pytest.raises(SourceError, match=r"train.parquet row 3: it points at '3.png', which cannot be read"):
        open_source(str(tmp_path))


def test_a_column_of_text_holds_paths(tmp_path: Path) -> None:
    for i, blob in enumerate(BLOBS):
        (tmp_path / "d" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / "images" / f"{i}.png").write_bytes(blob)
    paths = [f"images/{i}.png" for i in range(40)]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        write_table(tmp_path / "d" / "train.parquet", image=pa.array(paths, kind), note=["x"] * 40)
        check(str(tmp_path / "d"))
    write_table(tmp_path / "d" / "train.parquet", image=None, scan=paths)
    with pytest.raises(SourceError, match=r"if the tables list these images, name the column .* with ,image=COLUMN"):
        open_source(str(tmp_path / "d"))
    check(f"{tmp_path / 'd'},image=scan")
    made = datasets.Dataset.from_dict({"image": [Path(path).name for path in paths], "label": [0, 1] * 20})
    datasets.disable_progress_bars()
    made.save_to_disk(str(tmp_path / "saved"))
    for path in (tmp_path / "d" / "images").iterdir():
        (tmp_path / "saved" / path.name).symlink_to(path)
    check(str(tmp_path / "saved"))
    before = open_source(f"{tmp_path / 'd'},image=scan").fingerprint
    (tmp_path / "d" / "images" / "3.png").write_bytes(BLOBS[4])
    assert open_source(f"{tmp_path / 'd'},image=scan").fingerprint != before, "the images are part of the source"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("gone.png", r"row 0: it points at 'gone.png', which cannot be read \(No such file"),
        ("https://example.org/a.png", r"row 0: it points at 'https://example.org/a.png', which cannot be read"),
        ("a\0b", r"row 0: it points at 'a\\x00b', which cannot be read \(embedded null"),
        ("x" * 3000, r"row 0: it points at 'x{200}\.\.\.', which cannot be read \(File name too long"),
    ],
)
def test_paths_that_lead_nowhere_are_named(path: str, sentence: str, tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", image=[path] * 40)
    with pytest.raises(SourceError, match=sentence):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([[0, 255]] * 40, r"is of type list.*; an image is an encoded file .* write its numbers as PNG bytes"),
        ([[[0.0], [1.0]]] * 40, r"is of type list.*list.*; .* write its numbers as PNG bytes"),
        ([BLOBS[:1]] * 40, r"is of type list.*binary.*one a row: write each image of the list to a row of its own"),
        ([["a.png", "b.png"]] * 40, r"is of type list.*string.*one a row: write each image of the list"),
        (
            pa.array([[1, 2]] * 40, pa.list_(pa.int32(), 2)),
            r"is of type fixed_size_list.*write its numbers as PNG bytes",
        ),
        ([7] * 40, r"is of type int64; an image is an encoded file .*: name another with ,image=COLUMN"),
        ([{"array": [1], "shape": [1]}] * 40, r"is of type struct.*: name another with ,image=COLUMN"),
    ],
)
def test_columns_that_hold_no_encoded_images_are_refused(column: Any, sentence: str, tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", pixels=column)
    with pytest.raises(SourceError, match=f"column 'pixels' {sentence}"):
        open_source(f"{tmp_path},image=pixels")


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = [{"bytes": blob, "path": None} for blob in BLOBS[::-1]]
    write_table(tmp_path / "train.parquet", mask=rows, coarse=["b", "a"] * 20)
    check(str(tmp_path))
    source = open_source(f"{tmp_path},image=mask,label=coarse")
    assert source.classes == ("a", "b")
    assert np.array_equal(source.read("train", np.arange(40)).numpy()[:, 0], PIXELS[::-1])
    with pytest.raises(
        SourceError, match=r"no column 'fine'; it has image .*, label \(int64\), mask .*, coarse \(string\)"
    ):
        open_source(f"{tmp_path},label=fine")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"label": None},
            r"the label column is missing: expected one called label or .*; the columns are image .*,label=",
        ),
        (
            {"image": None, "name": ["x"] * 40},
            r"the image column is missing: expected one called image or img; .* name",
        ),
        (
            {"image": None, "a": BLOBS, "b": BLOBS},
            r"the image column could be any of a, b; .* name it with ,image=COLUMN",
        ),
        ({"label": [1.5] * 40}, r"column 'label' is of type double; a label is one integer"),
        ({"label": [[1]] * 40}, r"column 'label' is of type list.*; a label is one integer"),
        ({"label": [0, None] * 20}, r"20 of 40 labels in split 'train' are missing \(null\); fill them or drop"),
        ({"label": [4] * 40}, r"holds one class only \('4'\)"),
        ({"image": [None, *BLOBS[1:]]}, r"train.parquet row 0: it holds no image \(null\)"),
        ({"image": BLOBS[:30] + [b"text"] * 10}, r"train.parquet row 30 cannot be used: it is not an image"),
        (
            {"image": [*BLOBS[:-1], encoded(noise(9, 9))]},
            r"2 sizes, such as 6x6 \(train.parquet row 0\) and 9x9 .*--size 6",
        ),
    ],
)
def test_bad_tables_are_refused(columns: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", **columns)
    with pytest.raises(SourceError, match=sentence):
        open_source(str(tmp_path))


def test_unlabelled_splits_are_named_with_the_way_round_them(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", features=FEATURES)
    write_table(tmp_path / "test.parquet", features=FEATURES, label=[-1] * 40)
    with pytest.raises(
        SourceError, match=r"40 of 40 images in split 'test' are unlabelled \(label -1, expected 0\.\.2\)"
    ) as caught:
        open_source(str(tmp_path))
    mend = str(caught.value).split("'")[-2]
    assert open_source(mend).splits == {"train": 40}


def test_splits_that_disagree_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", features=FEATURES)
    write_table(tmp_path / "test.parquet")
    with pytest.raises(
        SourceError,
        match=r"'train.parquet' \(.* classes ant, bee, cow\) and 'test.parquet' \(.* unnamed .* differ; .*splits=train",
    ):
        open_source(str(tmp_path))


def test_parquet_in_folders_that_are_no_splits_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "coarse" / "train.parquet")
    with pytest.raises(SourceError, match=r"parquet files in 'coarse', which is no split; name one of .*coarse"):
        open_source(str(tmp_path))
    check(str(tmp_path / "coarse"))


@pytest.mark.parametrize("keep", [0, 100, -300])
def test_damaged_parquet_is_refused(keep: int, tmp_path: Path) -> None:
    path = write_table(tmp_path / "train.parquet")
    path.write_bytes(path.read_bytes()[:keep] if keep else b"")
    with pytest.raises(
        SourceError, match=r"train.parquet' is not a readable parquet file \(.*\); fetch or write it again"
    ):
        open_source(str(tmp_path))


def test_each_row_group_is_read_once_and_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(tmp_path / "train.parquet", group=5)
    read: list[int] = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i, **kw: (read.append(i), original(self, i, **kw))[1]
    )
    monkeypatch.setattr(parquet, "CACHE_BYTES", 1000)
    store = parquet.ParquetStore(tmp_path, {"train": [path]}, "image")
    for start in range(0, 40, 4):
        assert store.fetch("train", np.arange(start, start + 4)) == BLOBS[start : start + 4]
    assert read == list(range(8))
    assert len(store._cache) < 8
    read.clear()
    order = np.random.default_rng(0).permutation(40)
    assert store.fetch("train", order) == [BLOBS[i] for i in order]
    assert sorted(read) == sorted(set(read))


def made_dataset(count: int = 40) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee"])})
    rows = {"image": [Image.open(io.BytesIO(blob)) for blob in BLOBS[:count]], "label": [i % 2 for i in range(count)]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_what_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    made = made_dataset()
    made.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": made, "validation": made.select([1, 0, 5])}).save_to_disk(str(tmp_path / "both"))
    source = open_source(str(tmp_path / "one"))
    assert (source.splits, source.classes, source.name) == ({"train": 40}, ("ant", "bee"), "one")
    check(str(tmp_path / "one"))
    both = open_source(str(tmp_path / "both"))
    assert both.splits == {"train": 40, "validation": 3}
    assert np.array_equal(both.read("validation", np.array([2, 0])).numpy()[:, 0], PIXELS[[5, 1]])
    assert both.labels("validation").tolist() == [1, 0, 1]
    assert torch.equal(both.read("validation", np.array([], np.int64)), torch.empty(0, 1, 6, 6, dtype=torch.uint8))


def test_a_damaged_save_to_disk_folder_is_refused(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    made_dataset().save_to_disk(str(tmp_path / "one"))
    for path in (tmp_path / "one").glob("*.arrow"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match=r"is not a readable `datasets.save_to_disk` folder \(.*\); save it again"):
        open_source(str(tmp_path / "one"))
