"""The contract of every source on real data, and how `open_source` recognises formats."""

import importlib
import io
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from symdata import sources
from symdata.errors import SourceError
from symdata.sources import Source, list_sources, open_source
from symdata.sources.base import Ref, split_name, split_order
from symdata.sources.files import license_of
from tests.support.images import encoded, noise, write_folder, write_idx

REAL = {
    "mnist": ({"train": 60000, "test": 10000}, 10, (1, 28, 28)),
    "cifar10": ({"train": 20000, "test": 1000, "holdout": 4000}, 10, (3, 32, 32)),
    "histology": ({"train": 4000, "test": 1380}, 4, (3, 32, 32)),
    "blood_cells": ({"train": 1801, "test": 573}, 13, (3, 80, 80)),
    "radio_galaxies": ({"train": 1099, "test": 157}, 10, (1, 150, 150)),
    "sstem_orientation": ({"train": 4000, "test": 1000}, 4, (1, 32, 32)),
}


@pytest.fixture(scope="module")
def opened() -> dict[str, Source]:
    return {}


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest, data: Path, opened: dict[str, Source]) -> tuple[str, Source, Path]:
    if request.param not in opened:
        opened[request.param] = open_source(str(data / request.param))
    return request.param, opened[request.param], data / request.param


def test_real_data_has_the_documented_counts_classes_and_shapes(real: tuple[str, Source, Path]) -> None:
    name, source, _ = real
    splits, classes, shape = REAL[name]
    assert isinstance(source, Source)
    assert (source.splits, list(source.splits), source.shape) == (splits, list(splits), shape)
    assert len(source.classes) == classes
    assert source.name == name.replace("_", "-")
    assert source.fingerprint.startswith("sha256:")
    assert source.revision is None
    for split, count in splits.items():
        labels = source.labels(split)
        assert (labels.dtype, labels.shape) == (np.int64, (count,))
        assert set(labels) <= set(range(classes))


def test_random_order_reads_what_sequential_order_reads(real: tuple[str, Source, Path]) -> None:
    _, source, _ = real
    count = min(source.splits["train"], 1500)
    forward = source.read("train", np.arange(count))
    order = np.random.default_rng(1).permutation(count)
    assert torch.equal(source.read("train", order), forward[order])
    assert torch.equal(torch.cat([source.read("train", order[i : i + 1]) for i in range(5)]), forward[order[:5]])
    assert forward.dtype == torch.uint8
    assert forward.is_contiguous()


@pytest.mark.parametrize("name", [name for name in REAL if name != "mnist"])
def test_real_parquet_is_what_pillow_decodes(name: str, data: Path) -> None:
    source = open_source(str(data / name))
    rows = pq.read_table(next((data / name).glob("test-*.parquet")))
    wanted = np.random.default_rng(0).choice(len(rows), 100, replace=False)
    blobs = rows["image"].combine_chunks().field("bytes")
    images = [np.asarray(Image.open(io.BytesIO(blobs[int(i)].as_py()))) for i in wanted]
    theirs = np.stack([image if image.ndim == 3 else image[..., None] for image in images]).transpose(0, 3, 1, 2)
    assert np.array_equal(source.read("test", wanted).numpy(), theirs)
    assert np.array_equal(source.labels("test"), rows["label"].to_numpy())


def test_class_names_come_from_the_embedded_features(data: Path) -> None:
    assert open_source(str(data / "cifar10")).classes[:3] == ("airplane", "automobile", "bird")
    assert open_source(str(data / "histology")).classes == ("epithelial", "fibroblast", "inflammatory", "others")


def test_size_resizes_every_image_alone(data: Path) -> None:
    source = open_source(str(data / "radio_galaxies"), size=33)
    together = source.read("test", np.arange(20))
    assert source.shape == (1, 33, 33)
    assert torch.equal(together, torch.cat([source.read("test", np.array([i])) for i in range(20)]))


@pytest.mark.parametrize("kind", ["folder", "idx", "parquet"])
def test_a_source_survives_pickling(kind: str, tmp_path: Path, data: Path) -> None:
    if kind == "parquet":
        place = data / "histology"
    elif kind == "idx":
        place = write_idx(tmp_path / "idx", noise(6, 5, 5), np.arange(6) % 2)
    else:
        place = write_folder(tmp_path / "pets")
    source = open_source(str(place))
    source.read("train", np.arange(3))
    again = pickle.loads(pickle.dumps(source))
    assert torch.equal(again.read("train", np.arange(6)), source.read("train", np.arange(6)))
    assert again.fingerprint == source.fingerprint == open_source(str(place)).fingerprint


