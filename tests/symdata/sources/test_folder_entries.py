"""What lies in image folders besides PNGs: other formats, other files, FIFOs, and names of every kind."""

import json
import os
import socket
import unicodedata
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from symdata import make, verify
from symdata.errors import SourceError, StoreError
from symdata.sources import open_source
from symdata.sources.folder import suffixes
from tests.support.commands import run
from tests.support.images import encoded, noise, write_folder
from tests.symdata.sources.test_table import made_dataset, write_table

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
BAD = os.fsdecode(b"caf\xe9")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pets")


LOSSLESS = {
    ".jfif": None,
    ".jpe": None,
    ".mpo": None,
    ".avif": None,
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".ppm": "PPM",
    ".pnm": "PPM",
    ".apng": "PNG",
    ".pcx": "PCX",
    ".qoi": "QOI",
    ".sgi": "SGI",
    ".tga": "TGA",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".PNG": "PNG",
}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_every_still_image_that_pillow_opens_is_read(suffix: str, pets: Path) -> None:
    pixels, path = noise(8, 8, 3), pets / "dog" / f"z{suffix}"
    path.write_bytes(encoded(pixels, LOSSLESS[suffix] or Image.registered_extensions()[suffix]))
    source = open_source(str(pets))
    assert source.splits == {"train": 7} and not source.omitted
    wanted = pixels if LOSSLESS[suffix] else np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(source.read("train", np.array([6]))[0].permute(1, 2, 0).numpy(), wanted)


def test_pgm_and_pbm_are_gray(tmp_path: Path) -> None:
    for name, blob in (("a/0.pgm", encoded(noise(6, 6), "PPM")), ("b/0.pbm", b"P4 6 6\n" + noise(6).tobytes())):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(blob)
    assert open_source(str(tmp_path)).shape == (1, 6, 6)


