"""Encoded images (PNG, JPEG, BMP, TIFF, WebP, GIF) to uint8 arrays, and their headers without decoding.

Convention: gray stays gray (C = 1); anything else becomes RGB (C = 3): palettes are looked up, CMYK is converted, and
an alpha channel is dropped, not composited, which is what `Image.convert("RGB")` in torchvision's ImageFolder does.
1-bit images become 0 and 255. EXIF orientation is applied, so that "upright" is what a viewer shows. Animations and
multi-page files give their first frame. 16-bit, 32-bit and float images are refused: no rescaling to 8 bits is right
for all of them.
"""

import io
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from symdata.errors import SourceError

_rust: Any
try:
    from kornia_rs import io as _rust  # three to four times as fast as Pillow on small PNGs
except ImportError:  # kornia may stop bringing it; Pillow alone gives the same pixels
    _rust = None

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_START = _PNG + b"\x00\x00\x00\x0dIHDR"
_IHDR, _CHUNK = struct.Struct(">IIBBBBB"), struct.Struct(">I4s")
_MAGIC = (_PNG, b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_PLAIN_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"gAMA", b"sRGB", b"cHRM", b"pHYs", b"tIME", b"bKGD", b"sBIT"}
_FAST_PIXELS = 1 << 24  # beyond this, Pillow's guard against decompression bombs decides
_ORIENTATION = 0x0112
_TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_GRAY_MODES = {"1", "L", "LA", "La"}
_COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
_BAD_IMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError, TypeError, OverflowError)


class Header(NamedTuple):
    """Size of an image in pixels, and whether it has colour."""

    height: int
    width: int
    colour: bool


def probe(blob: bytes) -> Header:
    """Header of an encoded image, pixels unread. Raises SourceError with the reason alone; callers add the name."""
    return _plain_png(blob) or _probe_pillow(blob)


def decode(blob: bytes, channels: int | None = None) -> np.ndarray:
    """Pixels of an encoded image, uint8 (H, W, C).

    `channels` is 1, 3 or None for what the image has; 3 repeats a gray image, 1 refuses colour.
    Raises SourceError with the reason alone; callers add the name.
    """
    header = _plain_png(blob)
    pixels = _decode_fast(blob, header) if header else None
    if pixels is None:
        pixels = _decode_pillow(blob)
    if channels in (None, pixels.shape[2]):
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    raise SourceError("it is a colour image where a gray one was expected")


def decode_images(blobs: Sequence[bytes], channels: int | None = None) -> list[np.ndarray]:
    """Pixels of many encoded images, each uint8 (H, W, C). Raises SourceError with the position of a bad one."""
    images = []
    for position, blob in enumerate(blobs):
        try:
            images.append(decode(blob, channels))
        except SourceError as error:
            raise SourceError(f"image {position} of {len(blobs)} cannot be decoded: {error}.") from None
    return images


def _plain_png(blob: bytes) -> Header | None:
    """Header of an 8-bit gray or RGB PNG without interlacing, transparency or metadata; None for anything else."""
    if blob[:16] != _PNG_START or len(blob) < 57:
        return None
    width, height, depth, kind, _, _, interlaced = _IHDR.unpack_from(blob, 16)
    if depth != 8 or kind not in (0, 2) or interlaced or not 0 < width * height <= _FAST_PIXELS:
        return None
    position, last = 33, len(blob) - 12
    while position <= last:  # orientation may hide in eXIf, tEXt, zTXt or iTXt, before or after the pixels
        length, name = _CHUNK.unpack_from(blob, position)
        if name not in _PLAIN_CHUNKS:
            return None
        position += 12 + length
    return Header(height, width, kind == 2)


def _decode_fast(blob: bytes, header: Header) -> np.ndarray | None:
    """Pixels through the Rust decoder, or None where it is missing or refuses: Pillow then has the last word."""
    if _rust is None:
        return None
    try:
        mode = "rgb" if header.colour else "mono"
        pixels: np.ndarray = _rust.decode_image_png_u8(blob, (header.height, header.width), mode)
    except Exception:  # noqa: BLE001  (the binding raises bare Exception for every refusal)
        return None
    return pixels


def _probe_pillow(blob: bytes) -> Header:
    try:
        with Image.open(io.BytesIO(blob)) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _TURNED:
                width, height = height, width
            return Header(height, width, _has_colour(image, blob))
    except SourceError:
        raise
    except (*_BAD_IMAGE, Image.DecompressionBombError) as error:
        raise SourceError(_reason(blob, error)) from None


def _decode_pillow(blob: bytes) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(blob)) as image:
            colour = _has_colour(image, blob)
            upright = ImageOps.exif_transpose(image)
            if upright.mode in (
                "P",
                "PA",
            ):  # through RGBA: Pillow warns when a palette's transparency is dropped at once
                upright = upright.convert("RGBA")
            pixels = np.asarray(upright.convert("RGB" if colour else "L"))
    except SourceError:
        raise
    except (*_BAD_IMAGE, Image.DecompressionBombError) as error:
        raise SourceError(_reason(blob, error)) from None
    return pixels.reshape(pixels.shape[0], pixels.shape[1], -1)


def _has_colour(image: Image.Image, blob: bytes) -> bool:
    # Pillow cuts a 16-bit colour PNG down to 8 bits without a word, so its depth is read from the file.
    deep = blob[:8] == _PNG and blob[24] == 16
    if deep or image.mode not in _GRAY_MODES | _COLOUR_MODES:
        mode = f"{image.mode!r} of 16 bits" if deep else repr(image.mode)
        raise SourceError(f"its mode is {mode}, and only 8 bits a channel can be stored (rescale it first)")
    return image.mode in _COLOUR_MODES


def _reason(blob: bytes, error: Exception) -> str:
    if not blob:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError) and not blob.startswith(_MAGIC):
        return f"it is not an image (it starts with {blob[:12]!r})"
    reason = "its header makes no sense" if isinstance(error, UnidentifiedImageError) else str(error)
    return f"it is damaged ({reason or type(error).__name__})"
