"""Measures on O(2): atoms, draws from uniforms, supports, degrees, against an independent computation."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from symdata import Element, Group, Symmetry
from symdata.errors import SymmetryError
from symdata.measures import (
    UNIFORMS,
    Arc,
    Gaussian,
    Mixture,
    Partial,
    Point,
    VonMises,
    degree,
    is_lattice,
    number,
    overlap,
)
from tests.support.distributions import ALPHA, chi_square
from tests.support.grammar import measures

FINITE = """
    none c1 c4 d4 c7 d5 c360 d4-partial c8-partial@0.1 d3-partial@0.9 c8@-90..90
    d4@90..180 c7@0..100 c8@0~30 c8@170~45 d4@-300~80 c5@20~360 c4@90..90 d1
""".split()
NEW_FINITE = """
    r90 m r51.42857142857143m c8@45~k4 d4@-300~k0.5 c360@10~k50 0.7@none+0.3@r90 0.1@e+0.2@r90+0.3@r180m+0.4@hvt
    0.3@c4+0.3@d1+0.4@c8@0..90 0.2@c3+0.8@c4@0~40 0.5@d8@45~k2+0.5@none
""".split()
CONTINUOUS = """
    so2 o2 so2-partial@0.3 o2-partial so2@-45..45 o2@-45..45 so2@170..190 so2@-720..-500
    so2@45~20 o2@-10~3 so2@0~200 so2@0~0.01
""".split()
NEW_CONTINUOUS = """
    so2@45~k4 o2@-10~k0.5 so2@0~k1e6 so2@300~k25 0.5@none+0.5@so2@-45..45 0.2@c4+0.3@o2@45~20+0.5@so2@100~k30
    0.25@o2+0.75@so2 0.4@d1+0.6@so2@10..30 0.5@r33.3+0.5@r0.1m 0.5@so2@-30..30+0.5@so2@0..90
