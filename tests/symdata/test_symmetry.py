"""Texts of symmetries: what they are read as, their canonical form and slug, and the value of a text."""

import copy
import pickle
import re
import shlex
import subprocess

import pytest
from huggingface_hub.utils import validate_repo_id
from hypothesis import given, settings
from hypothesis import strategies as st

from symdata import Element, Group, Symmetry
from symdata.errors import SymmetryError
from symdata.grammar import MAX_CLASS
from symdata.measures import Arc, Gaussian, Partial
from tests.support.grammar import symmetries

CANONICAL = """
none              none             c1                none             d1                d1
c4                c4               d4                d4               c360              c360
so2               so2              o2                o2               c04               c4
d4-partial        d4-partial@0.5   d4-partial@1      d4               d4-partial@0      none
d4-partial@.25    d4-partial@0.25  c8-partial@1e-7   c8-partial@1e-07 none-partial@0.2  none
so2@-45..45       so2@-45..45      so2@-180..180     so2              so2@0..360        so2
so2@-360..360     so2              o2@-180..180      o2               so2@10..370       so2
c8@-90..90        c8@-90..90       c8@-180..180      c8               c8@0..315         c8
d4@0..270         d4               c4@-45..45        none             d4@-45..45        d4@-45..45
c4@90..90         c4@90..90        so2@0..0          none             o2@0..0           o2@0..0
so2@90..90        so2@90..90       so2@-0..45        so2@0..45        so2@-0.0..0       none
so2@+4.5e1..090.0 so2@45..90       so2@1...5e1       so2@1..5         none@-10..10      none
so2@45~20         so2@45~20        so2@-0~20         so2@0~20         so2@45~0          so2@45..45
so2@0~0           none             c4@0~0            none             c4@100~0          c4@90..90
c8@10~20          c8@10~20         none@5~20         none             d1@5~20           d1
0-4:d4,rest:none  0-4:d4,rest:none rest:none,0-4:d4  0-4:d4,rest:none rest:d4           d4
3:d4,2:c4,1:c4    1-2:c4,3:d4      0:d4,1:d4         0-1:d4           5-5:d4            5:d4
0:d4,rest:d4      d4               0:c1,1:d4,rest:c1 1:d4,rest:none   0:c1,1-2:none     0-2:none
00-04:d4          0-4:d4           0:d4-partial@0    0:none           1000000:c4        1000000:c4
so2@45~k4         so2@45~k4        so2@-0~k4.0       so2@0~k4         so2@45~k0         so2
c1@0~k4           none             d4@10~k1e3        d4@10~k1000      c4@45~k0          c4
e                 none             r0                none             r90               r90
r-90              r270             r450m             r90m             m                 m
h                 m                v                 r180m            t                 r90m
hvt               r270m            r1e1              r10              r360m             m
0.7@none+0.3@c4   c4-partial@0.3   0.3@c4+0.7@e      c4-partial@0.3   1@d4              d4
0.7@none+0.3@r90  0.7@none+0.3@r90 0.3@r90+0.7@e     0.7@none+0.3@r90 0@so2+1@r90       r90
0.5@c4+0.5@c4     c4               0.5@so2@0..360+0.5@o2  0.5@o2+0.5@so2  0.5@t+0.5@r90m  r90m
0.5@c4-partial@0.5+0.5@d1          0.25@none+0.25@c4+0.5@d1
0.5@e+5e-1@so2@+1..+2  0.5@none+0.5@so2@1..2     1e-1@r90+0.9@m   0.9@m+0.1@r90
cat:d4            cat:d4           b:c4,a:d4,1:c4    1:c4,a:d4,b:c4   a:d4,rest:d4      d4
a\u00e9:d4         a\u00e9:d4        ae\u0301:d4        a\u00e9:d4        r90:d4            r90:d4
0:0.5@e+0.5@m,rest:none            0:0.5@none+0.5@m,rest:none
"""


