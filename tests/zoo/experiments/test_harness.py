"""What is published, as data that agrees with itself; bands, means, tables."""

import math

import pytest
import torch
from scipy import stats

from symdata.display import Table
from zoo.experiments.harness.bands import Condition, judge
from zoo.experiments.using_and_abusing import published
from zoo.experiments.using_and_abusing.claims import CONDITIONS
from zoo.experiments.using_and_abusing.published import ACCURACY, CURVES, DIAGONAL, KNIGHT, MEASURES, MODELS
from zoo.experiments.using_and_abusing.sizes import KINDS
from zoo.measure.statistics import MeanOverSeeds, difference, plus_minus, summarise
from zoo.models.spec import NetworkSpec


def series_of(regime, shift=None):
    """The published means as the series of one seed, some of them moved."""
    found = {f"{m} {name}": [ACCURACY[regime][m][name].mean] for m in MODELS for name in MEASURES}
    for m in MODELS:
        found[f"{m} quarter"] = [min(found[f"{m} 90"][0], found[f"{m} 270"][0])]
    for name, change in (shift or {}).items():
        found[name] = [found[name][0] + change]
    return found


@pytest.mark.parametrize("regime", ACCURACY)
@pytest.mark.parametrize("model", MODELS)
def test_published_turns_have_the_published_mean(regime, model):
    row = ACCURACY[regime][model]
    assert list(row) == list(MEASURES)
    mean = sum(row[turn].mean for turn in ("90", "180", "270")) / 3
    assert mean == pytest.approx(row["turned"].mean, abs=0.0101)
    assert {figure.n for figure in row.values()} == {100 if regime in ("upright", "uniform") else 10}