def test_icons_textures_and_vector_graphics_are_not_read() -> None:
    assert not {".ico", ".icns", ".dds", ".eps", ".ps", ".pdf", ".wmf", ".mpg", ".psd", ".h5"} & suffixes()
    assert {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jfif", ".pgm"} <= suffixes()


def test_bytes_of_another_format_are_named(pets: Path) -> None:
    (pets / "dog" / "z.png").write_bytes(encoded(noise(8, 8, 4) | 255, "ICO"))
    with pytest.raises(
        SourceError, match=r"dog/z.png cannot be used: its format is ICO, and those that are read are AVIF"
    ):
        open_source(str(pets))


def test_files_that_are_passed_over_are_counted_and_named(pets: Path, tmp_path: Path) -> None:
    for name in ("cat/a.heic", "dog/b.HEIC", "dog/notes.txt", "dog/LIST", "dog/.hidden", "README.md"):
        (pets / name).write_text("x")
    plan = make(str(pets), tmp_path / "d", symmetry="d4", dry_run=True)
    note = "passed over, since they are no images: 4 files (2 .heic, 1 .txt, 1 LIST)"
    assert note in str(plan)
    assert plan.to_dict()["passed_over"] == {".heic": 2, ".txt": 1, "LIST": 1}
    made = make(str(pets), tmp_path / "d", symmetry="d4")
    assert note in str(made)
    assert json.loads((tmp_path / "d" / "symdata.json").read_text())["source"]["passed_over"][".heic"] == 2
    assert verify(tmp_path / "d").passed


def test_a_folder_of_images_alone_says_nothing(pets: Path, tmp_path: Path) -> None:
    made = make(str(pets), tmp_path / "d", symmetry="d4")
    assert "passed over" not in str(made) and "left out" not in str(made)
    assert made.manifest["source"].keys() == {"ref", "name", "license", "fingerprint", "revision", "pinned"}


def special(kind: str, path: Path) -> None:
    """Makes a FIFO, a socket, a folder, or a link to a device or a FIFO."""
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        here = os.open(path.parent, os.O_RDONLY)  # the path of a socket may have 107 bytes only
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to("/dev/zero")


KINDS = ["a FIFO", "a socket", "a folder", "a device"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_read_as_images(kind: str, pets: Path) -> None:
    special(kind, pets / "dog" / "z.png")
    with pytest.raises(SourceError, match=rf"dog/z.png' is {kind}, and only regular files are read; move it"):
        open_source(str(pets))


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_read_as_tables(kind: str, tmp_path: Path) -> None:
    write_table(tmp_path / "d" / "train.parquet")
    special(kind, tmp_path / "d" / "test.parquet")
    with pytest.raises(SourceError, match=rf"test.parquet' is {kind}, and only regular files are read"):
        open_source(str(tmp_path / "d"))


@pytest.mark.parametrize("name", ["data-00000-of-00001.arrow", "dataset_info.json"])
def test_only_regular_files_are_read_by_datasets(name: str, tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    made_dataset().save_to_disk(str(tmp_path / "d"))
    (tmp_path / "d" / name).unlink()
    os.mkfifo(tmp_path / "d" / name)
    with pytest.raises(SourceError, match=f"{name}' is a FIFO, and only regular files are read"):
        open_source(str(tmp_path / "d"))


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_a_source_that_is_no_file_and_no_folder_is_refused(kind: str, tmp_path: Path) -> None:
    special(kind, tmp_path / "x.parquet")
    with pytest.raises(SourceError, match=r"x.parquet' is neither a regular file nor a folder"):
        open_source(str(tmp_path / "x.parquet"))


@pytest.mark.parametrize("kind", KINDS)
def test_paths_in_tables_lead_to_regular_files_only(kind: str, tmp_path: Path) -> None:
    special(kind, tmp_path / "x.image")
    write_table(tmp_path / "train.parquet", image=["x.image"] * 40)
    with pytest.raises(SourceError, match=rf"train.parquet row 0: '.*x.image' is {kind}, and only regular files"):
        open_source(str(tmp_path))


def test_a_file_that_becomes_a_fifo_is_not_waited_for(pets: Path) -> None:
    source = open_source(str(pets))
    (pets / "dog" / "0.png").unlink()
    os.mkfifo(pets / "dog" / "0.png")
    with pytest.raises(SourceError, match="is a FIFO"):
        source.read("train", np.arange(6))


def test_links_to_images_are_images(pets: Path) -> None:
    (pets / "dog" / "z.png").symlink_to(pets / "dog" / "0.png")
    assert open_source(str(pets)).splits == {"train": 7}


def test_two_spellings_of_a_class_are_one_class(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", (COMPOSED, "z"))
    write_folder(tmp_path / "test", (DECOMPOSED, "z"))
    source = open_source(str(tmp_path))
    assert source.classes == ("z", COMPOSED)
    assert source.labels("train").tolist() == [0] * 3 + [1] * 3  # files in the order of their names
    assert sorted(source.labels("test")) == [0] * 3 + [1] * 3
    for split in ("train", "test"):
        cat = [open_source(f"{tmp_path},splits={split}").labels(split).tolist(), source.labels(split).tolist()]
        assert cat[0] == cat[1]


def test_two_folders_of_one_class_in_a_split_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, (COMPOSED, DECOMPOSED, "z"))
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system has one spelling only")
    with pytest.raises(SourceError, match=r"class folders 'e\\u0301' and '\\xe9' have the same name 'é'"):
        open_source(str(tmp_path))


@pytest.fixture
def unreadable_names(tmp_path: Path) -> Path:
    """A folder where the source, a class and an image have names that are not UTF-8."""
    root = write_folder(tmp_path / f"{BAD}-pets", (BAD, "dog"))
    for folder in root.iterdir():
        (folder / f"{BAD}.png").write_bytes(encoded(noise(8, 8, 3)))
        (folder / f"x.{BAD}").write_bytes(b"")
    return root


def test_names_that_are_not_utf8_work(unreadable_names: Path, tmp_path: Path) -> None:
    source = open_source(str(unreadable_names))
    assert source.classes == ("caf\\xe9", "dog")
    assert source.splits == {"train": 8}
    (unreadable_names / "dog" / f"{BAD}.png").write_bytes(b"")
    result = run("make", str(unreadable_names), "--out", tmp_path / "d", "--symmetry", "d4", "--skip-bad", 1)
    assert result.exit_code == 0, result.output
    assert "left out: dog/caf\\xe9.png (the file is empty)" in result.stdout
    manifest = json.loads((tmp_path / "d" / "symdata.json").read_text("utf-8"))
    assert manifest["source"]["skipped"] == {"dog/caf\\xe9.png": "the file is empty"}
    assert manifest["classes"] == ["caf\\xe9", "dog"]
    assert "dog" in (tmp_path / "d" / "README.md").read_text("utf-8")
    assert verify(tmp_path / "d").passed


def test_a_dataset_whose_name_is_not_utf8_is_refused(pets: Path, tmp_path: Path) -> None:
    for dry in (True, False):
        with pytest.raises(StoreError, match="is not UTF-8, which parquet files need; choose another --out"):
            make(str(pets), tmp_path / BAD, symmetry="d4", dry_run=dry)
    assert not (tmp_path / BAD).exists()


def test_errors_about_names_that_are_not_utf8_can_be_printed(unreadable_names: Path) -> None:
    assert run("inspect", str(unreadable_names), "--group", "c4").exit_code in (0, 1)
    (unreadable_names / "dog" / f"{BAD}.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"dog/caf\\xe9.png cannot be used: the file is empty") as caught:
        open_source(str(unreadable_names))
    str(caught.value).encode()


def test_tables_whose_names_are_not_utf8_are_read(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet").rename(tmp_path / f"{BAD}-train.parquet")
    assert open_source(str(tmp_path)).splits == {"train": 40}
    assert open_source(str(tmp_path / f"{BAD}-train.parquet")).splits == {"train": 40}
    (tmp_path / f"{BAD}-train.parquet").write_bytes(b"")
    with pytest.raises(SourceError, match="not a readable parquet file") as caught:
        open_source(str(tmp_path))
    str(caught.value).encode()


def test_what_pyarrow_calls_the_types_of_texts() -> None:
    """The tests of labels use these; a pyarrow without them would need others."""
    assert pa.types.is_string_view(pa.string_view())
