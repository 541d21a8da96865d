"""Mixtures and single elements: what is the same measure has the same value."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from symdata import Element, Group, Symmetry
from symdata.errors import SymmetryError
from symdata.grammar import _terms
from symdata.measures import Mixture, Partial, Point, VonMises, degree
from tests.support.grammar import mixtures


@settings(max_examples=60)
@given(mixtures())
def test_the_canonical_mixture_is_the_same_measure(text):
    parts = [term.partition("@") for _, term in _terms(text)]
    measure = Mixture(tuple((float(weight), Symmetry(part).rest) for weight, _, part in parts))
    canonical = measure.canonical()
    assert canonical.canonical() == canonical
    one, other = table(measure), table(canonical)
    assert set(one) == set(other) and all(math.isclose(one[e], other[e], abs_tol=1e-9) for e in one)
    edges = np.linspace(0.0, 360.0, 37)
    for flip in (False, True):
        np.testing.assert_allclose(
            np.diff(measure.cumulative(edges, flip)), np.diff(canonical.cumulative(edges, flip)), rtol=0, atol=1e-9
        )


def table(measure):
    found = {}
    for element, p in measure.points:
        key = (round(element.angle, 6) % 360.0, element.flip)
        found[key] = found.get(key, 0.0) + p
    return {key: p for key, p in found.items() if p > 1e-12}


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("r90", "c4"),
        ("r270m", "d4"),
        ("m", "d1"),
        ("r51.42857142857143", "c7"),
        ("r1", "c360"),
        ("r0.5", "so2"),
        ("r33.3", "so2"),
        ("r33.3m", "o2"),
        ("0.5@r90+0.5@r120m", "d12"),
        ("0.5@r1+0.5@r51.42857142857143", "so2"),
    ],
)
def test_the_group_of_elements_is_the_smallest(text, group):
    symmetry = Symmetry(text)
    assert str(symmetry.group) == group
    assert all(e in symmetry.group for e, _ in symmetry.elements)


def test_a_mixture_in_a_mixture_is_independent_of_the_choice_of_its_part():
    inner = Mixture(((0.5, Point(Element(90))), (0.5, Point(Element(180)))))
    outer = Mixture(((0.5, inner), (0.5, Point(Element(0)))))
    u = list(np.random.default_rng(0).random((4, 20_000)))
    drawn = outer.draw(u)
    shares = [(drawn.angle == angle).mean() for angle in (0.0, 90.0, 180.0)]
    assert np.abs(np.array(shares) - [0.5, 0.25, 0.25]).max() < 0.015  # a fifth of a part would be off by 0.2


def test_mixtures_from_weights():
    d4, angle = Partial(Group("d4")), VonMises(Group("so2"), 0.0, 4.0)
    symmetry = Symmetry.mixture({"none": 0.25, Element("r90"): 0.25, d4: 0.25, angle: 0.25})
    assert str(symmetry) == "0.25@none+0.25@d4+0.25@r90+0.25@so2@0~k4"
    assert Symmetry.mixture({Symmetry("c4"): 0.3, "e": 0.7}) == Symmetry("c4-partial@0.3")
    with pytest.raises(SymmetryError, match=r"weights sum to 0\.5, expected 1"):
        Symmetry.mixture({"none": 0.25, "c4": 0.25})
    with pytest.raises(SymmetryError, match="differs by class and cannot be a part of a mixture"):
        Symmetry.mixture({"0:d4,rest:none": 1.0})


def test_weights_need_to_sum_to_1_up_to_rounding_only():
    thirds = Symmetry("0.333333@none+0.333333@r120+0.333333@r240")
    assert [p for _, p in thirds.elements] == pytest.approx([1 / 3] * 3, abs=1e-12)
    assert thirds.degree == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(SymmetryError, match=r"weights sum to 0\.9999, expected 1"):
        Symmetry("0.3333@none+0.3333@r120+0.3333@r240")


@pytest.mark.parametrize("kappa", [1e-6, 0.1, 4.0, 20.9, 21.1, 1e3, 1e6])
def test_the_table_of_a_von_mises_measure_is_near_the_formula(kappa):
    table = VonMises(Group("so2"), 0.0, kappa).table
    middle = (table.knots[1:] + table.knots[:-1]) / 2.0  # farthest from the knots
    between = (table.density[1:] + table.density[:-1]) / 2.0
    exact = stats.vonmises(kappa).pdf(np.deg2rad(middle)) * math.pi / 180.0
    assert (np.abs(between - exact) * np.diff(table.knots)).sum() / 2.0 < 1e-5


def test_the_degree_falls_with_the_concentration():
    group = Group("so2")
    degrees = [degree(VonMises(group, 30.0, kappa).canonical(), group) for kappa in (0, 0.1, 1, 4, 100, 1e4, 1e6)]
    assert degrees == sorted(degrees, reverse=True) and degrees[0] == 1.0 and degrees[-1] < 0.01
