"""Means, ratios and rates with their errors over images."""

import pytest
import torch
from scipy import stats

from zoo.measure.estimates import Estimate, Rate


def test_a_rate_of_a_mask_counts_what_is_true():
    mask = torch.tensor([[True, False, True], [True, True, True]])
    assert Rate.of(mask) == Rate(5, 6)
    assert Rate.of(torch.zeros(0, dtype=torch.bool)) == Rate(0, 0)
    assert Rate.of(mask).to_dict()["accuracy"] == pytest.approx(5 / 6)


def test_an_estimate_of_one_image_has_no_error():
    assert str(Estimate.mean(torch.tensor([0.25]))) == "0.25"
    assert Estimate.mean(torch.tensor([1.0, 3.0])).standard_error == pytest.approx(1.0)


def test_the_error_of_a_rate_is_binomial():
    assert Rate(30, 40).standard_error == pytest.approx((0.75 * 0.25 / 40) ** 0.5, rel=1e-12)
    assert Rate(0, 0).standard_error == Rate(5, 5).standard_error == 0.0
    assert Rate(30, 40).to_dict() == {
        "correct": 30,
        "count": 40,
        "accuracy": 0.75,
        "standard_error": Rate(30, 40).standard_error,
        "interval": list(Rate(30, 40).interval),
    }


@pytest.mark.parametrize(("correct", "count"), [(0, 7), (3, 7), (30, 40), (999, 1000)])
def test_the_interval_of_a_rate_is_that_of_scipy(correct, count):
    expected = stats.binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert Rate(correct, count).interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_error_of_a_mean_and_of_a_ratio_by_hand():
    values, sizes = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([1.0, 2.0, 3.0])
    mean = Estimate.mean(values)  # the sample variance is 7
    assert (mean.value, mean.standard_error, mean.count) == (3.0, pytest.approx((7 / 3) ** 0.5), 3)
    ratio = Estimate.ratio(values, sizes)  # residuals a - 1.5 b: -0.5, -1, 1.5
    assert ratio.value == 1.5 and ratio.count == 3
    assert ratio.standard_error == pytest.approx((3.5 / (3 * 2)) ** 0.5 / 2)
    assert ratio.root.value == 1.5**0.5
    assert ratio.root.standard_error == pytest.approx(ratio.standard_error / (2 * 1.5**0.5))
    nothing = torch.zeros(3)
    assert (Estimate.ratio(nothing, nothing).value, Estimate.ratio(values, nothing).value) == (0.0, 1.0)


@pytest.mark.parametrize("error", [None, 0.0, 0.25])
def test_an_estimate_comes_back_from_plain_data(error):
    estimate = Estimate(1.5, error, 7)
    assert Estimate.from_dict(estimate.to_dict()) == estimate
    assert estimate.to_dict() == {"value": 1.5, "standard_error": error, "images": 7}
    assert estimate.cells == ("1.50e+00", {None: "-", 0.0: "0e+00", 0.25: "2e-01"}[error])
    assert estimate.percent_cells == ("150.0", {None: "-", 0.0: "0.0", 0.25: "25.0"}[error])
