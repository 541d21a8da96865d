"""Tables in text: every name, label and separator comes back as it was written, and a mistake has its line."""

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.images import encoded, noise, write_folder

PIXELS = noise(6, 5, 5)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with img/0.png and so on."""
    (tmp_path / "img").mkdir()
    for k, image in enumerate(PIXELS):
        (tmp_path / "img" / f"{k}.png").write_bytes(encoded(image))
    return tmp_path


def write(path: Path, *rows: str, start: bytes = b"", end: str = "\n") -> str:
    path.write_bytes(start + end.join(rows).encode())
    return str(path)


ROWS = ("path,label", *(f"img/{k}.png,{'ab'[k % 2]}" for k in range(6)))


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".csv", ";"), (".CSV", "\t"), (".tsv", "\t")])
def test_a_table_is_read(start: bytes, end: str, suffix: str, separator: str, place: Path) -> None:
    rows = (row.replace(",", separator) for row in ROWS)
    source = open_source(write(place / f"birds{suffix}", *rows, start=start, end=end))
    assert (source.splits, source.classes, source.name) == ({"train": 6}, ("a", "b"), "birds")
    assert source.labels("train").tolist() == [0, 1] * 3
    order = np.array([4, 0, 5])
    assert np.array_equal(source.read("train", order).numpy()[:, 0], PIXELS[order])
    assert source.extra_columns("train").num_columns == 0


@given(
    st.lists(
        st.sampled_from(["0", "7", "007", "-1", "+1", "1.0", "1e3", " 1", "cat", "12345678901234567890"]), min_size=2
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_class_of_every_image_is_its_label_as_it_is_written(place: Path, cells: list[str]) -> None:
    rows = ["path,label", *(f"img/{k % 6}.png,{cell}" for k, cell in enumerate(cells))]
    if len(set(cells)) == 1:
        with pytest.raises(SourceError, match="holds one class only"):
            open_source(write(place / "t.csv", *rows))
        return
    source = open_source(write(place / "t.csv", *rows))
    assert [source.classes[label] for label in source.labels("train")] == cells


def test_whole_numbers_are_in_the_order_of_numbers(place: Path) -> None:
    rows = [f"img/{k}.png,{(10, 9, -5)[k % 3]}" for k in range(6)]
    assert open_source(write(place / "t.csv", "path,label", *rows)).classes == ("-5", "9", "10")
    assert open_source(write(place / "t.csv", "path,label", *rows, "img/0.png,007")).classes == ("-5", "007", "10", "9")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_splits_and_other_columns(suffix: str, place: Path) -> None:
    splits, ages = ["train", "val", "train", "val", "night", "train"], [3, None, 5, 6, 7, 8]
    rows = [
        {"file": f"img/{k}.png", "kind": "ab"[k % 2], "split": splits[k], "age": ages[k], "by": "Ann, Bo"}
        for k in range(6)
    ]
    path = place / f"all{suffix}"
    if suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(SourceError, match=r"the label column is missing: .* the columns are file .*,label=COLUMN"):
        open_source(str(path))
    source = open_source(f"{path},label=kind")
    assert source.splits == {"train": 3, "validation": 2, "night": 1}
    assert np.array_equal(source.read("validation", np.arange(2)).numpy()[:, 0], PIXELS[[1, 3]])
    again = pickle.loads(pickle.dumps(source))
    assert again.extra_columns("train").to_pydict() == {"age": [3, 5, 8], "by": ["Ann, Bo"] * 3}
    assert again.extra_columns("validation").to_pydict() == {"age": [None, 6], "by": ["Ann, Bo"] * 2}
    assert open_source(f"{path},label=kind,splits=train").splits == {"train": 3}
    with pytest.raises(SourceError, match=r"no split 'test'"):
        source.extra_columns("test")


def test_a_folder_of_tables_is_one_source(place: Path) -> None:
    write(place / "train.csv", *(row.replace("img/", "../pics/") for row in ROWS[:4]))
    write(place / "test.csv", "path,label,who", "../pics/5.png,b,Bo")
    (place / "img").rename(place.parent / "pics")
    source = open_source(str(place))
    assert (source.splits, source.classes) == ({"train": 3, "test": 1}, ("a", "b"))
    assert source.extra_columns("train").to_pydict() == {"who": [None] * 3}
    assert np.array_equal(source.read("test", np.arange(1)).numpy()[0, 0], PIXELS[5])
    write(place / "train.tsv", "path\tlabel", "../pics/0.png\ta")
    with pytest.raises(SourceError, match=r"'train.csv' and 'train.tsv' both name split 'train'; name one of them"):
        open_source(str(place))
    (place / "train.tsv").unlink()
    write(place / "test.csv", "path,class", "../pics/5.png,b")
    with pytest.raises(
        SourceError, match=r"the tables call the label column '(label|class)' and '.*'; give it one name"
    ):
        open_source(str(place))


def test_a_folder_is_told_to_name_its_table(place: Path) -> None:
    write(place / "birds.csv", *ROWS)
    for folder in ("img", "train", "."):
        if folder == "train":
            (place / "img").rename(place / "train")
        if folder == ".":
            for path in (place / "train").iterdir():
                path.rename(place / path.name)
        with pytest.raises(SourceError, match=r"holds tables and no class folders; name the table .*birds\.csv'"):
            open_source(str(place))


def test_a_table_beside_class_folders_changes_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = open_source(str(tmp_path)).fingerprint
    write(tmp_path / "train.csv", "path,label", "cat/0.png,a", "cat/1.png,b")
    assert open_source(str(tmp_path)).fingerprint == before
    assert open_source(str(tmp_path / "train.csv")).classes == ("a", "b")


def test_the_fingerprint_follows_images_and_labels(place: Path) -> None:
    path = write(place / "t.csv", *ROWS)
    found = [open_source(path).fingerprint]
    write(place / "t.csv", *ROWS[:-1], "img/5.png,a")
    found.append(open_source(path).fingerprint)
    (place / "img" / "2.png").write_bytes(encoded(PIXELS[3]))
    found.append(open_source(path).fingerprint)
    assert len(set(found)) == 3
    assert found[2] == open_source(path).fingerprint


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"is empty; expected a header such as image,label"),
        ("path,label\n", r"it holds no rows below the header"),
        ("path,label,path\n", r"its header names the column 'path' twice; rename one of them"),
        ("path,label\nimg/0.png,a\n\nimg/1.png\n", r"t.csv' line 4: it has 1 cells, expected 2 as in the header"),
        ("path,label\nimg/0.png,a,b\n", r"t.csv' line 2: it has 3 cells, expected 2"),
        ('path,label\nimg/0.png,"a\nb"\nimg/1.png,\n', r"t.csv line 4 has no label; fill it or drop that row"),
        ("path,label\nimg/0.png,a\nimg/1.png, \n", r"t.csv line 3 has no label; fill it"),
        ("path,label\n,a\nimg/1.png,b\n", r"t.csv line 2 has no path in column 'path'; fill it"),
        ("path,label\nimg/0.png,a\nimg/9.png,b\n", r"t.csv line 3: '.*img/9.png' cannot be read \(No such file"),
        ("path,label\nimg/0.png,a\nimg\0,b\n", r"t.csv line 3: '.*' cannot be read \(.*null"),
        (
            "path,label\nimg/0.png,a\n/dev/zero,b\n",
            r"t.csv line 3: '/dev/zero' cannot be read \(.* is a device, and only regular files",
        ),
        ("path,label\nt.csv,a\nimg/1.png,b\n", r"t.csv line 2 \('t.csv'\) cannot be used: it is not an image"),
        ("path,label,split\nimg/0.png,a,\n", r"t.csv line 2 has no split; fill it, or rename the column 'split'"),
        ('path,label\n"img/0.png,a\n', r"t.csv' line 2: it is not comma-separated text \(unexpected end of data\)"),
        ('path,label\n"img"0.png,a\n', r"t.csv' line 2: it is not comma-separated text \('(,|;)' expected after"),
        ("path,label\nimg/0.png,a\nimg/1.png,a\n", r"holds one class only \('a'\)"),
        ("a,b\n1,2\n", r"the image column is missing: .*; the columns are a \(string\), b \(string\); .*,image=COLUMN"),
    ],
)
def test_bad_tables_are_refused(text: str, sentence: str, place: Path) -> None:
    with pytest.raises(SourceError, match=sentence):
        open_source(write(place / "t.csv", text))


def test_other_encodings_are_refused(place: Path) -> None:
    for encoding in ("latin-1", "utf-16"):
        (place / "t.csv").write_bytes("path,label\nimg/0.png,caf\xe9\n".encode(encoding))
        with pytest.raises(SourceError, match=r"is not text in UTF-8 \(it holds the byte 0x[ef].\); save it as UTF-8"):
            open_source(str(place / "t.csv"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", r"t.jsonl' line 1: expected an object such as \{\"image\""),
        ('\n{"image"', r"t.jsonl' line 2: it is not JSON \(Expecting"),
        ("[" * 100_000, r"t.jsonl' line 1: it is not JSON \(it is nested too deeply\)"),
        ('{"image": "a", "label": 1, "image": "b"}', r"line 1: it is not JSON \(the key 'image' stands twice"),
        ('{"image": 3, "label": 1}', r"t.jsonl line 1 has the path 3, which is no text in column 'image'"),
        ('{"image": "img/0.png", "label": 1.5}', r"the label 1.5 in t.jsonl line 1 is of type float; a label is one"),
        ('{"image": "img/0.png", "label": [1]}', r"the label \[1\] in t.jsonl line 1 is of type list"),
        ('{"image": "img/0.png", "label": 1}\n{"image": "img/1.png"}', r"t.jsonl line 2 has no label"),
        (
            '{"image": "img/0.png", "label": 1}\n{"image": "img/1.png", "label": "1"}',
            r"labels are of several types \(1 in t.jsonl line 1, '1' in t.jsonl line 2\)",
        ),
        ("", r"it holds no rows"),
    ],
)
def test_bad_json_lines_are_refused(text: str, sentence: str, place: Path) -> None:
    with pytest.raises(SourceError, match=sentence):
        open_source(write(place / "t.jsonl", text))


def test_images_of_a_table_are_those_of_the_folder(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("classes")
    for k in range(6):
        (root / "ab"[k % 2]).mkdir(exist_ok=True)
        (root / "ab"[k % 2] / f"{k}.png").write_bytes(encoded(PIXELS[k]))
    order = [0, 2, 4, 1, 3, 5]
    source = open_source(write(place / "t.csv", ROWS[0], *(ROWS[k + 1] for k in order)))
    theirs = open_source(str(root))
    assert np.array_equal(source.labels("train"), theirs.labels("train"))
    assert torch.equal(source.read("train", np.arange(6)), theirs.read("train", np.arange(6)))


def test_bad_images_can_be_left_out_with_their_columns(place: Path) -> None:
    (place / "img" / "2.png").write_bytes(b"text")
    rows = (f"{row},{k}" for k, row in enumerate(ROWS[1:]))
    path = write(place / "t.csv", "path,label,n", *rows)
    source = open_source(path, skip_bad=1)
    assert source.splits == {"train": 5}
    assert source.extra_columns("train")["n"].to_pylist() == [0, 1, 3, 4, 5]
    assert np.array_equal(source.read("train", np.arange(5)).numpy()[:, 0], PIXELS[[0, 1, 3, 4, 5]])


def test_unlabelled_rows_are_refused(place: Path) -> None:
    rows = [f"img/{k}.png,{(0, 1, -1)[k % 3]}" for k in range(6)]
    with pytest.raises(SourceError, match=r"2 of 6 images in split 'train' are unlabelled \(label -1"):
        open_source(write(place / "t.csv", "path,label", *rows))
