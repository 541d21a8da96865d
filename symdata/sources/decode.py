"""Decode images of the formats in `FORMATS` to uint8 arrays, or look at them without decoding.

Convention:
    Gray stays gray (C = 1), all other images become RGB (C = 3): palettes and CMYK are converted. 1-bit images become
    0 and 255. The orientation in EXIF, XMP or TIFF is applied, so that images are upright as in a viewer. Animations
    and multi-page files give their first frame. An opaque alpha channel is dropped; one that hides pixels is refused
    unless `background` says what becomes of it. Images deeper than 8 bits are refused unless `bits` says their depth.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from symdata.errors import SourceError
from symdata.sources.base import Ref, refusal
from symdata.sources.deep import check_unsigned, depth, scaled

_rust: Any
try:
    from kornia_rs import io as _rust  # 3 to 4 times as fast as Pillow on small PNGs
except ImportError:  # a future kornia may not depend on it; Pillow gives the same pixels
    _rust = None

FORMATS = (
    "AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"
)  # fmt: skip
"""Those formats of Pillow that hold still images of pixels: no icons, textures, vector graphics, video or raw data."""
BACKGROUNDS = ("white", "black", "alpha", "none")
_LEVEL = {"white": 255, "black": 0}

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_START = _PNG + b"\x00\x00\x00\x0dIHDR"
_IHDR, _CHUNK = struct.Struct(">IIBBBBB"), struct.Struct(">I4s")
_MAGIC = (_PNG, b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"qoif", b"\0\0\0\x0cjP  ")
_PLAIN_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"gAMA", b"sRGB", b"cHRM", b"pHYs", b"tIME", b"bKGD", b"sBIT"}
_FAST_PIXELS = 1 << 24  # larger images are left to Pillow and its guard against decompression bombs
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101
_TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_GRAY_MODES = {"1", "L", "LA", "La"}
_COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}


class Header(NamedTuple):
    """Size of an image in pixels, upright, and whether it has colour."""

    height: int
    width: int
    colour: bool


@dataclass(frozen=True)
class Decoding:
    """What a reference says about images that do not fit into 8 bits without alpha."""

    bits: int | None = None
    """Depth of images deeper than 8 bits: 0 to 2^bits - 1 becomes 0 to 255, rounded to the nearest. None: refused."""
    background: str | None = None
    """What is seen through an alpha channel: "white" or "black", rounded to the nearest; "alpha" takes that channel
    itself as a gray image, and "none" drops it and shows the colours under it. None: refused if it hides anything."""

    @classmethod
    def of(cls, ref: Ref) -> "Decoding":
        """The options `,bits=` and `,background=` of a reference."""
        bits, background = ref.options.get("bits"), ref.options.get("background")
        if bits is not None and not (bits.isascii() and bits.isdigit() and 1 <= int(bits) <= 32):
            raise refusal(ref.text, f"bits={bits}, expected the depth of its images, from 1 to 32, as in ,bits=12")
        if background is not None and background not in BACKGROUNDS:
            raise refusal(ref.text, f"background={background}, expected one of {', '.join(BACKGROUNDS)}")
        return cls(None if bits is None else int(bits), background)


PLAIN = Decoding()


def probe(blob: bytes, how: Decoding = PLAIN) -> Header:
    """Look at the header of an encoded image; an image with alpha is decoded, to see whether `decode` would refuse it.

    Raises:
        SourceError: with the reason alone, to which callers add the name.
    """
    if how.background == "alpha":
        return _header(_decode_pillow(blob, how))
    if header := _plain_png(blob):
        return header
    with _pillow(blob) as image:
        deep = _depth(image, blob, how) > 8
        if deep or image.has_transparency_data:
            return _header(_pixels(image, blob, how))
        width, height = _stored_size(image)
        if image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
        return Header(height, width, _has_colour(image))


def decode(blob: bytes, channels: int | None = None, how: Decoding = PLAIN) -> np.ndarray:
    """Decode an image to uint8 (H, W, C).

    Args:
        blob: the encoded image.
        channels: 3 (gray images are repeated), 1 (colour images are refused), or None for those of the image.
        how: what becomes of alpha channels and of more than 8 bits.

    Raises:
        SourceError: with the reason alone, to which callers add the name.
    """
    header = _plain_png(blob) if how.background != "alpha" else None
    pixels = _decode_fast(blob, header) if header else None
    if pixels is None:
        pixels = _decode_pillow(blob, how)
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
        if depth(image, blob) > 8:  # `bits` scales images, and the numbers of a mask are classes
            raise SourceError(
                f"it has {depth(image, blob)} bits, and a mask has numbers from 0 to 255 (save it in 8 bits)"
            )
        _depth(image, blob, PLAIN)
        _has_colour(image)
        upright = ImageOps.exif_transpose(image)
        found = np.array(upright if upright.mode in ("1", "L", "P", "RGB") else upright.convert("RGB")).astype(np.uint8)
    if found.ndim == 3:
        if (found != found[..., :1]).any():
            raise SourceError("it has colours, and a mask has one number a pixel (save it gray or with a palette)")
        found = found[..., 0]
    if upright.mode == "L" and blob.startswith(_PNG) and blob[25] == 0 and blob[24] in (2, 4):
        found = found // (255 // (2 ** blob[24] - 1))  # Pillow stretches the numbers to 0..255
    return found


def decode_images(blobs: Sequence[bytes], channels: int | None = None, how: Decoding = PLAIN) -> list[np.ndarray]:
    """Decode images, each to uint8 (H, W, C); raises SourceError with the position of a bad one."""
    images = []
    for position, blob in enumerate(blobs):
        try:
            images.append(decode(blob, channels, how))
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
def _pillow(blob: bytes) -> Iterator[ImageFile.ImageFile]:
    """Open an image with Pillow; errors of its bytes become SourceErrors."""
    try:
        with Image.open(io.BytesIO(blob)) as image:
            _scale_transparent_gray(image, blob)
            yield image
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  (damaged bytes raise anything: RuntimeError in AVIF, assertions in TIFF)
        raise SourceError(_reason(blob, error)) from None


def _scale_transparent_gray(image: ImageFile.ImageFile, blob: bytes) -> None:
    """Bring the transparent level of a gray PNG of 2 or 4 bits to 0..255, as Pillow brings its pixels."""
    level = image.info.get("transparency")
    few = image.format == "PNG" and image.mode == "L" and blob[24] in (2, 4)
    if few and isinstance(level, int) and level < 1 << blob[24]:
        image.info["transparency"] = level * 255 // ((1 << blob[24]) - 1)


def _decode_pillow(blob: bytes, how: Decoding) -> np.ndarray:
    with _pillow(blob) as image:
        return _pixels(image, blob, how)


def _pixels(image: ImageFile.ImageFile, blob: bytes, how: Decoding) -> np.ndarray:
    """An opened image as uint8 (H, W, 1 or 3), upright."""
    if _depth(image, blob, how) > 8:
        assert how.bits is not None
        return _seen(scaled(image, blob, how.bits), how.background)
    return _seen(upright_pixels(image), how.background)


def upright_pixels(image: Image.Image) -> np.ndarray:
    """An image of Pillow as uint8 (H, W, 1 to 4), upright; an alpha channel is the last."""
    colour, alpha = _has_colour(image), image.has_transparency_data
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "1":
        upright = upright.convert("L")
    pixels = np.asarray(upright.convert(("RGBA" if alpha else "RGB") if colour else ("LA" if alpha else "L")))
    return pixels.reshape(*pixels.shape[:2], -1)


def _seen(pixels: np.ndarray, background: str | None) -> np.ndarray:
    """Pixels (H, W, 1..4) without their alpha channel, if they have one."""
    has_alpha = pixels.shape[2] in (2, 4)
    if background == "alpha":
        if not has_alpha:
            raise SourceError("it has no alpha channel, and background=alpha takes that as the image")
        return np.ascontiguousarray(pixels[..., -1:])
    if not has_alpha:
        return pixels
    colours, alpha = np.ascontiguousarray(pixels[..., :-1]), pixels[..., -1:].astype(np.int32)
    if background == "none" or (alpha == 255).all():
        return colours
    if background is None:
        raise SourceError(
            "parts of it are transparent; say what is seen there with the option ,background=white or black, take the "
            "transparency itself with ,background=alpha, or drop it with ,background=none"
        )
    blended = (colours * alpha + _LEVEL[background] * (255 - alpha) + 127) // 255
    return blended.astype(np.uint8)


def _header(pixels: np.ndarray) -> Header:
    height, width, channels = pixels.shape
    return Header(height, width, channels == 3)


def _depth(image: ImageFile.ImageFile, blob: bytes, how: Decoding) -> int:
    """Bits a sample; raises SourceError for a format that is not read, and for a depth that needs `how.bits`."""
    if image.format not in FORMATS:
        raise SourceError(f"its format is {image.format}, and those that are read are {', '.join(FORMATS)}")
    found = depth(image, blob)
    if found > 8 and how.bits is None:
        raise SourceError(
            f"its mode is {image.mode!r} of {found} bits, and only 8 bits a channel can be stored (rescale it first, "
            f"or say its depth with the option ,bits={found})"
        )
    if found <= 8:
        check_unsigned(image)
    return found


def _has_colour(image: Image.Image) -> bool:
    if image.mode not in _GRAY_MODES | _COLOUR_MODES:
        raise SourceError(f"its mode is {image.mode!r}, and only gray and colour images can be stored")
    return image.mode in _COLOUR_MODES


def _stored_size(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Width and height before any orientation; some versions of Pillow say those after it for TIFF."""
    if image.format == "TIFF":
        return image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]  # type: ignore[attr-defined]
    return image.size


def _reason(blob: bytes, error: Exception) -> str:
    if not blob:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError) and not blob.startswith(_MAGIC) and blob[4:8] != b"ftyp":
        return f"it is not an image (it starts with {blob[:12]!r})"
    reason = "its header makes no sense" if isinstance(error, UnidentifiedImageError) else str(error)
    return f"it is damaged ({reason or type(error).__name__})"
