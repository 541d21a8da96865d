"""Masks beside images: folders, tables, how they are decoded and resized, and damage."""

import io
import shutil
import struct
import zlib
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.decode import decode_mask
from symdata.sources.fit import Fit
from symdata.store import load, make, verify
from tests.support.annotated import painted, write_masks
from tests.support.images import encoded, noise

EVERY = np.arange(6)


@pytest.mark.parametrize("classes", [False, True])
def test_masks_of_the_same_names(classes: bool, tmp_path: Path) -> None:
    masks = write_masks(tmp_path, classes=classes)
    source = open_source(str(tmp_path))
    order = [0, 2, 4, 1, 3, 5] if classes else EVERY  # by class folder
    assert source.classes == (("cat", "dog") if classes else ("image",)) and source.splits == {"train": 6}
    assert np.array_equal(source.annotations("train", EVERY).masks, masks[order])
    assert np.array_equal(source.read("train", EVERY).numpy().transpose(0, 2, 3, 1), painted()[0][order])


def test_splits_and_other_suffixes(tmp_path: Path) -> None:
    write_masks(tmp_path / "raw")
    for kind in ("images", "masks"):
        for split in ("train", "val"):
            (tmp_path / kind / split).mkdir(parents=True)
            for path in (tmp_path / "raw" / kind).iterdir():
                suffix = ".bmp" if kind == "images" else ".png"
                Image.open(path).save(tmp_path / kind / split / f"{path.stem}{suffix}")
    shutil.rmtree(tmp_path / "raw")
    source = open_source(str(tmp_path))
    assert source.splits == {"train": 6, "validation": 6} and source.classes == ("image",)


def test_a_mask_that_is_missing_or_does_not_fit(tmp_path: Path) -> None:
    write_masks(tmp_path)
    path = tmp_path / "masks" / "3.png"
    path.write_bytes(encoded(noise(5, 6)))
    with pytest.raises(SourceError, match=r"mask masks/3.png is 5x6, its image images/3.png is 12x12"):
        open_source(str(tmp_path))
    path.write_bytes(encoded(noise(12, 12, 3)))
    with pytest.raises(SourceError, match=r"mask masks/3.png cannot be used: it has colours"):
        open_source(str(tmp_path))
    path.unlink()
    with pytest.raises(SourceError, match=r"image '3.png' has no mask 'masks/3.png'; add it or remove the image"):
        open_source(str(tmp_path))
    (tmp_path / "images" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "images" / "a" / "b" / "c" / "x.png").write_bytes(encoded(noise(12, 12)))
    with pytest.raises(SourceError, match="lies at an unexpected depth; expected ROOT/images/"):
        open_source(str(tmp_path))


def test_void_is_a_number_of_a_mask(tmp_path: Path) -> None:
    write_masks(tmp_path)
    assert open_source(f"{tmp_path},void=9").annotation_schema.void == 9
    for text in ("256", "-1", "x", ""):
        with pytest.raises(SourceError, match=f"void={text}, expected a number of a mask from 0 to 255"):
            open_source(f"{tmp_path},void={text}")


def test_masks_are_resized_by_the_nearest_pixel_and_padded_with_void(tmp_path: Path) -> None:
    masks = write_masks(tmp_path)
    doubled = open_source(str(tmp_path), size=24).annotations("train", EVERY).masks
    assert np.array_equal(doubled, masks.repeat(2, 1).repeat(2, 2))
    halved = open_source(str(tmp_path), size=4).annotations("train", EVERY).masks
    assert np.array_equal(halved, masks[:, 1::3, 1::3])
    padded = open_source(f"{tmp_path},void=77", size=16, resize="pad").annotations("train", EVERY).masks
    assert (
        np.array_equal(padded[:, 2:-2, 2:-2], masks) and (padded[:, :2] == 77).all() and (padded[:, :, -2:] == 77).all()
    )
    assert Fit().masks(torch.ones(1, 2, 2, dtype=torch.uint8), 255).tolist() == [[[1, 1], [1, 1]]]


def _png(image: Image.Image, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def test_what_a_mask_stores_is_what_is_read() -> None:
    numbers = noise(5, 7) % 4
    palette = Image.fromarray(numbers, "P")
    palette.putpalette(list(range(200, 212)))
    assert np.array_equal(decode_mask(_png(palette)), numbers)
    assert np.array_equal(decode_mask(_png(palette, bits=2)), numbers)
    assert np.array_equal(decode_mask(encoded(numbers)), numbers)
    assert np.array_equal(decode_mask(encoded(np.stack([numbers] * 3, axis=2))), numbers)
    assert np.array_equal(decode_mask(_png(Image.fromarray(numbers > 1))), numbers > 1)


@pytest.mark.parametrize("bits", [2, 4])
def test_gray_files_of_few_bits_keep_their_numbers(bits: int) -> None:
    rows = noise(3, 4) % 2**bits
    packed = b"".join(b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:]).tobytes() for row in rows)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 3, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(packed)),
        (b"IEND", b""),
    )
    blob = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        blob += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    assert np.array_equal(decode_mask(blob), rows)


def _table(tmp_path: Path, **columns: list[object]) -> tuple[Path, np.ndarray]:
    masks = write_masks(tmp_path / "raw")
    cells = {
        name: [{"bytes": (tmp_path / "raw" / folder / f"{k}.png").read_bytes(), "path": None} for k in EVERY]
        for name, folder in (("image", "images"), ("mask", "masks"))
    }
    pq.write_table(pa.table({**cells, **columns}), tmp_path / "table.parquet")
    return tmp_path / "table.parquet", masks


def test_a_table_with_masks_needs_no_labels(tmp_path: Path) -> None:
    path, masks = _table(tmp_path)
    source = open_source(str(path))
    assert source.classes == ("image",)
    assert np.array_equal(source.annotations("train", [4, 1]).masks, masks[[4, 1]])


def test_beside_labels_a_column_of_masks_is_named(tmp_path: Path) -> None:
    path, masks = _table(tmp_path, label=["a", "b"] * 3)
    assert not hasattr(open_source(str(path)), "annotation_schema")
    source = open_source(f"{path},mask=mask")
    assert source.classes == ("a", "b") and np.array_equal(source.annotations("train", EVERY).masks, masks)
    for options, message in (
        (",mask=label", "column 'label' does not hold images beside 'image'"),
        (",mask=none", "no column 'none'; it has"),
        (",void=3", "void= is for masks, and there are none"),
    ):
        with pytest.raises(SourceError, match=message):
            open_source(f"{path}{options}")


def test_saved_datasets_have_masks_too(tmp_path: Path) -> None:
    path, masks = _table(tmp_path)
    rows = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    rows.cast_column("image", datasets.Image()).cast_column("mask", datasets.Image()).save_to_disk(tmp_path / "saved")
    assert np.array_equal(open_source(str(tmp_path / "saved")).annotations("train", EVERY).masks, masks)


def test_other_columns_are_kept_beside_masks(tmp_path: Path) -> None:
    path, masks = _table(tmp_path, patient=["p", "p", "q", "q", "r", "r"], objects=["x"] * 6)
    made = make(str(path), tmp_path / "d", symmetry="none", test=0.34, group_by="patient")
    train, test = (load(made.folder, split) for split in ("train", "test"))
    assert not set(train.column("patient")) & set(test.column("patient"))
    assert np.array_equal(test.annotations().masks, masks[test.index])
    assert train.column("source_objects").tolist() == ["x"] * len(train)
    assert verify(made.folder).passed
