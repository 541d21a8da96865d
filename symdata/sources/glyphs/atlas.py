"""The characters of the glyph source, their symmetry, and their signed distance fields.

Every character is `element . base`: a drawn letter (the base) under an element of d4. `d` is the mirror image of the
drawn `b`, `Z` the quarter turn of the drawn `N`. The field of a base is averaged over its stabiliser S,

    F_base = 1/|S| sum_{s in S} s . F_drawn        so that        s . F_base = F_base for every s in S,

and the field of `g . base` is `g . F_base`. Sums are over integers, whose order does not matter, so both equalities
hold bit for bit in float32 and the table of stabilisers is exact. (A constant is then subtracted from the mean, so that
the letter keeps its drawn area: thin strokes that do not quite meet their images would fade otherwise.)

Convention:
    Elements are indices of d4: 0..3 rotations by 0, 90, 180, 270 degrees counter-clockwise as displayed, 4..7 the same
    after a left-right mirror. A field is (SIDE, SIDE) float32, row 0 on top, in cells: positive inside the stroke.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from symdata.errors import SourceError
from symdata.groups import Group

D4 = Group(4, flips=True)

_SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold")
_SERIF = ("DejaVuSerif", "DejaVuSerif-Bold")
_ROMAN = ("STIXGeneral", "STIXGeneralBol")
_FACES = {
    **dict.fromkeys("XAMV3UYB", _SANS),
    **dict.fromkeys("HEK8", _SANS + _ROMAN),
    "N": _SANS + _SERIF,
    "0": _SANS[:2] + _SERIF + _ROMAN,
}
"""Base -> its faces, if not all: in the others the letter is too far from the symmetry of its class."""

LICENSE = "Bitstream-Vera AND OFL-1.1"
"""License of the fonts: DejaVu (Bitstream Vera; its own changes are in the public domain) and STIX (OFL)."""

SIDE = 129
"""Cells along a field; odd, so that the centre of the image is the centre of a cell."""
REACH = 0.875
"""Half side of a field, in half image sides; there are no strokes outside."""
CELLS = (SIDE - 1) / 2 / REACH
"""Cells per half image side."""

_FINE = 6
"""Drawn pixels per cell."""
_CAP = 78
"""Largest distance in drawn pixels: 13 cells, enough for half a pixel of the smallest size and a stroke weight."""
_UNITS = 64
"""Distances are integers, in units of 1/64 of a drawn pixel."""
_EM = 600
"""Size at which a letter is drawn before it is fitted; too large for hinting to matter."""
_BOX, _RADIUS = 0.64, 0.74
"""A letter fits into a square of half side _BOX and a disk of radius _RADIUS, in half image sides; after the jitter all
but one in a thousand are inside the inscribed disk of the image."""

_ALL = (0, 1, 2, 3, 4, 5, 6, 7)
_STABILISERS: dict[tuple[int, ...], str] = {
    _ALL: "OX",
    (0, 2, 4, 6): "HI08",
    (0, 2): "NS",
    (0, 4): "AMTUVY",
    (0, 6): "BCDEK3",
}
_WIDEN = {"X": 1.22}
"""Width over height, if it is not 1: the arms of X coincide with their images if they are at 45 degrees."""
_IMAGES = {"d": (4, "b"), "q": (2, "b"), "p": (6, "b"), "9": (2, "6"), "Z": (1, "N"), "W": (2, "M"), "u": (2, "n")}
"""Character -> (element, base). N is symmetric under the half turn, so its turns by +90 and -90 degrees are equal."""

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS = DIGITS + LETTERS + "abdefghmnpqrtu"
"""All characters; lower-case letters that look like upper-case ones (c, o, s, v, x, z, ...) are left out."""

_NAMES = {
    (0,): "c1",
    (0, 2): "c2",
    (0, 4): "d1 (left-right mirror)",
    (0, 6): "d1 (up-down mirror)",
    (0, 2, 4, 6): "d2",
    _ALL: "d4",
}
"""The stabilisers that occur."""


def base_of(character: str) -> tuple[int, str]:
    """`(element, base)` with character = element . base; the element is an index of d4."""
    return _IMAGES.get(character, (0, character))


def faces_of(base: str) -> tuple[str, ...]:
    """The names of the faces of a base."""
    return _FACES.get(base, _SANS + _SERIF + _ROMAN)


def stabiliser(character: str) -> tuple[int, ...]:
    """The indices of the elements of d4 that map a character to itself, sorted: g S g^-1 for g . base."""
    element, base = base_of(character)
    own = next((group for group, characters in _STABILISERS.items() if base in characters), (0,))
    return tuple(sorted(D4.product(D4.product(element, s), D4.inverse(element)) for s in own))


def stabiliser_name(character: str) -> str:
    """The name of the stabiliser: `d4`, `d2`, `c2`, `d1 (left-right mirror)`, ..., or `c1` if it is trivial."""
    return _NAMES[stabiliser(character)]


def image_of(character: str, element: int, alphabet: Iterable[str] = CHARACTERS) -> str | None:
    """The character of `alphabet` that `character` becomes under an element of d4, or None."""
    own, base = base_of(character)
    wanted = D4.product(element, own)
    for other in alphabet:
        found, other_base = base_of(other)
        if other_base == base and D4.product(D4.inverse(found), wanted) in stabiliser(base):
            return other
    return None


def apply(element: int, fields: np.ndarray) -> np.ndarray:
    """Move arrays (..., H, W) by the element of d4 with this index."""
    mirrored = np.flip(fields, -1) if element >= 4 else fields
    return np.ascontiguousarray(np.rot90(mirrored, element % 4, axes=(-2, -1)))


@dataclass(frozen=True, eq=False)
class Atlas:
    """The fields of an alphabet, one per character and face."""

    fields: np.ndarray
    """(sum of counts, SIDE, SIDE) float32, in cells, positive inside: all faces of the first character, and so on."""
    counts: np.ndarray
    """(characters,) int64: the number of faces of each character."""

    @property
    def starts(self) -> np.ndarray:
        """(characters,) int64: index in `fields` of the first face of each character."""
        return np.concatenate([[0], np.cumsum(self.counts)[:-1]])

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of the counts and fields, little-endian on every machine."""
        content = hashlib.sha256(self.counts.astype("<i8").tobytes())
        content.update(self.fields.astype("<f4").tobytes())
        return content.hexdigest()


