"""The closed subgroups of O(2) up to conjugation: c_n, d_n, so2, o2, and their elements.

Convention:
    An element is `(angle, flip)` and means r(angle) . m^flip: mirror left-right first, then rotate by `angle` degrees,
    counter-clockwise as displayed. Since m r(a) = r(-a) m,

        (a, f) @ (b, g) = (a + (-1)^f b, f xor g)        ~(a, 0) = (-a, 0)        ~(a, 1) = (a, 1)

    A finite group lists its n rotations first, then the same after the mirror: the index of (360 k / n, f) is k + n f.
    For d4 that is 0..3 = rotations by 0, 90, 180, 270 and 4..7 = the same after a mirror.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from symdata.errors import SymmetryError

MAX_ORDER = 360
"""Largest n of c_n and d_n: one element per degree; so2 and o2 are what lies beyond."""

SNAP_DEG = 1e-3
"""An angle this close (degrees) to an element of a finite group is that element: stored angles are float32."""

ACCEPTED = f"none, c1..c{MAX_ORDER}, d1..d{MAX_ORDER}, so2, o2"


def namespace(array: Any) -> ModuleType:
    """The module whose functions act on `array`: numpy, or torch for a tensor."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


@dataclass(frozen=True)
class Element:
    """One element of O(2): r(angle) . m^flip.

    Convention:
        Mirror left-right first if `flip`, then rotate by `angle` degrees counter-clockwise as displayed.
        `a @ b` is "b, then a"; `~a` is the inverse.
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
        sign = -1.0 if self.flip else 1.0
        return Element(self.angle + sign * other.angle, self.flip ^ other.flip)

    def __invert__(self) -> "Element":
        return Element(self.angle if self.flip else -self.angle, self.flip)

    def isclose(self, other: "Element", tolerance_deg: float = SNAP_DEG) -> bool:
        """Whether the two agree up to `tolerance_deg` degrees."""
        gap = abs(self.angle - other.angle)
        return self.flip == other.flip and min(gap, 360.0 - gap) <= tolerance_deg

    def __str__(self) -> str:
        """`e`, `r90`, `m` (the mirror), `r90m` (mirror, then turn)."""
        turn = f"r{self.angle:g}" if self.angle else ""
        return (turn + ("m" if self.flip else "")) or "e"


@dataclass(frozen=True, eq=False)
class Elements:
    """A batch of elements of O(2), stored as two arrays: numpy, or torch on any device.

    Convention:
        As for `Element`; `a @ b` and `~a` act entry by entry.
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
        listed: list[Any] = list(elements) if isinstance(elements, (list, tuple)) else [elements]
        if strangers := [e for e in listed if not isinstance(e, Element)]:
            raise SymmetryError(f"{strangers[0]!r} is not an element; write Element(90) or Element(90, flip=True)")
        angle, flip = [e.angle for e in listed], [e.flip for e in listed]
        return cls(np.array(angle, dtype=np.float64), np.array(flip, dtype=bool))

    def __len__(self) -> int:
        return len(self.angle)

    def __getitem__(self, item: Any) -> "Elements":
        """The entries that a slice or an index array picks, as a batch; iterate, or `one(i)`, for single elements."""
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
        xp = namespace(self.angle)
        return Elements(wrap(xp.where(self.flip, self.angle, -self.angle)), self.flip)

    def lattice_index(self) -> Any:
        """(n,) int64: the index in d4 of each element, or -1 for one that is not a symmetry of the pixel lattice."""
        xp = namespace(self.angle)
        quarter = xp.round(self.angle / 90.0)
        exact = xp.abs(self.angle - 90.0 * quarter) < 1e-9
        index = quarter % 4 + 4.0 * self.flip
        index = xp.where(exact, index, xp.full_like(index, -1.0))
        return index.astype(np.int64) if xp is np else index.long()

    def cpu(self) -> "Elements":
        """The same batch as numpy arrays."""
        if isinstance(self.angle, np.ndarray):
            return self
        return Elements(self.angle.cpu().numpy(), self.flip.cpu().numpy())

    def to(self, device: Any) -> "Elements":
        """The same batch as torch tensors on `device`."""
        import torch

        angle, flip = self.angle, self.flip
        if isinstance(angle, np.ndarray):  # torch refuses to share arrays that are read-only, as those of pyarrow are
            angle, flip = np.require(angle, requirements="W"), np.require(flip, requirements="W")
        return Elements(
            torch.as_tensor(angle, device=device, dtype=torch.float64),
            torch.as_tensor(flip, device=device, dtype=torch.bool),
        )


def wrap(angle_deg: Any) -> Any:
    """Angles reduced to [0, 360); -1e-20 % 360 rounds to 360, which is 0."""
    xp = namespace(angle_deg)
    reduced = angle_deg % 360.0
    return xp.where(reduced >= 360.0, xp.zeros_like(reduced), reduced)


