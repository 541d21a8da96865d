"""idx files: what MNIST and its family look like on disk, whole and damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.idx import read_idx
from tests.support.images import idx_bytes, noise, write_idx

IMAGES, LABELS = noise(6, 5, 5), np.array([3, 7, 3, 7, 9, 9])


def test_mnist_is_what_its_bytes_say(data: Path) -> None:
    source = open_source(str(data / "mnist"))
    raw = np.frombuffer(gzip.decompress((data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    assert np.array_equal(source.read("test", np.arange(10000)).numpy(), raw.reshape(-1, 1, 28, 28))
    labels = gzip.decompress((data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert bytes(source.labels("test").astype(np.uint8)) == labels
    assert source.classes == tuple("0123456789")


@pytest.mark.parametrize("packed", [True, False])
def test_labels_are_numbered_and_named_by_their_values(packed: bool, tmp_path: Path) -> None:
    write_idx(tmp_path / "a", IMAGES, LABELS, packed=packed)
    write_idx(tmp_path / "a", IMAGES[:2], LABELS[:2], split="t10k", packed=packed)
    source = open_source(str(tmp_path / "a"))
    assert (source.splits, source.classes) == ({"train": 6, "test": 2}, ("3", "7", "9"))
    assert source.labels("train").tolist() == [0, 1, 0, 1, 2, 2]
    assert np.array_equal(source.read("train", np.array([4, 0])).numpy()[:, 0], IMAGES[[4, 0]])


def test_dots_in_names_and_wrong_suffixes_are_fine(tmp_path: Path) -> None:
    (tmp_path / "train-images.idx3-ubyte").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    (tmp_path / "train-labels.idx1-ubyte.gz").write_bytes(idx_bytes(LABELS.astype(np.uint8)))
    assert open_source(str(tmp_path)).splits == {"train": 6}


@pytest.mark.parametrize("last", [True, False])
def test_colour_is_four_dimensional(last: bool, tmp_path: Path) -> None:
    colour = noise(6, 5, 7, 3)
    write_idx(tmp_path, colour if last else colour.transpose(0, 3, 1, 2).copy(), LABELS)
    source = open_source(str(tmp_path))
    assert source.shape == (3, 5, 7)
    assert np.array_equal(source.read("train", np.arange(6)).numpy(), colour.transpose(0, 3, 1, 2))


def test_emnist_is_turned_upright_and_named_by_its_mapping(tmp_path: Path) -> None:
    for name in ("letters", "digits"):
        write_idx(tmp_path, IMAGES, LABELS, split=f"emnist-{name}-train")
    (tmp_path / "emnist-letters-mapping.txt").write_text("3 67 99\n7 71 103\n9 73 105\n")
    with pytest.raises(
        SourceError, match=r"holds 2 sets of idx files; name one of them: .*emnist-digits, .*emnist-letters"
    ):
        open_source(str(tmp_path))
    source = open_source(str(tmp_path / "emnist-letters"))
    assert (source.classes, source.name) == (("C", "G", "I"), "emnist-letters")
    assert np.array_equal(source.read("train", np.arange(6)).numpy()[:, 0], IMAGES.swapaxes(1, 2))
    assert open_source(str(tmp_path / "emnist-digits")).classes == ("3", "7", "9")


def test_integer_labels_wider_than_a_byte_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(idx_bytes(np.array([-1, 70000], dtype=">i4"), code=0x0C))
    assert read_idx(path).tolist() == [-1, 70000]
    assert read_idx(path).dtype == np.dtype("=i4")


def damage_gzip(raw: bytes) -> bytes:
    return gzip.compress(raw)[:-40]


def flip_gzip(raw: bytes) -> bytes:
    packed = bytearray(gzip.compress(raw))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_gzip, r"is a truncated gzip file \(\d+ bytes\); fetch the file again"),
        (flip_gzip, r"cannot be read \(.*\); fetch the file again|is truncated"),
        (lambda raw: raw[:-7], r"is truncated: it holds 143 of the 150 bytes its header names"),
        (lambda raw: raw + b"x", r"holds more than the 6x5x5 values its header names"),
        (lambda raw: raw[:10], r"is truncated: it holds 6 of the 12 bytes"),
        (lambda raw: b"", r"is truncated: it holds 0 of the 4 bytes"),
        (lambda raw: b"<html>404</html>" * 9, r"not an idx file of integers: its magic number is 0x3c68746d, expected"),
        (lambda raw: raw[:2] + b"\x0d" + raw[3:], r"its magic number is 0x00000d03, expected 0x00000803"),
        (
            lambda raw: raw[:4] + struct.pack(">I", 2**31) + raw[8:],
            r"is truncated: it holds 150 of the 53687091200 bytes",
        ),
        (lambda raw: idx_bytes(noise(150)), r"holds uint8 values of shape \(150,\); expected uint8 images"),
        (
            lambda raw: idx_bytes(noise(6, 2, 2, 2)),
            r"has shape \(6, 2, 2, 2\); expected \(n, H, W, 3\) or \(n, 3, H, W\)",
        ),
        (lambda raw: idx_bytes(IMAGES[:5]), r"holds 5 images but 'train-labels-idx1-ubyte.gz' holds 6 labels"),
    ],
)
def test_damaged_files_are_refused(damage: object, sentence: str, tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES, LABELS)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(damage(idx_bytes(IMAGES)))  # type: ignore[operator]
    with pytest.raises(SourceError, match=sentence):
        open_source(str(tmp_path))


def test_a_truncated_mnist_is_refused(tmp_path: Path, data: Path) -> None:
    for path in (data / "mnist").glob("t10k-*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    images = tmp_path / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:1_000_000])
    with pytest.raises(SourceError, match=r"t10k-images-idx3-ubyte.gz' is a truncated gzip file \(1000000 bytes\)"):
        open_source(str(tmp_path))


def test_missing_halves_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES, LABELS)
    (tmp_path / "train-labels-idx1-ubyte.gz").rename(tmp_path / "labels")
    with pytest.raises(
        SourceError, match=r"the labels of split 'train' are missing: .* wants 'train-labels-idx1-ubyte.gz'"
    ):
        open_source(str(tmp_path))
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    (tmp_path / "labels").rename(tmp_path / "train-labels-idx1-ubyte.gz")
    with pytest.raises(
        SourceError, match=r"the images of split 'train' are missing: .* wants 'train-images-idx3-ubyte.gz'"
    ):
        open_source(str(tmp_path))


def test_packed_and_plain_side_by_side_are_refused(tmp_path: Path) -> None:
    write_idx(write_idx(tmp_path, IMAGES, LABELS), IMAGES, LABELS, packed=False)
    with pytest.raises(SourceError, match=r"holds both 'train-images-idx3-ubyte' and 'train-images-idx3-ubyte.gz'"):
        open_source(str(tmp_path))


def test_one_class_and_mixed_sizes_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "one", IMAGES, np.full(6, 4))
    with pytest.raises(SourceError, match=r"holds one class only \('4'\); a labelled dataset needs two or more"):
        open_source(str(tmp_path / "one"))
    write_idx(tmp_path / "two", IMAGES, LABELS)
    write_idx(tmp_path / "two", noise(6, 4, 4), LABELS, split="t10k")
    with pytest.raises(
        SourceError, match=r"the splits differ in shape \(train 1x5x5, test 1x4x4\); give one size, as in --size"
    ):
        open_source(str(tmp_path / "two"))
    assert open_source(str(tmp_path / "two"), size=6).shape == (1, 6, 6)


def test_options_that_mean_nothing_here_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, IMAGES, LABELS)
    with pytest.raises(SourceError, match=r"takes no label= option; leave it out"):
        open_source(f"{tmp_path},label=x")
