"""The grammar: which texts are refused, with which messages, and that every other text is read."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdata import Symmetry
from symdata.errors import SymmetryError
from symdata.grammar import FORMS
from tests.support.grammar import symmetries

REFUSED = [  # text, the character in the message, the reason
    ("d4 ", 3, "' ' cannot follow 'd4'"),
    (" d4", 1, "' d4' does not begin with a group"),
    ("D4", 1, "'D4' does not begin with a group (none, c1..c360, d1..d360, so2, o2)"),
    ("c4d", 3, "'d' cannot follow 'c4'"),
    ("c0", 1, "'c0' has 0 rotations, expected 1 to 360"),
    ("d361", 1, "'d361' has 361 rotations, expected 1 to 360; use o2"),
    ("c9999999999", 1, "'c9999999999' is not a group"),
    ("d4-partial@", 3, "'-partial@' cannot follow 'd4'"),
    ("d4-partial@1.5", 1, "weight 1.5 is outside [0, 1]; write d4-partial@0.5"),
    ("d4-partial@-0.1", 1, "weight -0.1 is outside [0, 1]"),
    ("d4-partial@1e999", 1, "weight inf is outside [0, 1]"),
    ("d4-partial@nan", 3, "'-partial@nan' cannot follow 'd4'"),
    ("so2@45", 4, "'@45' cannot follow 'so2'"),
    ("so2@45..", 4, "'@45..' cannot follow 'so2'"),
    ("so2@1e..2", 4, "'@1e..2' cannot follow 'so2'"),
    ("so2@45..-45", 1, "arc so2@45..-45 ends before it starts; write so2@45..315 to go on counter-clockwise"),
    ("so2@700..-700", 1, "ends before it starts; write so2@-20..20 "),
    ("so2@-1e999..1e999", 1, "leaves -720..720 degrees"),
    ("so2@0..721", 1, "arc so2@0..721 leaves -720..720 degrees"),
    ("c8@10..20", 1, "arc c8@10..20 holds no element of c8, whose rotations are multiples of 45 degrees"),
    ("none@10..20", 1, "holds no element of c1"),
    ("so2@45~-1", 1, "needs a mean in -360..360 and a deviation in 0..360 degrees; write so2@0~20"),
    ("so2@361~1", 1, "needs a mean in -360..360"),
    ("d4,c4", 3, "',c4' cannot follow 'd4'"),
    (":d4", 1, "':d4' is not 'classes:measure'"),
    ("0:", 3, "'' does not begin with a group"),
    ("0:d4,", 6, "'' is not 'classes:measure'"),
    ("0:d4,,1:c4", 6, "'' is not 'classes:measure'"),
    ("0:d4:c4", 5, "':c4' cannot follow 'd4'"),
    ("-1:d4", 1, "'-1:d4' is not 'classes:measure'"),
    ("0:d4,1:c8@10..20", 8, "arc c8@10..20 holds no element of c8"),
    ("0:d4,1:x", 8, "'x' does not begin with a group"),
    ("4-0:d4", 1, "classes '4-0' must rise and stay within 0..1000000"),
    ("0-1000001:d4", 1, "classes '0-1000001' must rise and stay within 0..1000000"),
    ("0-4:d4,3:c4", 8, "class 3 is named twice"),
    ("3:c4,0-4:d4", 6, "class 3 is named twice"),
    ("rest:d4,0:c4,rest:c4", 14, "'rest' comes twice"),
    ("c٤", 1, "does not begin with a group"),
]


@pytest.mark.parametrize(("text", "position", "reason"), REFUSED)
def test_refusals_quote_the_text_the_position_and_the_accepted_forms(text, position, reason):
    with pytest.raises(SymmetryError) as error:
        Symmetry.parse(text)
    message = str(error.value)
    assert message.startswith(f"symmetry {text!r}, character {position}: "), message
    assert reason in message and message.endswith(f"accepted forms: {FORMS}")
    if mend := re.search(r"write (\S+?)[; ]", message):
        Symmetry.parse(mend[1])


@pytest.mark.parametrize("nothing", ["", None, 4, b"d4", ["d4"]])
def test_what_is_no_text_is_refused(nothing):
    with pytest.raises(SymmetryError, match=re.escape(repr(nothing))) as error:
        Symmetry.parse(nothing)
    assert FORMS in str(error.value)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("0.7@none+0.2@c4", 1, "weights sum to 0.9, expected 1; write 0.7777777777777778@none+0.22222222222222227@c4"),
        ("0.5@e+0.50002@m", 1, "weights sum to 1.00002, expected 1"),
        ("0@e+0@m", 1, "weights sum to 0, expected 1; write 0.5@none+0.5@d4"),
        ("1.5@e", 1, "weight 1.5 is outside [0, 1]; write 0.5@none+0.5@d4"),
        ("-0.5@e+1.5@m", 1, "weight -0.5 is outside [0, 1]"),
        ("1e999@e", 1, "weight inf is outside [0, 1]"),
        ("0.7@none+c4", 10, "'c4' has no weight in front"),
        ("0.7@none+", 10, "'' has no weight in front"),
        ("none+c4", 1, "'none' has no weight in front"),
        ("0.7@none+0.3@x", 14, "'x' does not begin with a group"),
        ("0.7@none+0.3@so2@45..10", 14, "arc so2@45..10 ends before it starts"),
        ("0.7@none+0.3@c4@0.2", 16, "'@0.2' cannot follow 'c4'"),
        ("0.7@none+0.3@0.5@c4", 14, "'0.5@c4' does not begin with a group"),
        (
            "0.7*none+0.3*c4",
            1,
            "'0.7*none' has no weight in front, as each part of a mixture does; write 0.7@none+0.3@c4",
        ),
        ("none@0.7+c4@0.3", 1, "as each part of a mixture does; write 0.7@none+0.3@c4"),
        ("0:1*c4,rest:none", 3, "write 0:1@c4,rest:none"),
        ("so2@45^4", 4, "'@45^4' cannot follow 'so2'; write so2@45~k4"),
        ("so2@45~k-1", 1, "a concentration in 0..1000000; write so2@0~k4"),
        ("so2@361~k1", 1, "needs a mean in -360..360 degrees"),
        ("so2@0~k1000001", 1, "a concentration in 0..1000000"),
        ("so2@45~k", 4, "'@45~k' cannot follow 'so2'"),
        ("r", 1, "'r' does not begin with a group"),
        ("r1e999", 1, "angle inf is not a finite number"),
        ("mr90", 1, "'mr90' does not begin with a group"),
        ("cat:d4,cat:c4", 8, "class 'cat' is named twice"),
        ("\u00e9:d4,e\u0301:c4", 6, "is named twice"),
        ("3d:c4", 1, "'3d:c4' is not 'classes:measure', where classes is 3, 0-4, rest or the name of a class"),
        ("cat :d4", 1, "'cat :d4' is not 'classes:measure'"),
        ("cat:dog:d4", 5, "'dog:d4' does not begin with a group"),
        ("law", 1, "'law' does not begin with a group"),
        ("law@A", 1, "'A' is not the name of a law, which is small letters, digits and '-'"),
    ],
)
def test_refusals_of_mixtures_elements_and_names(text, position, reason):
    test_refusals_quote_the_text_the_position_and_the_accepted_forms(text, position, reason)


def test_every_accepted_form_of_the_refusal_is_accepted():
    for text in FORMS.replace("or per class ", "").split(", "):
        Symmetry.parse(text)


def read_or_refused(text):
    """Check that a text is accepted with a canonical form that reads back, or refused with a message that quotes it."""
    try:
        symmetry = Symmetry.parse(text)
    except SymmetryError as error:
        return repr(text) in str(error)
    return Symmetry.parse(str(symmetry)) == symmetry


@settings(max_examples=1000)
@given(st.text("cdso2none0123456789-partil@.~:,re+eE \nkmhv*^=w", max_size=24) | st.text(max_size=12))
def test_a_random_text_is_read_or_refused_and_nothing_else(text):
    assert read_or_refused(text)


@settings(max_examples=400)
@given(
    symmetries(),
    st.integers(0, 60),
    st.sampled_from(["", "-", "9", "e", "@", ".", "~", ":", ",", "c4", "\x00", "٣", "+", "0.5@", "k", "=", "*"]),
)
def test_a_damaged_text_is_read_or_refused_and_nothing_else(text, place, damage):
    assert read_or_refused(text[:place] + damage + text[place + 1 :])
