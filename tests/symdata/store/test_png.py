"""Our PNG files against Pillow: an independent reader, and the size it would have given them itself."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from symdata.errors import ShapeError
from symdata.sources import open_source
from symdata.store.png import encode_pngs
from tests.support.images import noise

KINDS = {
    "noise": lambda rng, shape: rng.integers(0, 256, shape),
    "black": lambda rng, shape: np.zeros(shape),
    "white": lambda rng, shape: np.full(shape, 255),
    "sparse": lambda rng, shape: rng.integers(0, 256, shape) * (rng.random(shape) < 0.1),
    "ramp": lambda rng, shape: np.arange(np.prod(shape)).reshape(shape) % 256,
    "extremes": lambda rng, shape: rng.choice([0, 1, 127, 128, 254, 255], shape),
}


def opened(file: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(file))
    image.load()
    return image


def decoded(file: bytes) -> np.ndarray:
    """A file as Pillow reads it, (C, H, W)."""
    pixels = np.asarray(opened(file))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def assert_same(images: np.ndarray) -> None:
    files = encode_pngs(images)
    assert len(files) == len(images)
    for file, image in zip(files, images, strict=True):
        assert opened(file).mode == ("L" if images.shape[1] == 1 else "RGB")
        assert np.array_equal(decoded(file), image)


@given(
    n=st.integers(1, 5),
    c=st.sampled_from([1, 3]),
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 1000),
)
def test_pillow_reads_the_same_pixels(n, c, h, w, kind, seed):
    assert_same(KINDS[kind](np.random.default_rng(seed), (n, c, h, w)).astype(np.uint8))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "shape", [(3, 1, 1, 1), (3, 3, 1, 1), (2, 1, 1, 300), (2, 3, 300, 1), (4, 3, 97, 61), (2, 1, 29, 28)]
)
def test_odd_shapes(kind, shape):
    assert_same(KINDS[kind](np.random.default_rng(0), shape).astype(np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_image_and_many_small_ones(channels):
    assert_same(noise(1, channels, 700, 900))
    assert_same(noise(700, channels, 28, 28))


def test_kinds_may_be_mixed_in_one_batch():
    images = np.stack([KINDS[kind](np.random.default_rng(1), (1, 17, 23)).astype(np.uint8) for kind in sorted(KINDS)])
    assert_same(images)


@given(st.data())
def test_a_file_depends_on_its_image_alone(data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=8))
    c = data.draw(st.sampled_from([1, 3]))
    images = [KINDS[kind](np.random.default_rng(k), (c, 12, 9)).astype(np.uint8) for k, kind in enumerate(kinds)]
    together = encode_pngs(np.stack(images))
    assert together == [encode_pngs(image[None])[0] for image in images]


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_that_are_not_contiguous_are_fine(channels):
    images = noise(6, channels, 20, 20)
    for view in (images[::2], images[:, :, ::-1], images.transpose(0, 1, 3, 2), images[..., 3:17]):
        assert_same(view)


def test_no_images_are_no_files():
    assert encode_pngs(np.empty((0, 1, 28, 28), np.uint8)) == []
    assert encode_pngs(np.empty((0, 3, 28, 28), np.uint8)) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_every_chunk_has_its_checksum(channels):
    (file,) = encode_pngs(noise(1, channels, 11, 13))
    position, kinds = 8, []
    while position < len(file):
        (length,) = struct.unpack(">I", file[position : position + 4])
        kind, body = file[position + 4 : position + 8], file[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack(">I", file[position + 8 + length : position + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        kinds.append(kind)
        position += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 2, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 4), np.uint8),
        np.zeros((1, 1, 0, 4), np.uint8),
        np.zeros((1, 4, 4), np.uint8),
        np.zeros((1, 1, 4, 4), np.float32),
    ],
)
def test_what_is_no_image_is_refused(images):
    with pytest.raises(ShapeError, match=r"expected uint8 \(n, C, H, W\) with C 1 or 3"):
        encode_pngs(images)


def pillow_size(image: np.ndarray) -> int:
    out = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(out, "PNG")
    return len(out.getvalue())


@pytest.mark.parametrize(("name", "split"), [("glyphs", "train"), ("cifar10", "test"), ("histology", "test")])
def test_files_are_hardly_larger_than_those_of_pillow(name, split, request):
    ref = name if name == "glyphs" else str(request.getfixturevalue("data") / name)
    images = open_source(ref).read(split, np.arange(300)).numpy()
    ours = sum(map(len, encode_pngs(images)))
    assert ours <= 1.15 * sum(map(pillow_size, images))
