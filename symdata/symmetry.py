"""The value of a symmetry: a probability measure on O(2), or one for each class. `symdata.grammar` has its text form.

Convention:
    Degrees, counter-clockwise as displayed; the mirror of d_n and o2 is left-right and comes before the rotation.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from symdata.errors import ShapeError, SymmetryError, suggest
from symdata.grammar import MAX_CLASS, Clauses, read_symmetry
from symdata.groups import Element, Elements, Group, namespace
from symdata.keys import uniforms
from symdata.measures import UNIFORMS, Atoms, Measure, Mixture, Point, degree, is_lattice

_SLUG_WORDS = {
    "..": "_to_", "@": "_at_", "~k": "_kappa_", "~": "_sd_", "+": "_plus_", ",": "_and_", ":": "_is_", ".": "p"
}  # fmt: skip


@dataclass(frozen=True, init=False)
class Symmetry:
    """A probability measure on O(2), or one per class: which elements move the images, and how often.

    `Symmetry(text)` reads a text, `Symmetry(measure)` takes a measure. `str()` gives the canonical text; equal
    symmetries have equal texts.

    Example:
        >>> symmetry = Symmetry("d4-partial@0.5")
        >>> symmetry.group.name, symmetry.degree, symmetry.is_lattice
        ('d4', 0.5, True)
        >>> str(Symmetry("so2@-180..180")), str(Symmetry("0.5@r90+0.25@e+0.25@none"))
        ('so2', '0.5@none+0.5@r90')
    """

    clauses: tuple[tuple[int, int, Measure], ...]
    """(first class, last class, measure), sorted, disjoint, not equal to `rest`."""
    named: tuple[tuple[str, Measure], ...]
    """(name of a class, measure), sorted, not equal to `rest`; `resolve` turns names into numbers."""
    rest: Measure | None
    """The measure of every class that no clause names; None if such classes have none."""

    def __init__(self, law: "str | Measure | Clauses | Symmetry" = "none") -> None:
        if isinstance(law, Measure):
            law = Clauses([], {}, law)
        elif not isinstance(law, Clauses | Symmetry):
            law = read_symmetry(law)
        clauses, named, rest = _canonical(law) if isinstance(law, Clauses) else (law.clauses, law.named, law.rest)
        object.__setattr__(self, "clauses", clauses)
        object.__setattr__(self, "named", named)
        object.__setattr__(self, "rest", rest)

    @classmethod
    def parse(cls, law: "str | Measure | Symmetry") -> "Symmetry":
        """The symmetry with this text; a symmetry is returned as it is.

        Raises:
            SymmetryError: for any other text, with the position of the error and the accepted forms.
        """
        return law if isinstance(law, Symmetry) else cls(law)

    @classmethod
    def per_class(cls, measures: Mapping[int | str, Measure], rest: Measure | None = None) -> "Symmetry":
        """The symmetry of these measures by class, and of `rest` for all other classes (None: there are no others).

        Args:
            measures: by the number of a class, or by its name.
        """
        numbered = [(c, c, m) for c, m in measures.items() if not isinstance(c, str)]
        if wrong := [c for c, _, _ in numbered if not 0 <= c <= MAX_CLASS]:
            raise SymmetryError(f"class {wrong[0]} is not in 0..{MAX_CLASS}; name the others with rest=")
        named = {_composed(c): m for c, m in measures.items() if isinstance(c, str)}
        made = cls(Clauses(numbered, named, rest))
        return cls(str(made)) if named else made  # a name with `:` or `,` in it cannot be written

    @classmethod
    def mixture(cls, weights: "Mapping[str | Element | Measure, float]") -> "Symmetry":
        """A draw from one of several measures, each with its probability; the weights sum to 1.

        Args:
            weights: by the text of a measure, by an element, or by a measure.

        Example:
            >>> print(Symmetry.mixture({Element(0): 0.7, Element(90): 0.1, "so2@45~20": 0.2}))
            0.7@none+0.1@r90+0.2@so2@45~20
        """
        return cls(Mixture(tuple((float(weight), _one(law)) for law, weight in weights.items())))

    def __str__(self) -> str:
        """The canonical text."""
        if not self.is_per_class:
            return str(self.rest)
        clauses = [f"{a if a == b else f'{a}-{b}'}:{measure}" for a, b, measure in self.clauses]
        clauses += [f"{name}:{measure}" for name, measure in self.named]
        return ",".join(clauses + ([f"rest:{self.rest}"] if self.rest is not None else []))

    @property
    def slug(self) -> str:
        """A name for folders and repositories in letters, digits, `-` and `_`, unique to the canonical text.

        It is that text in words; if that is long, or has names in it that are not the grammar's, a hash of the text.
        """
        text = re.sub(r"(?<=[@.~e])-", "m", str(self))  # minus signs, not the dashes of class ranges
        for symbol, word in _SLUG_WORDS.items():
            text = text.replace(symbol, word)
        if len(text) <= 72 and not self.named and "law@" not in str(self):
            return text
        kind = "per-class" if self.is_per_class else "law"
        return f"{kind}-{hashlib.sha256(str(self).encode()).hexdigest()[:24]}"

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The measures of all clauses, then `rest`."""
        given = tuple(m for _, _, m in self.clauses) + tuple(m for _, m in self.named)
        return given + ((self.rest,) if self.rest is not None else ())

    @property
    def is_per_class(self) -> bool:
        return bool(self.clauses or self.named)

    @cached_property
    def group(self) -> Group:
        """The smallest of the groups c_n, d_n, so2, o2 that contains every element that can occur."""
        return reduce(Group.__or__, (m.group for m in self.measures))

    @property
    def is_lattice(self) -> bool:
        """Whether every element that can occur permutes the pixels of a square image."""
        return all(is_lattice(m) for m in self.measures)

    @cached_property
    def degree(self) -> float:
        """How near the measure is to Haar on `group`: 1 - TV(measure, Haar) / TV(identity, Haar), in [0, 1].

        Per class: the mean over the named classes and `rest`, which counts as one class.
        """
        parts = [(last - first + 1, degree(m, self.group)) for first, last, m in self.clauses]
        parts += [(1, degree(m, self.group)) for m in self.measures[len(self.clauses) :]]
        return sum(n * d for n, d in parts) / sum(n for n, _ in parts)

    def measure(self, label: int) -> Measure:
        """The measure of class `label`; raises SymmetryError if it has none."""
        self._check_resolved()
        for first, last, measure in self.clauses:
            if first <= label <= last:
                return measure
        if self.rest is None:
            raise SymmetryError(f"symmetry {str(self)!r} says nothing of class {label}; add ',rest:none'")
        return self.rest

    @property
    def elements(self) -> Atoms:
        """The elements that can occur, with their probabilities.

        Raises:
            SymmetryError: if there are infinitely many, or if the symmetry is per class.
        """
        if self.rest is None or self.is_per_class:
            raise SymmetryError(f"{str(self)!r} differs by class; ask symmetry.measure(label).atoms for one of them")
        return self.rest.atoms

    def resolve(self, classes: Sequence[str]) -> "Symmetry":
        """The same symmetry with the numbers of classes in place of their names.

        Args:
            classes: the names of all classes, in the order of their labels.

        Raises:
            SymmetryError: if there is no class of a name, or if a class has no measure or two.

        Example:
            >>> print(Symmetry("fibroblast:d4,rest:none").resolve(["epithelium", "fibroblast", "lymphocyte"]))
            1:d4,rest:none
        """
        known, clauses = [_composed(name) for name in classes], list(self.clauses)
        for name, measure in self.named:
            if name not in known:
                raise SymmetryError(f"symmetry {str(self)!r} names class {name!r}; {suggest(name, known)}")
            label = known.index(name)
            if any(first <= label <= last for first, last, _ in self.clauses):
                raise SymmetryError(f"symmetry {str(self)!r} names class {label} twice, also as {name!r}")
            clauses.append((label, label, measure))
        resolved = Symmetry(Clauses(clauses, {}, self.rest))
        resolved.check_classes(len(classes))
        return resolved

    def check_classes(self, n_classes: int) -> None:
        """Raise SymmetryError if a clause names a class that does not exist, or if a class has no measure."""
        last = max((last for _, last, _ in self.clauses), default=-1)
        if last >= n_classes:
            raise SymmetryError(f"symmetry {str(self)!r} names class {last}, but the classes are 0 to {n_classes - 1}")
        for label in range(n_classes):
            self.measure(label)

    def _check_resolved(self) -> None:
        if self.named:
            mend = "symmetry.resolve(classes), or RandomSymmetry(..., classes=classes)"
            raise SymmetryError(f"symmetry {str(self)!r} names classes whose numbers are not known; use {mend}")

    def sample(self, labels: Any, keys: Any) -> Elements:
        """Draw one element per key, a pure function of (symmetry, label, key).

        Args:
            labels: (n,) integers, the class of each image; may be None unless the symmetry is per class.
            keys: (n,) int64 from `split_keys`, numpy or torch; the result is of the same kind.

        Returns:
            n elements. Their angles are float32 values held in float64, so that an angle can be stored without loss.

        Raises:
            SymmetryError: if a label has no measure. Labels on an accelerator and in compiled graphs are not
                checked; call `check_classes` there.
        """
        if self.is_per_class and labels is None:
            raise SymmetryError(f"symmetry {str(self)!r} differs by class, and no labels were given; pass labels=")
        self._check_resolved()
        xp, u = namespace(keys), uniforms(keys, UNIFORMS)
        drawn = (self.rest or self.clauses[0][2]).draw(u)
        if self.is_per_class:
            labels = self._checked(labels, keys, xp)
        for first, last, measure in self.clauses:
            here, other = (labels >= first) & (labels <= last), measure.draw(u)
            drawn = Elements(xp.where(here, other.angle, drawn.angle), xp.where(here, other.flip, drawn.flip))
        return drawn.float32()

    def _checked(self, labels: Any, keys: Any, xp: Any) -> Any:
        labels = np.asarray(labels) if xp is np else xp.as_tensor(labels, device=keys.device)
        if (labels.dtype.kind == "f") if xp is np else labels.is_floating_point():
            raise ShapeError(f"labels are {labels.dtype}, expected integers, the index of each class")
        if labels.ndim != 1 or len(keys) not in (1, len(labels)):
            raise ShapeError(f"labels of shape {tuple(labels.shape)} for {len(keys)} keys; pass one label for each key")
        # Reading labels from an accelerator would synchronise, and in a compiled graph it would break the graph.
        visible = xp is np or (labels.device.type == "cpu" and not xp.compiler.is_compiling())
        if self.rest is None and visible:
            for label in xp.unique(labels).tolist():
                self.measure(label)
        return labels


