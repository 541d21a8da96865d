"""`verify`: it passes what is whole, and names what is not."""

import json
import shutil
from pathlib import Path

import pytest

from symdata.errors import StoreError
from symdata.store import verify
from tests.support.folders import build, change, failures
from tests.support.images import encoded, noise, write_folder

pytest_plugins = ["tests.support.tampering"]

SHARD = "train-00001-of-00002.parquet"


def test_a_whole_dataset_passes(whole):
    result = verify(whole)
    assert result.passed
    assert [check.name for check in result.checks] == [
        *(f"{split}-0000{k}-of-00002.parquet" for split in ("train", "validation", "test") for k in (0, 1)),
        *("folder", "counts", "source", "manifest", "train", "validation", "test"),
    ]
    assert result.checks[-1].detail == "50 of 50 images derived again, bit for bit"
    assert json.loads(json.dumps(result.to_dict()))["passed"] is True
    lines = str(result).splitlines()
    assert lines == [f"ok      {check.name}: {check.detail}" for check in result.checks]
    assert lines[-1] in result._repr_html_()


@pytest.mark.parametrize(
    "fields",
    [
        {"symmetry": "c8"},
        {"symmetry": "so2@45~20", "test_symmetry": "o2", "supersample": 2, "resample": "bilinear"},
        {"recipe": "updown45"},
        {"recipe": "ddmnist-o2", "source": "glyphs:digits"},
        {"recipe": "quadrant", "source": "glyphs:digits"},
        {"recipe": "mnist678-180", "source": "glyphs:digits"},
        {"recipe": "rotmnist", "source": "glyphs:digits"},
    ],
)
def test_whole_datasets_of_every_kind_pass(fields, tmp_path):
    made = build(tmp_path / "d", count=100, **fields)
    assert not failures(made.folder, samples=10)


def older(folder, monkeypatch, **fields):
    """A dataset as it was built before kernels had versions, when `auto` meant the spline."""
    with monkeypatch.context() as past:
        past.setattr("symdata.transforms.resampling.DEFAULT", "spline")
        made = build(folder, count=60, **fields)
    assert made.manifest["resampling"] == {"kernel": "spline", "mask": "disk", "padding": "border", "supersample": 1}
    return made.folder


@pytest.mark.parametrize("fields", [{"symmetry": "c8"}, {"recipe": "graded-so2-0"}, {"recipe": "ddmnist-so2"}], ids=str)
def test_datasets_from_before_the_kernel_had_a_version_still_pass(fields, tmp_path, monkeypatch):
    fields = fields | ({"source": "glyphs:digits"} if fields.get("recipe") == "ddmnist-so2" else {})
    folder = older(tmp_path / "d", monkeypatch, **fields)
    assert not failures(folder, samples=10)
    assert verify(folder).checks[-1].detail.endswith("derived again, bit for bit")


def test_the_version_of_the_kernel_belongs_to_the_manifest(tmp_path, monkeypatch):
    """Without it the images are derived with the old kernel; with an unknown one they are not derived in silence."""
    new, old = (
        build(tmp_path / "new", symmetry="c8", count=60).folder,
        older(tmp_path / "old", monkeypatch, symmetry="c8"),
    )
    change(new, "resampling", to={"kernel": "spline", "mask": "disk", "padding": "border", "supersample": 1})
    assert [check.name for check in failures(new)] == ["train", "validation", "test"]
    change(
        new, "resampling", to={"kernel": "halves", "mask": "disk", "padding": "border", "supersample": 1, "version": 2}
    )
    assert "'version': 2}, its spec gives {'kernel': 'halves'" in failures(new)[0].detail
    change(old, "resampling", "version", to=1)
    assert failures(old)[0].name == "manifest"


def test_without_samples_the_source_is_left_alone(whole, monkeypatch):
    monkeypatch.setattr("symdata.store.verification.resolve", lambda spec: 1 / 0)
    assert verify(whole, samples=0).passed


@pytest.mark.parametrize("position", [4, 1000, -5])
def test_one_byte_that_was_changed(folder, position):
    data = bytearray((folder / SHARD).read_bytes())
    data[position] ^= 1
    (folder / SHARD).write_bytes(data)
    (failed,) = failures(folder)
    assert failed.name == SHARD
    assert f"FAILED  {SHARD}: sha256 is " in str(verify(folder))
    assert "sha256 is " in failed.detail and "the manifest says " in failed.detail
    assert failed.detail.endswith("build the dataset again")


def test_two_shards_that_changed_places(folder):
    first, second = (folder / f"train-0000{k}-of-00002.parquet" for k in (0, 1))
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)
    assert [check.name for check in failures(folder)] == [first.name, second.name]


def test_a_shard_that_is_missing(folder):
    (folder / SHARD).unlink()
    (failed,) = failures(folder)
    assert (failed.name, failed.detail) == (SHARD, "missing; build the dataset again")