@dataclass(frozen=True)
class Group:
    """A closed subgroup of O(2): `Group(4, flips=True)` is d4, `Group(None, flips=False)` is so2.

    Convention:
        The mirror of d_n and o2 is left-right. Index k + n f is the element (360 k / n degrees, flip f).
    """

    rotations: int | None
    """n of c_n and d_n; None for the continuous groups so2 and o2."""
    flips: bool = False
    """Whether the group has mirrors."""

    def __post_init__(self) -> None:
        if self.rotations is not None and not 1 <= self.rotations <= MAX_ORDER:
            raise SymmetryError(
                f"group {self.name!r} has {self.rotations} rotations, expected 1 to {MAX_ORDER}; "
                f"use {'o2' if self.flips else 'so2'} for the continuous group"
            )

    @classmethod
    def parse(cls, text: str) -> "Group":
        """The group named `none` (c1), `c4`, `d4`, `so2`, `o2`, ...; `SymmetryError` for anything else."""
        continuous = {"none": cls(1), "so2": cls(None), "o2": cls(None, flips=True)}
        if text in continuous:
            return continuous[text]
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
        return self.rotations is not None

    @property
    def order(self) -> int | float:
        """Number of elements; `math.inf` for so2 and o2."""
        return math.inf if self.rotations is None else self.rotations * (2 if self.flips else 1)

    @property
    def is_lattice(self) -> bool:
        """Whether every element is a symmetry of the square pixel lattice, a subgroup of d4."""
        return self.rotations in (1, 2, 4)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All elements of a finite group, in index order."""
        n = self._finite()
        return tuple(Element(360.0 * k / n, flip) for flip in (False, True)[: 1 + self.flips] for k in range(n))

    def take(self, indices: Any) -> Elements:
        """The elements with these indices, as a batch; `indices` is an int64 array or tensor (m,)."""
        n, xp = self._finite(), namespace(indices)
        if len(indices) and bool(((indices < 0) | (indices >= self.order)).any()):
            raise SymmetryError(f"indices {indices.min()}..{indices.max()} leave {self}, which has 0..{self.order - 1}")
        k = xp.asarray(indices % n, dtype=xp.float64)  # an integer tensor times a float would be float32
        return Elements(k * 360.0 / n, indices >= n)

    def index(self, element: Element) -> int:
        """The index of `element`, which may be off by `SNAP_DEG` degrees; `SymmetryError` if it is not in the group."""
        return int(self.indices(Elements.of(element))[0])

    def indices(self, elements: Elements) -> np.ndarray:
        """(n,) int64: `index` of every entry of a batch."""
        n, batch = self._finite(), elements.cpu()
        k = np.round(batch.angle * n / 360.0)
        strange = ~(np.abs(batch.angle - 360.0 * k / n) <= SNAP_DEG) | (batch.flip & (not self.flips))
        if strange.any():
            stranger = batch.one(int(np.flatnonzero(strange)[0]))
            raise SymmetryError(
                f"element {stranger} is not in {self}; its rotations are multiples of {360.0 / n:g} degrees"
            )
        index: np.ndarray = k.astype(np.int64) % n + n * batch.flip
        return index

    def product(self, i: int, j: int) -> int:
        """Index of `elements[i] @ elements[j]`, by integer arithmetic."""
        n = self._finite()
        (f, k), (g, m) = divmod(self._checked(i), n), divmod(self._checked(j), n)
        return (k + (-m if f else m)) % n + n * (f ^ g)

    def inverse(self, i: int) -> int:
        """Index of the inverse of element i."""
        n = self._finite()
        return i if self._checked(i) >= n else -i % n

    def __contains__(self, element: Element) -> bool:
        if not self.is_finite:
            return self.flips or not element.flip
        n = self._finite()
        nearest = Element(360.0 * round(element.angle * n / 360.0) / n, element.flip)
        return element.isclose(nearest) and (self.flips or not element.flip)

    def __le__(self, other: "Group") -> bool:
        """Whether this is a subgroup of `other`."""
        if self.flips and not other.flips:
            return False
        if self.rotations is None or other.rotations is None:
            return other.rotations is None
        return other.rotations % self.rotations == 0

    def __or__(self, other: "Group") -> "Group":
        """The smallest group of this family that contains both; so2 or o2 where c_n would exceed `MAX_ORDER`."""
        flips = self.flips or other.flips
        if self.rotations is None or other.rotations is None:
            return Group(None, flips)
        n = math.lcm(self.rotations, other.rotations)
        return Group(n if n <= MAX_ORDER else None, flips)

    def _finite(self) -> int:
        if self.rotations is None:
            raise SymmetryError(f"{self} has infinitely many elements; use a finite group such as c8 or d4")
        return self.rotations

    def _checked(self, i: int) -> int:
        if not 0 <= i < self.order:
            raise SymmetryError(f"index {i} is not in {self}, which has 0..{self.order - 1}")
        return i
