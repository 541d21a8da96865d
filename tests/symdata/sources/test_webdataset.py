"""WebDataset shards: samples by name, labels from cls or json, and files that are cut, linked or nonsense."""

import gzip
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.webdataset import read_index
from tests.support.images import encoded, noise, write_folder

PIXELS = noise(12, 5, 5)
KEYS = [f"{k:04}" for k in range(12)]


def write(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE, form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/hostname"
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(numbers: range, **more: Any) -> dict[str, bytes]:
    """Members of some samples: 0000.png, 0000.cls, and of `more` what a function of the number gives."""
    found = {}
    for k in numbers:
        found |= {f"{KEYS[k]}.png": encoded(PIXELS[k]), f"{KEYS[k]}.cls": str(k % 3).encode()}
        found |= {f"{KEYS[k]}.{ending}": make(k) for ending, make in more.items()}
    return found


def as_json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def check(ref: str, split: str, wanted: np.ndarray) -> None:
    source = open_source(ref)
    order = np.random.default_rng(0).permutation(len(wanted))
    assert np.array_equal(source.read(split, order).numpy()[:, 0], wanted[order])
    assert torch.equal(pickle.loads(pickle.dumps(source)).read(split, order), source.read(split, order))


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["train-000000.tar", "train-000001.tar"], "train"),
        (["imagenet-val-0000.tar", "imagenet-val-0001.tar"], "validation"),
        (["00000.tar", "00001.tar"], "train"),
        (["test/a.tar", "test/b.tar"], "test"),
    ],
)
def test_shards_are_read_in_order(names: list[str], split: str, tmp_path: Path) -> None:
    for k, name in enumerate(names):
        write(tmp_path / name, samples(range(6 * k, 6 * k + 6)))
    source = open_source(str(tmp_path))
    assert (source.splits, source.classes, source.shape) == ({split: 12}, ("0", "1", "2"), (1, 5, 5))
    assert source.labels(split).tolist() == [0, 1, 2] * 4
    check(str(tmp_path), split, PIXELS)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_one_file_with_long_names_and_folders(form: int, tmp_path: Path) -> None:
    above = "d.1/" + "x" * 90 + "/"
    members = {above + name: content for name, content in samples(range(12)).items()}
    path = write(tmp_path / "shard.tar", members | {"._x.png": b"", ".hidden/0.png": b""}, form=form)
    check(str(path), "train", PIXELS)
    assert [sample.key for sample in read_index(path)] == [above + key for key in KEYS]


def test_labels_and_columns_of_json(tmp_path: Path) -> None:
    members = {}
    for k in range(12):
        late = {"late": 1.5} if k > 5 else {}
        members |= {f"{KEYS[k]}.png": encoded(PIXELS[k])}
        members |= {f"{KEYS[k]}.json": as_json(label="ab"[k % 2], age=k, kind={"x": k}, **late)}
    write(tmp_path / "train-000.tar", {name: content for name, content in members.items() if name < "0009"})
    write(tmp_path / "test-000.tar", {name: content for name, content in members.items() if name > "0009"})
    source = open_source(str(tmp_path))
    assert (source.classes, source.splits["test"]) == (("a", "b"), 3)
    table = source.extra_columns("test")
    assert table.to_pydict() == {"age": [9, 10, 11], "kind": [f'{{"x": {k}}}' for k in (9, 10, 11)], "late": [1.5] * 3}
    assert source.extra_columns("train").schema == table.schema
    assert source.extra_columns("train")["age"].to_pylist() == list(range(9))
    assert open_source(f"{tmp_path},label=age,splits=test").classes == ("9", "10", "11")


def test_members_can_be_named(tmp_path: Path) -> None:
    extra = {"mask.png": lambda k: encoded(PIXELS[11 - k]), "txt": lambda k: b"pq"[k % 2 : k % 2 + 1]}
    path = write(tmp_path / "a.tar", samples(range(12), **extra))
    check(str(path), "train", PIXELS)
    check(f"{path},image=mask.png", "train", PIXELS[::-1])
    assert open_source(f"{path},label=txt").classes == ("p", "q")
    with pytest.raises(
        SourceError, match=r"0000' has no label: no member 'kind' and no key 'kind' in json; it has png"
    ):
        open_source(f"{path},label=kind")
    with pytest.raises(SourceError, match=r"has no image jpg, its members are png, cls, .*name it with ,image=ENDING"):
        open_source(f"{path},image=jpg")
    write(path, samples(range(12), bmp=lambda k: encoded(PIXELS[k])))
    with pytest.raises(SourceError, match=r"has 2 images, its members are png, cls, bmp; name it with ,image=ENDING"):
        open_source(str(path))


