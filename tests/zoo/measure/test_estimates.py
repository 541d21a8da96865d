"""Means, ratios and rates with their errors over images."""

import pytest
import torch

from zoo.measure.estimates import Estimate, Rate


def test_a_rate_of_a_mask_counts_what_is_true():
    mask = torch.tensor([[True, False, True], [True, True, True]])
    assert Rate.of(mask) == Rate(5, 6)
    assert Rate.of(torch.zeros(0, dtype=torch.bool)) == Rate(0, 0)
    assert Rate.of(mask).to_dict()["accuracy"] == pytest.approx(5 / 6)


def test_an_estimate_of_one_image_has_no_error():
    assert str(Estimate.mean(torch.tensor([0.25]))) == "0.25"
    assert Estimate.mean(torch.tensor([1.0, 3.0])).standard_error == pytest.approx(1.0)
