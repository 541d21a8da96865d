"""The elements of O(2), one at a time and in batches, and their text.

Convention:
    An element is `(angle, flip)` and means r(angle) . m^flip: mirror left-right first, then rotate by `angle` degrees,
    counter-clockwise as displayed. Since m r(a) = r(-a) m,

        (a, f) @ (b, g) = (a + (-1)^f b, f xor g)        ~(a, 0) = (-a, 0)        ~(a, 1) = (a, 1)
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from symdata.errors import SymmetryError

SNAP_DEG = 1e-3
"""Degrees within which an angle counts as that of an element of a finite group: stored angles are float32."""
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]+)?"
"""How a number is written, as a regular expression."""
NAMES = {"h": "m", "v": "r180m", "t": "r90m", "hvt": "r270m"}
"""Other names of the mirrors of d4, those of albumentations: left-right, up-down, both transposes."""
_NAME = re.compile(rf"e|(?:r(?P<angle>{NUMBER}))?(?P<flip>m?)")


def namespace(array: Any) -> ModuleType:
    """The library of `array`: the module numpy, or torch for a tensor."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


@dataclass(frozen=True, init=False)
class Element:
    """One element r(angle) . m^flip of O(2); `a @ b` is b followed by a, `~a` is the inverse.

    `Element(90, flip=True)` takes degrees, `Element("r90m")` the text of an element.

    Convention:
        Mirror left-right first if `flip`, then rotate by `angle` degrees counter-clockwise as displayed.

    Example:
        >>> turn, mirror = Element(90), Element(flip=True)
        >>> print(turn @ mirror, mirror @ turn, ~turn)
        r90m r270m r270
        >>> Element("r90m") == turn @ mirror
        True
    """

    angle: float = 0.0
    """Degrees, reduced to [0, 360)."""
    flip: bool = False

    def __init__(self, angle: "float | str" = 0.0, flip: bool = False) -> None:
        if isinstance(angle, str):
            if flip:
                raise SymmetryError(
                    f"{angle!r} says whether there is a mirror; write Element('r90m') or Element(90, True)"
                )
            angle, flip = _read(angle)
        try:
            reduced = float(angle) % 360.0
        except (TypeError, ValueError):
            reduced = math.nan
        if not math.isfinite(reduced):
            raise SymmetryError(f"angle {angle!r} is not a finite number of degrees")
        object.__setattr__(self, "angle", 0.0 if reduced == 360.0 else reduced)
        object.__setattr__(self, "flip", bool(flip))

    @classmethod
    def parse(cls, text: str) -> "Element":
        """The element with this text: `e`, `r90`, `m`, `r90m`, or one of the mirrors `h`, `v`, `t`, `hvt`.

        Raises:
            SymmetryError: for any other text.

        Example:
            >>> [str(Element.parse(name)) for name in ("e", "r-90", "r90m", "h", "v", "t", "hvt")]
            ['e', 'r270', 'r90m', 'm', 'r180m', 'r90m', 'r270m']
        """
        return cls(*_read(text))

    def __matmul__(self, other: "Element") -> "Element":
        return Element(self.angle + (-other.angle if self.flip else other.angle), self.flip ^ other.flip)

    def __invert__(self) -> "Element":
        return Element(self.angle if self.flip else -self.angle, self.flip)

    def isclose(self, other: "Element", tolerance_deg: float = SNAP_DEG) -> bool:
        """Whether both have the same `flip`, and angles that differ by at most `tolerance_deg` degrees."""
        gap = abs(self.angle - other.angle)
        return self.flip == other.flip and min(gap, 360.0 - gap) <= tolerance_deg

    def __str__(self) -> str:
        """`e` (the identity), `r90`, `m` (the mirror), `r90m` (the mirror, then the rotation).

        Angles are written in six digits, so what `parse` reads back is the same up to `SNAP_DEG`; `repr` has all.
        """
        return (f"r{self.angle:g}" if self.angle else "") + ("m" if self.flip else "") or "e"


def _read(text: str) -> tuple[float, bool]:
    """Angle and flip of the element with this text."""
    match = _NAME.fullmatch(NAMES.get(text, text)) if isinstance(text, str) and text else None
    if not match:
        raise SymmetryError(f"{text!r} is not an element; expected e, r90, m, r90m or one of {', '.join(NAMES)}")
    return float(match["angle"] or 0.0), bool(match["flip"])


