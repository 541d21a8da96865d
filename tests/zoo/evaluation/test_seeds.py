"""Models are grouped by their recipes, and groups are compared over the seeds that both have."""

import json
import statistics

import pytest
from scipy import stats

from tests.support.reports import report
from zoo.evaluation.seeds import SeedComparison, SeededRun, compare_seeds
from zoo.measure.estimates import Rate


def config(seed: int, command: str = "symdata train d --model m", **training):
    fields = {"command": command, "model": "p4cnn_20", "lr": 0.01, "seed": seed, "seconds": 1.5 * seed}
    return {"training": fields | training, "dataset": {"manifest_sha256": "ab"}, "architecture": {"name": "p4cnn_20"}}


def evaluated(accuracy: float, config, name: str = "p4cnn_20.squares-none"):
    rate = Rate(round(1234 * accuracy), 1234)
    return report(name=name, upright=rate), SeededRun.of(config)


A, B = (0.91, 0.93, 0.90, 0.95), (0.89, 0.92, 0.90, 0.91)


@pytest.fixture
def two():
    a = [evaluated(value, config(seed)) for seed, value in enumerate(A)]
    b = [evaluated(value, config(seed, lr=0.1)) for seed, value in enumerate(B)]
    return compare_seeds([*a, *b[::-1]])


def test_means_spreads_and_p_values_are_those_of_the_series(two):
    a, b = ([round(1234 * value) / 1234 for value in series] for series in (A, B))
    assert [group.seeds for group in two.groups] == [(0, 1, 2, 3)] * 2
    assert two.groups[1].scores["upright"] == pytest.approx(b), "in the order of the seeds, not of the models"
    mean = two.groups[0].mean("upright")
    assert (mean.mean, mean.sd) == (pytest.approx(statistics.mean(a)), pytest.approx(statistics.stdev(a)))
    upright = next(pair for pair in two.pairs if pair.score == "upright")
    assert upright.difference.t_p == pytest.approx(float(stats.ttest_rel(a, b).pvalue))
    text = str(two)
    assert f"{100 * mean.mean:.2f}±{100 * mean.sd:.2f}" in text and f"{upright.difference.t_p:.3g}" in text
    assert "on 1,234 images of squares-none, test" in text and "at least 2 / 2^seeds" in text
    assert json.loads(json.dumps(two.to_dict()))["pairs"][0]["difference"]["n"] == 4
    assert len(two.plot().axes) == 3


def test_the_name_says_in_which_options_groups_differ(two):
    names = [group.name for group in two.groups]
    assert names == ["p4cnn_20.squares-none (lr=0.01)", "p4cnn_20.squares-none (lr=0.1)"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seconds": 9.0, "loss": 0.1, "validation_accuracy": 0.5, "device": "cuda", "stopped": {"epoch": 3}}, True),
        ({"mean": [0.2], "std": [0.3]}, True),  # measured on the images that a seed chooses
        ({"mean": [0.2], "command": "symdata train d --model m --mean 0.2 --std 0.3"}, False),
        ({"patience": None, "shift": 0, "class_weights": "none"}, True),  # an older record lacks them
        ({"shift": 2}, False),
        ({"epochs": 3}, False),
        ({"changes": [{"after_epoch": 1, "lr": [0.1, 0.01]}]}, False),
    ],
)
def test_a_recipe_is_everything_but_the_seed(change, same):
    assert (SeededRun.of(config(0)).recipe == SeededRun.of(config(1, **change)).recipe) == same


def test_another_dataset_or_network_is_another_recipe():
    plain = SeededRun.of(config(0)).recipe
    assert plain != SeededRun.of(config(0) | {"dataset": {"manifest_sha256": "cd"}}).recipe
    assert plain != SeededRun.of(config(0) | {"architecture": {"name": "p4cnn_20", "width": 3}}).recipe


def test_only_seeds_that_both_have_are_paired():
    a = [evaluated(0.9, config(seed)) for seed in (0, 1, 2)]
    b = [evaluated(0.8 + 0.01 * seed, config(seed, lr=0.1)) for seed in (1, 2, 3)]
    found = compare_seeds([*a, *b])
    assert {pair.seeds for pair in found.pairs} == {(1, 2)}
    apart = compare_seeds([*a, *(evaluated(0.8, config(seed, lr=0.1)) for seed in (2, 5))])
    assert not apart.pairs and "p, paired t" not in str(apart)


def test_without_two_seeds_of_one_recipe_there_is_nothing():
    assert compare_seeds([evaluated(0.9, config(0)), evaluated(0.8, config(0, lr=0.1)), (report(), None)]) is None
    assert SeededRun.of({}) is None and SeededRun.of({"training": {"lr": 0.1}}) is None


def test_a_seed_that_is_there_twice_counts_once():
    twice = [evaluated(0.9, config(0)), evaluated(0.8, config(1)), evaluated(0.5, config(1))]
    found = compare_seeds(twice)
    assert found.groups[0].seeds == (0, 1) and found.groups[0].scores["upright"][1] == pytest.approx(0.8, abs=1e-3)
    assert "Seed 1 of p4cnn_20.squares-none is there twice; the first one counts." in str(found)


def test_the_smallest_possible_p_value_is_said():
    a = [evaluated(0.9 + 0.01 * seed, config(seed)) for seed in range(3)]
    b = [evaluated(0.8, config(seed, lr=0.1)) for seed in range(3)]
    found = compare_seeds([*a, *b])
    assert "0.25, the smallest possible" in str(found)
    assert isinstance(found, SeedComparison)