def _one(law: "str | Element | Measure") -> Measure:
    """The measure with this text, or of an element."""
    if isinstance(law, Element):
        return Point(law)
    symmetry = Symmetry.parse(law)
    if symmetry.rest is None or symmetry.is_per_class:
        raise SymmetryError(f"{str(symmetry)!r} differs by class and cannot be a part of a mixture")
    return symmetry.rest


def _composed(name: str) -> str:
    """A name in the composed form of Unicode, so that an accented letter is one and the same."""
    return unicodedata.normalize("NFC", name)


def _canonical(
    found: Clauses,
) -> tuple[tuple[tuple[int, int, Measure], ...], tuple[tuple[str, Measure], ...], Measure | None]:
    """Clauses sorted, neighbours of equal measure joined, those equal to `rest` left out."""
    rest = found.rest.canonical() if found.rest is not None else None
    joined: list[tuple[int, int, Measure]] = []
    for first, last, measure in sorted(found.numbered, key=lambda c: c[:2]):
        if (measure := measure.canonical()) == rest:
            continue
        if joined and joined[-1][1] + 1 == first and joined[-1][2] == measure:
            joined[-1] = (joined[-1][0], last, measure)
        else:
            joined.append((first, last, measure))
    named = [(name, measure.canonical()) for name, measure in sorted(found.named.items())]
    named = [(name, measure) for name, measure in named if measure != rest]
    if not joined and not named and rest is None:
        raise SymmetryError("a symmetry needs at least one class or 'rest'")
    return tuple(joined), tuple(named), rest
