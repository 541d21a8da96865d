"""Columns beside image and label are kept, under names that do not clash."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from datasets import load_dataset

from symdata import load, make, verify
from tests.support.folders import table
from tests.support.tables import write_cells

N = 12


EXTRA = {
    "patient": [f"p{i // 3}" for i in range(N)],
    "age": pa.array([None if i == 4 else 20 + i for i in range(N)], pa.int16()),
    "score": [float("nan") if i == 2 else i / 7 for i in range(N)],
    "taken": [datetime.date(2020, 1, 1 + i) for i in range(N)],
    "site": pa.array(["a", "b"] * (N // 2)).dictionary_encode(),
    "centre": [[float(i), 2.0 * i] for i in range(N)],
    "angle": [1000 + i for i in range(N)],
    "notes": [[{"by": "x"}] for _ in range(N)],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("columns")
    write_cells(root / "cells.parquet", N, **EXTRA)
    return make(str(root / "cells.parquet"), root / "made", symmetry="c4", validation=0.25)


def test_values_and_types_are_those_of_the_source(made):
    for split in ("train", "validation"):
        found = table(made.folder, split)
        index = found["index"].to_pylist()
        for name in ("patient", "age", "taken", "centre"):
            own = pa.array(EXTRA[name])
            assert found.schema.field(name).type == own.type
            assert found[name].to_pylist() == own.take(index).to_pylist()
        assert found["site"].to_pylist() == EXTRA["site"].take(index).to_pylist()
        np.testing.assert_array_equal(load(made.folder, split).column("score"), np.array(EXTRA["score"])[index])


def test_a_name_of_ours_stays_ours_and_the_other_is_renamed(made):
    train = load(made.folder, "train")
    assert set(train.column("angle")) <= {0.0, 90.0, 180.0, 270.0}
    assert (train.column("source_angle") == 1000 + train.index).all()
    assert made.manifest["columns"]["kept"]["angle"] == "source_angle"


def test_what_is_left_out_is_named(made):
    assert list(made.manifest["columns"]["left_out"]) == ["notes"]
    card = (made.folder / "README.md").read_text()
    assert "`notes`" in card and "`source_angle`" in card
    assert "notes" not in table(made.folder, "train").column_names


def test_datasets_opens_the_folder(made, tmp_path):
    rows = load_dataset(str(made.folder), split="train", cache_dir=str(tmp_path))
    assert rows[0]["patient"] == EXTRA["patient"][rows[0]["index"]]


def test_the_dataset_is_verified_with_its_columns(made):
    assert verify(made.folder).passed


def test_a_changed_column_of_the_source_is_found(made, tmp_path):
    """The images are the same, so the fingerprint of parquet sources alone would not always say so."""
    other = write_cells(tmp_path / "cells.parquet", N, **EXTRA | {"patient": ["other"] * N})
    assert not verify(made.folder, source=str(other)).passed


def test_sources_without_more_columns_say_nothing(tmp_path):
    made = make(str(write_cells(tmp_path / "plain.parquet", N)), tmp_path / "made", symmetry="c4")
    assert "columns" not in made.manifest and "group_by" not in made.manifest["spec"]
    assert table(made.folder, "train").column_names == ["image", "label", "element", "angle", "flip", "index"]


def test_splits_with_different_columns_are_filled_with_null(tmp_path):
    write_cells(tmp_path / "train.parquet", N, patient=["a"] * N, both=pa.array(range(N), pa.int32()), x=[1] * N)
    write_cells(tmp_path / "test.parquet", 4, both=pa.array(range(4), pa.int64()), x=["text"] * 4)
    made = make(str(tmp_path), tmp_path.parent / "filled", symmetry="c4")
    assert table(made.folder, "test")["patient"].to_pylist() == [None] * 4
    assert table(made.folder, "train").schema.field("both").type == pa.int64()
    assert "differs" in made.manifest["columns"]["left_out"]["x"]


def test_a_dataset_of_ours_as_a_source_keeps_what_moved_it_first(made, tmp_path):
    again = make(str(made.folder), tmp_path / "again", symmetry="d4")
    first, second = load(made.folder, "train"), load(again.folder, "train")
    assert (second.column("source_element") == first.element_index[second.index]).all()
    assert (second.column("source_source_angle") == first.elements.angle[second.index]).all()
    assert (second.column("source_angle") == first.column("source_angle")[second.index]).all()


def test_pairs_keep_the_columns_of_both_images(tmp_path):
    class Numbered:
        """Digits of glyphs with a column more."""

        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            if name in ("inner", "with_counts"):
                raise AttributeError(name)
            return getattr(self.inner, name)

        def extra_columns(self, split):
            return pa.table({"number": np.arange(self.splits[split])})

    from symdata.recipes import plan as plans
    from symdata.recipes.spec import Spec
    from symdata.sources import open_source

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "open_source", lambda *_, **__: Numbered(open_source("glyphs:digits", size=8)))
        planned = plans.resolve(Spec(recipe="ddmnist-c4", count=20))
    made = make(planned, tmp_path / "pairs")
    found = table(made.folder, "train")
    assert found["number"].to_pylist() == found["index"].to_pylist()
    assert found["number_right"].to_pylist() == found["index_right"].to_pylist()
