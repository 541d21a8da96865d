"""Decoding agrees with Pillow, keeps its documented conversions, and refuses what is damaged."""

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from symdata.errors import SourceError
from symdata.sources import decode as module
from symdata.sources.decode import decode, decode_images, probe
from tests.support.images import encoded, noise


def pillow(blob: bytes, mode: str) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(blob)).convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """The PNG with one more chunk after its header."""
    return png[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) + png[33:]


@pytest.mark.parametrize("name", ["cifar10", "histology", "blood_cells", "radio_galaxies", "sstem_orientation"])
def test_real_images_decode_as_pillow_decodes_them(name: str, data: Path) -> None:
    for path in sorted((data / name).glob("test-*.parquet")):
        for blob in pq.read_table(path, columns=["image"])["image"].combine_chunks().field("bytes").to_pylist()[:400]:
            pixels = decode(blob)
            assert np.array_equal(pixels, pillow(blob, "RGB" if pixels.shape[2] == 3 else "L"))


RGB, GRAY = Image.fromarray(noise(19, 23, 3)), Image.fromarray(noise(19, 23))
KINDS = {
    "rgb": (saved(RGB), 3),
    "gray": (saved(GRAY), 1),
    "rgba": (saved(RGB.convert("RGBA")), 3),
    "gray and alpha": (saved(GRAY.convert("LA")), 1),
    "palette": (saved(RGB.quantize(16)), 3),
    "one bit": (saved(GRAY.convert("1")), 1),
    "transparent colour": (saved(RGB, transparency=(1, 2, 3)), 3),
    "jpeg": (saved(RGB, "JPEG"), 3),
    "gray jpeg": (saved(GRAY, "JPEG"), 1),
    "cmyk jpeg": (saved(RGB.convert("CMYK"), "JPEG"), 3),
    "bmp": (saved(RGB, "BMP"), 3),
    "tiff": (saved(GRAY, "TIFF"), 1),
    "webp": (saved(RGB, "WEBP", lossless=True), 3),
    "gif": (saved(RGB.quantize(8), "GIF", save_all=True, append_images=[RGB.rotate(90).quantize(8)]), 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_read(kind: str) -> None:
    blob, channels = KINDS[kind]
    pixels = decode(blob)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (19, 23, channels))
    assert probe(blob) == (19, 23, channels == 3)
    assert np.array_equal(pixels, pillow(blob, "RGB" if channels == 3 else "L"))
    assert np.array_equal(decode(blob, 3), pillow(blob, "RGB"))


def test_interlaced_pngs_are_read() -> None:
    pixels, passes = noise(8, 8), b""  # Adam7: seven little images, each row after a filter byte
    for top, left, down, right in [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]:
        passes += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::right])
    png = module._PNG
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)),
        (b"IDAT", zlib.compress(passes)),
        (b"IEND", b""),
    ):
        png += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    assert np.array_equal(decode(png)[..., 0], pixels)


SEEN = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}
"""EXIF orientation -> how an image (H, W, C) is seen."""


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "MPO", "TIFF", "TIFF tiff_lzw", "TIFF jpeg"])
def test_headers_and_pixels_are_as_seen(kind: str, orientation: int) -> None:
    kind, _, compression = kind.partition(" ")
    options = {"compression": compression} if compression else {}
    exif = Image.Exif()
    exif[0x0112] = orientation
    for image in (RGB, RGB.convert("RGBA")) if kind in ("PNG", "WEBP") else (RGB,):
        blob, plain = saved(image, kind, exif=exif, **options), decode(saved(image, kind, **options))
        seen = SEEN[orientation](plain)
        assert probe(blob) == (*seen.shape[:2], True)
        assert np.array_equal(decode(blob), seen)


def test_the_orientation_of_xmp_counts_too() -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    blobs = [saved(RGB, "TIFF", tiffinfo={700: packet}), saved(RGB, "WEBP", lossless=True, xmp=packet)]
    for blob in blobs:
        assert probe(blob) == (23, 19, True)
        assert np.array_equal(decode(blob), np.rot90(np.asarray(RGB), -1))


def test_deep_images_are_refused() -> None:
    deep_gray = encoded(noise(5, 5).astype(np.uint16) * 257)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in noise(5, 5, 6)))
    deep_rgb = module._PNG
    for kind, part in ((b"IHDR", struct.pack(">IIBBBBB", 5, 5, 16, 2, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")):
        deep_rgb += struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
    floats = saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    for blob in (deep_gray, deep_rgb, floats):
        for use in (probe, decode):
            with pytest.raises(SourceError, match=r"its mode is .*only 8 bits a channel .*rescale it first"):
                use(blob)


def test_what_is_not_an_image_is_refused() -> None:
    for blob, reason in ((b"hello world, hello", "not an image"), (b"", "empty"), (KINDS["jpeg"][0][:200], "damaged")):
        with pytest.raises(SourceError, match=reason):
            decode(blob)
    with pytest.raises(SourceError, match=r"image 1 of 2 cannot be decoded: it is not an image"):
        decode_images([KINDS["rgb"][0], b"nonsense"])
    with pytest.raises(SourceError, match=r"colour image where a gray one was expected"):
        decode(KINDS["rgb"][0], 1)


@pytest.mark.parametrize(
    "error", [RuntimeError("Not implemented"), AssertionError(), AttributeError("x"), zlib.error()]
)
def test_whatever_a_decoder_raises_is_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: io.BytesIO) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    for use in (probe, decode):
        with pytest.raises(SourceError, match=r"it is damaged \(.+\)"):
            use(KINDS["webp"][0])


def test_a_damaged_header_does_not_claim_the_memory() -> None:
    png = KINDS["rgb"][0]
    header = b"IHDR" + struct.pack(">II", 1 << 18, 1 << 18) + png[24:29]
    for checksum in (b"\0\0\0\0", struct.pack(">I", zlib.crc32(header))):
        with pytest.raises(SourceError, match="damaged"):
            decode(png[:12] + header + checksum + png[33:])


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns about damage that it can read
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_damage_is_a_source_error_or_harmless(kind: str, draw: st.DataObject) -> None:
    blob = bytearray(KINDS[kind][0])
    if draw.draw(st.booleans()):
        blob = blob[: draw.draw(st.integers(0, len(blob) - 1))]
    else:
        blob[draw.draw(st.integers(0, len(blob) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(SourceError):
        assert decode(bytes(blob)).dtype == np.uint8


def test_without_the_rust_decoder_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = [blob for blob, _ in KINDS.values()]
    fast = decode_images(blobs)
    monkeypatch.setattr(module, "_rust", None)
    assert all(np.array_equal(a, b) for a, b in zip(fast, decode_images(blobs), strict=True))


def test_metadata_that_changes_nothing_changes_nothing() -> None:
    blob = KINDS["gray"][0]
    for kind, body in ((b"gAMA", struct.pack(">I", 20000)), (b"tEXt", b"Comment\0hello")):
        assert np.array_equal(decode(with_chunk(blob, kind, body)), decode(blob))