def test_the_fingerprint_follows_the_bytes(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    before = open_source(str(root)).fingerprint
    (root / "cat" / "0.png").write_bytes(encoded(noise(8, 8, 3, seed=99)))
    assert open_source(str(root)).fingerprint != before


def test_reading_outside_the_source_is_refused(tmp_path: Path) -> None:
    source = open_source(str(write_folder(tmp_path / "pets")))
    assert source.read("train", np.array([], dtype=np.int64)).shape == (0, 3, 8, 8)
    with pytest.raises(SourceError, match=r"no split 'test'; it has train"):
        source.read("test", np.arange(1))
    with pytest.raises(SourceError, match=r"no split 'test'"):
        source.labels("test")
    for bad in (-1, 6):
        with pytest.raises(SourceError, match=rf"index {bad}\.\.{bad} is outside 0\.\.5 of 'train'"):
            source.read("train", np.array([bad]))


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("train-00000-of-00002", "train"),
        ("valid", "validation"),
        ("val-2", "validation"),
        ("dev.0", "validation"),
        ("t10k", "test"),
        ("test_images", "test"),
        ("test-1380", "test"),
        ("holdout-4000", "holdout"),
        ("extra12", "extra"),
        ("0000", "train"),
    ],
)
def test_split_names(stem: str, split: str) -> None:
    assert split_name(stem) == split


def test_splits_come_in_one_order() -> None:
    assert split_order(["zoo", "test", "extra", "train", "validation"]) == [
        "train",
        "validation",
        "test",
        "extra",
        "zoo",
    ]


def test_options_end_a_reference() -> None:
    ref = Ref.parse("data/a,b,image=picture,splits=train+test")
    assert (ref.place, ref.options) == ("data/a,b", {"image": "picture", "splits": "train+test"})
    with pytest.raises(SourceError, match=r"no option 'colour'; the options are image="):
        Ref.parse("data,colour=red")


def test_splits_can_be_chosen(data: Path) -> None:
    source = open_source(f"{data / 'cifar10'},splits=test+holdout")
    assert source.splits == {"test": 1000, "holdout": 4000}
    with pytest.raises(SourceError, match=r"no split 'val'; it has train, test, holdout"):
        open_source(f"{data / 'cifar10'},splits=val")


def test_the_license_is_in_the_card_or_beside_it(tmp_path: Path, data: Path) -> None:
    assert license_of(tmp_path) == "unknown"
    assert license_of(data / "blood_cells") == "see LICENSE"
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\npretty_name: x\n---\n# x\nlicense: other\n")
    assert license_of(tmp_path) == "cc-by-4.0"


def test_every_kind_is_listed_with_an_example() -> None:
    known = "glyphs idx folder npz csv webdataset masks coco yolo parquet saved hub memory"
    assert [row.scheme for row in list_sources()] == known.split()
    assert all(row.reads and row.example for row in list_sources())


def test_places_that_hold_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'nowhere' is neither a file nor a folder here; expected 'glyphs'"):
        open_source("nowhere")
    with pytest.raises(SourceError, match=r"for the Hub write 'hub:ylecun/mnist'"):
        open_source("ylecun/mnist")
    with pytest.raises(
        SourceError, match=r"is an empty folder; expected idx files, class folders of images, .* or a datasets"
    ):
        open_source(str(tmp_path))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SourceError, match=r"holds only 'notes.txt'; expected idx files"):
        open_source(str(tmp_path))
    with pytest.raises(SourceError, match=r"is a file; expected \.npz, .*\.csv, .*, \.parquet or a folder: unpack"):
        open_source(str(tmp_path / "notes.txt"))


def test_two_kinds_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(4, 5, 5), np.arange(4) % 2)
    write_folder(tmp_path / "pets")
    (tmp_path / "pets").rename(tmp_path / "x")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.png").write_bytes(encoded(noise(4, 4)))
    with pytest.raises(SourceError, match=r"holds idx files and class folders of images; move one kind"):
        open_source(str(tmp_path))


def test_a_picture_beside_parquet_files_is_no_second_kind(tmp_path: Path, data: Path) -> None:
    (tmp_path / "test.parquet").symlink_to(next((data / "histology").glob("test-*.parquet")))
    (tmp_path / "preview.png").write_bytes(encoded(noise(9, 9)))
    assert open_source(str(tmp_path)).splits == {"test": 1380}


def test_a_format_is_a_row_and_a_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The module of a new format is found by its scheme, and opens what it finds at a path."""
    module = types.ModuleType("symdata.sources.dots")
    module.found_at = lambda place: (place / "dots.txt").is_file()  # type: ignore[attr-defined]
    module.open_ref = lambda ref, fit, device: (ref.place, fit.size, device)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    rows = (*sources._FORMATS, sources.SourceInfo("dots", "a file of dots", "data/dots", "dots"))
    monkeypatch.setattr(sources, "_FORMATS", rows)
    assert list_sources()[-1].scheme == "dots"
    with pytest.raises(SourceError, match=r"is an empty folder; expected idx files, .* or dots"):
        open_source(str(tmp_path))
    (tmp_path / "dots.txt").write_text("...")
    assert open_source(str(tmp_path), size=9) == (str(tmp_path), 9, "cpu")


def test_every_format_has_its_functions() -> None:
    for row in list_sources():
        module = importlib.import_module(f"symdata.sources.{row.scheme}")
        assert callable(module.open_ref)
        assert hasattr(module, "found_at") == bool(row.files)