def test_leading_zeros_make_a_text(tmp_path: Path) -> None:
    members = {"a.png": encoded(PIXELS[0]), "a.cls": b"07\n", "b.png": encoded(PIXELS[1]), "b.cls": b"7"}
    assert open_source(str(write(tmp_path / "a.tar", members))).classes == ("07", "7")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"a.cls": b"1"}, r"sample 'a' has no image, its members are cls"),
        ({"a.png": b""}, r"sample 'a' has no label: no member 'cls' and no key 'label' in json; it has png"),
        ({"a.png": b"", "a.json": b"{"}, r"sample 'a': its json is not JSON \(Expecting"),
        ({"a.png": b"", "a.json": b"[1]"}, r"sample 'a': its json is no object such as \{\"label\": \"cat\"\}"),
        ({"a.png": b"", "a.json": b"\xff"}, r"sample 'a': its json is not JSON \("),
        ({"a.png": b"", "a.cls": b"\xff"}, r"the member 'cls' of a.tar sample 'a' is not text; name another with"),
        ({"a.png": b"", "a.cls": b" "}, r"a.tar sample 'a' has no label; fill it"),
        ({"a.png": b"", "a.json": as_json(label=[1])}, r"the label \[1\] in a.tar sample 'a' is of type list"),
        ({"readme": b"x"}, r"member 'readme' has no ending such as .jpg or .cls; leave it out"),
        ({"a.png": b"x", "a.cls": b"1", "b.png": encoded(PIXELS[0]), "b.cls": b"2"}, r"a.tar member 'a.png' cannot be"),
        ({}, r"holds no images"),
    ],
)
def test_bad_samples_are_refused(members: dict[str, bytes], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=sentence):
        open_source(str(write(tmp_path / "a.tar", members)))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.FIFOTYPE, "special file"),
        (tarfile.CHRTYPE, "special"),
    ],
)
def test_links_and_devices_are_refused(kind: bytes, word: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"member 'a.png' is a {word}.*; store the file itself"):
        open_source(str(write(tmp_path / "a.tar", {"a.png": b""}, kind)))


def test_a_name_that_leads_elsewhere_is_only_a_name(tmp_path: Path) -> None:
    members = {f"../../{name}": content for name, content in samples(range(12)).items()}
    check(str(write(tmp_path / "in" / "a.tar", members)), "train", PIXELS)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(range(3)))
    with tarfile.open(path, "a") as tar:
        tar.addfile(tarfile.TarInfo("0001.cls"))
    with pytest.raises(SourceError, match=r"holds the member '0001.cls' twice; fetch or write it again"):
        open_source(str(path))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(range(12)))
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        end = tar.getmembers()[-1].offset_data + 512
    for cut in (0, 100, 512, 1500, end - 512, end):
        path.write_bytes(whole[:cut])
        with pytest.raises(
            SourceError, match=r"a.tar' is (not a readable tar file|cut or damaged).*fetch or write it again"
        ):
            open_source(str(path))
    broken = bytearray(whole)
    broken[whole.index(b"0007.png")] ^= 1  # a wrong checksum, which `tarfile` takes for the end
    path.write_bytes(broken)
    with pytest.raises(SourceError, match=r"a.tar' is cut or damaged at byte \d+"):
        open_source(str(path))
    path.write_bytes(gzip.compress(whole))
    with pytest.raises(SourceError, match=r"is not a readable tar file .*; unzip it first"):
        open_source(str(path))
    path.write_bytes(whole)
    assert open_source(str(path)).splits == {"train": 12}


def test_a_tar_file_beside_class_folders_changes_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = open_source(str(tmp_path)).fingerprint
    write(tmp_path / "train-0000.tar", samples(range(12)))
    assert open_source(str(tmp_path)).fingerprint == before
