"""Transparency: refused where it hides pixels and nothing was chosen, composited exactly where something was."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symdata import make, verify
from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.decode import Decoding, decode, probe
from tests.support.images import chunk, encoded, noise, png_bytes


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


GRAY, RGB = noise(6, 9), noise(6, 9, 3)
ALPHA = noise(6, 9, seed=5)
ALPHA[0, :2] = 0, 255
COLOURS = np.array([[255, 0, 0], [0, 128, 0], [0, 0, 255]], np.uint8)
INDICES = noise(6, 9) % 3
PALETTE = Image.fromarray(INDICES, "L").convert("P")
PALETTE.putpalette(COLOURS.tobytes())
HOLES = np.where(INDICES == 1, 0, 255).astype(np.uint8)
ONE = RGB[2, 3]
OF_ONE = np.where((RGB == ONE).all(-1), 0, 255).astype(np.uint8)


def with_alpha(pixels: np.ndarray, alpha: np.ndarray = ALPHA) -> np.ndarray:
    return np.concatenate([pixels.reshape(6, 9, -1), alpha[..., None]], axis=2)


KINDS = {
    "rgba png": (encoded(with_alpha(RGB)), RGB, ALPHA),
    "gray and alpha png": (encoded(with_alpha(GRAY)), GRAY[..., None], ALPHA),
    "rgba webp": (saved(Image.fromarray(with_alpha(RGB)), "WEBP", lossless=True, exact=True), RGB, ALPHA),
    "rgba tiff": (encoded(with_alpha(RGB), "TIFF"), RGB, ALPHA),
    "rgba tga": (encoded(with_alpha(RGB), "TGA"), RGB, ALPHA),
    "rgba jpeg 2000": (saved(Image.fromarray(with_alpha(RGB)), "JPEG2000", irreversible=False), RGB, ALPHA),
    "palette png": (saved(PALETTE, transparency=1), COLOURS[INDICES], HOLES),
    "palette png, by entry": (saved(PALETTE, transparency=bytes([255, 0, 255])), COLOURS[INDICES], HOLES),
    "gif": (saved(PALETTE, "GIF", transparency=1), COLOURS[INDICES], HOLES),
    "transparent colour": (saved(Image.fromarray(RGB), transparency=tuple(map(int, ONE))), RGB, OF_ONE),
    "transparent gray": (
        saved(Image.fromarray(GRAY), transparency=int(GRAY[0, 0])),
        GRAY[..., None],
        np.where(GRAY[0, 0] == GRAY, 0, 255).astype(np.uint8),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_seen_through_transparency_is_chosen(kind: str) -> None:
    blob, colours, alpha = KINDS[kind]
    for use in (probe, decode):
        with pytest.raises(SourceError, match=r"parts of it are transparent; .*,background=white or black"):
            use(blob)
    seen = alpha[..., None] > 0  # a writer may change the colours that nobody sees
    dropped = decode(blob, how=Decoding(None, "none"))
    assert np.array_equal(dropped * seen, colours * seen)
    assert np.array_equal(decode(blob, how=Decoding(None, "alpha")), alpha[..., None])
    share = alpha[..., None] / 255
    for name, level in (("white", 255), ("black", 0)):
        how = Decoding(None, name)
        assert np.array_equal(decode(blob, how=how), np.floor(dropped * share + level * (1 - share) + 0.5))
        assert probe(blob, how) == (6, 9, colours.shape[2] == 3)


def test_a_palette_with_alpha_is_transparent() -> None:
    """TGA may have one, of four bytes an entry."""
    header = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 2, 32, 0, 0, 2, 1, 8, 0x20)
    blob = header + bytes([9, 8, 7, 255, 3, 2, 1, 0]) + bytes([0, 1])
    with pytest.raises(SourceError, match="parts of it are transparent"):
        decode(blob)
    assert decode(blob, how=Decoding(None, "none")).tolist() == [[[7, 8, 9], [1, 2, 3]]]
    assert decode(blob, how=Decoding(None, "alpha"))[..., 0].tolist() == [[255, 0]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_an_opaque_alpha_channel_is_dropped(mode: str) -> None:
    image = Image.fromarray(RGB).convert("RGBA" if mode == "RGBA" else "L")
    blob = saved(image.convert(mode), "TIFF" if mode == "PA" else "PNG")
    plain = decode(blob)
    for background in ("white", "black", "none"):
        assert np.array_equal(decode(blob, how=Decoding(None, background)), plain)
    assert plain.shape[2] == (1 if mode == "LA" else 3)


def test_one_pixel_that_is_not_opaque_is_enough() -> None:
    alpha = np.full((6, 9), 255, np.uint8)
    alpha[3, 4] = 254
    with pytest.raises(SourceError, match="parts of it are transparent"):
        decode(encoded(with_alpha(RGB, alpha)))


def test_deep_images_have_a_background_too() -> None:
    values = np.full((2, 2, 4), 4095, np.uint16)
    values[..., 3] = [[65535, 0], [32768, 65535]]
    blob = png_bytes(values)
    with pytest.raises(SourceError, match="parts of it are transparent"):
        decode(blob, how=Decoding(12))
    assert decode(blob, how=Decoding(12, "black"))[..., 0].tolist() == [[255, 0], [128, 255]]
    assert decode(png_bytes(values[..., 2:]), how=Decoding(12, "alpha"))[..., 0].tolist() == [[255, 0], [128, 255]]


def test_black_ink_on_nothing_is_no_dataset_of_zeros(tmp_path: Path) -> None:
    for label, name in enumerate(("a", "b")):
        ink = np.zeros((8, 8, 4), np.uint8)
        ink[2:4, label : label + 4, 3] = 255
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(encoded(ink))
    with pytest.raises(SourceError, match=r"a/0.png cannot be used: parts of it are transparent"):
        open_source(str(tmp_path))
    means = {
        word: open_source(f"{tmp_path},background={word}").read("train", np.arange(2)).double().mean().item()
        for word in ("white", "black", "alpha", "none")
    }
    assert means == {"white": 255 * 7 / 8, "black": 0, "alpha": 255 / 8, "none": 0}
    assert open_source(f"{tmp_path},background=alpha").shape == (1, 8, 8)
    with pytest.raises(SourceError, match="background=grey, expected one of white, black, alpha, none"):
        open_source(f"{tmp_path},background=grey")


@pytest.mark.parametrize(("bits", "row"), [(1, b"\x50"), (2, b"\x1b"), (4, b"\x01\x23"), (8, b"\x00\x01\x02\x03")])
def test_the_transparent_level_of_few_bits_is_found(bits: int, row: bytes) -> None:
    """Level 1 is transparent; Pillow compares it with levels that are scaled to 0..255."""
    values = np.unpackbits(np.frombuffer(row, np.uint8)).reshape(-1, bits)[:4]
    holes = values @ (1 << np.arange(bits)[::-1]) == 1
    blob = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, bits, 0, 0, 0, 0)) + chunk(b"tRNS", b"\0\1")
    )
    blob += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    assert decode(blob, how=Decoding(None, "alpha"))[0, :, 0].tolist() == np.where(holes, 0, 255).tolist()
    with pytest.raises(SourceError, match="parts of it are transparent"):
        decode(blob)


def test_an_image_without_alpha_is_not_its_alpha() -> None:
    for blob in (encoded(GRAY), encoded(RGB), encoded(RGB, "BMP"), saved(Image.fromarray(GRAY).convert("1"))):
        for use in (probe, decode):
            with pytest.raises(SourceError, match="it has no alpha channel, and background=alpha takes that"):
                use(blob, how=Decoding(None, "alpha"))


def test_a_dataset_that_was_built_without_the_option_is_verified_with_it(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        (root / name / "0.png").write_bytes(encoded(noise(8, 8, 4)))
    made = make(f"{root},background=none", tmp_path / "d", symmetry="d4")
    manifest = json.loads((made.folder / "symdata.json").read_text())
    manifest["spec"]["source"] = manifest["source"]["ref"] = str(root)  # as versions before the option wrote it
    (made.folder / "symdata.json").write_text(json.dumps(manifest))
    assert "are transparent; say what is seen there" in str(verify(made.folder))
    assert verify(made.folder, source=f"{root},background=none").passed
