"""The bytes of a dataset depend on its spec alone: not on batches, workers or shards."""

import pyarrow.parquet as pq
import pytest

from tests.support import processes
from tests.support.folders import build, contents, rows
from tests.support.images import write_folder

quick_workers = processes.quick_workers

LAYOUTS = {
    "lattice": {"symmetry": "d4-partial", "count": 900},
    "resampled": {"symmetry": "c8", "count": 900},
    "continuous": {"symmetry": "o2-partial@0.3", "count": 300},
    "pairs": {"recipe": "ddmnist-so2", "source": "glyphs:digits", "count": 200},
    "quadrants": {"recipe": "quadrant", "source": "glyphs:digits", "symmetry": "c4", "count": 300},
    "poses": {"recipe": "mnist678-180", "source": "glyphs:digits", "count": 300},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_batch_size_changes_no_byte(name, tmp_path):
    whole = contents(build(tmp_path / "whole", **LAYOUTS[name]).folder)
    for size in (17, 512):
        made = build(tmp_path / str(size), run={"batch_size": size}, **LAYOUTS[name])
        assert contents(made.folder) == whole


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_number_of_shards_changes_no_row(name, tmp_path):
    one = build(tmp_path / "one", run={"num_shards": 1}, **LAYOUTS[name])
    four = build(tmp_path / "four", run={"num_shards": 4}, **LAYOUTS[name])
    assert len(list(four.folder.glob("train-*.parquet"))) == 4
    assert rows(one.folder) == rows(four.folder)


@pytest.mark.parametrize(
    "name", ["resampled", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lattice", "pairs"))]
)
def test_the_number_of_workers_changes_no_byte(name, tmp_path, request):
    if name != "resampled":  # whose workers begin as a user's do
        request.getfixturevalue("quick_workers")
    fields = {**LAYOUTS[name], "count": 300}
    alone = build(tmp_path / "alone", run={"num_shards": 4, "batch_size": 17}, **fields)
    two = build(tmp_path / "two", run={"num_shards": 4, "workers": 2, "batch_size": 512}, **fields)
    assert contents(alone.folder) == contents(two.folder)


@pytest.mark.usefixtures("quick_workers")
def test_workers_read_sources_of_every_kind(tmp_path):
    """The source travels to the workers, whatever holds its images."""
    pets = write_folder(tmp_path / "pets", per_class=40)
    alone = build(tmp_path / "alone", source=str(pets), symmetry="so2")
    two = build(tmp_path / "two", source=str(pets), symmetry="so2", run={"workers": 2})
    assert contents(alone.folder) == contents(two.folder)


def test_more_shards_than_samples_are_as_many_as_samples(tmp_path):
    made = build(tmp_path / "d", symmetry="d4", count=6, run={"num_shards": 50})
    assert [len(entry["shards"]) for entry in made.manifest["splits"].values()] == [6, 1, 1]


def test_shards_are_cut_by_size_if_not_told(tmp_path, monkeypatch):
    monkeypatch.setattr("symdata.store.shards.SHARD_BYTES", 100 * 28 * 28)
    made = build(tmp_path / "d", symmetry="d4", count=350)
    assert [len(entry["shards"]) for entry in made.manifest["splits"].values()] == [4, 1, 1]


def test_large_images_make_small_row_groups(tmp_path):
    write_folder(tmp_path / "s", per_class=35, side=260)
    made = build(tmp_path / "d", source=str(tmp_path / "s"), symmetry="d4")
    metadata = pq.read_metadata(made.folder / "train-00000-of-00001.parquet")
    assert metadata.num_row_groups == 2 and metadata.row_group(0).num_rows == 64
