"""Which split a file, a folder or a split of `datasets` is: by the word in its name, and never two at once."""

from pathlib import Path

import datasets
import numpy as np
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.base import name_splits, split_name
from tests.support.images import noise, write_folder, write_idx
from tests.symdata.sources.test_table import made_dataset, write_table


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("mnist_train", "train"),
        ("my.train", "train"),
        ("my-train-00000-of-00002", "train"),
        ("cifar 10 (test)", "test"),
        ("emnist-t10k", "test"),
        ("coco_val2017", "validation"),
        ("0001_DEV", "validation"),
        ("train-00000-of-00001-a09b74b3ef9c3b56", "train"),
        ("constrained", "constrained"),  # the letters of a word are no word
        ("latest", "latest"),
        ("birds", "birds"),
    ],
)
def test_a_split_word_counts_anywhere_between_separators(name: str, split: str) -> None:
    assert split_name(name) == split


@pytest.mark.parametrize("name", ["train_test", "test-dev", "my.train.val"])
def test_a_name_with_words_of_two_splits_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match=r"names two splits, .* rename it, with one split word"):
        split_name(name)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["mnist_train.parquet", "mnist_test.parquet"], {"train": 40, "test": 40}),
        (["my.train.parquet", "my.test.parquet"], {"train": 40, "test": 40}),
        (["mnist_train_1.parquet", "mnist_train_2.parquet", "mnist_dev.parquet"], {"train": 80, "validation": 40}),
        (["my_train/0.parquet", "my_test/0.parquet"], {"train": 40, "test": 40}),
        (["0000.parquet", "0001.parquet"], {"train": 80}),
        (["extra-00000-of-00002.parquet", "extra-00001-of-00002.parquet"], {"extra": 80}),
        (["table.parquet"], {"train": 40}),
        (["train.parquet", "._train.parquet"], {"train": 40}),
    ],
)
def test_parquet_files_are_split_by_their_words(names: list[str], splits: dict[str, int], tmp_path: Path) -> None:
    for name in names:
        write_table(tmp_path / name)
    assert open_source(str(tmp_path)).splits == splits


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["mnist_a", "mnist_b"], "'mnist_a' and 'mnist_b' share the word 'mnist', which is no split"),
        (["mnist", "mnist_test"], "'mnist' and 'mnist_test' share the word 'mnist', which is no split"),
        (["part-0", "part-1", "test"], "'part-0' and 'part-1' share the word 'part'"),
        (["val", "validation"], "'val' and 'validation' both name split 'validation'"),
        (["mnist_train", "cifar_train"], "both name split 'train'; rename one"),
    ],
)
def test_files_that_are_no_splits_are_refused(names: list[str], sentence: str, tmp_path: Path) -> None:
    for name in names:
        write_table(tmp_path / f"{name}.parquet")
    with pytest.raises(SourceError, match=sentence):
        open_source(str(tmp_path))


def test_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("val", "valid"):
        write_table(tmp_path / name / "0.parquet")
    with pytest.raises(SourceError, match="'val' and 'valid' both name split 'validation'"):
        open_source(str(tmp_path))
    assert name_splits(["one_train", "one_test"], "here") == {"one_train": "train", "one_test": "test"}


def test_image_folders_and_idx_files_are_split_by_their_words(tmp_path: Path) -> None:
    for name in ("my_train", "my_val"):
        write_folder(tmp_path / "pets" / name)
        write_idx(tmp_path / "idx", noise(6, 5, 5), np.arange(6) % 2, split=name)
    for kind in ("pets", "idx"):
        assert open_source(str(tmp_path / kind)).splits == {"train": 6, "validation": 6}


def saved(folder: Path, **splits: datasets.Dataset) -> str:
    datasets.disable_progress_bars()
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    return str(folder)


def test_two_names_for_one_split_are_refused(tmp_path: Path) -> None:
    made = made_dataset()
    ref = saved(tmp_path / "d", train=made, validation=made.select([1, 0, 5]), val=made.select([2, 3]))
    with pytest.raises(SourceError, match=r"'validation' and 'val' both name split 'validation'; choose one, as in '"):
        open_source(ref)
    for name, first, count in (("validation", 1, 3), ("val", 2, 2)):
        source = open_source(f"{ref},splits=train+{name}")
        assert source.splits == {"train": 40, "validation": count}
        assert source.read("validation", np.array([0])).equal(source.read("train", np.array([first])))
    with pytest.raises(SourceError, match="both name split 'validation'"):
        open_source(f"{ref},splits=validation+val")


def test_the_refusal_of_two_names_offers_a_line_that_works(tmp_path: Path) -> None:
    made = made_dataset()
    ref = saved(tmp_path / "d", train=made, Train=made.select([1, 0]))
    with pytest.raises(SourceError, match="both name split 'train'") as caught:
        open_source(ref)
    assert open_source(str(caught.value).split("'")[-2]).splits == {"train": 2}


def test_splits_that_disagree_about_their_classes_are_refused(tmp_path: Path) -> None:
    made = made_dataset()
    other = made.cast_column("label", datasets.ClassLabel(names=["bee", "ant"]))
    with pytest.raises(SourceError, match=r"'train' \(.*ant, bee\) and 'test' \(.*bee, ant\) differ"):
        open_source(saved(tmp_path / "d", train=made, test=other))
