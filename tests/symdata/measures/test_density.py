"""Densities given as tables: quantiles, distribution functions and draws say the same, in numpy and in torch."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from symdata.measures import Density
from symdata.measures.base import choose
from symdata.measures.density import PiecewiseLinear

U = np.linspace(0.0, 1.0, 400, endpoint=False)
TABLES = {
    "rising": ([0.0, 1.0, 4.0], [0.0, 2.0, 6.0]),
    "falling": ([-2.0, 0.0, 1.0], [5.0, 1.0, 0.5]),
    "with a gap": ([0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 0.0, 3.0]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_distribution_function_is_the_integral(name):
    knots, values = map(np.array, TABLES[name])
    table = PiecewiseLinear.of(knots, values)
    whole = np.trapezoid(values, knots)
    for x in np.linspace(knots[0] - 1, knots[-1] + 1, 23):
        inside = [k for k in knots if k < x]
        below = quad(lambda t: np.interp(t, knots, values, 0, 0), knots[0] - 1, x, points=inside or None)[0]
        assert table.cdf(np.array([x]))[0] == pytest.approx(below / whole, abs=1e-7)


@pytest.mark.parametrize("name", TABLES)
def test_quantiles_undo_it_in_numpy_and_torch(name):
    table = PiecewiseLinear.of(*map(np.array, TABLES[name]))
    drawn = table.quantile(U)
    assert table.cdf(drawn) == pytest.approx(U, abs=1e-9)
    assert table.quantile(torch.from_numpy(U)).numpy() == pytest.approx(drawn, abs=1e-12)


def test_each_side_has_its_share_and_a_side_without_density_none():
    both = Density(lambda angle: 1 + angle / 360, lambda angle: 0 * angle + 0.5)
    ends = np.array([0.0, 180.0, 360.0])
    assert both.cumulative(ends, False) == pytest.approx([0, 0.75 * 0.625 / 1.5, 0.75], abs=1e-6)
    assert both.cumulative(ends, True) == pytest.approx([0, 0.125, 0.25], abs=1e-6)
    alone = Density(lambda angle: 1 + angle / 360)
    assert not alone.cumulative(ends, True).any() and alone.cumulative(ends, False)[-1] == pytest.approx(1)
    flips = np.array([0.0, 0.2499, 0.2501, 0.9])
    drawn = both.draw([np.full(4, 0.5), flips, 1 - flips, 1 - flips])
    assert drawn.flip.tolist() == [True, True, False, False]
    assert drawn.angle[:2] == pytest.approx(180.0) and drawn.angle[2:] == pytest.approx(360 * (2.5**0.5 - 1), abs=1e-6)


def test_a_number_on_an_edge_belongs_to_what_follows():
    u, shares = np.array([0.0, 0.25, 0.5, 0.75, 0.999]), (0.25, 0.25, 0.5)
    assert choose(u, shares).tolist() == [0, 1, 2, 2, 2]
    assert choose(torch.from_numpy(u), shares).tolist() == [0, 1, 2, 2, 2]
