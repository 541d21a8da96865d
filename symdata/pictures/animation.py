"""Pictures one after the other, as an animated GIF or WebP."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from symdata.errors import ArgumentError, ShapeError, StoreError, whole

SIDE = 200
"""Pixels to which small pictures are magnified."""
FORMATS = {".gif": "GIF", ".webp": "WEBP"}


def save_animation(pictures: Any, path: str | Path, *, seconds: float = 3.6, zoom: int | None = None) -> Path:
    """Write pictures as an animation that begins again at its end.

    Args:
        pictures: uint8 (n, C, h, w) with 1 or 3 channels, tensor or array.
        path: ends with `.gif`, which is exact in gray and has 256 colours a picture, or with `.webp`, which is exact.
            Equal pictures one after the other may become one that is shown longer.
        seconds: of the whole animation.
        zoom: how often each pixel is repeated to both sides; by default until the picture has 200 pixels.

    Raises:
        ArgumentError: for another ending.
        ShapeError: for other pictures.
        StoreError: if the file cannot be written.

    Example:
        >>> import numpy as np
        >>> save_animation(np.eye(8, dtype=np.uint8)[None, None].repeat(2, 0), "eye.gif").name
        'eye.gif'
    """
    path, array = Path(path), np.asarray(pictures)
    if path.suffix.lower() not in FORMATS:
        raise ArgumentError(f"{str(path)!r} is no animation; name it {str(path.with_suffix('.gif'))!r} or .webp")
    if array.ndim != 4 or array.dtype != np.uint8 or array.shape[1] not in (1, 3) or not array.size:
        raise ShapeError(f"pictures are {array.dtype} {array.shape}, expected uint8 (n, C, h, w) with 1 or 3 channels")
    if zoom is None:
        zoom = max(1, -(-SIDE // max(array.shape[-2:])))
    zoom = whole("zoom", zoom, 1, 64, ArgumentError, " times, for example 8")
    if not 0 < seconds <= 3600:
        raise ArgumentError(f"seconds is {seconds!r}, expected a number above 0 and up to 3600, for example 3.6")
    large = array.repeat(zoom, 2).repeat(zoom, 3)
    first, *rest = (Image.fromarray(a[0] if len(a) == 1 else a.transpose(1, 2, 0)) for a in large)
    each = max(20, round(1000 * seconds / len(array)))
    kind = FORMATS[path.suffix.lower()]
    options: dict[str, Any] = {"lossless": True, "exact": True} if kind == "WEBP" else {"optimize": False}
    options |= {"save_all": True, "append_images": rest, "duration": each, "loop": 0}
    try:
        first.save(path, kind, **options)
    except (OSError, KeyError) as error:
        why = getattr(error, "strerror", None) or f"Pillow has no {error}"
        raise StoreError(f"{str(path)!r} cannot be written: {why}; name a file in a folder that exists") from None
    return path