@pytest.mark.parametrize(("text", "canonical"), [(a, b) for a, b in zip(*[iter(CANONICAL.split())] * 2, strict=True)])
def test_canonical_forms(text, canonical):
    symmetry = Symmetry.parse(text)
    assert str(symmetry) == canonical
    assert Symmetry.parse(canonical) == symmetry
    assert hash(Symmetry.parse(canonical)) == hash(symmetry)


@settings(max_examples=150)
@given(symmetries())
def test_what_is_written_reads_back_as_the_same_value(text):
    symmetry = Symmetry.parse(text)
    assert Symmetry.parse(str(symmetry)) == symmetry
    assert str(Symmetry.parse(str(symmetry))) == str(symmetry)
    assert Symmetry.parse(symmetry) is symmetry
    assert copy.deepcopy(symmetry) == symmetry == pickle.loads(pickle.dumps(symmetry))
    assert 0.0 <= symmetry.degree <= 1.0
    assert all(measure.group <= symmetry.group for measure in symmetry.measures)


@settings(max_examples=50)
@given(st.lists(symmetries(), min_size=2, max_size=12))
def test_slugs_are_injective_and_name_repositories(texts):
    slugs = {}
    for symmetry in map(Symmetry.parse, texts):
        assert slugs.setdefault(symmetry.slug, str(symmetry)) == str(symmetry)
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,72}", symmetry.slug)
        validate_repo_id(f"user/{symmetry.slug}")
        validate_repo_id(f"user/cifar10-{symmetry.slug}")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("none", "none"),
        ("d4-partial", "d4-partial_at_0p5"),
        ("so2@-45..45", "so2_at_m45_to_45"),
        ("so2@-45..-40.5", "so2_at_m45_to_m40p5"),
        ("so2@45~20", "so2_at_45_sd_20"),
        ("c8-partial@1e-7", "c8-partial_at_1em07"),
        ("0-4:d4,rest:none", "0-4_is_d4_and_rest_is_none"),
        ("0.7@none+0.3@r90m", "0p7_at_none_plus_0p3_at_r90m"),
        ("0.5@m+0.5@so2@-45..45", "0p5_at_m_plus_0p5_at_so2_at_m45_to_45"),
        ("so2@45~k4", "so2_at_45_kappa_4"),
    ],
)
def test_slugs_can_be_read(text, slug):
    assert Symmetry.parse(text).slug == slug


def test_a_long_text_gets_a_short_slug():
    one, other = (",".join(f"{c}:c{c + n}" for c in range(20)) for n in (2, 3))
    assert Symmetry.parse(one).slug.startswith("per-class-") and len(Symmetry.parse(one).slug) == 34
    assert Symmetry.parse(one).slug != Symmetry.parse(other).slug


def test_names_of_classes_are_hashed_since_a_slug_could_not_tell_them_apart():
    slugs = {Symmetry(f"{name}:d4,rest:none").slug for name in ("the-cat", "themcat", "The-cat", "a_is_b", "1p5x"[1:])}
    assert len(slugs) == 5 and all(slug.startswith("per-class-") for slug in slugs)


