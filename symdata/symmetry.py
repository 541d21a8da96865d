"""The value of a symmetry, a probability measure on O(2) or one per class, and its text form.

    symmetry = measure | classes ":" measure { "," classes ":" measure }      classes = N | N "-" N | "rest"
    measure  = group [ "-partial" [ "@" weight ] | "@" degrees ".." degrees | "@" mean "~" std ]
    group    = "none" | "c" N | "d" N | "so2" | "o2"

Only this module reads and writes the text form; all others pass the value.

Convention:
    Degrees, counter-clockwise as displayed; the mirror of d_n and o2 is left-right and comes before the rotation.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import ACCEPTED, Elements, Group, namespace
from symdata.keys import uniforms
from symdata.measures import UNIFORMS, Arc, Atoms, Gaussian, Measure, Partial, degree, is_lattice

FORMS = "none, c4, d4, c8, so2, o2, d4-partial, d4-partial@0.3, so2@-45..45, so2@45~20, or per class 0-4:d4,rest:none"
MAX_CLASS = 1_000_000
NONE = Partial(Group(1))

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]+)?"
_GROUP = re.compile(r"none|so2|o2|[cd][0-9]+")
_MEASURES: tuple[tuple[re.Pattern[str], Callable[..., Measure]], ...] = (
    (re.compile(rf"-partial(?:@({_NUMBER}))?"), Partial),
    (re.compile(rf"@({_NUMBER})\.\.({_NUMBER})"), Arc),
    (re.compile(rf"@({_NUMBER})~({_NUMBER})"), Gaussian),
)
"""What may follow a group, and the measure whose numbers are the groups of the match."""
_PARTIAL_WEIGHT = 0.5
"""Weight of `-partial` without a number."""
_SLUG_WORDS = (("..", "_to_"), ("@", "_at_"), ("~", "_sd_"), (",", "_and_"), (":", "_is_"), (".", "p"))
_CLAUSE = re.compile(r"(?P<classes>rest|(?P<first>[0-9]{1,7})(?:-(?P<last>[0-9]{1,7}))?):(?P<body>.*)", re.DOTALL)


@dataclass(frozen=True)
class Symmetry:
    """A probability measure on O(2), or one per class: which elements move the images, and how often.

    `str()` gives the canonical text; equal symmetries have equal texts.

    Example:
        >>> symmetry = Symmetry.parse("d4-partial@0.5")
        >>> symmetry.group.name, symmetry.degree, symmetry.is_lattice
        ('d4', 0.5, True)
        >>> str(Symmetry.parse("so2@-180..180"))
        'so2'
    """

    clauses: tuple[tuple[int, int, Measure], ...] = ()
    """(first class, last class, measure), sorted, disjoint, not equal to `rest`."""
    rest: Measure | None = NONE
    """The measure of every class that no clause names; None if such classes have none."""

    @classmethod
    def parse(cls, text: "str | Symmetry") -> "Symmetry":
        """The symmetry with this text.

        Raises:
            SymmetryError: for any other text, with the position of the error and the accepted forms.
        """
        return text if isinstance(text, Symmetry) else _parse(text)

    @classmethod
    def per_class(cls, measures: Mapping[int, Measure], rest: Measure | None = None) -> "Symmetry":
        """The symmetry of these measures by class, and of `rest` for all other classes (None: there are no others)."""
        if wrong := [c for c in measures if not 0 <= c <= MAX_CLASS]:
            raise SymmetryError(f"class {wrong[0]} is not in 0..{MAX_CLASS}; name the others with rest=")
        return _canonical([(c, c, m) for c, m in measures.items()], rest)

    def __str__(self) -> str:
        """The canonical text."""
        if not self.clauses:
            return str(self.rest)
        named = [f"{a if a == b else f'{a}-{b}'}:{measure}" for a, b, measure in self.clauses]
        return ",".join(named + ([f"rest:{self.rest}"] if self.rest is not None else []))

    @property
    def slug(self) -> str:
        """The canonical text in letters, digits, `-` and `_`, unique to it, for names of folders and repositories."""
        text = re.sub(r"(?<=[@.~e])-", "m", str(self))  # minus signs, not the dashes of class ranges
        for symbol, word in _SLUG_WORDS:
            text = text.replace(symbol, word)
        return text if len(text) <= 72 else f"per-class-{hashlib.sha256(str(self).encode()).hexdigest()[:24]}"

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The measures of all clauses, then `rest`."""
        return tuple(m for _, _, m in self.clauses) + ((self.rest,) if self.rest is not None else ())

    @property
    def is_per_class(self) -> bool:
        return bool(self.clauses)

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
        parts += [] if self.rest is None else [(1, degree(self.rest, self.group))]
        return sum(n * d for n, d in parts) / sum(n for n, _ in parts)

    def measure(self, label: int) -> Measure:
        """The measure of class `label`; raises SymmetryError if it has none."""
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

    def check_classes(self, n_classes: int) -> None:
        """Raise SymmetryError if a clause names a class that does not exist, or if a class has no measure."""
        last = max((last for _, last, _ in self.clauses), default=-1)
        if last >= n_classes:
            raise SymmetryError(f"symmetry {str(self)!r} names class {last}, but the classes are 0 to {n_classes - 1}")
        for label in range(n_classes):
            self.measure(label)

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


