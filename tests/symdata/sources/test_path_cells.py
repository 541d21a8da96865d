"""Tables whose cells are structs with the path of a file: the files are images and masks, and part of the source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.files import fingerprint_files
from tests.support.images import encoded, noise

PIXELS, MASKS = noise(6, 8, 8), noise(6, 8, 8, seed=1)
EVERY = np.arange(6)
TYPES = {
    "no image is embedded": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    "no type of bytes": pa.struct({"bytes": pa.null(), "path": pa.string()}),
    "no bytes at all": pa.struct({"path": pa.string()}),
}


def cells(root: Path, stem: str, images: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Files, and the column that names them."""
    (root / f"{stem}0.png").parent.mkdir(exist_ok=True)
    for k, image in enumerate(images):
        (root / f"{stem}{k}.png").write_bytes(encoded(image))
    return pa.array([{"path": f"{stem}{k}.png"} for k in range(len(images))], kind)


def embedded(images: np.ndarray) -> pa.Array:
    """The column that holds the images."""
    return pa.array([{"bytes": encoded(image), "path": "a.png"} for image in images], TYPES["no image is embedded"])


def parquet(root: Path, **columns: Any) -> str:
    """A table beside the folders of its files."""
    pq.write_table(pa.table(columns), root / "train.parquet")
    return str(root)


def saved(root: Path, **columns: Any) -> str:
    """The same as `datasets` saves it."""
    datasets.disable_progress_bars()
    datasets.Dataset(pa.table(columns)).save_to_disk(str(root))
    return str(root)


FORMATS = pytest.mark.parametrize("write", [parquet, saved])
Write = Callable[..., str]


@FORMATS
@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_files_are_images_and_part_of_the_source(write: Write, kind: pa.DataType, tmp_path: Path) -> None:
    ref = write(tmp_path, image=cells(tmp_path, "image", PIXELS, kind), label=[0, 1] * 3)
    source = open_source(ref)
    assert np.array_equal(source.read("train", EVERY)[:, 0], PIXELS)
    (tmp_path / "image3.png").write_bytes(encoded(PIXELS[4]))
    assert open_source(ref).fingerprint != source.fingerprint
    (tmp_path / "image3.png").unlink()
    with pytest.raises(SourceError, match=r"row 3: it points at 'image3.png', which cannot be read"):
        open_source(ref)


@FORMATS
@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_masks_are_not_taken_for_images(write: Write, kind: pa.DataType, tmp_path: Path) -> None:
    ref = write(tmp_path, image=cells(tmp_path, "image", PIXELS, kind), mask=embedded(MASKS))
    source = open_source(ref)
    assert np.array_equal(source.read("train", EVERY)[:, 0], PIXELS)
    assert np.array_equal(source.annotations("train", EVERY).masks, MASKS)


@FORMATS
@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_files_of_masks_are_part_of_the_source(write: Write, kind: pa.DataType, tmp_path: Path) -> None:
    ref = write(tmp_path, image=embedded(PIXELS), mask=cells(tmp_path, "mask", MASKS, kind))
    source = open_source(ref)
    assert np.array_equal(source.annotations("train", EVERY).masks, MASKS)
    (tmp_path / "mask3.png").write_bytes(encoded(MASKS[4]))
    assert open_source(ref).fingerprint != source.fingerprint


def test_some_images_are_embedded_and_some_are_not(tmp_path: Path) -> None:
    named = cells(tmp_path, "images/", PIXELS, TYPES["no image is embedded"])
    ref = parquet(tmp_path, image=pa.concat_arrays([embedded(PIXELS[:3]), named[3:]]), label=[0, 1] * 3)
    source = open_source(ref)
    (tmp_path / "images" / "3.png").write_bytes(encoded(PIXELS[4]))
    assert np.array_equal(source.read("train", EVERY)[:3, 0], PIXELS[:3])
    assert open_source(ref).fingerprint != source.fingerprint


def test_the_fingerprint_of_embedded_images_is_that_of_the_table(tmp_path: Path) -> None:
    """The negative control: nothing lies apart, and the path in a cell is a name alone."""
    source = open_source(parquet(tmp_path, image=embedded(PIXELS), label=[0, 1] * 3))
    assert source.fingerprint == fingerprint_files(tmp_path, [tmp_path / "train.parquet"])


def test_paths_of_something_else_are_no_images(tmp_path: Path) -> None:
    kind = pa.struct({"bytes": pa.null(), "path": pa.string(), "rate": pa.int64()})
    sounds = pa.array([{"path": "a.wav", "rate": 8}] * 6, kind)
    ref = parquet(tmp_path, sound=sounds, image=embedded(PIXELS), label=[0, 1] * 3)
    assert np.array_equal(open_source(ref).read("train", EVERY)[:, 0], PIXELS)