@pytest.mark.parametrize("model", CURVES["upright"])
def test_published_curves_have_the_published_means(model):
    curve, row = CURVES["upright"][model], ACCURACY["upright"][model]
    assert len(curve) == 36
    assert sum(curve) / 36 == pytest.approx(row["angles"].mean, abs=0.05)
    near = [curve[angle // 10] for angle in DIAGONAL["upright"]]
    assert sum(near) / len(near) == pytest.approx(row["diagonal"].mean, abs=0.05)
    for turn in ("0", "90", "180", "270"):
        assert curve[int(turn) // 10] == pytest.approx(row[turn].mean, abs=0.0501)


SPREADS = """
    p4cnn_28 0 97.2 97.4 97.7 98.0 98.2
    p4cnn_27 0 96.4 98.2 98.6 98.7 98.8
    p4cnn_27 90 59 68 79 87 89
    p4cnn_27 180 44 46 50 56 60
    p4cnn_27 270 68 73 84 89 92
    p4cnn_29 0 97.5 97.9 98.5 98.7 98.8
    p4cnn_29 90 61 70 81 89 92
    p4cnn_29 180 43 46 51 56 61
    p4cnn_29 270 65 71 83 90 93
    z2cnn_28 0 97.7 98.2 98.5 98.7 98.8
    z2cnn_28 90 13.5 15 18 21 23
    z2cnn_28 180 41 43 45 47 49
    z2cnn_28 270 14 15 17 20 28"""
"""Model, measure, and the percentiles 0, 5, 50, 95 and 100 over 100 seeds of upright training, in percent."""


def test_published_means_lie_in_the_published_spreads():
    for model, measure, *words in map(str.split, SPREADS.strip().split("\n")):
        least, low, median, high, most = map(float, words)
        figure = ACCURACY["upright"][model][measure]
        assert least <= low <= median <= high <= most
        assert low <= figure.mean <= high
        assert abs(median - figure.mean) < max(1.0, figure.sd)


def test_published_knight_rows_follow_the_arithmetic():
    assert [row.residue for row in KNIGHT] == [1, 0, 0, 0, 0, 1, 0]
    assert [row.name for row in KNIGHT[:2]] == ["32 px, 3x3 s2 p1", "33 px, 3x3 s2 p1"]


def test_published_rules_are_those_of_the_registry():
    for kind in KINDS:
        family = NetworkSpec.of(f"p4{kind}_100").family
        assert published.exact_sizes(kind) == tuple(n for n in published.SIZES if family.phi(n) == 0)
    assert published.exact_sizes("resnet18") == (25, 33, 41, 49, 57, 65, 73, 81, 89, 97, 225)
    assert published.exact_sizes("torchvision resnet18") == (33, 65, 97, 225)


def test_published_parameters_are_those_of_the_registry():
    for name, (pooled, _) in published.PARAMETERS.items():
        assert NetworkSpec.of(name).parameters() == pooled


def judged(part, series, budget="paper"):
    return {verdict.condition.text: verdict.inside for verdict in judge(series, budget, CONDITIONS[part])}


@pytest.mark.parametrize("regime", ACCURACY)
def test_the_published_numbers_lie_in_their_own_bands(regime):
    verdicts = judged(regime, series_of(regime))
    assert verdicts
    assert all(inside is True for inside in verdicts.values()), verdicts


@pytest.mark.parametrize(
    ("regime", "shift", "claim"),
    [
        ("upright", {"p4cnn_28 180": -0.06}, "p4cnn_28: |180° - 0°| <= 0.05, every seed"),
        ("upright", {"p4cnn_28 0": -0.7}, "p4cnn_28: 0° >= 97.0"),
        ("upright", {"p4cnn_27 0": -0.6}, "p4cnn_27 - p4cnn_28 at 0°: 0.3 to 1.5"),
        ("upright", {"p4cnn_29 180": 40.0}, "p4cnn_29: 180° < min(90°, 270°), every seed"),
        ("upright", {"z2cnn_28 90": 7.2}, "z2cnn_28: 90° <= 25"),
        ("uniform", {"p4cnn_27 angles": 0.5}, "p4cnn_28 - p4cnn_27, 36 angles: -0.1 to 0.5"),
        ("uniform", {"z2cnn_28 angles": 3.0}, "p4cnn_28 - z2cnn_28, 36 angles: 5 to 10"),
        ("biased", {"p4cnn_28 diagonal": 0.6}, "p4cnn_27 - p4cnn_28 at 40° and 50°: >= 0.4"),
        ("biased40", {"p4cnn_29 angles": 4.0}, "p4cnn_28 - p4cnn_29, 36 angles: 4 to 10"),
    ],
)
def test_a_number_that_moves_leaves_its_band(regime, shift, claim):
    verdicts = judged(regime, series_of(regime, shift))
    assert verdicts[claim] is False


def test_a_band_for_every_seed_is_broken_by_one():
    low = Condition("B0", "all of a stay below b", "a - b", high=0.0, every=True)
    mean = Condition("B0", "a stays below b on average", "a - b", high=0.0)
    series = {"a": [1.0, 1.0, 3.5], "b": [2.0, 2.0, 2.0]}
    first, second = judge(series, "small", [low, mean])
    assert (first.inside, second.inside) == (False, True)
    assert first.word == "OUTSIDE" and "over 3 seeds" in first.row[2]


def test_what_was_not_measured_and_what_is_no_number_is_never_inside():
    condition = Condition("B0", "a is anything", "a")
    (missing,) = judge({}, "small", [condition])
    assert missing.inside is None and missing.word == "not measured"
    (nan,) = judge({"a": [math.nan]}, "small", [condition])
    assert nan.inside is False


def test_bands_of_one_budget_are_not_judged_in_another():
    texts = [set(judged("upright", series_of("upright"), budget)) for budget in ("small", "paper")]
    assert texts[0] ^ texts[1] == {"p4cnn_28: 0° >= 96.5 (small budget)", "p4cnn_28: 0° >= 97.0"}
    assert {c.band for bands in CONDITIONS.values() for c in bands} == {
        f"B{k}" for k in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    }


def test_means_and_differences_are_those_of_scipy():
    generator = torch.Generator().manual_seed(0)
    a = (97 + torch.randn(7, generator=generator, dtype=torch.float64)).tolist()
    b = (98 + 3 * torch.randn(4, generator=generator, dtype=torch.float64)).tolist()
    figure = summarise(a)
    assert (figure.mean, figure.n) == (pytest.approx(sum(a) / 7), 7)
    assert figure.sd == pytest.approx(float(torch.tensor(a, dtype=torch.float64).std(unbiased=True)))
    found, expected = difference(figure, summarise(b)), stats.ttest_ind(a, b, equal_var=False)
    assert found.t == pytest.approx(expected.statistic) and found.dof == pytest.approx(expected.df)
    assert difference(figure, summarise([1.0])) is None


def test_welch_on_the_published_means_finds_what_is_published():
    exact, near = (ACCURACY["uniform"][model]["angles"] for model in MODELS[:2])
    found = difference(exact, near)
    assert 1e-4 < stats.t.sf(found.t, found.dof) * 2 < 1e-3  # 2.8e-4 from the means before they were rounded


def test_tables_print_and_escape():
    table = Table(("a", "b"), (("1|2", "x"), ("3", "long")), "T", ("A note.",))
    assert str(table).splitlines() == ["T", "a    b", "---  ----", "1|2  x", "3    long", "A note."]
    assert "| 1\\|2 | x |" in table.markdown.splitlines()
    assert MeanOverSeeds(97.694, 0.171, 3).text() == "97.69±0.17" and plus_minus([97.523, 97.865]) == "97.69±0.24"
    assert MeanOverSeeds(97.694, None, 1).text(1) == plus_minus([97.694], 1) == "97.7" and plus_minus([]) == "-"
