"""Decode images (PNG, JPEG, BMP, TIFF, WebP, GIF) to uint8 arrays, or read their headers only.

Convention:
    Gray stays gray (C = 1), all other images become RGB (C = 3): palettes and CMYK are converted, and an alpha channel
    is dropped, not composited, as by `Image.convert("RGB")` in torchvision's ImageFolder. 1-bit images become 0 and
    255. EXIF orientation is applied, so that images are upright as in a viewer. Animations and multi-page files give
    their first frame. 16-bit, 32-bit and float images are refused: no rescaling to 8 bits suits all of them.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from symdata.errors import SourceError

_rust: Any
try:
    from kornia_rs import io as _rust  # 3 to 4 times as fast as Pillow on small PNGs
except ImportError:  # a future kornia may not depend on it; Pillow gives the same pixels
    _rust = None

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_START = _PNG + b"\x00\x00\x00\x0dIHDR"
_IHDR, _CHUNK = struct.Struct(">IIBBBBB"), struct.Struct(">I4s")
_MAGIC = (_PNG, b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_PLAIN_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"gAMA", b"sRGB", b"cHRM", b"pHYs", b"tIME", b"bKGD", b"sBIT"}
_FAST_PIXELS = 1 << 24  # larger images are left to Pillow and its guard against decompression bombs
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
    """Read the header of an encoded image; raises SourceError with the reason alone, to which callers add the name."""
    if header := _plain_png(blob):
        return header
    with _pillow(blob) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
        return Header(height, width, _has_colour(image, blob))


def decode(blob: bytes, channels: int | None = None) -> np.ndarray:
    """Decode an image to uint8 (H, W, C).

    Args:
        blob: the encoded image.
        channels: 3 (gray images are repeated), 1 (colour images are refused), or None for those of the image.

    Raises:
        SourceError: with the reason alone, to which callers add the name.
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


def decode_mask(blob: bytes) -> np.ndarray:
    """Decode a mask to uint8 (H, W): gray levels, indices of a palette, or 0 and 1 of 1-bit images.

    Gray PNGs of 2 and 4 bits give the numbers that are stored. EXIF orientation is applied, as in `decode`.

    Raises:
        SourceError: with the reason alone, to which callers add the name.
    """
    header = _plain_png(blob)
    fast = _decode_fast(blob, header) if header and not header.colour else None
    found: np.ndarray
    if fast is not None:
        found = fast[..., 0]
        return found
    with _pillow(blob) as image:
        _has_colour(image, blob)  # refuses more than 8 bits a channel
        upright = ImageOps.exif_transpose(image)
        found = np.array(upright if upright.mode in ("1", "L", "P", "RGB") else upright.convert("RGB")).astype(np.uint8)
    if found.ndim == 3:
        if (found != found[..., :1]).any():
            raise SourceError("it has colours, and a mask has one number a pixel (save it gray or with a palette)")
        found = found[..., 0]
    if upright.mode == "L" and blob.startswith(_PNG) and blob[25] == 0 and blob[24] in (2, 4):
        found = found // (255 // (2 ** blob[24] - 1))  # Pillow stretches the numbers to 0..255
    return found


def decode_images(blobs: Sequence[bytes], channels: int | None = None) -> list[np.ndarray]:
    """Decode images, each to uint8 (H, W, C); raises SourceError with the position of a bad one."""
    images = []
    for position, blob in enumerate(blobs):
        try:
            images.append(decode(blob, channels))
        except SourceError as error:
            raise SourceError(f"image {position} of {len(blobs)} cannot be decoded: {error}") from None
    return images


def _plain_png(blob: bytes) -> Header | None:
    """Header of an 8-bit gray or RGB PNG without interlacing, transparency or metadata; None for anything else."""
    if blob[:16] != _PNG_START or len(blob) < 57:
        return None
    width, height, depth, kind, _, _, interlaced = _IHDR.unpack_from(blob, 16)
    if depth != 8 or kind not in (0, 2) or interlaced or not 0 < width * height <= _FAST_PIXELS:
        return None
    position, last = 33, len(blob) - 12
    while position <= last:  # eXIf, tEXt, zTXt and iTXt may hold an orientation, before or after the pixels
        length, name = _CHUNK.unpack_from(blob, position)
        if name not in _PLAIN_CHUNKS:
            return None
        position += 12 + length
    return Header(height, width, kind == 2)


def _decode_fast(blob: bytes, header: Header) -> np.ndarray | None:
    """Pixels from the Rust decoder; None if it is not installed or refuses the image, which then goes to Pillow."""
    if _rust is None:
        return None
    try:
        mode = "rgb" if header.colour else "mono"
        pixels: np.ndarray = _rust.decode_image_png_u8(blob, (header.height, header.width), mode)
    except Exception:  # noqa: BLE001  (the binding raises bare Exception)
        return None
    return pixels


@contextmanager
def _pillow(blob: bytes) -> Iterator[Image.Image]:
    """Open an image with Pillow; errors of its bytes become SourceErrors."""
    try:
        with Image.open(io.BytesIO(blob)) as image:
            yield image
    except (*_BAD_IMAGE, Image.DecompressionBombError) as error:
        raise SourceError(_reason(blob, error)) from None


def _decode_pillow(blob: bytes) -> np.ndarray:
    with _pillow(blob) as image:
        colour = _has_colour(image, blob)
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("P", "PA"):  # Pillow warns if the transparency of a palette is dropped without this step
            upright = upright.convert("RGBA")
        pixels = np.asarray(upright.convert("RGB" if colour else "L"))
    return pixels.reshape(pixels.shape[0], pixels.shape[1], -1)


def _has_colour(image: Image.Image, blob: bytes) -> bool:
    # Pillow silently reduces a 16-bit colour PNG to 8 bits, so the depth is read from the file.
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