@dataclass(frozen=True, eq=False)
class Elements:
    """A batch of elements of O(2): two arrays, numpy or torch on any device; `a @ b` and `~a` work entry by entry.

    Example:
        >>> batch = Elements.parse("e r90 r180 r270")
        >>> print(batch @ batch, "|", batch @ ~batch)
        e r180 e r180 | e e e e
    """

    angle: Any
    """(n,) float64, degrees in [0, 360)."""
    flip: Any
    """(n,) bool."""

    @classmethod
    def of(cls, elements: "Element | Elements | Sequence[Element]", count: int | None = None) -> "Elements":
        """A batch from one element (repeated `count` times) or from a sequence of them."""
        if isinstance(elements, Elements):
            return elements
        if isinstance(elements, Element):
            n = 1 if count is None else count
            return cls(np.full(n, elements.angle), np.full(n, elements.flip))
        listed: list[Any] = list(elements) if isinstance(elements, list | tuple) else [elements]
        if wrong := [e for e in listed if not isinstance(e, Element)]:
            raise SymmetryError(f"{wrong[0]!r} is not an element; write Element(90) or Element(90, flip=True)")
        angle, flip = [e.angle for e in listed], [e.flip for e in listed]
        return cls(np.array(angle, dtype=np.float64), np.array(flip, dtype=bool))

    @classmethod
    def parse(cls, text: str) -> "Elements":
        """The batch of the elements in a text, separated by blanks.

        Example:
            >>> str(Elements.parse("e r90 t"))
            'e r90 r90m'
        """
        return cls.of([Element.parse(word) for word in text.split()])

    def __str__(self) -> str:
        """The texts of all elements, separated by blanks, as `parse` reads them."""
        return " ".join(map(str, self.cpu()))

    def __len__(self) -> int:
        return len(self.angle)

    def __getitem__(self, item: Any) -> "Elements":
        """The batch of the entries in a slice or an index array; `one(i)` and iteration give single elements."""
        return Elements(self.angle[item], self.flip[item])

    def one(self, i: int) -> Element:
        """Entry i as a single element."""
        return Element(float(self.angle[i]), bool(self.flip[i]))

    def __iter__(self) -> Iterator[Element]:
        return (self.one(i) for i in range(len(self)))

    def __matmul__(self, other: "Elements") -> "Elements":
        xp = namespace(self.angle)
        return Elements(wrap(self.angle + xp.where(self.flip, -other.angle, other.angle)), self.flip ^ other.flip)

    def __invert__(self) -> "Elements":
        return Elements(wrap(namespace(self.angle).where(self.flip, self.angle, -self.angle)), self.flip)

    def lattice_index(self) -> Any:
        """(n,) int64: the index of each element in d4, or -1 if it is not a symmetry of the pixel lattice."""
        xp = namespace(self.angle)
        quarter = xp.round(self.angle / 90.0)
        exact = xp.abs(self.angle - 90.0 * quarter) < 1e-9
        index = xp.where(exact, quarter % 4 + 4.0 * self.flip, -1.0)
        return index.astype(np.int64) if xp is np else index.long()

    def float32(self) -> "Elements":
        """The same batch with angles rounded to float32, as datasets store them, and held in float64."""
        xp = namespace(self.angle)
        rounded = xp.asarray(xp.asarray(self.angle, dtype=xp.float32), dtype=xp.float64)
        return Elements(xp.where(rounded >= 360.0, 0.0, rounded), self.flip)  # 359.99999999 is rounded to 360

    def cpu(self) -> "Elements":
        """The same batch as numpy arrays."""
        if isinstance(self.angle, np.ndarray):
            return self
        return Elements(self.angle.cpu().numpy(), self.flip.cpu().numpy())

    def to(self, device: Any) -> "Elements":
        """The same batch as torch tensors on `device`."""
        import torch

        angle, flip = self.angle, self.flip
        if isinstance(angle, np.ndarray):  # torch warns when it shares a read-only array, such as one of pyarrow
            angle, flip = np.require(angle, requirements="W"), np.require(flip, requirements="W")
        as_tensor = partial(torch.as_tensor, device=device)
        return Elements(as_tensor(angle, dtype=torch.float64), as_tensor(flip, dtype=torch.bool))


def wrap(angle_deg: Any) -> Any:
    """Angles reduced to [0, 360)."""
    xp = namespace(angle_deg)
    reduced = angle_deg % 360.0
    return xp.where(reduced >= 360.0, 0.0, reduced)  # -1e-20 % 360.0 is 360.0
