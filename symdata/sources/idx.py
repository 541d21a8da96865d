"""idx files, the format of MNIST and its family: `train-images-idx3-ubyte[.gz]` and `train-labels-idx1-ubyte[.gz]`.

A file has a magic number (two zero bytes, a type code, the number of dimensions), the dimensions as big-endian uint32,
and the values. Gray images have three dimensions (n, H, W); colour images have four, (n, H, W, 3) or (n, 3, H, W).
Files whose name starts with "emnist" are transposed: EMNIST is published with rows and columns swapped.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from symdata.errors import SourceError
from symdata.sources.arrays import ArraySource, ImageStack, image_stack, label_values
from symdata.sources.base import Ref, split_name
from symdata.sources.fit import Fit
from symdata.sources.pairs import PairFormat, Role, Sets, find_sets, has_pairs, open_pairs

_NAME = re.compile(r"(?P<set>.*?)(?P<split>[^-]+)-(?P<kind>images|labels)[-.]idx\d-[a-z]+\d*(\.gz)?")
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
_CHUNK = 1 << 20
_MEND = "fetch the file again"


def found_at(place: Path) -> bool:
    """Whether a folder holds idx files, or a set of idx files has this prefix."""
    return has_pairs(place, _role)


def open_ref(ref: Ref, fit: Fit, device: str) -> ArraySource:
    """Open a folder of idx files, or one set of it by its prefix (`gzip/emnist-letters`)."""
    ref.only("splits")
    return open_pairs(ref, PairFormat("idx files", _role, _partner, _read_images, _read_labels), fit, _class_names)


def find_idx(folder: Path) -> Sets:
    """The idx files of a folder: set ("" or "emnist-letters") -> split -> "images"/"labels" -> path."""
    return find_sets(folder, _role)


def _role(name: str) -> Role | None:
    match = _NAME.fullmatch(name)
    return Role(match["set"].strip("-"), split_name(match["split"]), match["kind"]) if match else None


def _partner(have: str, kind: str) -> str:
    return re.sub(r"idx\d", f"idx{3 if kind == 'images' else 1}", re.sub("images|labels", kind, have))


def _class_names(folder: Path, prefix: str, numbers: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes: from EMNIST's mapping file (`number code [code]`, ASCII) if there is one, else the numbers."""
    mapping = folder / f"{prefix + '-' if prefix else ''}mapping.txt"
    rows = [line.split() for line in mapping.read_text().splitlines()] if mapping.is_file() else []
    names = {row[0]: chr(int(row[1])) for row in rows if len(row) > 1 and row[1].isdigit()}
    return tuple(names.get(number, number) for number in numbers)


def _read_images(path: Path) -> ImageStack:
    """Upright images of a file."""
    found = image_stack(read_idx(path), repr(str(path)))
    if path.name.startswith("emnist"):
        *channel, height, width = found.axes
        return ImageStack(found.values, (*channel, width, height))
    return found


def _read_labels(path: Path) -> list[Any]:
    return label_values(read_idx(path), repr(str(path)))


def read_idx(path: Path) -> np.ndarray:
    """The array in an idx file, plain or gzip, whatever its name.

    Raises:
        SourceError: if the file is damaged, truncated or of another format.
    """
    with _opened(path) as file:
        zeros, code, ndim = struct.unpack(">HBB", _take(file, 4, path))
        if zeros or code not in _TYPES or not 1 <= ndim <= 4:
            raise SourceError(
                f"{str(path)!r} is not an idx file of integers: its magic number is 0x{zeros:04x}{code:02x}{ndim:02x}, "
                "expected 0x00000803 for images or 0x00000801 for labels"
            )
        shape = struct.unpack(f">{ndim}I", _take(file, 4 * ndim, path))
        dtype = np.dtype(_TYPES[code])
        data = _take(file, prod(shape) * dtype.itemsize, path)
        if file.read(1):
            raise SourceError(
                f"{str(path)!r} holds more than the {'x'.join(map(str, shape))} values its header names; {_MEND}"
            )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, unzipped if it is gzip; errors of its bytes become SourceErrors."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(raw) if packed else raw as file:
                yield file  # type: ignore[misc]
    except EOFError:
        raise SourceError(f"{str(path)!r} is a truncated gzip file ({path.stat().st_size} bytes); {_MEND}") from None
    except (OSError, zlib.error) as error:
        raise SourceError(f"{str(path)!r} cannot be read ({error}); {_MEND}") from None


def _take(file: BinaryIO, count: int, path: Path) -> bytearray:
    """Read exactly `count` bytes, in pieces, so that a wrong header cannot allocate all memory."""
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(_CHUNK, count - len(data)))
        if not piece:
            raise SourceError(
                f"{str(path)!r} is truncated: it holds {len(data)} of the {count} bytes its header names; {_MEND}"
            )
        data += piece
    return data
