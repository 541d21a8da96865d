"""No source image and no group is both trained on and held out."""

import numpy as np
import pytest
import torch

from symdata import make
from symdata.store import load
from tests.support.folders import change
from tests.support.images import write_folder
from tests.support.tables import write_cells
from tests.support.training import config
from zoo.checkpoint.folder import read_checkpoint
from zoo.errors import ModelError
from zoo.training import prepare, train
from zoo.training.data import open_data


def images_of(share):
    return set(share.dataset.index[share.rows].tolist())


@pytest.mark.parametrize(("count", "limit"), [(96, None), (96, 70), (240, None)])
def test_no_source_image_is_both_trained_on_and_held_out(tmp_path, count, limit):
    write_folder(tmp_path / "pets", per_class=12, side=12)
    made = make(str(tmp_path / "pets"), tmp_path / "many", symmetry="d4", count=count)
    data = open_data(config(made.folder, validation=0.25, batch_size=8, limit=limit))
    assert not images_of(data.train) & images_of(data.validation)
    n = limit or count
    assert len(data.train) + len(data.validation) == n and n / 4 <= len(data.validation) <= n / 4 + count / 24
    rows = np.random.default_rng(0).permutation(count)  # negative control: divided by row, they share images
    index = data.train.dataset.column("index")
    assert set(index[rows[: count // 4]]) & set(index[rows[count // 4 :]])


def test_the_plan_says_that_images_repeat(tmp_path):
    write_folder(tmp_path / "pets", per_class=12, side=12)
    for count, said in ((96, "72 images 12x12x3 of 18 source images, 24 held out"), (24, "18 images 12x12x3, 6 held")):
        made = make(str(tmp_path / "pets"), tmp_path / str(count), symmetry="d4", count=count)
        assert said in str(prepare(config(made.folder, validation=0.25, batch_size=8, channels=3)))


def test_groups_of_the_dataset_are_not_divided(tmp_path):
    write_cells(tmp_path / "cells.parquet", 48, patient=[f"p{i // 4}" for i in range(48)])
    made = make(str(tmp_path / "cells.parquet"), tmp_path / "d", test=0.25, group_by="patient")
    data = open_data(config(made.folder, validation=0.25, batch_size=8))
    patients = data.train.dataset.column("patient")
    assert len(set(patients[data.validation.rows])) == 3
    assert not set(patients[data.train.rows]) & set(patients[data.validation.rows])


def test_too_few_source_images_and_pairs_that_share_them_are_refused(tmp_path):
    write_cells(tmp_path / "two.parquet", 2)
    make(str(tmp_path / "two.parquet"), tmp_path / "d", count=40)
    with pytest.raises(ModelError, match="holding out 36 leaves none"):
        open_data(config(tmp_path / "d", validation=0.9, batch_size=8))
    make("ddmnist-c4", tmp_path / "pairs", source="glyphs:digits", count=60, size=8)
    splits = load(tmp_path / "pairs").manifest["splits"]
    change(tmp_path / "pairs", "splits", to={"train": splits["train"]})
    with pytest.raises(ModelError, match="share source images, so none can be held out"):
        open_data(config(tmp_path / "pairs", validation=0.1, batch_size=8))
    assert len(open_data(config(tmp_path / "pairs", validation=0.0, batch_size=8)).train) == 60


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_accuracy_that_is_kept_is_that_of_groups_not_trained_on(tmp_path, keep):
    write_cells(tmp_path / "cells.parquet", 48, patient=[f"p{i // 4}" for i in range(48)])
    made = make(str(tmp_path / "cells.parquet"), tmp_path / "d", test=0.25, group_by="patient", count=72)
    c = config(made.folder, validation=0.3, batch_size=8, keep=keep, epochs=3)
    held, trained_on = open_data(c).validation, open_data(c).train
    assert not set(held.dataset.column("patient")[held.rows]) & set(held.dataset.column("patient")[trained_on.rows])
    assert not images_of(held) & images_of(trained_on)
    checkpoint = read_checkpoint(train(c))
    with torch.no_grad():
        right = checkpoint.model(checkpoint.preprocessing(held.images)).argmax(1) == held.labels
    assert float(right.float().mean()) == pytest.approx(checkpoint.config["training"]["validation_accuracy"])


def test_pairs_are_held_out_by_the_split_that_they_came_with(tmp_path):
    make("ddmnist-c4", tmp_path / "pairs", source="glyphs:digits", count=60, size=8)
    data = open_data(config(tmp_path / "pairs", model="p4cnn_16", batch_size=8, keep="best"))
    splits = data.train.dataset.manifest["splits"]
    assert data.validation.dataset.split == "validation"
    assert not set(splits["train"]["from"]) & set(splits["validation"]["from"]), "of other images of the source"
