"""The tests of distributions, themselves tested: right p-values, right cells, and known offenders found out."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symdata.errors import SymdataError
from symdata.groups import Element, Elements, Group
from symdata.inspection.goodness import (
    ChiSquare,
    chi_square,
    combine,
    element_counts,
    goodness,
    goodness_by_class,
    sidak,
    survival,
)
from symdata.keys import split_keys
from symdata.laws import FEWEST, arc_masses, law_cells
from symdata.symmetry import Symmetry

SPECS = (
    "none d4 d4-partial c8 c8@-90..90 d8@0..45 c12@45~20 c360 d1 so2 o2 so2-partial@0.3 o2-partial@0.7 "
    "so2@-45..45 o2@170..200 so2@45~20 so2@180~90 o2@0~5 so2@30..30 o2@30..30 so2@0.1..0.2 "
    "so2@45~k4 o2@0~k300 c8@45~k4 r90m 0.7@none+0.3@r90 0.5@r33.3+0.5@r0.1m 0.5@none+0.5@so2@-45..45 "
    "0.2@c4+0.3@o2@45~20+0.5@so2@100~k30 0.4@d1+0.6@so2@10..30 0.25@o2+0.75@so2 0.5@c7+0.5@o2"
).split()


def draw(text, n=6000, seed=0):
    return Symmetry.parse(text).sample(None, split_keys(seed, "train", "symmetry", np.arange(n)))


def measure(text):
    return Symmetry.parse(text).measure(0)


@given(st.floats(0.0, 3000.0), st.integers(1, 2000))
def test_survival_is_that_of_scipy(statistic, dof):
    assert survival(statistic, dof) == pytest.approx(stats.chi2.sf(statistic, dof), rel=1e-6, abs=1e-280)


def test_survival_without_degrees_of_freedom():
    assert survival(0.0, 0) == 1.0
    assert survival(1.0, 0) == 0.0
    assert survival(math.inf, 3) == 0.0


def test_what_it_prints_and_what_is_impossible():
    assert [str(ChiSquare(0.0, 0, 1.0)), str(ChiSquare(3.0, 2, 0.2231)), str(ChiSquare(math.inf, 0, 0.0))] == [
        "-",
        "0.223",
        "0",
    ]
    for possible in (1, 2, 4):
        p = np.append(np.full(possible, 1 / possible), 0.0)
        found = chi_square(np.append(np.full(possible, 9), 1), p)
        assert (found.p_value, found.dof) == (0.0, possible - 1)


def test_chi_square_is_that_of_scipy():
    counts, p = np.array([18, 25, 31, 26]), np.array([0.1, 0.3, 0.4, 0.2])
    expected = stats.chisquare(counts, 100 * p)
    found = chi_square(counts, p)
    assert (found.statistic, found.p_value, found.dof) == (pytest.approx(expected[0]), pytest.approx(expected[1]), 3)


def test_rare_cells_are_merged():
    # expected 2, 2, 2, 44, 50: the three rare ones make one cell of 6
    found = chi_square([9, 0, 0, 41, 50], [0.02, 0.02, 0.02, 0.44, 0.5])
    assert found.dof == 2
    assert found.statistic == pytest.approx((9 - 6) ** 2 / 6 + (41 - 44) ** 2 / 44)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_merging_keeps_every_count_and_whatever_is_merged_stays_possible(counts, random):
    weights = np.array([random.random() + 1e-3 for _ in counts])
    found = chi_square(counts, weights / weights.sum())
    assert 0.0 <= found.p_value <= 1.0
    assert 0 <= found.dof <= max(0, int(sum(counts) / FEWEST))


def test_the_impossible_refutes():
    assert chi_square([100, 100, 1], [0.5, 0.5, 0.0]) == ChiSquare(math.inf, 1, 0.0)


def test_a_point_mass_leaves_nothing_to_compare():
    assert chi_square([70], [1.0]) == ChiSquare(0.0, 0, 1.0)


@pytest.mark.parametrize(("counts", "p"), [([1, 2], [1.0]), ([1, 2], [0.7, 0.7]), ([1, 2], [1.5, -0.5])])
def test_cells_that_do_not_fit_are_refused(counts, p):
    with pytest.raises(SymdataError, match="expected"):
        chi_square(counts, p)


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("n", [0, 1, 40, 6000])
def test_what_a_measure_gives_agrees_with_it(text, n):
    assert goodness(measure(text), draw(text, n)).p_value > 1e-3


@pytest.mark.parametrize("text", SPECS)
def test_cells_hold_every_element_and_all_probability(text):
    counts, p = law_cells(measure(text), draw(text, 500))
    assert counts.sum() == 500
    assert p.sum() == pytest.approx(1.0)
    assert counts[-1] == p[-1] == 0


@pytest.mark.parametrize(
    "text", ["d4", "d4-partial", "so2", "o2-partial@0.7", "so2@45~20", "o2@170..200", "0.3@c4+0.7@o2@0~k9"]
)
def test_p_values_of_true_measures_are_uniform(text):
    law = measure(text)
    p = [goodness(law, draw(text, 400, seed)).p_value for seed in range(300)]
    # Not exactly uniform: counts are discrete. A test that lies fails by far.
    assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("drawn", "claimed"),
    [
        ("d4-partial@0.4", "d4-partial@0.5"),  # the gate
        ("c4", "d4"),  # the mirror's coin
        ("c4", "c2"),  # elements that cannot be
        ("c8", "d4"),
        ("so2", "so2@-170..170"),
        ("so2@-44..46", "so2@-45..45"),
        ("so2@46~20", "so2@42~20"),
        ("so2@45~20", "so2@45~23"),
        ("so2", "o2"),
        ("o2", "so2"),
        ("so2-partial@0.4", "so2-partial@0.5"),
        ("so2", "so2-partial@0.9"),
        ("so2@-90..90", "so2"),
        ("c8", "so2"),
        ("so2", "c360"),
        ("c4", "none"),
        ("so2@31..31", "so2@30..30"),
        ("so2@45~k4", "so2@45~k4.5"),
        ("so2@45~k4", "so2@50~k4"),
        ("c8@45~k4", "c8@45~k5"),
        ("0.7@none+0.3@r90", "0.66@none+0.34@r90"),
        ("0.7@none+0.3@r90", "0.7@none+0.3@r180"),
        ("0.5@c4+0.5@so2", "0.44@c4+0.56@so2"),
        ("0.5@c4+0.5@so2", "so2-partial@0.5"),
        ("0.5@none+0.5@so2@-45..45", "0.5@none+0.5@so2@-44..44"),
        ("0.4@d1+0.6@so2", "0.4@d1+0.6@o2"),
        ("0.25@o2+0.75@so2", "o2"),
        ("0.5@r33.3+0.5@r0.1m", "0.5@r33.3+0.5@r0.2m"),
    ],
)
def test_another_measure_is_found_out(drawn, claimed):
    assert goodness(measure(claimed), draw(drawn)).p_value < 1e-6


def test_the_generator_that_draws_the_ends_half_as_often_is_found_out():
    """Rounding a uniform number to 0..3 quarter turns gives 1/6, 1/3, 1/3, 1/6."""
    turns = np.round(3.0 * np.random.default_rng(0).random(600))
    offender = Elements(90.0 * turns, np.zeros(600, dtype=bool))
    assert goodness(measure("c4"), offender).p_value < 1e-6


def test_stored_angles_are_float32_and_still_belong():
    third = Elements(
        np.array([np.float32(360 * k / 7) for k in range(7)] * 100, dtype=np.float64), np.zeros(700, dtype=bool)
    )
    assert goodness(measure("c7"), third).p_value == 1.0


def test_classes_are_held_to_their_own_measure():
    labels = np.arange(4000) % 2
    symmetry = Symmetry.parse("0:d4,rest:none")
    elements = symmetry.sample(labels, split_keys(0, "train", "symmetry", np.arange(4000)))
    right = goodness_by_class(symmetry, elements, labels, 3)
    assert [t.dof for t in right] == [7, 0, 0]
    assert combine(right).p_value > 1e-3
    assert combine(goodness_by_class(symmetry, elements, 1 - labels, 2)).p_value == 0.0


def test_the_combined_test_adds_statistics_and_degrees_of_freedom():
    tests = [ChiSquare(3.0, 4, survival(3.0, 4)), ChiSquare(7.0, 2, survival(7.0, 2)), ChiSquare(0.0, 0, 1.0)]
    assert combine(tests) == ChiSquare(10.0, 6, survival(10.0, 6))
    assert combine([]).p_value == 1.0


def test_the_worst_of_many_is_corrected_for_looking():
    assert sidak([ChiSquare(1.0, 1, 0.01)] * 20) == pytest.approx(1.0 - 0.99**20)
    assert sidak([ChiSquare(0.0, 0, 1.0)]) == 1.0
    assert sidak([ChiSquare(math.inf, 0, 0.0)]) == 0.0
    assert sidak([ChiSquare(9e9, 1, 0.0)]) == 0.0


def test_one_bad_class_among_many_is_seen_by_the_worst_alone():
    honest = [goodness(measure("d4"), draw("d4", 200, seed)) for seed in range(400)]
    tests = [*honest, goodness(measure("d4"), draw("d4-partial@0.7", 200))]
    assert combine(tests).p_value > 1e-3
    assert sidak(tests) < 1e-3


@pytest.mark.parametrize(
    "text",
    """so2@-45..45 so2@170..200 so2@45~20 so2@180~200 so2 so2-partial@0.3 o2 so2@300~k9
    0.2@r90+0.1@r100m+0.7@o2@0~k2""".split(),
)
def test_arc_masses_are_the_shares_of_a_large_sample(text):
    edges, sample = np.linspace(0.0, 360.0, 25), draw(text, 200_000)
    moved = sample.angle[(sample.angle != 0.0) | sample.flip]
    shares = np.histogram(moved, edges)[0] / 200_000
    masses = sum(arc_masses(measure(text), edges, flip) for flip in (False, True))
    assert np.abs(masses - shares).max() < 5e-3
    assert masses.sum() == pytest.approx(0.3 if "partial" in text else 1.0)


def counted(group, angles, flips, labels, most=None):
    elements = Elements(np.array(angles, dtype=np.float64), np.array(flips, dtype=bool))
    dataset = SimpleNamespace(classes=("a", "b"), group=Group.parse(group), elements=elements, labels=np.array(labels))
    return element_counts(dataset, most)


def test_elements_of_a_finite_group_are_counted_by_class():
    found = counted("d4", [0, 90, 90, 0], [0, 0, 0, 1], [0, 0, 1, 1])
    assert found.names == ("e", "r90", "r180", "r270", "m", "r90m", "r180m", "r270m")
    assert found.counts.tolist() == [[1, 1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(("group", "most"), [("o2", None), ("d24", 16)])
def test_elements_of_a_large_group_are_counted_in_arcs(group, most):
    found = counted(group, [0, 0, 15, 345], [0, 1, 0, 1], [0, 0, 1, 1], most)
    where = {(c, name) for c, row in enumerate(found.counts) for name, n in zip(found.names, row, strict=True) if n}
    assert where == {(0, "e"), (0, "0-45 m"), (1, "0-45"), (1, "315-360 m")}
    assert found.counts.sum() == 4


def test_arcs_begin_at_zero_and_have_mirrored_ones_where_the_group_has():
    arcs = ("0-45", "45-90", "90-135", "135-180", "180-225", "225-270", "270-315", "315-360")
    found = counted("so2", [0, 15, 44.9, 45, 345], [0] * 5, [0, 0, 0, 0, 0])
    assert found.names == ("e", *arcs)
    assert found.counts.tolist() == [[1, 2, 1, 0, 0, 0, 0, 0, 1], [0] * 9]
    assert counted("o2", [0], [0], [0]).names == ("e", *arcs, *(f"{arc} m" for arc in arcs))


@pytest.mark.parametrize(("text", "sides"), [("so2", 1), ("o2", 2), ("so2@-45..45", 1), ("o2@0~30", 2)])
@pytest.mark.parametrize(("n", "arcs"), [(60, 6), (239, 23), (1000, 24), (9, 1)])
def test_every_arc_expects_ten_but_there_are_at_most_24(text, sides, n, arcs):
    _, p = law_cells(measure(text), draw(text, n * sides))
    assert p.tolist() == pytest.approx([0.0, *[1 / (arcs * sides)] * (arcs * sides), 0.0])


def test_both_ends_of_an_arc_belong_to_it():
    ends = Elements(np.array([315.0] * 30 + [45.0] * 30 + [50.0]), np.zeros(61, dtype=bool))
    counts, _ = law_cells(measure("so2@-45..45"), ends)
    assert counts.tolist() == [0, 30, 0, 0, 0, 0, 30, 1]


def test_an_element_of_its_own_is_a_cell():
    assert goodness(measure("none"), Elements.of([Element()] * 9)) == ChiSquare(0.0, 0, 1.0)
    assert goodness(measure("none"), Elements.of([Element()] * 9 + [Element(90)])).p_value == 0.0
