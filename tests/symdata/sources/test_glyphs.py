"""Tests of the glyph source; its symmetry has a file of its own."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.base import Source
from symdata.sources.glyphs import atlas
from symdata.sources.glyphs.source import GlyphSource, open_glyphs

MIRROR, QUARTER = 4, 1

# --- images


def test_an_image_depends_on_its_index_alone() -> None:
    source = open_glyphs("glyphs")
    whole = source.read("train", np.arange(512))
    one = torch.cat([source.read("train", np.array([i])) for i in range(0, 512, 37)])
    assert torch.equal(one, whole[::37])
    assert torch.equal(
        torch.cat([source.read("train", np.arange(i, min(i + 17, 512))) for i in range(0, 512, 17)]), whole
    )
    order = np.random.default_rng(0).permutation(512)
    assert torch.equal(source.with_counts(train=7).read("train", order), whole[order])
    far = 10**12 + np.arange(4500)
    assert torch.equal(source.read("train", far)[4097:4100], source.read("train", far[4097:4100]))


def test_splits_and_indices_give_different_images() -> None:
    source = open_glyphs("glyphs")
    images = np.concatenate([source.read(split, np.arange(1000)).flatten(1).numpy() for split in source.splits])
    assert len(np.unique(images, axis=0)) == 3000


@settings(max_examples=15)
@given(st.integers(8, 80), st.sampled_from(["glyphs", "glyphs:alnum", "glyphs:abdefghmnpqrtu"]))
def test_images_are_white_strokes_on_black_inside_the_frame(size: int, ref: str) -> None:
    source = open_glyphs(ref, size=size)
    images = source.read("train", np.arange(256))
    assert images.shape == (256, *source.shape)
    assert images.dtype == torch.uint8
    assert images.is_contiguous()
    ink = images.float().mean(dim=(1, 2, 3)) / 255
    assert ink.min() > 0.02
    assert ink.max() < 0.45
    y, x = np.mgrid[:size, :size] * 2 + 1 - size
    outside = torch.from_numpy(np.hypot(x, y) > size)
    assert (images[..., outside] > 0).any(-1).float().mean() < (0.05 if size < 16 else 0.01)  # the inscribed disk
    # At 8 pixels the thinnest strokes are narrower than a pixel: the smallest maximum of 8000 images is 104.
    assert (images.flatten(1).amax(1) > (90 if size < 10 else 128)).all()


def test_strokes_are_antialiased() -> None:
    images = open_glyphs("glyphs", size=96).read("train", np.arange(160)).float()
    grey = ((images > 0) & (images < 255)).float().mean(dim=(1, 2, 3))
    assert grey.min() > 0.01
    assert grey.max() < 0.2
    assert len(np.unique(images)) == 256


def test_every_size_shows_the_same_letter() -> None:
    small = open_glyphs("glyphs", size=32).read("train", np.arange(64)).float()
    large = open_glyphs("glyphs", size=256).read("train", np.arange(64)).float()
    gap = torch.nn.functional.avg_pool2d(large, 8) - small
    assert gap.abs().mean() < 3
    assert gap.abs().max() < 128


def test_the_largest_size_renders() -> None:
    assert open_glyphs("glyphs", size=1024).read("test", np.array([5])).shape == (1, 1, 1024, 1024)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("size", [28, 96])
def test_the_device_does_not_change_the_bytes(size: int) -> None:
    indices = np.arange(3000)
    there = open_glyphs("glyphs", size=size, device="cuda").read("train", indices)
    assert there.is_cuda
    assert torch.equal(there.cpu(), open_glyphs("glyphs", size=size).read("train", indices))


# --- the source


def test_it_is_a_source() -> None:
    source = open_source("glyphs", size=29)
    assert isinstance(source, Source)
    assert isinstance(source, GlyphSource)
    assert source.classes == tuple("OXHINZSbdpq69AFR")
    assert source.shape == (1, 29, 29)
    assert source.splits == {"train": 6000, "validation": 1000, "test": 1000}
    assert list(source.splits) == ["train", "validation", "test"]
    assert (source.name, source.revision, source.license) == ("glyphs", None, "Bitstream-Vera AND OFL-1.1")
    labels = source.labels("train")
    assert labels.dtype == np.int64
    assert set(np.bincount(labels)) == {375}
    assert source.stabiliser(0) == tuple(range(8))
    assert source.stabiliser_name(4) == "c2"
    assert source.image_of(7, MIRROR) == 8
    assert source.image_of(4, QUARTER) == 5
    assert source.image_of(14, MIRROR) is None


@pytest.mark.parametrize("ref", ["glyphs", "glyphs:digits", "glyphs:letters", "glyphs:alnum", "glyphs:OXNZ"])
def test_a_ref_opens_the_same_source_again(ref: str) -> None:
    source = open_glyphs(ref)
    again = open_glyphs(source.ref)
    assert pickle.loads(pickle.dumps(source)).ref == ref  # so that worker processes can hold one
    assert source.ref == ref
    assert again.classes == source.classes
    assert again.fingerprint == source.fingerprint
    assert source.fingerprint.startswith("sha256:")
    assert len(source.fingerprint) == 71


def test_fingerprints_tell_alphabets_apart() -> None:
    assert len({open_glyphs(ref).fingerprint for ref in ("glyphs:OX", "glyphs:XO", "glyphs:OXN")}) == 3


def test_counts_change_how_many_and_nothing_else() -> None:
    source = open_glyphs("glyphs", size=12, counts={"test": 5, "extra": 3, "validation": 0}).with_counts(train=20)
    assert list(source.splits.items()) == [("train", 20), ("test", 5), ("extra", 3)]
    assert len(source.labels("train")) == 20
    assert source.shape == (1, 12, 12)
    assert source.read("extra", np.array([], dtype=np.int64)).shape == (0, 1, 12, 12)


@pytest.mark.parametrize(
    ("ref", "options", "said"),
    [
        ("glyphs:O€", {}, "'€', which is no glyph"),
        ("glyphs:digit", {}, "'i', which is no glyph"),
        ("glyphs:OXO", {}, "'O' more than once"),
        ("glyphs:O", {}, "add a second character"),
        ("glyphs:", {}, "names no glyphs"),
        ("glyph", {}, "names no glyphs"),
        ("glyphs", {"size": 7}, "8 to 1024"),
        ("glyphs", {"size": 1025}, "8 to 1024"),
        ("glyphs", {"size": True}, "8 to 1024"),
        ("glyphs", {"counts": {"train": -1}}, "count -1"),
        ("glyphs", {"counts": {"train": 1.5}}, "count 1.5"),
        ("glyphs", {"counts": {"train": 0, "validation": 0, "test": 0}}, "every split has count 0"),
        ("glyphs", {"device": "abacus"}, "device 'abacus'"),
        ("glyphs", {"device": "cuda:77"}, "device 'cuda:77'"),
    ],
)
def test_bad_input_gets_one_clear_sentence(ref: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_glyphs(ref, **options)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reading_what_is_not_there_is_refused() -> None:
    source = open_glyphs("glyphs")
    with pytest.raises(SourceError, match="no split 'dev'; it has train, validation, test"):
        source.read("dev", np.array([0]))
    with pytest.raises(SourceError, match="no split 'dev'"):
        source.labels("dev")
    with pytest.raises(SourceError, match="negative"):
        source.read("train", np.array([3, -1]))


def test_missing_fonts_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(atlas, "_font_folder", lambda: tmp_path)
    atlas._font.cache_clear()
    with pytest.raises(SourceError, match="pip install --force-reinstall matplotlib"):
        atlas._font("DejaVuSans")
    monkeypatch.undo()
    monkeypatch.setattr(atlas, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match="pip install matplotlib"):
        atlas._font_folder()


def test_another_process_sees_the_same_bytes_and_imports_no_matplotlib() -> None:
    program = (
        "import sys, hashlib, numpy as np; from symdata.sources.glyphs.source import open_glyphs;"
        "images = open_glyphs('glyphs:OXb').read('test', np.arange(30));"
        "print(hashlib.sha256(images.numpy().tobytes()).hexdigest(), 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    images = open_glyphs("glyphs:OXb").read("test", np.arange(30))
    assert done.stdout.split() == [hashlib.sha256(images.numpy().tobytes()).hexdigest(), "False"]
