"""The closed subgroups of O(2) up to conjugation: c_n, d_n, so2, o2, and their elements.

Convention:
    An element is `(angle, flip)` and means r(angle) . m^flip: mirror left-right first, then rotate by `angle` degrees,
    counter-clockwise as displayed. Since m r(a) = r(-a) m,

        (a, f) @ (b, g) = (a + (-1)^f b, f xor g)        ~(a, 0) = (-a, 0)        ~(a, 1) = (a, 1)

    A finite group lists its n rotations first, then the same rotations after the mirror: (360 k / n, f) has index
    k + n f.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType
from typing import Any

import numpy as np

from symdata.errors import SymmetryError

MAX_ORDER = 360
"""Largest n of c_n and d_n, one rotation per degree; for more there are so2 and o2."""
SNAP_DEG = 1e-3
"""Degrees within which an angle counts as that of an element of a finite group: stored angles are float32."""
ACCEPTED = f"none, c1..c{MAX_ORDER}, d1..d{MAX_ORDER}, so2, o2"


def namespace(array: Any) -> ModuleType:
    """The library of `array`: the module numpy, or torch for a tensor."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


@dataclass(frozen=True)
class Element:
    """One element r(angle) . m^flip of O(2); `a @ b` is b followed by a, `~a` is the inverse.

    Convention:
        Mirror left-right first if `flip`, then rotate by `angle` degrees counter-clockwise as displayed.

    Example:
        >>> turn, mirror = Element(90), Element(flip=True)
        >>> print(turn @ mirror, mirror @ turn, ~turn)
        r90m r270m r270
    """

    angle: float = 0.0
    """Degrees, reduced to [0, 360)."""
    flip: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.angle):
            raise SymmetryError(f"angle {self.angle!r} is not a finite number of degrees")
        reduced = float(self.angle) % 360.0
        object.__setattr__(self, "angle", 0.0 if reduced == 360.0 else reduced)
        object.__setattr__(self, "flip", bool(self.flip))

    def __matmul__(self, other: "Element") -> "Element":
        return Element(self.angle + (-other.angle if self.flip else other.angle), self.flip ^ other.flip)

    def __invert__(self) -> "Element":
        return Element(self.angle if self.flip else -self.angle, self.flip)

    def isclose(self, other: "Element", tolerance_deg: float = SNAP_DEG) -> bool:
        """Whether both have the same `flip`, and angles that differ by at most `tolerance_deg` degrees."""
        gap = abs(self.angle - other.angle)
        return self.flip == other.flip and min(gap, 360.0 - gap) <= tolerance_deg

    def __str__(self) -> str:
        """`e` (the identity), `r90`, `m` (the mirror), `r90m` (the mirror, then the rotation)."""
        return (f"r{self.angle:g}" if self.angle else "") + ("m" if self.flip else "") or "e"


@dataclass(frozen=True, eq=False)
class Elements:
    """A batch of elements of O(2): two arrays, numpy or torch on any device; `a @ b` and `~a` work entry by entry.

    Example:
        >>> batch = Elements.of(Group.parse("c4").elements)
        >>> [str(e) for e in batch @ ~batch]
        ['e', 'e', 'e', 'e']
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


@dataclass(frozen=True)
class Group:
    """A closed subgroup of O(2): `Group(4, flips=True)` is d4, `Group(None)` is so2. The mirror is left-right.

    Example:
        >>> d4 = Group.parse("d4")
        >>> d4.order, [str(e) for e in d4.elements]
        (8, ['e', 'r90', 'r180', 'r270', 'm', 'r90m', 'r180m', 'r270m'])
        >>> print(Group.parse("c4") <= d4, Group.parse("c3") | d4)
        True d12
    """

    rotations: int | None
    """n of c_n and d_n; None for the continuous groups so2 and o2."""
    flips: bool = False
    """Whether the group has mirrors."""

    def __post_init__(self) -> None:
        if self.rotations is not None and not 1 <= self.rotations <= MAX_ORDER:
            mend = f"expected 1 to {MAX_ORDER}; use {Group(None, self.flips)} for the continuous group"
            raise SymmetryError(f"group {self.name!r} has {self.rotations} rotations, {mend}")

    @classmethod
    def parse(cls, text: str) -> "Group":
        """The group named `none` (c1), `c4`, `d4`, `so2`, `o2`, ...; raises SymmetryError for any other text."""
        if text in ("none", "so2", "o2"):
            return cls(1 if text == "none" else None, flips=text == "o2")
        match = re.fullmatch(r"([cd])([0-9]{1,9})", text)
        if not match:
            raise SymmetryError(f"{text!r} is not a group; expected one of {ACCEPTED}")
        return cls(int(match[2]), flips=match[1] == "d")

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
