"""Images that are not square, under the half turn and both mirrors: exact everywhere; quarter turns are refused."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from symdata import Element, Elements, Group, LearnableAffine, RandomSymmetry, Symmetry, act, load, make, verify
from symdata.errors import ShapeError
from symdata.inspection.any_images import inspect
from symdata.inspection.source_audit import audit_source
from symdata.sources import open_source
from symdata.transforms.lattice import needs_square
from tests.support.pixels import noise

EXPECTED = {
    "e": lambda x: x,
    "r180": lambda x: torch.rot90(x, 2, (-2, -1)),
    "m": lambda x: x.flip(-1),
    "r180m": lambda x: x.flip(-2),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder of 120 letters, 12 x 16 pixels."""
    root, glyphs = tmp_path_factory.mktemp("rectangles"), open_source("glyphs:bdO", size=16)
    images, labels = glyphs.read("train", range(120))[:, :, 2:-2], glyphs.labels("train")[:120]
    for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        folder = root / glyphs.classes[label]
        folder.mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / f"{i:03}.png")
    return root


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (1, 6)])
def test_act_is_exact(shape, dtype):
    images = (torch.arange(2 * 3 * shape[0] * shape[1]) % 251).view(2, 3, *shape).to(dtype)
    for element in Group.parse("d2").elements:
        moved = act(images, element)
        assert moved.equal(EXPECTED[str(element)](images)) and moved.dtype == dtype
        assert act(moved, ~element).equal(images)
    for element in (Element(90), Element(270), Element(90, flip=True), Element(270, flip=True)):
        with pytest.raises(ShapeError, match=r"a quarter turn needs square ones; resize or pad them first, or use d2"):
            act(images, element)


@pytest.mark.parametrize("spec", ["d2", "c2", "d1", "d2-partial@0.3", "c4@180..180", "d4@0..0", "0:d1,rest:c2"])
def test_random_symmetry_is_exact(spec):
    images, labels = noise(32, 2, 5, 8), torch.arange(32) % 2
    augment = RandomSymmetry(spec)
    moved = augment(images, labels=labels)
    assert moved.equal(torch.cat([EXPECTED[str(e)](x[None]) for x, e in zip(images, augment.elements, strict=True)]))
    assert augment.inverse(moved).equal(images) and not moved.equal(images)


def test_affine_maps_keep_the_shape():
    images = noise(4, 1, 6, 9)
    assert (LearnableAffine("rotation", 0.0, mask="none")(images) - images).abs().max() < 1e-5
    assert LearnableAffine("rotation", 1.0)(images).shape == images.shape


def test_which_symmetries_keep_a_rectangle():
    kept = ["none", "c2", "d1", "d2", "d2-partial@0.3", "c4@180..180", "d4@0..0", "o2@0..0", "0:d2,rest:none"]
    turned = ["c4", "d4", "so2", "c8", "d4-partial@0.001", "so2@-1..1", "c4@90..90", "0:d2,1:c4", "so2@0~1"]
    assert not any(needs_square(Symmetry.parse(text)) for text in kept)
    assert all(needs_square(Symmetry.parse(text)) for text in turned)


@pytest.mark.parametrize("spec", ["d2", "c4@180..180", "0-1:d1,rest:c2"])
def test_make_is_exact(source, tmp_path, spec):
    make(str(source), tmp_path / "made", symmetry=spec)
    dataset, upright = load(tmp_path / "made", "train"), open_source(str(source))
    assert dataset.shape == (1, 12, 16) and verify(tmp_path / "made").passed
    images = upright.read("train", dataset.index)
    moved = [EXPECTED[str(element)](image[None]) for image, element in zip(images, dataset.elements, strict=True)]
    assert dataset.images().equal(torch.cat(moved)) and not dataset.images().equal(images)
    (file,) = (tmp_path / "made").glob("*.parquet")
    png = pq.read_table(file)["image"][0].as_py()["bytes"]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), dataset.images([0])[0, 0].numpy())
    report = inspect(tmp_path / "made")
    assert report.shape == (1, 12, 16) and not report.leaks and report.splits[0].count == 120


def test_make_refuses_quarter_turns(source, tmp_path):
    for spec in ("d4", "so2", "c4-partial@0.1"):
        with pytest.raises(ShapeError, match=r"are 12x16 and .* turns them; use --size 16 .* that keeps them, as d2"):
            make(str(source), tmp_path / "made", symmetry=spec)
    assert not (tmp_path / "made").exists()


def test_the_audit_asks_for_d2(source):
    found = audit_source(source)
    assert found.audit.group.name == "d2" and {test.element for test in found.audit.tests} == {"r180", "m", "r180m"}
    assert found.shape == (1, 12, 16) and not found.audit.is_symmetric
    with pytest.raises(ShapeError, match="a quarter turn needs square ones; use --group c2"):
        audit_source(source, group="c4")
    still = Elements.of(Element(), 4)
    assert act(noise(4, 1, 5, 8), still).equal(noise(4, 1, 5, 8))
