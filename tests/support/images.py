"""Small image files and folders for the tests of the sources."""

import gzip
import io
import struct
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
            (root / name / f"{k}.png").write_bytes(encoded(noise(side, side, 3, seed=10 * label + k)))
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