@lru_cache(maxsize=8)
def build_atlas(alphabet: tuple[str, ...]) -> Atlas:
    """The fields of an alphabet, drawn at the first call in a process (less than a second for 16 characters)."""
    pairs = map(base_of, alphabet)
    parts = [apply(element, _base_fields(base)) for element, base in pairs]
    return Atlas(np.concatenate(parts), np.array([len(part) for part in parts], dtype=np.int64))


@lru_cache(maxsize=len(CHARACTERS))
def _base_fields(base: str) -> np.ndarray:
    """(faces, SIDE, SIDE) float32: the fields of a base, averaged over its stabiliser."""
    group = stabiliser(base)
    drawn = _signed_distances(np.stack([_draw(base, face) for face in faces_of(base)]))
    total = np.stack([apply(element, drawn) for element in group]).sum(axis=0)
    level = _level(total, (drawn > 0).sum(axis=(-2, -1))) if len(group) > 1 else 0
    return np.asarray((total - level) / (len(group) * _UNITS * _FINE), dtype=np.float32)


def _level(total: np.ndarray, area: np.ndarray) -> np.ndarray:
    """(n, 1, 1) int: the level such that `area` (n,) cells of each field (n, SIDE, SIDE) are above it."""
    ranked = np.sort(total.reshape(len(total), -1))[:, ::-1]
    rows = np.arange(len(total))
    return np.asarray((ranked[rows, area - 1] + ranked[rows, area]) // 2)[:, None, None]


def _draw(character: str, face: str) -> np.ndarray:
    """(drawn side, drawn side) bool: one letter, fitted and centred by its bounding box."""
    font = _font(face)
    left, top, right, bottom = font.getbbox(character)
    letter = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(letter).text((-left, -top), character, font=font, fill=255)
    letter = letter.crop(letter.getbbox())
    width, height = _fit(character, *letter.size)
    side = (SIDE - 1) * _FINE + 1
    canvas = Image.new("L", (side, side))
    canvas.paste(letter.resize((width, height), Image.Resampling.BICUBIC), ((side - width) // 2, (side - height) // 2))
    return np.asarray(canvas) >= 128


def _fit(character: str, width: int, height: int) -> tuple[int, int]:
    """Drawn width and height of a letter, odd so that it can be centred; square if its quarter turn is a letter."""
    if 1 in stabiliser(character) or any(base == character and element % 2 for element, base in _IMAGES.values()):
        width = height = max(width, height)
        width = round(width * _WIDEN.get(character, 1.0))
    per_half_side = CELLS * _FINE
    scale = 2 * per_half_side * min(_BOX / max(width, height), _RADIUS / float(np.hypot(width, height)))
    return 2 * round(width * scale / 2) | 1, 2 * round(height * scale / 2) | 1


@lru_cache(maxsize=8)
def _font(face: str) -> ImageFont.FreeTypeFont:
    path = _font_folder() / f"{face}.ttf"
    if not path.is_file():
        raise SourceError(
            f"the font {face}.ttf is missing from {path.parent}; run pip install --force-reinstall matplotlib"
        )
    return ImageFont.truetype(str(path), _EM, layout_engine=ImageFont.Layout.BASIC)


def _font_folder() -> Path:
    """The folder of matplotlib's fonts, found without importing matplotlib."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise SourceError("glyphs need the fonts of matplotlib, which is not installed; run pip install matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


def _signed_distances(inside: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE) int32: signed Euclidean distances from the cells to the outline, in 1/64 of a drawn pixel.

    The outline is between two drawn pixels, half a pixel from the centre of each.
    """
    within, without = _distances(~inside), _distances(inside)
    signed = np.maximum(within - 0.5, 0) - np.maximum(without - 0.5, 0)
    return np.asarray(np.rint(signed * _UNITS), dtype=np.int32)


def _distances(mask: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE) float64: distance from each cell to the nearest True pixel of `mask` (n, H, W), at most _CAP.

    Exact, axis by axis: d^2(x, y) = min over x' of (distance to the nearest True pixel in column x')^2 + (x - x')^2.
    """
    down = np.ascontiguousarray(_down_columns(mask)[:, ::_FINE].swapaxes(1, 2))  # (n, W, SIDE): x' counts rows
    squared = np.pad(down * down, ((0, 0), (_CAP, _CAP), (0, 0)), constant_values=_CAP * _CAP)
    best = np.full((len(mask), SIDE, SIDE), _CAP * _CAP, dtype=np.int16)
    for shift in range(-_CAP, _CAP + 1):
        np.minimum(best, squared[:, _CAP + shift :: _FINE][:, :SIDE] + np.int16(shift * shift), out=best)
    return np.sqrt(best.swapaxes(1, 2).astype(np.float64))


def _down_columns(mask: np.ndarray) -> np.ndarray:
    """(n, H, W) int16: distance to the nearest True pixel of the same column, at most _CAP."""
    distance = np.where(mask, np.int16(0), np.int16(_CAP))
    for y in range(1, mask.shape[1]):  # row by row, several times as fast as np.maximum.accumulate
        np.minimum(distance[:, y], distance[:, y - 1] + np.int16(1), out=distance[:, y])
    for y in range(mask.shape[1] - 2, -1, -1):
        np.minimum(distance[:, y], distance[:, y + 1] + np.int16(1), out=distance[:, y])
    return distance
