"""Images deeper than 8 bits: scaled from the depth that is asked for, by every bit of them, or refused; never cut."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.decode import Decoding, decode, probe
from symdata.sources.deep import depth
from tests.support.images import encoded, noise, png_bytes, tiff_bytes, write_folder


def samples(channels: int, bits: int, side: tuple[int, int] = (5, 7)) -> np.ndarray:
    """Random values of that depth, with both ends, uint16 (H, W, C); alpha opaque."""
    values = np.random.default_rng(bits).integers(0, 1 << bits, (*side, channels)).astype(np.uint16)
    values[0, 0], values[0, 1] = 0, (1 << bits) - 1
    if channels in (2, 4):
        values[..., -1] = 65535
    return values


def ppm(values: np.ndarray, largest: int) -> bytes:
    kind = "P6" if values.shape[2] == 3 else "P5"
    return f"{kind} {values.shape[1]} {values.shape[0]} {largest}\n".encode() + values.astype(">u2").tobytes()


WRITERS: dict[str, tuple[Callable[[np.ndarray], bytes], tuple[int, ...]]] = {
    "png": (png_bytes, (1, 2, 3, 4)),
    "tiff": (tiff_bytes, (1, 3, 4)),
    "tiff, big-endian": (lambda values: tiff_bytes(values, ">"), (1, 3, 4)),
    "tiff, deflate": (lambda values: tiff_bytes(values, deflate=True), (1, 3, 4)),
    "tiff, signed": (lambda values: tiff_bytes((values >> 1).astype(np.int16)), (1,)),
    "tiff, 32 bits": (lambda values: tiff_bytes(values.astype(np.uint32)), (1,)),
    "pnm": (lambda values: ppm(values, 4095), (1, 3)),
    "pnm, 16 bits": (lambda values: ppm(values, 65535), (1, 3)),
}
CASES = [(name, channels) for name, (_, kinds) in WRITERS.items() for channels in kinds]


@pytest.mark.parametrize(("name", "channels"), CASES)
def test_deep_images_are_scaled_by_every_bit_or_refused(name: str, channels: int) -> None:
    values = samples(channels, 12)
    blob = WRITERS[name][0](values)
    for use in (probe, decode):
        with pytest.raises(
            SourceError, match=r"its mode is '.*' of (12|16|32) bits, and only 8 .*rescale it first.*bits="
        ):
            use(blob)
    bits = 11 if name == "tiff, signed" else 12
    colours = values[..., : channels - (channels in (2, 4))] >> (12 - bits)
    wanted = np.floor(colours * (255.0 / ((1 << bits) - 1)) + 0.5)
    assert np.array_equal(decode(blob, how=Decoding(bits)), wanted)
    assert {0, 255} <= set(wanted.ravel())
    assert probe(blob, Decoding(bits)) == (5, 7, channels > 2)


@pytest.mark.parametrize("write", [png_bytes, tiff_bytes, lambda values: tiff_bytes(values, deflate=True)])
def test_values_below_256_are_not_all_zeros(write: Callable[[np.ndarray], bytes]) -> None:
    """Pillow keeps the high byte alone."""
    values = samples(3, 8)
    blob = write(values)
    assert not np.asarray(Image.open(io.BytesIO(blob))).any()
    assert np.array_equal(decode(blob, how=Decoding(8)), values)


def test_values_beyond_the_depth_are_refused() -> None:
    with pytest.raises(SourceError, match=r"holds values up to 4095, and bits=10 is 0 to 1023; use bits=12"):
        decode(png_bytes(samples(3, 12)), how=Decoding(10))
    with pytest.raises(SourceError, match=r"holds values from -5, .*shift it first"):
        decode(tiff_bytes(np.full((3, 3, 1), -5, np.int16)), how=Decoding(12))
    large = np.full((3, 3, 1), 2**32 - 1, np.uint32)
    assert (decode(tiff_bytes(large), how=Decoding(32)) == 255).all()


def test_orientation_is_applied_to_deep_images() -> None:
    values = samples(3, 12)
    assert np.array_equal(
        decode(tiff_bytes(values, t274=6), how=Decoding(12)),
        np.rot90(decode(tiff_bytes(values), how=Decoding(12)), -1),
    )


def jpeg2000(bits: int) -> bytes:
    """A gray JPEG 2000 that says another depth in its marker of sizes."""
    blob = bytearray(encoded(noise(5, 7), "JPEG2000"))
    blob[blob.find(b"\xff\x4f\xff\x51") + 42] = bits - 1
    return bytes(blob)


SGI = struct.pack(">hBBHHHH", 474, 0, 2, 3, 7, 5, 3) + bytes(500) + samples(3, 12).astype(">u2").tobytes()
REFUSED = {
    "jpeg 2000": encoded(samples(1, 12)[..., 0], "JPEG2000"),
    "jpeg 2000, 12 bits": jpeg2000(12),
    "sgi": SGI,
    "floats": tiff_bytes(np.ones((3, 3, 1), np.float32)),
    "floats (pfm)": b"Pf 2 2 -1.0\n" + np.ones((2, 2), "<f4").tobytes(),
    "white is zero": tiff_bytes(samples(1, 12), t262=0),
    "cmyk": tiff_bytes(samples(4, 12), t262=5),
    "plain text": b"P3 1 1 4095\n1 2 3\n",
    "transparent colour": png_bytes(samples(3, 12), ((b"tRNS", bytes(6)),)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_whole_is_refused(name: str) -> None:
    for how in (Decoding(), Decoding(16), Decoding(16, "none")):
        for use in (probe, decode):
            with pytest.raises(SourceError, match=r"its mode is .* bits|cannot be read whole|floating point"):
                use(REFUSED[name], how=how)


@pytest.mark.parametrize(("flags", "bits"), [(0, 8), (0x40, 10), (0x60, 12)])
def test_the_depth_of_avif_is_read_from_its_configuration(flags: int, bits: int) -> None:
    """Nothing here writes deep AVIF, so the flags are set in a file of 8 bits that is open already."""
    blob = bytearray(encoded(noise(8, 8, 3), "AVIF"))
    with Image.open(io.BytesIO(blob)) as image:
        blob[blob.find(b"av1C") + 6] |= flags
        assert depth(image, bytes(blob)) == bits


def test_numbers_of_8_bits_with_a_sign_are_refused() -> None:
    """Pillow reads -1 as 255."""
    blob = tiff_bytes(np.full((3, 3, 1), -1, np.int8))
    for use in (probe, decode):
        with pytest.raises(SourceError, match="its samples have a sign"):
            use(blob)
    assert decode(tiff_bytes(np.full((3, 3, 1), 7, np.uint8))).max() == 7


def test_shallow_images_do_not_change() -> None:
    for blob in (encoded(noise(5, 5, 3)), encoded(noise(5, 5)), b"P5 5 1 15\n" + bytes(range(5))):
        assert np.array_equal(decode(blob, how=Decoding(12)), decode(blob))
    assert decode(b"P5 2 1 15\n\x00\x0f").ravel().tolist() == [0, 255]


def test_the_depth_is_an_option_of_the_reference(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets", side=7)
    deep = samples(1, 12, (7, 7))
    (root / "cat" / "9.tif").write_bytes(tiff_bytes(deep))
    with pytest.raises(SourceError, match=r"cat/9.tif cannot be used: its mode is 'I;16' of 16 bits, .*,bits=16"):
        open_source(str(root))
    source = open_source(f"{root},bits=12")
    assert np.array_equal(source.read("train", np.array([3]))[0, 0].numpy(), np.round(deep[..., 0] * (255 / 4095)))
    for bad in ("0", "33", "twelve", ""):
        with pytest.raises(SourceError, match=f"bits={bad}, expected the depth of its images, from 1 to 32"):
            open_source(f"{root},bits={bad}")
    with pytest.raises(SourceError, match="takes no bits= option"):
        open_source("glyphs,bits=12")
