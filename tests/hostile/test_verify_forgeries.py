"""`verify` against forgeries: the shards were changed, and the hashes in the manifest with them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symdata.recipes.plan import DatasetPlan
from symdata.sources.files import sha256
from symdata.store import verify
from symdata.store.png import encode_pngs
from tests.support.folders import build, change, failures, rewrite
from tests.support.images import noise

pytest_plugins = ["tests.support.tampering"]

SHARD = "train-00001-of-00002.parquet"


def test_images_that_were_changed_are_found(folder):
    table = pq.read_table(folder / SHARD)
    images = [{"bytes": file, "path": None} for file in encode_pngs(noise(len(table), 1, 12, 12))]
    column = pa.array(images, table.schema.field("image").type)
    rewrite(folder, SHARD, table.set_column(0, table.schema.field("image"), column))
    (failed,) = failures(folder, samples=20)
    assert failed.name == "train"
    assert "of 20 rows are not what the source gives, the first is row 1" in failed.detail


def test_images_of_another_size_are_found(folder):
    table = pq.read_table(folder / SHARD)
    images = [{"bytes": file, "path": None} for file in encode_pngs(noise(len(table), 1, 12, 13))]
    column = pa.array(images, table.schema.field("image").type)
    rewrite(folder, SHARD, table.set_column(0, table.schema.field("image"), column))
    (failed,) = failures(folder)
    assert "is (12, 13), its manifest says (12, 12); build the dataset again" in failed.detail


def test_images_that_are_none_are_found(folder):
    table = pq.read_table(folder / SHARD)
    column = pa.array([{"bytes": b"hello", "path": None}] * len(table), table.schema.field("image").type)
    rewrite(folder, SHARD, table.set_column(0, table.schema.field("image"), column))
    (failed,) = failures(folder)
    assert failed.name == "train"


@pytest.mark.parametrize("column", ["label", "element", "angle", "flip", "index"])
def test_columns_that_were_changed_are_found(folder, column):
    table = pq.read_table(folder / SHARD)
    field = table.schema.field(column)
    values = table[column].to_numpy()
    other = ~values if column == "flip" else (values + 1).astype(values.dtype)
    rewrite(folder, SHARD, table.set_column(table.column_names.index(column), field, pa.array(other, field.type)))
    (failed,) = failures(folder, samples=20)
    assert failed.name == "train" and "rows are not what the source gives" in failed.detail


@pytest.mark.parametrize("column", ["element_right", "angle_right", "index_right"])
def test_the_right_half_of_a_pair_is_looked_at_too(tmp_path, column):
    folder = build(tmp_path / "d", recipe="ddmnist-d4", source="glyphs:digits", count=100).folder
    file = "train-00000-of-00001.parquet"
    table = pq.read_table(folder / file)
    field = table.schema.field(column)
    other = pa.array((table[column].to_numpy() + 1).astype(field.type.to_pandas_dtype()), field.type)
    rewrite(folder, file, table.set_column(table.column_names.index(column), field, other))
    (failed,) = failures(folder, samples=5)
    assert failed.name == "train"


def test_rows_that_were_taken_out_are_found(folder):
    rewrite(folder, SHARD, pq.read_table(folder / SHARD).slice(0, 100))
    (failed,) = failures(folder)
    assert failed.detail.startswith("100 rows, the manifest says 150")


def test_columns_that_were_taken_out_are_found(folder):
    rewrite(folder, SHARD, pq.read_table(folder / SHARD).drop_columns("index"))
    (failed,) = failures(folder)
    assert failed.name == "train" and "shards of split 'train' in" in failed.detail


def test_a_shard_that_is_no_parquet_file(folder):
    (folder / SHARD).write_text("hello")
    change(folder, "splits", "train", "shards", 1, "sha256", to=sha256(folder / SHARD))
    (failed,) = failures(folder)
    assert failed.name == SHARD and failed.detail.startswith("not a parquet file (")


def test_a_pixel_that_is_off_by_one_is_a_failure_only_where_pixels_are_permuted(tmp_path, monkeypatch):
    """Another processor rounds a resampled pixel otherwise; it does not permute otherwise."""
    exact = build(tmp_path / "exact", symmetry="d4", count=50).folder
    warped = build(tmp_path / "warped", symmetry="so2", count=50).folder
    batch = DatasetPlan.batch

    def off_by(levels):
        def other(self, *arguments):
            made = batch(self, *arguments)
            made.images[..., 14, 14] = (made.images[..., 14, 14].int() ^ levels).byte()
            return made

        return other

    monkeypatch.setattr(DatasetPlan, "batch", off_by(1))
    assert failures(exact) and not failures(warped)
    assert "off by one gray level, as from another device" in verify(warped).checks[-1].detail
    monkeypatch.setattr(DatasetPlan, "batch", off_by(2))
    assert failures(exact) and failures(warped)


def test_another_seed_looks_at_other_rows(folder):
    """One row in 300 was changed: a sample of 64 finds it for some seeds, and all rows find it always."""
    table = pq.read_table(folder / SHARD)
    label = table["label"].to_numpy().copy()
    label[17] = (label[17] + 1) % 16
    rewrite(folder, SHARD, table.set_column(1, table.schema.field("label"), pa.array(label, pa.int64())))
    found = [bool(failures(folder, samples=64, seed=seed)) for seed in range(4)]
    assert len(set(found)) == 2
    (failed,) = failures(folder, samples=1000)
    assert "1 of 300 rows are not what the source gives, the first is row 167" in failed.detail


def test_samples_are_spread_over_the_split(whole, monkeypatch):
    rows: list[int] = []
    monkeypatch.setattr(
        "symdata.store.verification._differences", lambda dataset, plan, some: rows.extend(some) or np.zeros(len(some))
    )
    verify(whole, samples=40)
    train = np.array(rows[:40])
    assert len(set(train.tolist())) == 40 and train.min() < 60 and train.max() > 240