def test_no_form_needs_shell_quoting(tmp_path):
    law = "law@tilted@version=1@to=-90@kind=soft"
    texts = [t for t in CANONICAL.split() if t.isascii()] + ["so2@-90.5~7.25", "0:so2@45~20,rest:o2@-10~3", law]
    for text in texts:
        assert not set(text) & set("*?[]{}()<>|&;!^%$#'\"`\\ "), "wildcards of zsh, and what cmd expands"
        assert shlex.quote(text.replace("~", "")) == text.replace("~", "")  # `~` counts only where a word begins
    for shell in ("sh", "bash"):
        printed = subprocess.run(
            [shell, "-c", f"printf '%s\\n' {' '.join(texts)}"], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert printed.stdout.split() == texts


def test_measures_of_classes():
    symmetry = Symmetry.parse("0-1:d4-partial@0.3,4:so2@-45..45,7:c8@0~20,rest:none")
    assert symmetry.measure(0) == symmetry.measure(1) == Partial(Group.parse("d4"), 0.3)
    assert symmetry.measure(4) == Arc(Group.parse("so2"), -45, 45)
    assert symmetry.measure(7) == Gaussian(Group.parse("c8"), 0, 20)
    assert symmetry.measure(2) == symmetry.measure(10**9) == Partial(Group(1))
    assert symmetry.is_per_class and len(symmetry.measures) == 4
    assert not Symmetry.parse("d4").is_per_class and Symmetry.parse("d4").measure(3) == Partial(Group.parse("d4"))
    with pytest.raises(SymmetryError, match=r"'0:d4' says nothing of class 1; add ',rest:none'"):
        Symmetry.parse("0:d4").measure(1)


def test_per_class_from_measures():
    d4, c4 = Partial(Group.parse("d4")), Partial(Group.parse("c4"))
    assert Symmetry.per_class({1: d4, 0: d4, 3: c4}) == Symmetry.parse("0-1:d4,3:c4")
    assert Symmetry.per_class({1: d4, 2: Partial(Group(4), 0.0)}, rest=c4) == Symmetry.parse("1:d4,2:none,rest:c4")
    assert Symmetry.per_class({}, rest=c4) == Symmetry.parse("c4")
    with pytest.raises(SymmetryError, match="needs at least one class or 'rest'"):
        Symmetry.per_class({})
    for wrong in (-1, MAX_CLASS + 1):
        with pytest.raises(SymmetryError, match=rf"class {wrong} is not in 0..{MAX_CLASS}"):
            Symmetry.per_class({wrong: d4})


CELLS = ("fibroblast", "lymphocyte", "caf\u00e9", "3-4")


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("fibroblast:d4,rest:none", "0:d4,rest:none"),
        ("lymphocyte:d4,fibroblast:d4,rest:none", "0-1:d4,rest:none"),
        ("2-3:c4,lymphocyte:d4,0:none", "0:none,1:d4,2-3:c4"),
        ("cafe\u0301:so2@0~k4,rest:0.5@none+0.5@r90", "2:so2@0~k4,rest:0.5@none+0.5@r90"),
        ("3:d4,rest:none", "3:d4,rest:none"),
        ("d4", "d4"),
    ],
)
def test_names_of_classes_become_their_numbers(text, resolved):
    symmetry = Symmetry(text).resolve(CELLS)
    assert str(symmetry) == resolved and symmetry == Symmetry(resolved) == symmetry.resolve(CELLS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fibroblasts:d4,rest:none", "names class 'fibroblasts'; did you mean fibroblast?"),
        ("Xyz:d4,rest:none", "names class 'Xyz'; there are fibroblast, lymphocyte, caf\u00e9, 3-4"),
        ("0-1:d4,lymphocyte:c4,rest:none", "names class 1 twice, also as 'lymphocyte'"),
        ("fibroblast:d4", "says nothing of class 1; add ',rest:none'"),
        ("fibroblast:d4,4:c4,rest:none", "names class 4, but the classes are 0 to 3"),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(text, message):
    with pytest.raises(SymmetryError, match=re.escape(message)):
        Symmetry(text).resolve(CELLS)


def test_names_have_to_be_resolved_before_anything_is_drawn():
    symmetry = Symmetry("fibroblast:d4,rest:none")
    assert symmetry.is_per_class and symmetry.is_lattice and symmetry.group == Group("d4") and symmetry.degree == 0.5
    for ask in (
        lambda: symmetry.measure(0),
        lambda: symmetry.sample([0], [1]),
        lambda: symmetry.check_classes(4),
    ):
        with pytest.raises(
            SymmetryError, match=r"names classes whose numbers are not known; use symmetry.resolve\(classes\)"
        ):
            ask()
    with pytest.raises(SymmetryError, match="differs by class"):
        symmetry.elements  # noqa: B018


def test_names_of_classes_from_measures():
    d4, c4 = Partial(Group("d4")), Partial(Group("c4"))
    assert Symmetry.per_class({"cat": d4, 0: c4}, rest=c4) == Symmetry("cat:d4,rest:c4")
    for name in ("a,b", "a:b", "1a", ""):
        with pytest.raises(SymmetryError):
            Symmetry.per_class({name: d4}, rest=c4)


def test_a_symmetry_is_made_of_a_text_a_measure_or_a_symmetry():
    assert Symmetry("d4") == Symmetry(Partial(Group("d4"))) == Symmetry(Symmetry("d4")) == Symmetry.parse("d4")
    assert Symmetry() == Symmetry("none") and Symmetry(Arc(Group("so2"), -180.0, 180.0)) == Symmetry("so2")


def test_classes_are_checked_against_their_number():
    Symmetry.parse("d4").check_classes(1)
    Symmetry.parse("0-9:d4").check_classes(10)
    Symmetry.parse("3:d4,rest:none").check_classes(4)
    with pytest.raises(SymmetryError, match=r"'0-10:d4' names class 10, but the classes are 0 to 9"):
        Symmetry.parse("0-10:d4").check_classes(10)
    with pytest.raises(SymmetryError, match=r"says nothing of class 9; add ',rest:none'"):
        Symmetry.parse("0-8:d4").check_classes(10)


def test_elements_of_finite_symmetries():
    assert Symmetry.parse("c4-partial@0.4").elements == (
        (Element(0), 0.7),
        *((Element(angle), 0.1) for angle in (90, 180, 270)),
    )
    assert [str(e) for e, _ in Symmetry.parse("d4@90..180").elements] == ["r90", "r180", "r90m", "r180m"]
    assert Symmetry.parse("none").elements == ((Element(), 1.0),)
    assert Symmetry.parse("o2@30..30").elements == ((Element(30), 0.5), (Element(30, flip=True), 0.5))
    for text in ("so2", "o2-partial", "so2@-45..45", "so2@0~20"):
        with pytest.raises(SymmetryError, match="infinitely many elements; use a finite group"):
            Symmetry.parse(text).elements  # noqa: B018
    with pytest.raises(SymmetryError, match=r"differs by class; ask symmetry.measure\(label\).atoms"):
        Symmetry.parse("0:d4,rest:none").elements  # noqa: B018


@pytest.mark.parametrize(
    ("text", "group", "lattice"),
    [
        ("none", "c1", True),
        ("d4-partial", "d4", True),
        ("c8", "c8", False),
        ("c8@90..90", "c8", True),
        ("c8@-90..90", "c8", False),
        ("so2@90..90", "so2", True),
        ("o2@180..180", "o2", True),
        ("o2@10..10", "o2", False),
        ("0:c2,1:d1,rest:none", "d2", True),
        ("0:c4,1:c3", "c12", False),
        ("0:c4,1:so2", "so2", False),
    ],
)
def test_group_and_lattice(text, group, lattice):
    symmetry = Symmetry.parse(text)
    assert (str(symmetry.group), symmetry.is_lattice) == (group, lattice)


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("0-4:d4,rest:none", 5 / 6),  # five classes, and the rest as one
        ("0-4:d4", 1.0),
        ("3:d4,rest:none", 1 / 2),
        ("0-1:d4,2-9:d4-partial@0.25,rest:none", (2 * 1 + 8 * 0.25 + 0) / 11),
        ("0:c4,1-2:d4,rest:none", (3 / 7 + 2 + 0) / 4),  # c4 has half of d4: TV to Haar 1/2, that of the identity 7/8
        ("1-3:none,rest:so2@-45..45", 1 / 16),
    ],
)
def test_the_degree_of_classes_is_their_mean(text, degree):
    assert Symmetry.parse(text).degree == pytest.approx(degree, abs=1e-12)


def test_a_deviation_next_to_zero_is_a_point():
    assert Symmetry.parse("c2@0~5e-324").degree == 0.0
