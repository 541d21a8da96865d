"""The closed subgroups of O(2) up to conjugation: c_n, d_n, so2, o2.

Convention:
    An element is `(angle, flip)`: mirror left-right first, then rotate by degrees, counter-clockwise as displayed.
    A finite group lists its n rotations first, then the same rotations after the mirror: (360 k / n, f) has index
    k + n f.
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symdata.elements import NAMES as NAMES
from symdata.elements import NUMBER as NUMBER
from symdata.elements import SNAP_DEG as SNAP_DEG
from symdata.elements import Element as Element
from symdata.elements import Elements as Elements
from symdata.elements import namespace as namespace
from symdata.elements import wrap as wrap
from symdata.errors import SymmetryError, is_whole

MAX_ORDER = 360
"""Largest n of c_n and d_n, one rotation per degree; for more there are so2 and o2."""
ACCEPTED = f"none, c1..c{MAX_ORDER}, d1..d{MAX_ORDER}, so2, o2"


@dataclass(frozen=True, init=False)
class Group:
    """A closed subgroup of O(2); its mirror is left-right.

    `Group(4, flips=True)` and `Group("d4")` are d4, `Group(None)` and `Group("so2")` are so2.

    Example:
        >>> d4 = Group("d4")
        >>> d4.order, [str(e) for e in d4.elements]
        (8, ['e', 'r90', 'r180', 'r270', 'm', 'r90m', 'r180m', 'r270m'])
        >>> print(Group.parse("c4") <= d4, Group.parse("c3") | d4)
        True d12
    """

    rotations: int | None
    """n of c_n and d_n; None for the continuous groups so2 and o2."""
    flips: bool = False
    """Whether the group has mirrors."""

    def __init__(self, rotations: "int | str | None", flips: bool = False) -> None:
        if isinstance(rotations, str):
            if flips:
                raise SymmetryError(f"group {rotations!r} is a whole group; leave flips out, as in Group('d4')")
            rotations, flips = _read(rotations)
        if not (rotations is None or is_whole(rotations, -math.inf, math.inf)):
            raise SymmetryError(f"a group has {rotations!r} rotations, expected a whole number; write Group('d4')")
        object.__setattr__(self, "rotations", rotations if rotations is None else int(rotations))
        object.__setattr__(self, "flips", bool(flips))
        if self.rotations is not None and not 1 <= self.rotations <= MAX_ORDER:
            mend = f"expected 1 to {MAX_ORDER}; use {Group(None, self.flips)} for the continuous group"
            raise SymmetryError(f"group {self.name!r} has {self.rotations} rotations, {mend}")

    @classmethod
    def parse(cls, text: str) -> "Group":
        """The group named `none` (c1), `c4`, `d4`, `so2`, `o2`, ...; raises SymmetryError for any other text."""
        return cls(*_read(text))

    @property
    def name(self) -> str:
        """`c4`, `d4`, `so2`, `o2`; the trivial group is `c1`."""
        if self.rotations is None:
            return "o2" if self.flips else "so2"
        return f"{'d' if self.flips else 'c'}{self.rotations}"

    def __str__(self) -> str:
        return self.name

    @property
    def is_finite(self) -> bool:
        """Whether it is one of c_n and d_n."""
        return self.rotations is not None

    @property
    def order(self) -> int | float:
        """Number of elements; `math.inf` for so2 and o2."""
        return math.inf if self.rotations is None else self.rotations * len(self.sides)

    @property
    def sides(self) -> tuple[bool, ...]:
        """The values of `flip` in the group: False, and True if it has mirrors."""
        return (False, True) if self.flips else (False,)

    @property
    def is_lattice(self) -> bool:
        """Whether every element is a symmetry of the square pixel lattice: the subgroups of d4."""
        return self.rotations in (1, 2, 4)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All elements of a finite group, in index order."""
        n = self._finite()
        return tuple(Element(360.0 * k / n, flip) for flip in self.sides for k in range(n))

    def take(self, indices: Any) -> Elements:
        """The batch of the elements with these indices, an int64 array or tensor (m,)."""
        n, xp = self._finite(), namespace(indices)
        if len(indices) and bool(((indices < 0) | (indices >= self.order)).any()):
            raise SymmetryError(f"indices {indices.min()}..{indices.max()} leave {self}, which has 0..{self.order - 1}")
        k = xp.asarray(indices % n, dtype=xp.float64)  # an integer tensor times a float is float32
        return Elements(k * 360.0 / n, indices >= n)

    def index(self, element: Element) -> int:
        """The index of `element`, up to `SNAP_DEG` degrees; raises SymmetryError if it is not in the group."""
        return int(self.indices(Elements.of(element))[0])

    def indices(self, elements: Elements) -> np.ndarray:
        """(n,) int64: `index` of every entry of a batch."""
        n, batch = self._finite(), elements.cpu()
        k = np.round(batch.angle * n / 360.0)
        outside = ~(np.abs(batch.angle - 360.0 * k / n) <= SNAP_DEG) | (batch.flip & (not self.flips))
        if outside.any():
            e = batch.one(int(np.flatnonzero(outside)[0]))
            raise SymmetryError(f"element {e} is not in {self}; its rotations are multiples of {360.0 / n:g} degrees")
        index: np.ndarray = k.astype(np.int64) % n + n * batch.flip
        return index

    def product(self, i: int, j: int) -> int:
        """Index of `elements[i] @ elements[j]`, by integer arithmetic."""
        n = self._finite()
        (f, k), (g, m) = self._flip_and_rotation(i), self._flip_and_rotation(j)
        return (k + (-m if f else m)) % n + n * (f ^ g)

    def inverse(self, i: int) -> int:
        """Index of the inverse of element i."""
        flip, k = self._flip_and_rotation(i)
        return i if flip else -k % self._finite()

    def __contains__(self, element: Element) -> bool:
        n = self.rotations
        nearest = element if n is None else Element(360.0 * round(element.angle * n / 360.0) / n, element.flip)
        return element.flip in self.sides and element.isclose(nearest)

    def __le__(self, other: "Group") -> bool:
        """Whether this is a subgroup of `other`."""
        n, m = self.rotations, other.rotations
        return self.flips <= other.flips and (m is None or (n is not None and m % n == 0))

    def __or__(self, other: "Group") -> "Group":
        """The smallest of these groups that contains both; so2 or o2 in place of more than `MAX_ORDER` rotations."""
        flips = self.flips or other.flips
        if self.rotations is None or other.rotations is None:
            return Group(None, flips)
        n = math.lcm(self.rotations, other.rotations)
        return Group(n if n <= MAX_ORDER else None, flips)

    def _finite(self) -> int:
        if self.rotations is None:
            raise SymmetryError(f"{self} has infinitely many elements; use a finite group such as c8 or d4")
        return self.rotations

    def _flip_and_rotation(self, i: int) -> tuple[int, int]:
        n = self._finite()
        if not 0 <= i < self.order:
            raise SymmetryError(f"index {i} is not in {self}, which has 0..{self.order - 1}")
        return divmod(i, n)


def _read(text: str) -> tuple[int | None, bool]:
    """Rotations and flips of the group with this name."""
    if text in ("none", "so2", "o2"):
        return 1 if text == "none" else None, text == "o2"
    match = re.fullmatch(r"([cd])([0-9]{1,9})", text) if isinstance(text, str) else None
    if not match:
        raise SymmetryError(f"{text!r} is not a group; expected one of {ACCEPTED}")
    return int(match[2]), match[1] == "d"