@pytest.mark.parametrize("place", ["train-00002-of-00003.parquet", "more.parquet", "data/train-0.parquet"])
def test_a_shard_that_the_manifest_does_not_know(folder, place):
    (folder / place).parent.mkdir(exist_ok=True)
    shutil.copy(folder / SHARD, folder / place)
    (failed,) = failures(folder)
    assert failed.name == "folder"
    assert failed.detail == f"{Path(place).name} not in the manifest; remove it"


def test_a_card_that_is_missing(folder):
    (folder / "README.md").unlink()
    (failed,) = failures(folder)
    assert "README.md is missing" in failed.detail


@pytest.mark.parametrize(
    ("path", "value", "name", "detail"),
    [
        (
            ("splits", "train", "num_examples"),
            299,
            "counts",
            "split 'train' is said to have 299 images, its shards have 300",
        ),
        (("splits", "train", "shards", 1, "num_examples"), 149, SHARD, "150 rows, the manifest says 149"),
        (("splits", "train", "shards", 1, "sha256"), "0" * 64, SHARD, "the manifest says 000000000000..."),
        (("splits", "train", "symmetry"), "d4", "manifest", "train symmetry is 'd4', its spec gives 'd4-partial@0.5'"),
        (("splits", "test", "degree"), 0.6, "manifest", "test degree is 0.6, its spec gives 0.5"),
        (("splits", "test", "group"), "c4", "manifest", "test group is 'c4', its spec gives 'd4'"),
        (("classes", 0), "Q", "manifest", "classes is ['Q', "),
        (("resampling", "kernel"), "halves", "manifest", "resampling is {'kernel': 'halves'"),
        (("source", "fingerprint"), "sha256:0", "source", "the dataset was built from sha256:0"),
        (("spec", "symmetry"), "c4", "manifest", "train symmetry is 'd4-partial@0.5', its spec gives 'c4'"),
        (("spec", "seed"), 1, "train", "rows are not what the source gives, the first is row "),
        (("spec", "count"), 301, "manifest", "train num_examples is 300, its spec gives 301"),
        (("spec", "colour"), 1, "source", "unexpected keyword argument 'colour'"),
    ],
)
def test_a_manifest_that_was_changed(folder, path, value, name, detail):
    change(folder, *path, to=value)
    failed = failures(folder)
    assert failed[0].name == name
    assert detail in failed[0].detail


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("format",), 99, r"has format 99, expected 1; build it again with this version"),
        (("splits",), {}, r"does not say 'splits', so it was changed"),
        (("splits", "train"), {}, r"does not say 'splits\.train\.degree'"),
        (("splits", "train", "shards"), [], r"does not say 'splits\.train\.shards'"),
        (("splits", "train", "shards", 0), {"file": "x"}, r"does not say 'splits\.train\.shards'"),
        (("splits", "train", "shards", 0, "file"), "../other/x.parquet", r"does not say 'splits\.train\.shards'"),
        (("source",), None, r"does not say 'source'"),
    ],
)
def test_a_manifest_that_is_none(folder, path, value, sentence):
    change(folder, *path, to=value)
    with pytest.raises(StoreError, match=sentence):
        verify(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff"])
def test_a_manifest_that_is_not_json(folder, text):
    (folder / "symdata.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"is not a symdata dataset|has format"):
        verify(folder)


def test_a_folder_that_is_no_dataset(tmp_path):
    with pytest.raises(
        StoreError, match=r"is not a symdata dataset: symdata.json is missing .*; build one with `symdata"
    ):
        verify(tmp_path)


# The source


@pytest.fixture
def pets(tmp_path) -> Path:
    """A dataset from a folder of images that can be moved and changed."""
    source = write_folder(tmp_path / "pets", per_class=10)
    return build(tmp_path / "d", source=str(source), symmetry="d4").folder


def test_a_source_that_is_gone(pets, tmp_path):
    (tmp_path / "pets").rename(tmp_path / "moved")
    (failed,) = failures(pets)
    assert failed.name == "source"
    assert "pets' is neither a file nor a folder here" in failed.detail
    assert failed.detail.endswith("if the source has moved, name its place with --source")
    assert verify(pets, source=str(tmp_path / "moved")).passed


def test_a_source_that_changed(pets, tmp_path):
    (tmp_path / "pets" / "cat" / "0.png").write_bytes(encoded(noise(8, 8, 3, seed=77)))
    (failed,) = failures(pets)
    assert failed.name == "source"
    assert "has fingerprint sha256:" in failed.detail and "the dataset was built from sha256:" in failed.detail
    assert "name the original with --source, or build the dataset again" in failed.detail


def test_another_source_is_not_taken_for_it(pets, tmp_path):
    write_folder(tmp_path / "other", per_class=11)
    (failed,) = failures(pets, source=str(tmp_path / "other"))
    assert failed.name == "source"
