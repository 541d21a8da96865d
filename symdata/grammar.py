"""The text form of a symmetry: one measure on O(2), or one for each class.

    symmetry = measure | classes ":" measure { "," classes ":" measure }      classes = N | N "-" N | name | "rest"
    measure  = part | weight "@" part { "+" weight "@" part }
    part     = element | law | group [ "-partial" [ "@" weight ] | "@" degrees ".." degrees | "@" mean "~" spread ]
    spread   = standard deviation | "k" concentration
    group    = "none" | "c" N | "d" N | "so2" | "o2"
    element  = "e" | "r" degrees | "m" | "r" degrees "m" | "h" | "v" | "t" | "hvt"
    law      = "law@" name { "@" parameter "=" value }

No form needs quotes in sh, bash, zsh or cmd. So weights have no `*`, for which zsh looks for files, and concentrations
no `^`, which cmd drops without a word. Weights stand in front, so that `0.5@c4-partial@0.3` has one meaning.

This module reads texts, and measures write their own; `symdata.symmetry` adds the classes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from symdata.errors import SymmetryError, UnregisteredLawError
from symdata.groups import ACCEPTED, NAMES, NUMBER, Element, Group
from symdata.measures import Arc, Gaussian, Measure, Mixture, Partial, Point, VonMises, find_law

FORMS = (
    "none, c4, d4, c8, so2, o2, d4-partial, d4-partial@0.3, so2@-45..45, so2@45~20, so2@45~k4, r90m, 0.7@none+0.3@r90, "
    "or per class 0-4:d4,cat:c4,rest:none"
)
MAX_CLASS = 1_000_000

_GROUP = re.compile(r"none|so2|o2|[cd][0-9]+")
_FORMS_OF_A_GROUP: tuple[tuple[re.Pattern[str], Callable[..., Measure]], ...] = (
    (re.compile(rf"-partial(?:@({NUMBER}))?"), Partial),
    (re.compile(rf"@({NUMBER})\.\.({NUMBER})"), Arc),
    (re.compile(rf"@({NUMBER})~({NUMBER})"), Gaussian),
    (re.compile(rf"@({NUMBER})~k({NUMBER})"), VonMises),
)
"""What may follow a group, and the measure whose numbers are the groups of the match."""
_PARTIAL_WEIGHT = 0.5
"""Weight of `-partial` without a number."""
_ELEMENT = re.compile(rf"e|m|r{NUMBER}m?|{'|'.join(NAMES)}")
_WEIGHTED = re.compile(rf"({NUMBER})@(.*)", re.DOTALL)
_TERM = re.compile(
    rf"(?:[A-Za-z]\w*|(?:(?<=[@.~=])[+-])?{NUMBER.removeprefix('[+-]?')}|(?<=[@.~=])\+|[^+])*", re.DOTALL
)
"""A part of a mixture: what stands before a `+` that is neither a sign nor in an exponent."""
_CLAUSE = re.compile(
    r"(?:rest|(?P<first>[0-9]{1,7})(?:-(?P<last>[0-9]{1,7}))?|(?P<name>[^\W\d](?:[^:,\x00-\x1f]*[^\s:,\x00-\x1f])?))"
    r":(?P<body>.*)",
    re.DOTALL,
)


class Clauses(NamedTuple):
    """The measures in a text, in the order in which they stand there."""

    numbered: list[tuple[int, int, Measure]]
    """(first class, last class, measure), disjoint."""
    named: dict[str, Measure]
    """By the name of the class, composed (NFC)."""
    rest: Measure | None


def read_symmetry(text: str) -> Clauses:
    """The measures in the text of a symmetry.

    Raises:
        SymmetryError: for any other text, with the position of the error and the accepted forms.

    Example:
        >>> [str(measure) for measure in read_symmetry("0-4:d4,cat:0.5@none+0.5@r90,rest:none").named.values()]
        ['0.5@none+0.5@r90']
    """
    if not isinstance(text, str) or not text:
        raise SymmetryError(f"symmetry {text!r} is {'empty' if text == '' else 'not a text'}; accepted forms: {FORMS}")
    try:
        return _read(text)
    except _RefusalError as error:
        raise SymmetryError(f"symmetry {text!r}, {error}{_advice(text)}; accepted forms: {FORMS}") from None


def _read(text: str) -> Clauses:
    if ":" not in text:
        return Clauses([], {}, _measure(text, 0))
    found = Clauses([], {}, None)
    start = 0
    for clause in text.split(","):
        found = _with_clause(found, clause, start)
        start += len(clause) + 1
    return found


def _with_clause(found: Clauses, clause: str, start: int) -> Clauses:
    match = _CLAUSE.fullmatch(clause)
    if not match:
        kinds = "where classes is 3, 0-4, rest or the name of a class"
        raise _RefusalError(start, f"{clause!r} is not 'classes:measure', {kinds}")
    measure = _measure(match["body"], start + match.start("body"))
    if match["name"] is not None:
        name = unicodedata.normalize("NFC", match["name"])
        if name in found.named:
            raise _RefusalError(start, f"class {name!r} is named twice")
        return found._replace(named=found.named | {name: measure})
    if match["first"] is None:
        if found.rest is not None:
            raise _RefusalError(start, "'rest' comes twice")
        return found._replace(rest=measure)
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if first > last or last > MAX_CLASS:
        classes = clause[: match.start("body") - 1]
        raise _RefusalError(start, f"classes {classes!r} must rise and stay within 0..{MAX_CLASS}")
    if taken := next((c for c in found.numbered if c[0] <= last and first <= c[1]), None):
        raise _RefusalError(start, f"class {max(first, taken[0])} is named twice")
    return found._replace(numbered=[*found.numbered, (first, last, measure)])


def _measure(body: str, start: int) -> Measure:
    """The measure of a text that stands at `start`."""
    terms = list(_terms(body))
    if len(terms) == 1 and not _WEIGHTED.fullmatch(body):
        return _part(body, start)
    parts: list[tuple[float, Measure]] = []
    for offset, term in terms:
        match = _WEIGHTED.fullmatch(term)
        if not match:
            raise _RefusalError(start + offset, f"{term!r} has no weight in front, as each part of a mixture does")
        parts.append((float(match[1]), _part(match[2], start + offset + match.start(2))))
    try:
        return Mixture(tuple(parts))
    except SymmetryError as error:
        raise _RefusalError(start, str(error)) from None


def _terms(body: str) -> Iterator[tuple[int, str]]:
    """The parts of a mixture, each with the place where it begins."""
    start = 0
    while start <= len(body):
        match = _TERM.match(body, start)
        assert match is not None  # it matches nothing, too
        yield start, match[0]
        start = match.end() + 1


def _part(body: str, start: int) -> Measure:
    """The measure of a text that is no mixture."""
    try:
        if body.startswith("law@"):
            name, *words = body.split("@")[1:]
            return find_law(name, words)
        if _ELEMENT.fullmatch(body):
            return Point(Element.parse(body))
        head = _GROUP.match(body)
        if not head:
            known = f"a group ({ACCEPTED}), and is no element (e, r90, m, r90m)"
            raise _RefusalError(start, f"{body!r} does not begin with {known}")
        group, tail = Group.parse(head[0]), body[head.end() :]
        if not tail:
            return Partial(group)
        for pattern, measure in _FORMS_OF_A_GROUP:
            if match := pattern.fullmatch(tail):
                return measure(group, *(float(number or _PARTIAL_WEIGHT) for number in match.groups()))
    except (UnregisteredLawError, _RefusalError):
        raise
    except SymmetryError as error:
        raise _RefusalError(start, str(error)) from None
    raise _RefusalError(start + head.end(), f"{tail!r} cannot follow {head[0]!r}")


class _RefusalError(SymmetryError):
    """What is wrong with a text, and where."""

    def __init__(self, start: int, reason: str) -> None:
        super().__init__(f"character {start + 1}: {reason}")


def _advice(text: str) -> str:
    """The text in the notation that is read, if it has `none@0.7+c4@0.3`, `0.7*none+0.3*c4` or `so2@45^4`."""
    clauses = [clause.rpartition(":") for clause in text.replace("^", "~k").split(",")]
    written = ",".join(f"{classes}{colon}{_weights_first(body)}" for classes, colon, body in clauses)
    try:
        return f"; write {written}" if written != text and _read(written) else ""
    except SymmetryError:
        return ""


def _weights_first(body: str) -> str:
    terms = [re.sub(rf"^({NUMBER})\*", r"\1@", term) for _, term in _terms(body)]
    return "+".join(re.sub(rf"^([a-z].*)[@*]({NUMBER})$", r"\2@\1", term) for term in terms)