""".split()
ALL = [*FINITE, *NEW_FINITE, *CONTINUOUS, *NEW_CONTINUOUS]


def measure_of(text):
    return Symmetry.parse(text).measure(0)


def uniform(n, seed=0):
    return list(np.random.default_rng(seed).random((UNIFORMS, n)))


@pytest.mark.parametrize("text", FINITE + NEW_FINITE)
def test_atoms_are_the_probabilities_of_the_draws(text):
    measure = measure_of(text)
    assert math.isclose(sum(p for _, p in measure.atoms), 1.0, abs_tol=1e-12)
    assert all(p >= 0.0 and element in measure.group for element, p in measure.atoms)
    assert chi_square(measure.draw(uniform(20_000)), measure.atoms, measure.group) > ALPHA


def test_the_chi_square_catches_a_wrong_weight():
    draws, group = measure_of("d4-partial@0.5").draw(uniform(20_000)), Group.parse("d4")
    assert chi_square(draws, measure_of("d4-partial@0.48").atoms, group) < ALPHA
    assert chi_square(draws, measure_of("d4").atoms, group) < ALPHA
    assert chi_square(draws, measure_of("c4-partial@0.5").atoms, group) == 0.0  # mirrors, which cannot occur


@pytest.mark.parametrize("text", ALL)
def test_the_edges_of_the_uniforms_stay_in_the_support(text):
    measure, most = measure_of(text), 1.0 - 2.0**-53
    corners = [np.array(u) for u in np.array(np.meshgrid(*[[0.0, 0.5, most]] * UNIFORMS)).reshape(UNIFORMS, -1)]
    drawn = measure.draw(corners)
    assert ((drawn.angle >= 0.0) & (drawn.angle < 360.0)).all()
    assert drawn.flip.dtype == bool and (measure.group.flips or not drawn.flip.any())
    if measure.group.is_finite:
        assert (measure.group.indices(drawn) >= 0).all()
    if isinstance(measure, Arc):
        assert all((angle - measure.low + 1e-6) % 360.0 <= measure.high - measure.low + 2e-6 for angle in drawn.angle)


@pytest.mark.parametrize("text", ALL)
def test_torch_draws_what_numpy_draws(text):
    measure, u = measure_of(text), uniform(2000)
    one, other = measure.draw(u), measure.draw([torch.from_numpy(v) for v in u])
    assert other.angle.dtype == torch.float64 and other.flip.dtype == torch.bool
    assert np.array_equal(one.flip, other.flip.numpy())
    if re.search("~[^k]", text):  # Gaussian: logarithm and cosine may differ in the last bit
        np.testing.assert_allclose(one.angle, other.angle.numpy(), rtol=0, atol=1e-9)
    else:
        assert np.array_equal(one.angle, other.angle.numpy())


@pytest.mark.parametrize("text", ALL)
def test_nothing_is_drawn_for_nobody(text):
    assert len(measure_of(text).draw([np.zeros(0)] * UNIFORMS)) == 0


@settings(max_examples=150)
@given(measures())
def test_the_canonical_measure_is_the_same_measure(text):
    """Measures are built as written, without the canonical step, and have the same elements."""
    canonical = Symmetry.parse(text).measure(0)
    group = Group.parse(text.split("-partial")[0].split("@")[0])
    if "~" in text:
        written = Gaussian(group, *map(float, text.split("@")[1].split("~")))
    elif ".." in text:
        written = Arc(group, *map(float, text.split("@")[1].split("..")))
    else:
        weight = text.split("@")[1] if "@" in text else "0.5" if "-partial" in text else "1"
        written = Partial(group, float(weight))
    if group.is_finite and not (isinstance(written, Gaussian) and written.std == 0.0):
        assert probabilities(written, group) == pytest.approx(probabilities(canonical, group), abs=1e-9)
    assert canonical.canonical() == canonical


def probabilities(measure, group):
    table = [0.0] * group.order
    for element, p in measure.atoms:
        table[group.index(element)] += p
    return table


DEGREES = [
    ("none", "none", 0.0),
    ("none", "d4", 0.0),
    ("d4", "d4", 1.0),
    ("so2", "so2", 1.0),
    ("o2", "o2", 1.0),
    ("d4-partial@0.3", "d4", 0.3),
    ("c4-partial@0.5", "c4", 0.5),
    ("so2-partial@0.7", "so2", 0.7),
    ("so2@-45..45", "so2", 0.25),
    ("o2@-90..90", "o2", 0.5),
    ("so2@10..10", "so2", 0.0),
    ("c4@90..90", "c4", 0.0),
    ("c2", "c4", 1 / 3),
    ("c4", "d4", 3 / 7),
    ("c8@-90..90", "c8", 4 / 7),
    ("d4@0..90", "d4", 3 / 7),
    ("so2", "o2", 0.5),
    ("so2-partial@0.3", "o2", 0.3),
    ("so2-partial@0.7", "o2", 0.5),
    ("so2@0..90", "o2", 0.125),
    ("c8", "so2", 0.0),
    ("o2@30..30", "o2", 0.0),
    ("d1", "o2", 0.0),
    ("r90", "c4", 0.0),
    ("0.7@none+0.3@r90", "c4", (0.25 + 0.25 - 0.25) / 0.75),
    ("0.25@e+0.25@r90+0.25@r180+0.25@r270", "c4", 1.0),
    ("0.5@none+0.5@so2@-45..45", "so2", 0.25),
    ("0.5@so2@0..90+0.5@so2@0..45", "so2", 0.25),
    ("0.5@so2@0..90+0.5@so2@180..270", "so2", 0.5),
    ("0.75@so2+0.25@o2", "o2", 0.5 + 0.125),
]


@pytest.mark.parametrize(("text", "group", "expected"), DEGREES)
def test_degrees_known_exactly(text, group, expected):
    assert degree(measure_of(text), Group.parse(group)) == pytest.approx(expected, abs=1e-12)


def total_variation(measure, group):
    """Total variation of `measure` to Haar on `group`, from densities and masses on the two circles of O(2)."""
    if group.is_finite:
        table = np.array(probabilities(measure, group))
        return 0.5 * np.abs(table - 1.0 / group.order).sum()
    haar = np.array([1.0, 0.0]) if not group.flips else np.array([0.5, 0.5])
    density, lump = densities(measure)
    return 0.5 * (np.abs(density - haar[:, None]).mean(1).sum() + lump)


def densities(measure):
    """(2, n) density of rotations and mirrored elements relative to a uniform one, and the mass of single elements."""
    a = (np.arange(360_000) + 0.5) / 1000.0
    if isinstance(measure, Mixture):
        found = [(weight, densities(part)) for weight, part in measure.parts]
        return sum(w * density for w, (density, _) in found), sum(w * lump for w, (_, lump) in found)
    sides = np.array([1.0, 0.0]) if not measure.group.flips else np.array([0.5, 0.5])
    lump = 0.0
    if measure.group.is_finite or isinstance(measure, Point):
        density, lump = np.zeros_like(a), 1.0
    elif isinstance(measure, VonMises):
        density = stats.vonmises(measure.kappa).pdf(np.deg2rad(a - measure.mean)) * 2.0 * np.pi
    elif isinstance(measure, Partial):
        density, lump = np.full_like(a, measure.weight), 1.0 - measure.weight
    elif isinstance(measure, Arc) and measure.low == measure.high:
        density, lump = np.zeros_like(a), 1.0
    elif isinstance(measure, Arc):
        width = measure.high - measure.low
        density = ((a - measure.low) % 360.0 < width) * 360.0 / width
    else:
        density = sum(stats.norm.pdf(a + 360.0 * t, measure.mean, measure.std) for t in range(-12, 13)) * 360.0
    return sides[:, None] * density, lump


@pytest.mark.parametrize("text", ALL)
def test_degrees_against_an_independent_total_variation(text):
    measure = measure_of(text)
    for group in {str(measure.group), str(measure.group | Group.parse("d4")), "o2"}:
        group = Group.parse(group)
        distance = total_variation(measure, group)
        identity = 1.0 - 1.0 / group.order
        expected = 0.0 if identity == 0.0 else max(0.0, 1.0 - distance / identity)
        assert overlap(measure, group) == pytest.approx(1.0 - distance, abs=5e-4)
        assert degree(measure, group) == pytest.approx(expected, abs=5e-4)


WEIGHTS = st.floats(0.0, 1.0)


@given(st.sampled_from(["c2", "d4", "c7", "so2", "o2"]), WEIGHTS, WEIGHTS)
def test_the_degree_grows_with_the_weight(name, one, other):
    group = Group.parse(name)
    low, high = (degree(Partial(group, w), group) for w in sorted((one, other)))
    assert low <= high and (high - low) == pytest.approx(abs(one - other), abs=1e-12)


@given(st.sampled_from(["so2", "o2", "c8", "d4"]), st.floats(0.0, 360.0), st.floats(0.0, 360.0))
def test_the_degree_grows_with_the_arc(name, one, other):
    group = Group.parse(name)
    low, high = (degree(Arc(group, 0.0, width), group) for width in sorted((one, other)))
    assert low <= high + 1e-12


def test_the_degree_grows_with_the_deviation():
    for name in ("so2", "o2", "c8"):
        group = Group.parse(name)
        degrees = [degree(Gaussian(group, 30.0, std).canonical(), group) for std in (0, 1, 5, 20, 60, 120, 360)]
        assert degrees == sorted(degrees) and degrees[0] == 0.0 and degrees[-1] > 0.999


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Partial(Group(4), math.nan), "weight nan is outside"),
        (lambda: Arc(Group(None), math.nan, 1.0), "leaves -720..720 degrees"),
        (lambda: Arc(Group(None), 0.0, math.inf), "leaves -720..720 degrees"),
        (lambda: Gaussian(Group(None), math.nan, 1.0), "needs a mean in -360..360"),
        (lambda: Gaussian(Group(None), 0.0, math.nan), "needs a mean in -360..360"),
        (lambda: Gaussian(Group(None), 0.0, 361.0), "a deviation in 0..360"),
        (lambda: VonMises(Group(None), 0.0, math.nan), "a concentration in 0..1000000"),
        (lambda: Mixture(((math.nan, Partial(Group(4))),)), "weight nan is outside"),
        (lambda: Symmetry("0.5@e+0.5@so2").elements, "infinitely many elements"),
        (lambda: Partial(Group(None)).atoms, "so2 has infinitely many elements"),
        (lambda: Gaussian(Group(None), 0.0, 1.0).atoms, r"so2@0~1 has infinitely many elements"),
    ],
)
def test_bad_numbers_are_refused(build, message):
    with pytest.raises(SymmetryError, match=message):
        build()


def test_lattice_measures():
    lattice = "none c1 c4 d4 d4-partial d4@90..180 d4@-300~80 c4@90..90 d1".split()
    assert [text for text in FINITE + CONTINUOUS if is_lattice(measure_of(text))] == lattice
    lattice = "r90 m d4@-300~k0.5 0.7@none+0.3@r90 0.1@e+0.2@r90+0.3@r180m+0.4@hvt".split()
    assert [text for text in NEW_FINITE + NEW_CONTINUOUS if is_lattice(measure_of(text))] == lattice
    assert is_lattice(measure_of("so2@-90..-90")) and is_lattice(measure_of("o2@270..270"))
    assert is_lattice(Partial(Group(8), 0.0)) and not is_lattice(measure_of("o2@45..45"))


def test_numbers_are_written_as_short_as_they_read_back():
    assert [number(v) for v in (0.5, 45, -45.0, 1e-7, -0.0, 0.1 + 0.2)] == [
        "0.5",
        "45",
        "-45",
        "1e-07",
        "0",
        "0.30000000000000004",
    ]


def test_a_gaussian_goes_to_the_nearest_element():
    assert Gaussian(Group(8), 100.0, 0.0).canonical() == Arc(Group(8), 90.0, 90.0)
    atoms = dict(Gaussian(Group(4), 0.0, 45.0).atoms)
    assert atoms[Element(0)] == pytest.approx(stats.norm.cdf(1) - stats.norm.cdf(-1), abs=1e-9)
    assert atoms[Element(90)] == pytest.approx(atoms[Element(270)], abs=1e-12)
