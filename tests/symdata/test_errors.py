"""The shared checks of arguments: what they accept, and the sentences of their errors."""

import numpy as np
import pytest

from symdata.errors import RecipeError, ShapeError, SymdataError, first_line, one_of, whole


@pytest.mark.parametrize("value", [1, 8, np.int64(3), np.uint8(8)])
def test_whole_numbers_are_accepted_and_returned_as_int(value):
    assert whole("stride", value, 1, 8) == value
    assert type(whole("stride", value, 1, 8)) is int


@pytest.mark.parametrize("value", [0, 9, True, np.True_, 1.0, float("nan"), "2", None, [1]])
def test_anything_else_is_refused(value):
    with pytest.raises(ShapeError, match=r"^stride is .*, expected a whole number from 1 to 8, for example 1$"):
        whole("stride", value, 1, 8)


def test_the_error_has_the_wanted_class_and_end():
    with pytest.raises(RecipeError, match=r"^count is 0, expected a whole number from 1 to 9; leave it out$"):
        whole("count", 0, 1, 9, RecipeError, "; leave it out")


def test_long_values_are_shortened():
    with pytest.raises(ShapeError) as caught:
        whole("stride", "x" * 1000, 1, 8)
    assert len(str(caught.value)) < 120


def test_words_are_checked_against_a_list():
    assert one_of("mask", "disk", ("disk", "none"), RecipeError) == "disk"
    for value in ("square", None, ["disk"]):
        with pytest.raises(RecipeError, match=r"^mask is .*, expected one of disk, none$"):
            one_of("mask", value, ("disk", "none"), RecipeError)
    with pytest.raises(SymdataError, match="expected one of a, b"):
        one_of("letter", "c", (letter for letter in "ab"), RecipeError)


def test_the_first_line_is_the_first_that_is_not_blank():
    assert first_line(ValueError("\n  \n why \n more")) == "why"
    assert first_line(KeyError()) == "KeyError"
