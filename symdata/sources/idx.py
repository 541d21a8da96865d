"""idx files, the format of MNIST and its family: `train-images-idx3-ubyte[.gz]` beside `train-labels-idx1-ubyte[.gz]`.

A file is a magic number (two zero bytes, a type code, the number of dimensions), the dimensions as big-endian uint32,
and the values. Gray images have three dimensions (n, H, W); colour ones have four, (n, H, W, 3) or (n, 3, H, W). Files
whose name starts with "emnist" are transposed back: EMNIST is published with rows and columns swapped, and a source is
upright.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch

from symdata.errors import SourceError
from symdata.sources.base import (
    Ref,
    check_indices,
    check_labels,
    check_split,
    fingerprint_files,
    license_of,
    place_name,
    split_name,
)
from symdata.sources.fit import Fit

_NAME = re.compile(r"(?P<set>.*?)(?P<split>[^-]+)-(?P<kind>images|labels)[-.]idx\d-[a-z]+\d*(\.gz)?")
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
_CHUNK = 1 << 20


class Pair(NamedTuple):
    """The two files of a split."""

    images: Path
    labels: Path


class IdxSource:
    """A `Source` over idx files. It holds the images of the chosen splits in memory, as uint8."""

    def __init__(self, ref: Ref, folder: Path, prefix: str, pairs: dict[str, Pair], fit: Fit) -> None:
        self.ref, self._fit = ref.text, fit
        self.revision: str | None = None
        self.name = place_name(folder / prefix.strip("-") if prefix else folder)
        self.license = license_of(folder)
        self._images = {split: _upright(pair.images, _read_images(pair.images)) for split, pair in pairs.items()}
        raw = {split: _read_labels(pair.labels) for split, pair in pairs.items()}
        _check_counts(pairs, self._images, raw)
        values = np.unique(np.concatenate(list(raw.values())))
        self.classes = _class_names(folder, prefix, values)
        self._labels = {split: np.searchsorted(values, found) for split, found in raw.items()}
        check_labels(self.ref, self.classes, self._labels)
        self.fingerprint = fingerprint_files(folder, [path for pair in pairs.values() for path in pair])
        self.splits = {split: len(found) for split, found in self._labels.items()}
        self.shape = self._common_shape()

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int64 (n,)."""
        return self._labels[check_split(self, split)]

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images at `indices`, uint8 (n, C, H, W)."""
        wanted = check_indices(self, split, indices)
        return self._fit(torch.from_numpy(self._images[split][wanted]))

    def _common_shape(self) -> tuple[int, int, int]:
        shapes = {split: images.shape[1:] for split, images in self._images.items()}
        channels = {shape[0] for shape in shapes.values()}
        sizes = {self._fit.shape(*shape[1:]) for shape in shapes.values()}
        if len(channels) > 1 or len(sizes) > 1:
            listing = ", ".join(f"{split} {'x'.join(map(str, shape))}" for split, shape in shapes.items())
            raise SourceError(
                f"source {self.ref!r}: the splits differ in shape ({listing}); give one size, as in --size 28."
            )
        return (channels.pop(), *sizes.pop())


def find_idx(folder: Path) -> dict[str, dict[str, dict[str, Path]]]:
    """The idx files of a folder: set prefix ("" or "emnist-letters-") -> split -> "images"/"labels" -> path."""
    found: dict[str, dict[str, dict[str, Path]]] = {}
    for path in sorted(folder.iterdir()):
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            kinds = found.setdefault(match["set"], {}).setdefault(split_name(match["split"]), {})
            if other := kinds.get(match["kind"]):
                raise SourceError(f"{str(folder)!r} holds both {other.name!r} and {path.name!r}; remove one of them.")
            kinds[match["kind"]] = path
    return found


def open_idx(ref: Ref, fit: Fit) -> IdxSource:
    """Open a folder of idx files, or one set of it by its prefix (`gzip/emnist-letters`)."""
    ref.only("splits")
    place = Path(ref.place)
    folder, wanted = (place, "") if place.is_dir() else (place.parent, place.name + "-")
    sets = find_idx(folder)
    if place.is_dir() and len(sets) > 1:
        names = ", ".join(str(folder / prefix.strip("-")) for prefix in sets)
        raise SourceError(f"{ref.place!r} holds {len(sets)} sets of idx files; name one of them: {names}.")
    prefix = next(iter(sets)) if place.is_dir() else wanted
    pairs = {split: _pair(folder, split, kinds) for split, kinds in sets[prefix].items()}
    return IdxSource(ref, folder, prefix, ref.select(pairs), fit)


def _pair(folder: Path, split: str, kinds: dict[str, Path]) -> Pair:
    if missing := next((kind for kind in ("images", "labels") if kind not in kinds), None):
        have = next(iter(kinds.values())).name
        other = re.sub(r"images|labels", missing, have)
        other = re.sub(r"idx\d", "idx1" if missing == "labels" else "idx3", other)
        raise SourceError(
            f"{str(folder)!r}: the {missing} of split {split!r} are missing: {have!r} wants {other!r} beside it."
        )
    return Pair(kinds["images"], kinds["labels"])


def _check_counts(pairs: dict[str, Pair], images: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> None:
    for split, pair in pairs.items():
        if len(images[split]) != len(labels[split]):
            raise SourceError(
                f"{pair.images.name!r} holds {len(images[split])} images but {pair.labels.name!r} holds "
                f"{len(labels[split])} labels (in {str(pair.images.parent)!r}); take both files from the same release."
            )


def _class_names(folder: Path, prefix: str, values: np.ndarray) -> tuple[str, ...]:
    """Names of label values: EMNIST's mapping file (`value code [code]`, ASCII) if it is there, else the numbers."""
    mapping = folder / f"{prefix}mapping.txt"
    rows = [line.split() for line in mapping.read_text().splitlines()] if mapping.is_file() else []
    names = {int(row[0]): chr(int(row[1])) for row in rows if len(row) > 1 and row[0].isdigit() and row[1].isdigit()}
    return tuple(names.get(int(value), str(value)) for value in values)


