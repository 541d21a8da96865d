"""Encode batches of uint8 images as PNG files in memory, fast, because encoding is most of the cost of a build.

A PNG is a header, one deflate stream of rows that each begin with a filter byte, and an end. Filters are applied to
many images at once; the streams come from zlib-ng or ISA-L, several times as fast as zlib at the same size (figures:
benchmarks/README.md). The encoding of an image depends on its own pixels alone: gray on black (digits, galaxies)
compresses best as it is, anything else as differences from Paeth's prediction, filter type 4 of the PNG standard.
"""

import math
import struct

import numpy as np
from isal import isal_zlib
from zlib_ng import zlib_ng

from symdata.errors import ShapeError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
NONE, PAETH = 0, 4
ENCODER = "png-1: gray and at least half black: zlib-ng level 1 filter none; else isal level 1 filter paeth"
"""Stored in manifests: other settings would give other bytes for the same pixels."""

CHUNK_BYTES = 1 << 18
"""Pixels filtered at a time, so that a dozen passes over them stay in the cache."""


def encode_pngs(images: np.ndarray) -> list[bytes]:
    """Encode each image of (n, C, H, W) uint8 as a PNG file, C being 1 (gray) or 3 (RGB)."""
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise ShapeError(f"images are {images.dtype} {images.shape}; expected uint8 (n, C, H, W) with C 1 or 3")
    n, c, h, w = images.shape
    header = SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 0 if c == 1 else 2, 0, 0, 0))
    black = 2 * np.count_nonzero(images, axis=(1, 2, 3)) <= h * w if c == 1 else np.zeros(n, bool)
    files = [b""] * n
    for chosen, filtered, zlib in ((black, _plain, zlib_ng), (~black, _paeth, isal_zlib)):
        for row, scanlines in zip(np.flatnonzero(chosen).tolist(), filtered(images[chosen]), strict=True):
            files[row] = header + _chunk(b"IDAT", zlib.compress(scanlines, 1)) + END
    return files


def _plain(images: np.ndarray) -> np.ndarray:
    """Scanlines of gray images as they are, (n, H (1 + W))."""
    n, _, h, w = images.shape
    out = np.empty((n, h, 1 + w), np.uint8)
    out[..., 0] = NONE
    out[..., 1:] = images[:, 0]
    return out.reshape(n, math.prod(out.shape[1:]))


def _paeth(images: np.ndarray) -> np.ndarray:
    """Scanlines of images less Paeth's prediction, (n, H (1 + W C)).

    A black pixel is added before each row and a black row above the first, as the standard says. Then the bytes to the
    left, above and above left are the same flat memory, shifted, and every pass is one long loop.
    """
    n, c, h, w = images.shape
    out = np.empty((n, h, 1 + w * c), np.uint8)
    out[..., 0] = PAETH
    step, row = max(1, CHUNK_BYTES // max(1, c * h * w)), (1 + w) * c
    padded = np.zeros((min(step, n), 1 + h, 1 + w, c), np.uint8)
    flat, residual = padded.reshape(-1), np.zeros((len(padded), 1 + h, row), np.uint8)
    for start in range(0, n, step):
        part = images[start : start + step]
        for channel in range(c):  # three plain copies: a transposing copy of all channels takes four times as long
            padded[: len(part), 1:, 1:, channel] = part[:, channel]
        left, above, corner = flat[row:-c], flat[c:-row], flat[: -row - c]
        residual.reshape(-1)[row + c :] = _residual(flat[row + c :], left, above, corner)
        out[start : start + step, :, 1:] = residual[: len(part), 1:, c:]
    return out.reshape(n, math.prod(out.shape[1:]))


def _residual(x: np.ndarray, left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """x less Paeth's prediction, modulo 256; flat uint8 arrays.

    Paeth predicts whichever of left, above and corner is closest to left + above - corner. With the corner clamped
    between the two, `down` below the higher and `up` above the lower one, that is the lower if 2 down <= up, the higher
    if 2 up <= down, and the corner otherwise: all numbers fit uint8, where the textbook formula needs int16.
    """
    low, high = np.minimum(left, above), np.maximum(left, above)
    corner = np.minimum(np.maximum(corner, low), high)
    down, up = high - corner, corner - low
    lower, higher = (down <= up >> 1).view(np.uint8), (up <= down >> 1).view(np.uint8)
    return np.asarray(x - corner + lower * up - higher * down)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"%b%b%b%b" % (len(body).to_bytes(4), kind, body, isal_zlib.crc32(kind + body).to_bytes(4))
