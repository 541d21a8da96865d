"""Image folders: layouts, mixtures and damage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.images import encoded, noise, write_folder


def test_one_folder_a_class_is_the_train_split(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "My Pets", per_class=11)
    source = open_source(str(root))
    assert (source.splits, source.classes, source.shape) == ({"train": 22}, ("cat", "dog"), (3, 8, 8))
    assert (source.name, source.license, source.ref) == ("my-pets", "unknown", str(root))
    files = sorted(root.glob("*/*.png"))
    assert source.labels("train").tolist() == [int(path.parent.name == "dog") for path in files]
    theirs = np.stack([np.asarray(Image.open(path)) for path in files]).transpose(0, 3, 1, 2)
    assert np.array_equal(source.read("train", np.arange(22)).numpy(), theirs)


def test_one_folder_a_split(tmp_path: Path) -> None:
    for split, classes in (("testing", ("dog",)), ("train", ("cat", "dog")), ("val", ("eel", "dog"))):
        write_folder(tmp_path / split, classes)
    source = open_source(str(tmp_path))
    assert list(source.splits) == ["train", "validation", "test"]
    assert source.classes == ("cat", "dog", "eel")
    assert source.labels("test").tolist() == [1, 1, 1]
    assert open_source(f"{tmp_path},splits=train").classes == ("cat", "dog")


def test_formats_mix_and_colour_wins(tmp_path: Path) -> None:
    pixels = noise(8, 8)
    root = write_folder(tmp_path / "pets")
    for name, kind in (("g.bmp", "BMP"), ("g.GIF", "GIF"), ("g.tif", "TIFF"), ("g.png", "PNG")):
        (root / "cat" / name).write_bytes(encoded(pixels, kind))
    (root / "dog" / "photo.JPEG").write_bytes(encoded(noise(8, 8, 3), "JPEG"))
    (root / "dog" / "notes.txt").write_text("not an image, and does not claim to be")
    (root / ".DS_Store").write_bytes(b"x")
    source = open_source(str(root))
    assert source.splits == {"train": 11}
    order = sorted(path.name for path in (root / "cat").iterdir())
    images = source.read("train", np.arange(7)).numpy()
    for name in ("g.bmp", "g.GIF", "g.tif", "g.png"):
        assert np.array_equal(images[order.index(name)], np.stack([pixels] * 3))


def test_gray_images_stay_gray(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(encoded(noise(6, 7)))
    assert open_source(str(tmp_path)).shape == (1, 6, 7)


def test_linked_class_folders_are_followed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    (root / "cow").symlink_to(root / "cat")
    assert open_source(str(root)).classes == ("cat", "cow", "dog")


def test_mixed_sizes_need_a_size(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    (root / "dog" / "big.png").write_bytes(encoded(noise(12, 10, 3)))
    with pytest.raises(SourceError, match=r"2 sizes, such as 8x8 \(cat/0.png\) and 12x10 \(dog/big.png\); .* --size 8"):
        open_source(str(root))
    source = open_source(str(root), size=9)
    assert source.read("train", np.arange(7)).shape == (7, 3, 9, 9)
    with pytest.raises(SourceError, match=r"cannot be padded to 8; use --size 12"):
        open_source(str(root), size=8, resize="pad")
    assert open_source(str(root), size=12, resize="pad").shape == (3, 12, 12)


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"I am a text file, honestly.", r"it is not an image \(it starts with b'I am a text '\)"),
        (b"", r"the file is empty"),
        (
            encoded(noise(5, 5).astype(np.uint16)),
            r"its mode is 'I;16' of 16 bits, and only 8 bits a channel can be stored",
        ),
    ],
)
def test_files_that_are_no_images_are_named(blob: bytes, reason: str, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    (root / "dog" / "1.jpg").write_bytes(blob)
    with pytest.raises(SourceError, match=rf"dog/1.jpg cannot be used: {reason}.*; replace or remove it$"):
        open_source(str(root))


def test_a_truncated_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets", side=32)
    (root / "dog" / "1.png").write_bytes(encoded(noise(32, 32, 3))[:1500])
    source = open_source(str(root))
    with pytest.raises(SourceError, match=r"dog/1.png cannot be used: it is damaged \(.*\); replace or remove it"):
        source.read("train", np.arange(6))


def test_an_image_that_changes_size_meanwhile_is_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    source = open_source(str(root))
    (root / "dog" / "0.png").write_bytes(encoded(noise(9, 9, 3)))
    with pytest.raises(SourceError, match=r"dog/0.png changed its size since the source was opened; open it again"):
        source.read("train", np.arange(6))
    (root / "dog" / "0.png").unlink()
    with pytest.raises(SourceError, match=r"cannot read '.*dog/0.png': No such file"):
        source.read("train", np.arange(6))


def test_images_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(noise(5, 5)))
    with pytest.raises(
        SourceError, match=r"1 images, such as 'a.png', lie outside .* labels are missing; move each to"
    ):
        open_source(str(tmp_path))


def test_layouts_that_are_unclear_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "deep" / "pets" / "home")
    with pytest.raises(SourceError, match=r"home|pets"):
        open_source(str(tmp_path / "deep"))
    write_folder(tmp_path / "animals" / "pets")
    with pytest.raises(
        SourceError, match=r"pets hold folders but none is a split \(train, test \.\.\.\); expected ROOT"
    ):
        open_source(str(tmp_path / "animals"))
    write_folder(tmp_path / "mixed" / "train")
    write_folder(tmp_path / "mixed", ("eel",))
    with pytest.raises(SourceError, match=r"images at an unexpected depth: .* and .*; expected ROOT/<class>/\*.png or"):
        open_source(str(tmp_path / "mixed"))
    write_folder(tmp_path / "twice" / "val")
    write_folder(tmp_path / "twice" / "valid")
    with pytest.raises(SourceError, match=r"'val' and 'valid' both name split 'validation'; rename one"):
        open_source(str(tmp_path / "twice"))


def test_empty_and_single_classes_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", ("cat",))
    with pytest.raises(SourceError, match=r"holds one class only \('cat'\)"):
        open_source(str(tmp_path / "one"))
    write_folder(tmp_path / "pets")
    (tmp_path / "pets" / "eel").mkdir()
    with pytest.raises(SourceError, match=r"class folder '.*eel' holds no images .*; fill it or remove it"):
        open_source(str(tmp_path / "pets"))