def _upright(path: Path, images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.swapaxes(2, 3)) if path.name.startswith("emnist") else images


def _read_images(path: Path) -> np.ndarray:
    """Images of a file, uint8 (n, C, H, W)."""
    values = read_idx(path)
    if values.dtype != np.uint8 or values.ndim not in (3, 4) or 0 in values.shape:
        raise SourceError(
            f"{str(path)!r} holds {values.dtype} values of shape {values.shape}; expected uint8 images (n, H, W)."
        )
    if values.ndim == 3:
        return values[:, None]
    if values.shape[1] in (1, 3):
        return values
    if values.shape[3] in (1, 3):
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    raise SourceError(f"{str(path)!r} has shape {values.shape}; expected (n, H, W, 3) or (n, 3, H, W).")


def _read_labels(path: Path) -> np.ndarray:
    values = read_idx(path)
    if values.ndim != 1:
        raise SourceError(f"{str(path)!r} has shape {values.shape}; expected one label an image, (n,).")
    return values.astype(np.int64)


def read_idx(path: Path) -> np.ndarray:
    """The array in an idx file, plain or gzip (told by its content, not its name).

    Raises SourceError if it is damaged, truncated or of another format.
    """
    with _opened(path) as file:
        zeros, code, ndim = struct.unpack(">HBB", _take(file, 4, path))
        if zeros or code not in _TYPES or not 1 <= ndim <= 4:
            raise SourceError(
                f"{str(path)!r} is not an idx file of integers: its magic number is 0x{zeros:04x}{code:02x}{ndim:02x}, "
                "expected 0x00000803 for images or 0x00000801 for labels."
            )
        shape = struct.unpack(f">{ndim}I", _take(file, 4 * ndim, path))
        dtype = np.dtype(_TYPES[code])
        data = _take(file, prod(shape) * dtype.itemsize, path)
        if file.read(1):
            raise SourceError(
                f"{str(path)!r} holds more than the {'x'.join(map(str, shape))} values its header names; {_MEND}."
            )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


_MEND = "fetch the file again"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, unzipped if it is gzip; whatever goes wrong with its bytes becomes a SourceError."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(raw) if packed else raw as file:
                yield file  # type: ignore[misc]
    except EOFError:
        raise SourceError(f"{str(path)!r} is a truncated gzip file ({path.stat().st_size} bytes); {_MEND}.") from None
    except (OSError, zlib.error) as error:
        raise SourceError(f"{str(path)!r} cannot be read ({error}); {_MEND}.") from None


def _take(file: BinaryIO, count: int, path: Path) -> bytearray:
    """Exactly `count` bytes; read in pieces, so that a header that lies cannot claim the memory."""
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(_CHUNK, count - len(data)))
        if not piece:
            raise SourceError(
                f"{str(path)!r} is truncated: it holds {len(data)} of the {count} bytes its header names; {_MEND}."
            )
        data += piece
    return data
