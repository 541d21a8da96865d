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
from typing import BinaryIO

import numpy as np
import torch

from symdata.errors import MixedSizesError, SourceError
from symdata.sources.base import Ref, check_indices, refusal, split_name
from symdata.sources.files import Facts, FileSource, Labels
from symdata.sources.fit import Fit

_NAME = re.compile(r"(?P<set>.*?)(?P<split>[^-]+)-(?P<kind>images|labels)[-.]idx\d-[a-z]+\d*(\.gz)?")
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
_CHUNK = 1 << 20
_MEND = "fetch the file again"


class ArraySource(FileSource):
    """A `Source` over arrays, uint8 (n, C, H, W) by split."""

    def __init__(self, facts: Facts, labels: Labels, images: dict[str, np.ndarray], fit: Fit) -> None:
        super().__init__(facts, labels, fit)
        self._images = images
        channels = {split_images.shape[1] for split_images in images.values()}
        sizes = {fit.shape(*split_images.shape[2:]) for split_images in images.values()}
        if len(channels) > 1 or len(sizes) > 1:
            listing = ", ".join(f"{split} {'x'.join(map(str, found.shape[1:]))}" for split, found in images.items())
            error = refusal(self.ref, f"the splits differ in shape ({listing}); give one size, as in --size 28")
            if len(channels) > 1:
                raise error
            raise MixedSizesError(str(error), {found.shape[2:]: len(found) for found in images.values()})
        self.shape = (channels.pop(), *sizes.pop())

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images at `indices`, uint8 (n, C, H, W)."""
        wanted = check_indices(self, split, indices)
        return self._fit(torch.from_numpy(self._images[split][wanted]))


def found_at(place: Path) -> bool:
    """Whether a folder holds idx files, or a set of idx files has this prefix."""
    if place.is_dir():
        return bool(find_idx(place))
    return not place.exists() and place.parent.is_dir() and f"{place.name}-" in find_idx(place.parent)


def open_ref(ref: Ref, fit: Fit, device: str) -> ArraySource:
    """Open a folder of idx files, or one set of it by its prefix (`gzip/emnist-letters`)."""
    ref.only("splits")
    place = Path(ref.place)
    folder = place if place.is_dir() else place.parent
    sets = find_idx(folder)
    if place.is_dir() and len(sets) > 1:
        names = ", ".join(str(folder / prefix.strip("-")) for prefix in sets)
        raise SourceError(f"{ref.place!r} holds {len(sets)} sets of idx files; name one of them: {names}")
    prefix = next(iter(sets)) if place.is_dir() else f"{place.name}-"
    for split, files in sets[prefix].items():
        _check_pair(folder, split, files)
    pairs = ref.select(sets[prefix])
    images = {split: _read_images(files["images"]) for split, files in pairs.items()}
    raw = {split: _read_labels(files["labels"]) for split, files in pairs.items()}
    for split, files in pairs.items():
        if len(images[split]) != len(raw[split]):
            raise SourceError(
                f"{files['images'].name!r} holds {len(images[split])} images but {files['labels'].name!r} holds "
                f"{len(raw[split])} labels (in {str(folder)!r}); take both files from the same release"
            )
    every = [path for files in pairs.values() for path in files.values()]
    facts = Facts.at(ref, folder / prefix.strip("-"), every)
    classes, labels = Labels.of({split: values.tolist() for split, values in raw.items()})
    return ArraySource(facts, Labels(_class_names(folder, prefix, classes), labels), images, fit)


def find_idx(folder: Path) -> dict[str, dict[str, dict[str, Path]]]:
    """The idx files of a folder: set prefix ("" or "emnist-letters-") -> split -> "images"/"labels" -> path."""
    found: dict[str, dict[str, dict[str, Path]]] = {}
    for path in sorted(folder.iterdir()):
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            files = found.setdefault(match["set"], {}).setdefault(split_name(match["split"]), {})
            if other := files.get(match["kind"]):
                raise SourceError(f"{str(folder)!r} holds both {other.name!r} and {path.name!r}; remove one of them")
            files[match["kind"]] = path
    return found


def _check_pair(folder: Path, split: str, files: dict[str, Path]) -> None:
    """Raise SourceError unless a split has images and labels."""
    for kind, dims in (("images", 3), ("labels", 1)):
        if kind not in files:
            have = next(iter(files.values())).name
            wanted = re.sub(r"idx\d", f"idx{dims}", re.sub("images|labels", kind, have))
            raise SourceError(
                f"{str(folder)!r}: the {kind} of split {split!r} are missing: {have!r} wants {wanted!r} beside it"
            )


def _class_names(folder: Path, prefix: str, numbers: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes: from EMNIST's mapping file (`number code [code]`, ASCII) if there is one, else the numbers."""
    mapping = folder / f"{prefix}mapping.txt"
    rows = [line.split() for line in mapping.read_text().splitlines()] if mapping.is_file() else []
    names = {row[0]: chr(int(row[1])) for row in rows if len(row) > 1 and row[1].isdigit()}
    return tuple(names.get(number, number) for number in numbers)


def _read_images(path: Path) -> np.ndarray:
    """Upright images of a file, uint8 (n, C, H, W)."""
    values = read_idx(path)
    if values.dtype != np.uint8 or values.ndim not in (3, 4) or 0 in values.shape:
        raise SourceError(
            f"{str(path)!r} holds {values.dtype} values of shape {values.shape}; expected uint8 images (n, H, W)"
        )
    if values.ndim == 3:
        values = values[:, None]
    elif values.shape[1] not in (1, 3) and values.shape[3] in (1, 3):
        values = values.transpose(0, 3, 1, 2)
    if values.shape[1] not in (1, 3):
        raise SourceError(f"{str(path)!r} has shape {values.shape}; expected (n, H, W, 3) or (n, 3, H, W)")
    return np.ascontiguousarray(values.swapaxes(2, 3) if path.name.startswith("emnist") else values)


def _read_labels(path: Path) -> np.ndarray:
    values = read_idx(path)
    if values.ndim != 1:
        raise SourceError(f"{str(path)!r} has shape {values.shape}; expected one label an image, (n,)")
    return values.astype(np.int64)


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