def _canonical(clauses: list[tuple[int, int, Measure]], rest: Measure | None) -> Symmetry:
    """The symmetry with sorted clauses: neighbours of equal measure are joined, those equal to `rest` left out."""
    rest = rest.canonical() if rest is not None else None
    joined: list[tuple[int, int, Measure]] = []
    for first, last, measure in sorted(clauses, key=lambda c: c[:2]):
        if (measure := measure.canonical()) == rest:
            continue
        if joined and joined[-1][1] + 1 == first and joined[-1][2] == measure:
            joined[-1] = (joined[-1][0], last, measure)
        else:
            joined.append((first, last, measure))
    if not joined and rest is None:
        raise SymmetryError("a symmetry needs at least one class or 'rest'")
    return Symmetry(tuple(joined), rest)


def _parse(text: str) -> Symmetry:
    if not isinstance(text, str) or not text:
        raise SymmetryError(f"symmetry {text!r} is {'empty' if text == '' else 'not a text'}; accepted forms: {FORMS}")
    if ":" not in text:
        return _canonical([], _measure(text, 0, text))
    clauses: list[tuple[int, int, Measure]] = []
    rest: Measure | None = None
    start = 0
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if not match:
            raise _refusal(text, start, f"{clause!r} is not 'classes:measure', where classes is 3, 0-4 or rest")
        measure = _measure(match["body"], start + match.start("body"), text)
        if match["classes"] == "rest":
            if rest is not None:
                raise _refusal(text, start, "'rest' comes twice")
            rest = measure
        else:
            first, last = int(match["first"]), int(match["last"] or match["first"])
            if first > last or last > MAX_CLASS:
                raise _refusal(text, start, f"classes {match['classes']!r} must rise and stay within 0..{MAX_CLASS}")
            if taken := next((c for c in clauses if c[0] <= last and first <= c[1]), None):
                raise _refusal(text, start, f"class {max(first, taken[0])} is named twice")
            clauses.append((first, last, measure))
        start += len(clause) + 1
    return _canonical(clauses, rest)


def _measure(body: str, start: int, text: str) -> Measure:
    head = _GROUP.match(body)
    if not head:
        raise _refusal(text, start, f"{body!r} does not begin with a group ({ACCEPTED})")
    try:
        group = Group.parse(head[0])
        tail = body[head.end() :]
        if not tail:
            return Partial(group)
        for pattern, measure in _MEASURES:
            if match := pattern.fullmatch(tail):
                return measure(group, *(float(number or _PARTIAL_WEIGHT) for number in match.groups()))
    except SymmetryError as error:
        raise _refusal(text, start, str(error)) from None
    raise _refusal(text, start + head.end(), f"{tail!r} cannot follow {head[0]!r}")


def _refusal(text: str, position: int, reason: str) -> SymmetryError:
    return SymmetryError(f"symmetry {text!r}, character {position + 1}: {reason}; accepted forms: {FORMS}")
