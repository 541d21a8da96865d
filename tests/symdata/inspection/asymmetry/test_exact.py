"""The exact p-value, Holm's correction and the intervals, against scipy, brute force and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from symdata.inspection.asymmetry.exact import SMALLEST_P, holm, orbit_p_value, paired_interval, wilson


def test_of_a_coin_it_is_the_binomial_test():
    for wins, losses in ((13, 2), (7, 7), (40, 11), (0, 6), (6, 0)):
        scores = np.array([[2, -2]] * wins + [[-2, 2]] * losses + [[0, 0]] * 5)
        expected = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
        assert orbit_p_value(scores) == pytest.approx(expected, abs=1e-11)


def test_it_is_the_share_of_all_choices():
    scores = np.array([[2, 0, -2, 0], [0, -1, 1, 0], [1, 1, -2, 0], [2, -2, 1, -1]])
    sums = np.array([sum(row[k] for row, k in zip(scores, ks, strict=True)) for ks in product(range(4), repeat=4)])
    assert orbit_p_value(scores) == pytest.approx((sums >= scores[:, 0].sum()).mean(), abs=1e-12)


def test_nothing_told_is_no_evidence_and_everything_told_is_all_there_is():
    assert orbit_p_value(np.zeros((10, 4))) == 1.0
    assert orbit_p_value(np.tile([2, -2], (500, 1))) == SMALLEST_P


def test_under_the_null_p_values_are_uniform_or_larger():
    rng = np.random.default_rng(0)
    table = rng.integers(-2, 3, (60, 4))
    p_values = []
    for _ in range(2000):
        shift = rng.integers(0, 4, 60)
        p_values.append(orbit_p_value(table[np.arange(60)[:, None], (np.arange(4) + shift[:, None]) % 4]))
    for level in (0.01, 0.05, 0.2, 0.5):
        share = np.mean(np.array(p_values) <= level)
        assert level - 0.08 * (level > 0.1) - 0.025 <= share <= level + 4.0 * np.sqrt(level / 2000)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (512, 1000)])
def test_wilson_is_that_of_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n, stats.norm.ppf(0.975)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_seen_says_nothing():
    assert wilson(0, 0, 1.96) == (0.0, 1.0)


def test_the_paired_interval_covers():
    rng = np.random.default_rng(1)
    for p in ((0.1, 0.1, 0.8), (0.4, 0.1, 0.5), (0.9, 0.05, 0.05)):
        draws = rng.choice([1.0, -1.0, 0.0], p=p, size=(2000, 100))
        bounds = [paired_interval(row, 1.96) for row in draws]
        covered = np.mean([low <= p[0] - p[1] <= high for low, high in bounds])
        assert covered > 0.93
    low, high = paired_interval(np.ones(50), 1.96)
    assert 0.85 < low < high <= 1.0


def test_the_paired_interval_by_hand():
    """1, 1, -1, 0 and the two that are added: the mean of six is 1/6, their mean square 5/6."""
    spread = ((5 / 6 - 1 / 36) / 6) ** 0.5
    found = paired_interval(np.array([1.0, 1.0, -1.0, 0.0]), 1.5)
    assert found == pytest.approx((1 / 6 - 1.5 * spread, 1 / 6 + 1.5 * spread), abs=1e-12)
