"""Labels of tables and idx files: unlabelled images, types that differ from file to file, spellings of one name."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.images import idx_bytes, noise, write_idx
from tests.symdata.sources.test_table import FEATURES, write_table

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")


def tables(folder: Path, **labels: Any) -> str:
    for split, own in labels.items():
        write_table(folder / f"{split}.parquet", label=own)
    return str(folder)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (np.arange(40) % 2, [-1] * 40),
        ((np.arange(40) % 2).astype(np.int8), np.full(40, -1, np.int8)),
        (["0", "1"] * 20, ["-1"] * 40),
        (["a", "b"] * 20, [""] * 40),
        ([1, 2] * 20, [-100] * 40),
        (np.array([0, 1] * 20, np.uint8), np.full(40, 255, np.uint8)),
        ([-1, 1] * 20, [-7] * 40),
    ],
)
def test_an_unlabelled_split_is_refused_whatever_its_type(train: Any, test: Any, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"40 of 40 images in split 'test' are unlabelled \(label .*\); leave"
    ) as caught:
        open_source(tables(tmp_path, train=train, test=test))
    assert open_source(str(caught.value).split("'")[-2]).splits == {"train": 40}


def test_all_unlabelled_splits_are_left_out_by_the_line_that_is_offered(tmp_path: Path) -> None:
    ref = tables(tmp_path, train=[0, 1] * 20, test=[-1] * 40, extra=[-1] * 40)
    with pytest.raises(SourceError, match="unlabelled") as caught:
        open_source(ref)
    assert open_source(str(caught.value).split("'")[-2]).splits == {"train": 40}


def test_unlabelled_images_among_labelled_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"10 of 40 images in split 'train' .*; label them or drop those rows"):
        open_source(tables(tmp_path, train=[-1, 0, 1, 2] * 10))


@pytest.mark.parametrize("labels", [[-1, 1], [0, 255], [-90, 0, 90, 180], [-2, -1, 0, 1]])
def test_negative_numbers_may_be_classes(labels: list[int], tmp_path: Path) -> None:
    count = 40 // len(labels) * len(labels)
    both = {"train": [*labels * (40 // len(labels)), *labels[: 40 - count]], "test": labels * (40 // len(labels))}
    assert len(both["test"]) == 40
    assert open_source(tables(tmp_path, **both)).classes == tuple(map(str, labels))


def test_idx_files_without_labels_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(4, 5, 5), np.arange(4) % 2)
    write_idx(tmp_path, noise(4, 5, 5), np.zeros(4), split="test")
    (tmp_path / "test-labels-idx1-ubyte.gz").write_bytes(idx_bytes(np.full(4, -1, ">i4"), code=0x0C))
    with pytest.raises(SourceError, match="4 of 4 images in split 'test' are unlabelled"):
        open_source(str(tmp_path))
    assert open_source(f"{tmp_path},splits=train").classes == ("0", "1")


NUMBERS, NAMES = np.arange(40) % 2, ["a", "b"] * 20


@pytest.mark.parametrize(
    ("one", "other", "classes"),
    [
        (pa.array(NUMBERS, pa.int64()), pa.array(NUMBERS, pa.int32()), ("0", "1")),
        (pa.array(NUMBERS, pa.uint8()), pa.array(NUMBERS, pa.int16()), ("0", "1")),
        (pa.array(NUMBERS, pa.int64()), pa.array(NUMBERS.astype(bool)), ("0", "1")),
        (pa.array(NUMBERS), pa.array(NUMBERS).dictionary_encode(), ("0", "1")),
        (pa.array(NAMES), pa.array(NAMES, pa.large_string()), ("a", "b")),
        (pa.array(NAMES), pa.array(NAMES).dictionary_encode(), ("a", "b")),
        (pa.array(NAMES), pa.array(NAMES, pa.string_view()), ("a", "b")),
    ],
)
@pytest.mark.parametrize("place", ["train-1", "test"])
def test_labels_of_several_types_go_together(
    one: pa.Array, other: pa.Array, classes: tuple[str, ...], place: str, tmp_path: Path
) -> None:
    source = open_source(tables(tmp_path, **{"train-0": one, place: other}))
    assert source.classes == classes
    assert np.concatenate([source.labels(split) for split in source.splits]).tolist() == [0, 1] * 40


def test_numbers_and_texts_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="column 'label' are of types int64 and string; write them in one type"):
        open_source(tables(tmp_path, train=NUMBERS, test=NAMES))
    huge = tables(tmp_path / "huge", train=np.arange(40), test=np.full(40, 2**64 - 1, np.uint64))
    with pytest.raises(SourceError, match="cannot become int64"):
        open_source(huge)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_class_names_over_a_column_of_text_are_refused(kind: pa.DataType, tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", features=FEATURES, label=pa.array(NAMES, pa.string()).cast(kind))
    with pytest.raises(SourceError, match="column 'label' holds text, and its metadata names 3 classes, which fit"):
        open_source(str(tmp_path))


def test_two_spellings_of_a_name_are_one_class(tmp_path: Path) -> None:
    ref = tables(tmp_path / "text", train=[COMPOSED, "z"] * 20, test=[DECOMPOSED, "z"] * 20)
    source = open_source(ref)
    assert source.classes == ("z", COMPOSED)
    assert source.labels("train").tolist() == source.labels("test").tolist() == [1, 0] * 20
    for split, name in (("train", COMPOSED), ("test", DECOMPOSED)):
        features = FEATURES | {"label": {"_type": "ClassLabel", "names": [name, "z"]}}
        write_table(tmp_path / "named" / f"{split}.parquet", features=features)
    assert open_source(str(tmp_path / "named")).classes == (COMPOSED, "z")


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    features = FEATURES | {"label": {"_type": "ClassLabel", "names": [COMPOSED, DECOMPOSED]}}
    write_table(tmp_path / "train.parquet", features=features)
    with pytest.raises(SourceError, match=f"column 'label' has two classes called '{COMPOSED}'; give each a name"):
        open_source(str(tmp_path))
