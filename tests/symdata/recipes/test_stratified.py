"""What is held out has its share of every class, and no group stands on two sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdata.errors import RecipeError
from symdata.recipes.stratified import hold_out

CLASSES = st.lists(st.integers(1, 40), min_size=1, max_size=6)
SHARES = st.sampled_from([{"test": 0.2}, {"test": 0.25, "validation": 0.1}, {"validation": 0.3}])


def labels(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def divided(*arguments):
    """None where there is nothing to divide."""
    try:
        return hold_out(*arguments)
    except RecipeError:
        return None


@given(CLASSES, SHARES, st.integers(0, 3))
def test_every_class_is_divided_within_one_image(sizes, shares, seed):
    label = labels(sizes)
    if (found := divided(label, shares, seed)) is None:
        return
    assert sorted(np.concatenate(list(found.values()))) == list(range(len(label)))
    counts = {name: np.bincount(label[found[name]], minlength=len(sizes)) for name in found}
    for c, size in enumerate(sizes):
        for name, share in shares.items():
            assert abs(counts[name][c] - size * share) < 1 or counts["train"][c] == 1  # a small class keeps one
            assert counts[name][c] < size * share + 1
    assert (counts["train"] > 0).all()


def test_shares_of_large_classes_are_exact():
    label = labels([100, 50, 10])
    found = hold_out(label, {"test": 0.2, "validation": 0.1}, 0)
    assert np.bincount(label[found["test"]]).tolist() == [20, 10, 2]
    assert np.bincount(label[found["validation"]]).tolist() == [10, 5, 1]


def test_a_random_choice_is_not_stratified():
    """Negative control: what a plain permutation takes of the classes is further off than one image."""
    label = labels([100, 50, 10])
    taken = np.bincount(label[np.random.default_rng(0).permutation(160)[:32]], minlength=3)
    assert np.abs(taken - [20, 10, 2]).max() > 1


def test_the_test_split_does_not_depend_on_the_validation_share_but_on_the_seed():
    label = labels([40, 30])
    one, other, third = (
        hold_out(label, {"test": 0.2} | more, seed)["test"]
        for more, seed in (({}, 0), ({"validation": 0.3}, 0), ({}, 1))
    )
    assert one.tolist() == other.tolist() != third.tolist()


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=4, max_size=60), SHARES, st.integers(0, 3))
def test_no_group_stands_on_two_sides(rows, shares, seed):
    groups, label = np.array(rows).T
    if len(set(groups)) <= len(shares):
        with pytest.raises(RecipeError, match="groups cannot be divided"):
            hold_out(label, shares, seed, groups)
        return
    found = hold_out(label, shares, seed, groups)
    assert sorted(np.concatenate(list(found.values()))) == list(range(len(label)))
    sides = [set(groups[own]) for own in found.values()]
    assert all(sides) and sum(map(len, sides)) == len(set.union(*sides))


def test_without_groups_they_are_divided():
    """Negative control: the division by image alone does put groups on two sides."""
    groups, label = np.repeat(np.arange(8), 10), np.tile([0, 1], 40)
    found = hold_out(label, {"test": 0.2}, 0)
    assert set(groups[found["train"]]) & set(groups[found["test"]])


def test_groups_of_one_size_give_the_shares_asked_for_and_classes_in_proportion():
    label, groups = np.tile(np.repeat([0, 1], 50), 2), np.repeat(np.arange(20), 10)  # each group is of one class
    found = hold_out(label, {"test": 0.2, "validation": 0.1}, 0, groups)
    assert np.bincount(label[found["test"]]).tolist() == [20, 20]
    assert np.bincount(label[found["validation"]]).tolist() == [10, 10]
    assert hold_out(label, {"test": 0.2}, 1, groups)["test"].tolist() != found["test"].tolist()


@pytest.mark.parametrize("shares", [{"test": 0.6, "validation": 0.4}, {"test": 0.001}])
def test_shares_that_leave_a_split_empty_are_refused(shares):
    with pytest.raises(RecipeError, match="share"):
        hold_out(labels([9, 9]), shares, 0)
