"""Images deeper than 8 bits a channel: how deep a file is, and its values, whole.

Pillow cuts many of them to 8 bits without a word: colour PNG, TIFF and SGI to the high byte of each sample, so that
values below 256 all become 0; colour PNM and AVIF by scaling; JPEG 2000 by shifting. So the depth is read from the
file, and of cut samples the low bytes are decoded too.
"""

import io
import re
import sys
from math import prod
from typing import Any, cast

import numpy as np
from PIL import Image, ImageFile, ImageOps

from symdata.errors import SourceError

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
_SIGNED = 2
_SIZ = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream, with the marker of the sizes."""
_DEEP_MODES = {"I": 32, "F": 32, "I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16}
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Byte order of a raw mode -> the order in which its high byte is the low byte of the sample."""


def depth(image: ImageFile.ImageFile, blob: bytes) -> int:
    """Bits a sample of an opened image, as its file stores them."""
    found = [_DEEP_MODES.get(image.mode, 8)]
    if image.format == "PNG":
        found.append(blob[24])
    elif image.format == "TIFF":
        found += list(image.tag_v2.get(_BITS_PER_SAMPLE, ()))  # type: ignore[attr-defined]
    elif image.format == "PPM" and image.mode != "F":
        found = [max(8, _largest_of_pnm(image).bit_length())]
    elif image.format == "SGI":
        found.append(8 * blob[3])
    elif image.format == "JPEG2000" and (start := blob.find(_SIZ)) >= 0:
        channels = int.from_bytes(blob[start + 40 : start + 42], "big")
        found += [1 + (bits & 0x7F) for bits in blob[start + 42 : start + 42 + 3 * channels : 3]]
    elif image.format == "AVIF" and (start := blob.find(b"av1C")) >= 0:
        flags = blob[start + 6]
        found.append(8 + 2 * bool(flags & 0x40) + 2 * bool(flags & 0x20))
    return max(found)


def check_unsigned(image: ImageFile.ImageFile) -> None:
    """Refuse a TIFF of 8-bit numbers with sign, which Pillow reads as if they had none."""
    if image.format == "TIFF" and _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ()):  # type: ignore[attr-defined]
        raise SourceError("its samples have a sign, and only 0 to 255 can be stored (shift it first)")


def scaled(image: ImageFile.ImageFile, blob: bytes, bits: int) -> np.ndarray:
    """The image as uint8 (H, W, C), upright: 255 v / (2^bits - 1), rounded to the nearest; alpha from its own 16 bits.

    Raises:
        SourceError: for a value beyond that depth, and for kinds of files that cannot be read whole.
    """
    values = _whole(image, blob)
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    values[..., :colours] = _to_bytes(values[..., :colours], bits)
    values[..., colours:] = _to_bytes(values[..., colours:], 16)
    return values.astype(np.uint8)


def _to_bytes(values: np.ndarray, bits: int) -> np.ndarray:
    largest = (1 << bits) - 1
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0:
        raise SourceError(f"it holds values from {low}, and {bits} bits hold 0 to {largest} (shift it first)")
    if high > largest:
        raise SourceError(
            f"it holds values up to {high}, and bits={bits} is 0 to {largest}; use bits={high.bit_length()}"
        )
    return (values * 510 + largest) // (2 * largest)


def _whole(image: ImageFile.ImageFile, blob: bytes) -> np.ndarray:
    """All bits of every sample, int64 (H, W, C), upright."""
    if image.mode == "F":
        raise SourceError("its values are floating point, whose range no file says (convert it to 8 bits first)")
    if image.format == "PPM":
        return _pnm(image, blob)
    if image.format in ("PNG", "TIFF") and "transparency" not in image.info:
        if image.mode in ("RGB", "RGBA"):
            return _joined(image, blob)
        if image.format == "PNG" and image.mode in _DEEP_MODES:
            return _upright(image)[..., None]
        if image.mode in _DEEP_MODES and image.tag_v2.get(_PHOTOMETRIC) != 0:  # type: ignore[attr-defined]
            signed = _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ())  # type: ignore[attr-defined]
            values = _upright(image)[..., None]
            return values if signed else values & 0xFFFFFFFF  # Pillow has no mode of 32 bits without sign
    raise SourceError(f"a deep {image.format} of this kind cannot be read whole (convert it to 8 bits first)")


def _upright(image: ImageFile.ImageFile) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(image)).astype(np.int64)


def _joined(image: ImageFile.ImageFile, blob: bytes) -> np.ndarray:
    """Colour PNG and TIFF of 16 bits: Pillow decodes the high bytes, and in another byte order the low ones."""
    with Image.open(io.BytesIO(blob)) as again:
        raw = {_raw_mode(tile.args) for tile in again.tile}
        if raw == {"LA;16B"}:  # gray and alpha, four bytes a pixel
            again.tile = [tile._replace(args="RGBA") for tile in again.tile]
            pixels = _upright(again)
            joined: np.ndarray = pixels[..., 0::2] << 8 | pixels[..., 1::2]
            return joined
        if not raw or not all(re.fullmatch(r"[RGBA]+;16[BLN]", each) for each in raw):
            raise SourceError(f"a deep {image.format} of this kind cannot be read whole (convert it to 8 bits first)")
        again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
        low = _upright(again)
    whole: np.ndarray = _upright(image) << 8 | low
    return whole


def _raw_mode(args: Any) -> str:
    return args if isinstance(args, str) else str(args[0])


def _swapped(args: Any) -> Any:
    """The arguments of a decoder, for the other byte of each sample."""
    raw = _raw_mode(args)
    other = raw[:-1] + _OTHER_BYTE[raw[-1]]
    return other if isinstance(args, str) else (other, *args[1:])


def _largest_of_pnm(image: ImageFile.ImageFile) -> int:
    """The largest value that the header of a PNM file names."""
    tile = image.tile[0]
    if tile.codec_name in ("ppm", "ppm_plain"):
        return int(cast(Any, tile.args)[1])
    return 65535 if image.mode == "I" else 255


def _pnm(image: ImageFile.ImageFile, blob: bytes) -> np.ndarray:
    """The samples of a deep PGM or PPM file as they are stored; Pillow scales them."""
    tile, channels = image.tile[0], 3 if image.mode == "RGB" else 1
    shape = (image.height, image.width, channels)
    if image.mode not in ("I", "RGB") or tile.codec_name == "ppm_plain":
        raise SourceError("a deep PNM of this kind cannot be read whole (convert it to 8 bits first)")
    if len(blob) < tile.offset + 2 * prod(shape):
        raise SourceError("it is damaged (its pixels end early)")
    return np.frombuffer(blob, ">u2", prod(shape), tile.offset).reshape(shape).astype(np.int64)
