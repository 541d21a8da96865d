"""Small image files and folders for the tests of the sources."""

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Random uint8 values."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """An image file: uint8 (H, W) or (H, W, 2..4), or uint16 (H, W)."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def write_folder(root: Path, classes: tuple[str, ...] = ("cat", "dog"), per_class: int = 3, side: int = 8) -> Path:
    """`root/<class>/<k>.png`, RGB noise."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(per_class):
            (root / name / f"{k}.png").write_bytes(encoded(noise(side, side, 3, seed=max(10, per_class) * label + k)))
    return root


def idx_bytes(values: np.ndarray, code: int = 0x08) -> bytes:
    """An idx file, plain."""
    return struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape) + values.tobytes()


def write_idx(root: Path, images: np.ndarray, labels: np.ndarray, split: str = "train", packed: bool = True) -> Path:
    """The two idx files of a split, as MNIST names them."""
    root.mkdir(parents=True, exist_ok=True)
    for kind, values, dims in (("images", images, images.ndim), ("labels", labels.astype(np.uint8), 1)):
        raw = idx_bytes(values)
        path = root / f"{split}-{kind}-idx{dims}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(raw) if packed else raw)
    return root


def png_bytes(values: np.ndarray, chunks: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG of 8 or 16 bits, (H, W, 1..4), which Pillow cannot write; `chunks` stand before the pixels."""
    height, width, channels = values.shape
    kind, depth = {1: 0, 2: 4, 3: 2, 4: 6}[channels], 8 * values.dtype.itemsize
    rows = values.astype(values.dtype.newbyteorder(">")).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    out = b"\x89PNG\r\n\x1a\n"
    return out + b"".join(chunk(*each) for each in ((b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")))


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def tiff_bytes(values: np.ndarray, order: str = "<", *, deflate: bool = False, **tags: int) -> bytes:
    """A TIFF of one strip from (H, W, C) of any type; `tags` such as t262=0 replace its own."""
    height, width, channels = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if deflate else data
    signed = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    start = 8 + 2 + 12 * (11 + len(set(tags) - {"t262"})) + 4
    lists = struct.pack(f"{order}{channels}H", *[8 * values.dtype.itemsize] * channels)
    lists += struct.pack(f"{order}{channels}H", *[signed] * channels)
    short: dict[int, int] = {256: width, 257: height, 259: 8 if deflate else 1, 262: 2 if channels > 2 else 1}
    short |= {273: start + len(lists), 277: channels, 278: height, 279: len(data), 284: 1}
    short |= {int(name[1:]): value for name, value in tags.items()}
    entries = {tag: struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in short.items()}
    for tag, offset in ((258, start), (339, start + 2 * channels)):
        inline = lists[offset - start :][: 2 * channels].ljust(4, b"\0")
        place = inline if channels <= 2 else struct.pack(order + "I", offset)
        entries[tag] = struct.pack(order + "HHI", tag, 3, channels) + place
    table = b"".join(entries[tag] for tag in sorted(entries))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return head + table + b"\0" * 4 + lists + data
