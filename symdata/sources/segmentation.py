"""Polygons of COCO and YOLO, and run-length masks, painted into one mask an image: a pixel has its category's number.

    0            no object
    1, 2, ...    the categories of the source, in their order
    void         pixels that objects of several categories share

Convention:
    Coordinates are pixels from the top left corner of the image, y down. A pixel is inside a polygon if its centre, at
    halves, is; the parts of an object are joined. Runs go down the columns, and begin with pixels outside.
"""

import itertools
from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np

from symdata.annotations import Objects
from symdata.errors import SourceError
from symdata.sources.annotated import check_no_void, void_of
from symdata.sources.base import Ref, refusal

SEMANTIC = "semantic"
LARGEST = 1 << 27
"""Pixels of a mask."""
_BITS, _SIGN, _MORE = 5, 0x10, 0x20
"""Of a character of compressed runs: how many bits it holds; the bit of a negative number, and of one that goes on."""


class Painted(NamedTuple):
    """What the masks of a split are painted from."""

    names: Sequence[str]
    """Of the images, for messages."""
    sizes: Sequence[tuple[Any, Any]]
    """Height and width of each image: as its file says, or as it is."""
    objects: Objects
    segmentations: Sequence[Any]
    """Of each object: a list of polygons, or runs."""
    where: Sequence[str]
    """Names of the objects, for messages."""
    in_shares: bool = False
    """Whether polygons are in shares of the width and height, and not in pixels."""


class PaintedStore:
    """Masks that are painted when they are fetched, as gray images."""

    apart = False

    def __init__(self, splits: Mapping[str, Painted], void: int) -> None:
        self.splits, self.void = splits, void

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Masks as PGM files; raises SourceError, with the object, for a segmentation that makes no sense."""
        return [_pgm(self._painted(self.splits[split], int(index))) for index in indices]

    def name(self, split: str, index: int) -> str:
        """Name of the mask of one image."""
        return f"of {self.splits[split].names[index]}"

    def _painted(self, own: Painted, image: int) -> np.ndarray:
        height, width = own.sizes[image]
        if not all(isinstance(side, int) and side > 0 for side in (height, width)) or height * width > LARGEST:
            said = f"height {short(height)} and width {short(width)} in its file"
            raise SourceError(f"{own.names[image]} has {said}, and its mask needs those of the image; mend them")
        mask, shared = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
        first, last = np.searchsorted(own.objects.image, [image, image + 1])
        for row in range(first, last):
            try:
                found = own.segmentations[row]
                inside = painted(_in_pixels(found, height, width) if own.in_shares else found, height, width)
            except SourceError as error:
                raise SourceError(f"{own.where[row]}: {error}; mend or remove it") from None
            number = int(own.objects.category[row]) + 1
            shared |= inside & (mask > 0) & (mask != number)
            mask[inside] = number
        return np.where(shared, self.void, mask).astype(np.uint8)


def _in_pixels(polygons: Any, height: int, width: int) -> Any:
    """Polygons in shares of the image, in pixels; anything else as it is."""
    if not isinstance(polygons, list):
        return polygons
    return [[v * (height if k % 2 else width) for k, v in enumerate(polygon)] for polygon in polygons]


def painted_masks(ref: Ref, splits: Mapping[str, Painted], categories: int) -> PaintedStore | None:
    """The masks of all images, if `,mask=semantic` asks for them."""
    if (given := ref.options.get("mask")) is None:
        check_no_void(ref)
        return None
    if given != SEMANTIC:
        problem = f"mask={given}, expected mask={SEMANTIC}; objects that overlap do not fit into one mask"
        raise refusal(ref.text, problem)
    if categories > 255 or 1 <= void_of(ref) <= categories:
        problem = f"its {categories} categories are 1..{categories} in masks, and void is {void_of(ref)}"
        raise refusal(ref.text, f"{problem}; give void another number, as in ,void=0")
    return PaintedStore(splits, void_of(ref))


def painted(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The pixels of an object, (H, W) bool.

    Args:
        segmentation: a list of polygons [x, y, x, y, ...], or {"size": [H, W], "counts": runs, or their text}.
        height, width: of the image.

    Raises:
        SourceError: with the reason alone.

    Example:
        >>> from symdata.sources.segmentation import painted
        >>> painted([[1, 0, 3, 0, 3, 2, 1, 2]], 2, 4).astype(int).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0]]
        >>> painted({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    if isinstance(segmentation, Mapping):
        return _of_runs(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        raise SourceError(f"segmentation is {short(segmentation)}, expected polygons or runs")
    inside = np.zeros((height, width), bool)
    for polygon in segmentation:
        inside |= _of_polygon(polygon, height, width)
    return inside


def _of_polygon(polygon: Any, height: int, width: int) -> np.ndarray:
    """The pixels whose centres lie inside a polygon, by the rule of odd crossings."""
    given = polygon if isinstance(polygon, list) else []
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9 for v in given)
    if len(given) < 6 or len(given) % 2 or not numbers:
        raise SourceError(f"a polygon is {short(polygon)}, expected x, y, x, y, ... of three points or more")
    x, y = np.array(given, np.float64).reshape(-1, 2).T
    next_x, next_y, centres = np.roll(x, -1), np.roll(y, -1), np.arange(height) + 0.5
    edge, row = np.nonzero((y[:, None] <= centres) != (next_y[:, None] <= centres))
    crossing = x[edge] + (centres[row] - y[edge]) * (next_x - x)[edge] / (next_y - y)[edge]
    column = np.ceil(crossing - 0.5).clip(0, width).astype(np.int64)  # the first pixel beyond the crossing
    crossings = np.zeros((height, width + 1), np.int64)
    np.add.at(crossings, (row, column), 1)
    return np.asarray(crossings.cumsum(1)[:, :width] % 2 == 1)


def _of_runs(runs: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """The pixels of run-length masks, plain or compressed."""
    counts: Any = runs.get("counts")
    if runs.get("size") != [height, width]:
        raise SourceError(f"its runs are for size {short(runs.get('size'))}, its image is {height}x{width}")
    if isinstance(counts, str):
        counts = _decompressed(counts)
    numbers = isinstance(counts, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in counts)
    if not numbers or any(n < 0 for n in counts) or sum(counts) != height * width:
        raise SourceError(f"its runs {short(runs.get('counts'))} do not add up to {height * width} pixels")
    inside: np.ndarray = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T
    return inside


def _decompressed(text: str) -> list[int]:
    """Runs from their text: each is a number of base 32, from the third on the difference to the last but one."""
    counts: list[int] = []
    codes = iter([ord(character) - 48 for character in text])
    for code in codes:
        value, shift = 0, 0
        for digit in itertools.chain([code], codes):
            if not 0 <= digit < 64:
                raise SourceError(f"its runs {short(text)} hold a character that no run has")
            value |= (digit & 0x1F) << shift
            shift += _BITS
            if not digit & _MORE:
                value -= (1 << shift) if digit & _SIGN else 0
                break
            if shift > 60:
                raise SourceError(f"its runs {short(text)} hold a number that is too large")
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def _pgm(mask: np.ndarray) -> bytes:
    return b"P5 %d %d 255\n" % mask.shape[::-1] + mask.tobytes()
