"""Fields that are declared once: what they may hold, and what is said of anything else."""

import dataclasses
from dataclasses import MISSING, dataclass
from pathlib import Path

import pytest

from symdata.errors import RecipeError, SymmetryError
from symdata.fields import FLAG, declare, default_text, one_of, read, real, several, text, whole


def refuse(words):
    if words == "bad":
        raise SymmetryError("it is bad")
    return words.lower()


@dataclass(frozen=True, kw_only=True)
class Example:
    name: str = declare(MISSING, text(refuse), "A name.")
    count: int | None = declare(None, whole(1, 9), "How many.", none="all")
    share: float = declare(1e-5, real(0, 1), "A share.")
    word: str = declare("no", one_of("no", "yes"), "A word.")
    late: str = declare("a", one_of(source=lambda: ["a", "b"]), "A word of another module.")
    flag: bool = declare(True, FLAG, "Whether.")
    widths: int | tuple[int, ...] = declare(3, several(whole(1, 9), (1, 2), "two of them"), "Widths.")
    means: tuple[float, ...] | None = declare(None, several(real(0, 1), (1, 3), "three", listed=True), "Means.")


FIELDS = {field.name: field for field in dataclasses.fields(Example)}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("name", "ABC", "abc"),
        ("name", Path("A/b"), "a/b"),
        ("count", 3, 3),
        ("count", None, None),
        ("count", "none", None),
        ("share", "1e-3", 0.001),
        ("share", 1, 1.0),
        ("word", False, "no"),
        ("late", "b", "b"),
        ("flag", False, False),
        ("widths", 4, 4),
        ("widths", [4, 5], (4, 5)),
        ("means", "0.5", (0.5,)),
        ("means", [0, 0.5, 1], (0.0, 0.5, 1.0)),
    ],
)
def test_a_value_in_its_own_type(name, value, found):
    assert read(FIELDS[name], value, RecipeError) == found


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("name", 3, "name is 3, expected a text"),
        ("name", "", "name is '', expected a text"),
        ("name", None, "name is empty; leave it out for"),
        ("count", True, "count is True, expected a whole number from 1 to 9"),
        ("count", 10, "count is 10, expected a whole number from 1 to 9"),
        ("share", float("nan"), "share is nan, expected a number from 0 to 1"),
        ("share", True, "share is True"),
        ("word", True, "word is True, expected one of no, yes"),
        ("word", "none", "word is 'none'"),
        ("late", "c", "late is 'c', expected one of a, b"),
        ("flag", "yes", "flag is 'yes', expected true or false"),
        ("widths", [], "widths is [], expected a whole number from 1 to 9, or two of them"),
        ("widths", [1, 2, 3], "widths is [1, 2, 3]"),
        ("widths", [1, "2"], "widths is [1, '2']"),
        ("means", [0, 2, 0], "means is [0, 2, 0], expected a number from 0 to 1, or three"),
    ],
)
def test_anything_else_is_refused(name, value, sentence):
    with pytest.raises(RecipeError) as caught:
        read(FIELDS[name], value, RecipeError)
    assert str(caught.value).startswith(sentence)


def test_an_error_of_the_canonical_form_is_passed_on():
    with pytest.raises(SymmetryError, match="it is bad"):
        read(FIELDS["name"], "bad", RecipeError)


def test_defaults_in_words():
    words = {name: default_text(field) for name, field in FIELDS.items()}
    assert list(words.values()) == ["", "all", "1e-5", "no", "a", "yes", "3", ""]
