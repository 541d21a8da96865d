"""Audits of images of several sizes: a size is chosen and said, or given in the words of `symdata make`."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.main import main
from symdata.errors import MixedSizesError, SourceError
from symdata.inspection.source_audit import audit_source
from symdata.sources import open_source
from symdata.sources.fit import Fit
from symdata.store import load, make


def write(root, sizes):
    """96 letters as files, in turn of these sizes (H, W)."""
    source = open_source("glyphs:bd", size=24)
    images, labels = source.read("train", range(96)), source.labels("train")[:96]
    for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        folder = root / source.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        h, w = sizes[i % len(sizes)]
        Image.fromarray(image[0].numpy()).resize((w, h)).save(folder / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write(tmp_path_factory.mktemp("squares"), [(16, 16), (21, 21), (30, 30), (21, 21)])


@pytest.fixture(scope="module")
def rectangles(tmp_path_factory):
    return write(tmp_path_factory.mktemp("rectangles"), [(16, 20), (20, 16), (30, 24)])


def run(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_images_of_several_sizes_get_their_median_side(squares):
    result = run(squares)
    assert result.exit_code == 0, result.output
    assert "1 x 21 x 21" in result.stdout and "by d4" in result.stdout
    text = " ".join(result.stdout.split())
    assert "The images have 3 sizes, such as 16x16 and 30x30; all were resized to 21x21 (bilinear), the median" in text
    found = json.loads(run(squares, "--json").stdout)
    assert found["shape"] == [1, 21, 21] and found["resized"].startswith("The images have 3 sizes")
    assert "left out" not in found["resized"]
    assert audit_source(squares, size=21).audit == audit_source(squares).audit


def test_squashed_images_are_not_turned_by_quarters(rectangles):
    found = audit_source(rectangles)
    assert found.shape == (1, 20, 20) and found.audit.group.name == "d2"
    assert "Some are not square and were squashed, so quarter turns are left out" in str(found).replace("\n", " ")
    assert audit_source(rectangles, group="c4").audit.group.name == "c4"
    assert audit_source(rectangles, size=20).audit.group.name == "d4"  # as `make --size 20` would take them


def test_the_size_is_given_in_the_words_of_make(squares, rectangles):
    result = run(rectangles, "--size", 12, "--resize", "area")
    assert result.exit_code == 0, result.output
    assert "1 x 12 x 12" in result.stdout and "Resized to 12x12 (area)." in result.stdout
    assert audit_source(squares, size=12, resize="bicubic").audit != audit_source(squares, size=12).audit
    plain = audit_source("glyphs:bd", limit=100, group="d1")
    assert plain.resized == "" and "esized" not in str(plain)


def test_a_folder_of_ours_is_resized_too(tmp_path):
    folder = make("glyphs:bd", tmp_path / "made", count=90, size=16).folder
    found = audit_source(folder, size=10, resize="area", group="d1")
    assert found.shape == (1, 10, 10)
    images = Fit(10, "area")(load(folder, "train").images(range(4)))
    assert images.shape == (4, 1, 10, 10)
    result = run(folder, "--audit", "--split", "train", "--size", 10, "--out", tmp_path / "seen")
    assert result.exit_code == 0 and "1 x 10 x 10" in result.stdout, result.output


def test_upright_images_get_the_size_of_the_others(squares, rectangles):
    found = audit_source(squares, upright=rectangles, group="d2")
    assert found.shape == (1, 21, 21) and found.audit.compared is not None


def test_refusals(squares):
    with pytest.raises(SourceError, match="resize is 'area', and there is no size to reach; give one, as in --size 64"):
        audit_source(squares, resize="area")
    result = run(squares, "--resize", "area")
    assert result.exit_code == 2 and "add a size, as in --size 64" in result.stderr
    result = run(squares, "--size", 15, "--resize", "pad")
    assert result.exit_code == 1 and "cannot be padded to 15" in result.stderr
    with pytest.raises(MixedSizesError, match="holds images of 3 sizes") as caught:
        open_source(str(squares))
    assert caught.value.sizes == {(16, 16): 24, (21, 21): 48, (30, 30): 24}
    assert np.sum(list(caught.value.sizes.values())) == 96
