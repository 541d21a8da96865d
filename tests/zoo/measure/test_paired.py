"""Paired tests over seeds: the p-values are scipy's, and those that can be counted by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from zoo.errors import ModelError
from zoo.measure.paired import LEAST_P, PairedDifference, sign_flip_pvalue, t_pvalue


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 5, 9, 10, 30, 99])
def test_the_p_value_of_t_is_scipys(dof):
    for t in (0.0, 0.01, 0.5, 1.0, 2.0, -2.5, 4.0, 12.0):
        assert t_pvalue(t, dof) == pytest.approx(2 * stats.t.sf(abs(t), dof), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 20])
def test_the_paired_test_is_scipys(n):
    dice = np.random.default_rng(n)
    a, b = dice.normal(0.9, 0.02, n), dice.normal(0.89, 0.02, n)
    found, expected = PairedDifference.of(a.tolist(), b.tolist()), stats.ttest_rel(a, b)
    assert found.t_p == pytest.approx(float(expected.pvalue), rel=1e-9)
    assert (found.mean, found.n) == (pytest.approx(float((a - b).mean())), n)
    assert found.sd == pytest.approx(float((a - b).std(ddof=1)))
    unpaired = stats.ttest_ind(a, b)
    assert found.t_p != pytest.approx(float(unpaired.pvalue), rel=1e-3), "negative control: not paired"


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_the_sign_flip_test_counts_every_choice_of_signs(n):
    dice = np.random.default_rng(n)
    differences = dice.normal(0.01, 0.02, n)
    signs = np.array(list(itertools.product((1, -1), repeat=n)))
    counted = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean()
    found = PairedDifference.of(differences.tolist(), [0.0] * n)
    assert found.flip_p == pytest.approx(counted)
    peer = stats.permutation_test(
        (differences, np.zeros(n)), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert found.flip_p == pytest.approx(float(peer.pvalue))


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_smallest_p_value_is_reached_where_every_seed_agrees(n):
    found = PairedDifference.of([0.9 + 0.001 * k for k in range(n)], [0.8] * n)
    assert found.flip_p == found.smallest_p == 2 / 2**n
    mixed = PairedDifference.of([0.9 + 0.001 * k for k in range(n - 1)] + [0.7], [0.8] * n)
    assert mixed.flip_p > mixed.smallest_p


def test_the_sign_flip_test_holds_its_level_and_finds_differences():
    dice = np.random.default_rng(0)
    null = [sign_flip_pvalue(dice.normal(0, 1, 8).tolist()) for _ in range(2000)]
    assert stats.binomtest(sum(p <= 0.05 for p in null), 2000, 0.046875).pvalue > 1e-3, "12 of 256 choices of signs"
    real = [sign_flip_pvalue(dice.normal(2, 1, 8).tolist()) for _ in range(200)]
    assert sum(p <= 0.05 for p in real) > 190


def test_ties_count_as_at_least_as_far():
    """As accuracies have them: 0.1 + 0.2 - 0.3 is not 0 in floating point."""
    assert PairedDifference.of([0.1, 0.2, 0.0], [0.0, 0.0, 0.3]).flip_p == 1.0
    assert PairedDifference.of([0.1, 0.1], [0.1, 0.1]).flip_p == 1.0


def test_differences_that_do_not_vary_have_no_t():
    same = PairedDifference.of([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    assert same.t_p is None and same.flip_p == 0.25 and same.mean == pytest.approx(0.1)
    assert PairedDifference.of([0.5, 0.6], [0.5, 0.6]).t_p is None


def test_many_seeds():
    found = PairedDifference.of([0.5 + 1e-6 * k for k in range(30)], [0.1] * 30)
    assert found.flip_p is None and found.t_p == LEAST_P
    assert math.isclose(found.smallest_p, 2 / 2**30)


@pytest.mark.parametrize(("a", "b"), [([1.0], [2.0]), ([], []), ([1.0, 2.0], [1.0])])
def test_what_is_refused(a, b):
    with pytest.raises(ModelError, match="values are paired, expected as many of both, for 2 or more seeds"):
        PairedDifference.of(a, b)
