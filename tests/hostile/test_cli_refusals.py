"""Bad input to `symdata make`: one clear sentence on stderr, an exit code, no traceback, and everything as it was."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import refused, run
from tests.support.images import encoded, noise, write_folder, write_idx


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# Bad symmetries and options


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--symmetry", "d4-partal"], "symmetry 'd4-partal', character 3: '-partal' cannot follow 'd4'"),
        (["--symmetry", "d4-partial@1.5"], "weight 1.5 is outside [0, 1]"),
        (["--symmetry", "c0"], "has 0 rotations, expected 1 to 360"),
        (["--symmetry", "so2@45..-45"], "ends before it starts"),
        (["--symmetry", "so2@nan..5"], "cannot follow 'so2'"),
        (["--symmetry", "0-3:d4,2:c4"], "class 2 is named twice"),
        (["--symmetry", ""], "symmetry '' is empty"),
        (["--test-symmetry", "k5"], "does not begin with a group"),
        (["--size", "1"], "'--size'"),
        (["--size", "5000"], "'--size'"),
        (["--count", "0"], "'--count'"),
        (["--count", "-5"], "'--count'"),
        (["--validation", "1"], "'--validation'"),
        (["--num-shards", "0"], "'--num-shards'"),
        (["--workers", "0"], "'--workers'"),
        (["--batch-size", "0"], "'--batch-size'"),
        (["--seed", "x"], "'--seed'"),
        (["--resample", "lanczos"], "'--resample'"),
        (["--resize", "nearest"], "'--resize'"),
        (["--nosuch"], "No such option"),
        (["--source", "x"], "--source is for recipes, and 'glyphs' is a source; name one of the two."),
        (["mnist6-18"], "'mnist6-18' is no recipe and no file here; did you mean mnist6-180?"),
        (["rotmist"], "did you mean rotmnist?"),
    ],
)
def test_wrong_usage(arguments, sentence):
    assert sentence in refused("make", *arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--symmetry", "0-15:d4,16:c4"], "names class 16, but the classes are 0 to 15"),
        (["--symmetry", "0-3:d4"], "says nothing of class 4; add ',rest:none'"),
        (
            ["--symmetry", "c8", "--resample", "exact"],
            "'c8' leaves the pixel lattice and --resample is exact; use --resample halves",
        ),
        (["--device", "cuda:77"], "device 'cuda:77' cannot be used here ("),
        (["--device", "gpu"], "device 'gpu' cannot be used here ("),
        (["--count", "10000000000000"], "count is 10000000000000, expected a whole number from 1 to 1000000000"),
        (["--validation", "nan"], "validation share nan is outside [0, 1)"),
        (["--validation", "0.1"], "'glyphs' has a validation split of its own"),
        (["--size", "2000"], "size is 2000, expected a whole number from 8 to 1024 pixels, the sizes of glyphs"),
        (["glyphs:O"], "one class only; add a second character"),
        (["glyphs:O!"], "'!', which is no glyph"),
        (["nosuch/folder"], "'nosuch/folder' is neither a file nor a folder here"),
        (["graded-k4"], "recipe 'graded-k4-0': 'k4' is not a group"),
        (["graded-c4-10"], "level 0 to 9, as in graded-c4-3"),
        (["mnist6-180", "--source", "glyphs:OX"], "'mnist6-180' needs class '6', but the source has O, X"),
        (["rotmnist", "--source", "glyphs", "--validation", "0.1"], "'rotmnist' has a validation split of its own"),
        (["--num-shards", "1000000"], "num_shards is 1000000, expected a whole number from 1 to 99999"),
    ],
)
def test_refusals(arguments, sentence):
    assert sentence in refused("make", *arguments)


def test_hub_without_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "offline mode is on (HF_HUB_OFFLINE)" in refused("make", "hub:ylecun/mnist", "--symmetry", "d4")
    assert "offline mode is on (HF_HUB_OFFLINE)" in refused("make", "rotmnist")


# Bad sources


def bad_source(kind: str, place: Path) -> str:
    """Write a source that is bad in the way of `kind`; the sentence that it should get."""
    gray, label = noise(6, 5, 5), np.arange(6) % 2
    if kind == "empty":
        place.mkdir()
        return "is an empty folder; expected idx files,"
    if kind == "truncated gzip":
        write_idx(place, gray, label)
        images = place / "train-images-idx3-ubyte.gz"
        images.write_bytes(images.read_bytes()[:-30])
        return "train-images-idx3-ubyte.gz' is a truncated gzip file"
    if kind == "labels missing":
        write_idx(place, gray, label)
        (place / "train-labels-idx1-ubyte.gz").unlink()
        return "the labels of split 'train' are missing"
    if kind == "more images than labels":
        write_idx(place, gray, label[:5])
        return "holds 6 images but"
    if kind == "idx of text":
        write_idx(place, gray, label)
        (place / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"hello, world"))
        return "is not an idx file of integers"
    write_folder(place, ("cat",) if kind == "one class" else ("cat", "dog"))
    if kind == "one class":
        return "holds one class only ('cat')"
    if kind == "a JPEG that is text":
        (place / "dog" / "1.jpg").write_text("not an image")
        return "1.jpg cannot be used:"
    if kind == "mixed sizes":
        (place / "dog" / "9.png").write_bytes(encoded(noise(9, 8, 3)))
        return "holds images of 2 sizes, such as 8x8"
    if kind == "truncated PNG":
        (place / "dog" / "1.png").write_bytes((place / "dog" / "1.png").read_bytes()[:90])
        return "1.png cannot be used:"
    raise ValueError(f"no source is made {kind!r}")


@pytest.mark.parametrize(
    "kind",
    [
        *("empty", "truncated gzip", "labels missing", "more images than labels", "idx of text", "one class"),
        *("a JPEG that is text", "mixed sizes", "truncated PNG"),
    ],
)
def test_bad_sources(kind, tmp_path):
    sentence = bad_source(kind, tmp_path / "source")
    assert sentence in refused("make", tmp_path / "source", "--symmetry", "d4")


def test_mixed_sizes_are_fine_with_a_size(tmp_path):
    bad_source("mixed sizes", tmp_path / "source")
    assert run("make", tmp_path / "source", "--symmetry", "d4", "--size", 8).exit_code == 0


def test_images_that_are_not_square(tmp_path):
    write_idx(tmp_path / "source", noise(6, 5, 7), np.arange(6) % 2)
    assert "images are 5x7 and c4 turns them; use --size 7" in refused("make", tmp_path / "source", "--symmetry", "c4")
    assert run("make", tmp_path / "source", "--symmetry", "d2", "--out", "d").exit_code == 0


def test_an_image_that_breaks_on_the_way(tmp_path):
    """Its header is fine, so that opening the source does not find out."""
    write_folder(tmp_path / "source", per_class=4, side=64)
    image = tmp_path / "source" / "dog" / "2.png"
    data = bytearray(image.read_bytes())
    data[200:260] = bytes(60)
    image.write_bytes(data)
    assert "2.png cannot be used:" in refused("make", tmp_path / "source", "--symmetry", "d4")
