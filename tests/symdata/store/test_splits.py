"""Test splits that are held out, groups that stay together, and images that repeat: on disk, on screen, in the card."""

import numpy as np
import pytest

from symdata import load, make, verify
from symdata.errors import RecipeError
from tests.support.tables import write_cells

N = 40
PATIENTS = {"patient": [f"p{i // 4}" for i in range(N)]}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return str(write_cells(tmp_path_factory.mktemp("cells") / "cells.parquet", N, **PATIENTS))


def column(made, split, name):
    return set(load(made.folder, split).column(name).tolist())


def test_a_test_split_is_held_out_by_source_image(cells, tmp_path):
    made = make(cells, tmp_path / "d", test=0.2, validation=0.1, symmetry="c4", count=280)
    sides = [column(made, split, "index") for split in ("train", "validation", "test")]
    assert list(map(len, sides)) == [28, 4, 8] and len(set.union(*sides)) == N
    assert np.bincount(load(made.folder, "test").labels).tolist() == [40, 40]
    assert verify(made.folder).passed
    card = (made.folder / "README.md").read_text()
    assert "8 source images, 20.0% of all" in card and "--test 0.2" in card
    assert made.manifest["splits"]["train"]["source_images"] == 28
    for text in (str(made), card):
        assert "280 images of 28 source images, so images repeat" in text
    plain = make(cells, tmp_path / "plain", symmetry="c4")
    assert "repeat" not in str(plain) and "source_images" not in plain.manifest["splits"]["train"]


def test_no_group_stands_on_two_sides(cells, tmp_path):
    made = make(cells, tmp_path / "d", test=0.2, validation=0.1, group_by="patient", symmetry="c4")
    sides = [column(made, split, "patient") for split in ("train", "validation", "test")]
    assert list(map(len, sides)) == [7, 1, 2] and len(set.union(*sides)) == 10
    assert verify(made.folder).passed
    assert "no value of column 'patient' is in two splits" in str(made)
    assert "--group-by patient" in (made.folder / "README.md").read_text()
    apart = make(cells, tmp_path / "images", test=0.2, symmetry="c4")  # negative control
    assert column(apart, "train", "patient") & column(apart, "test", "patient")


def test_the_validation_split_of_before_is_the_same(cells, tmp_path):
    """The rows that version 0 held out: a permutation by the seed, and nothing else."""
    from symdata.keys import permutation

    made = make(cells, tmp_path / "d", validation=0.1, symmetry="c4")
    assert column(made, "validation", "index") == set(permutation(0, "train", "validation", N)[:4].tolist())
    assert "division" not in made.manifest


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"group_by": "patient"}, "nothing is held out; add --test 0.2"),
        ({"group_by": "slide", "test": 0.2}, "no column 'slide' beside image and label; it has patient"),
        ({"test": 0.6, "validation": 0.5}, "leave no training image"),
        ({"test": 1.0}, "outside"),
    ],
)
def test_what_cannot_be_divided_is_refused(cells, fields, match):
    with pytest.raises(RecipeError, match=match):
        make(cells, dry_run=True, **fields)


def test_groups_that_the_source_divides_are_refused(tmp_path):
    write_cells(tmp_path / "train.parquet", 12, patient=["a"] * 6 + ["b"] * 6)
    write_cells(tmp_path / "test.parquet", 12, patient=["b"] * 12)
    with pytest.raises(RecipeError, match="such as 'b', are in the splits train and test"):
        make(str(tmp_path), dry_run=True, group_by="patient")


def test_a_test_split_of_the_source_is_kept(tmp_path):
    with pytest.raises(RecipeError, match="has a test split of its own; leave --test out"):
        make("glyphs", dry_run=True, test=0.2)


def test_a_dataset_with_repeated_images_is_divided_by_source_image(cells, tmp_path):
    make(cells, tmp_path / "many", count=200)
    made = make(str(tmp_path / "many"), tmp_path / "d", validation=0.25)
    assert not column(made, "train", "source_index") & column(made, "validation", "source_index")
    assert made.manifest["division"]["column"] == "index"
    rows = make(str(make(cells, tmp_path / "once").folder), tmp_path / "e", validation=0.25)  # each image is its own
    assert "division" not in rows.manifest
