"""The experiment about the coverage of degrees: its images, a few of its seeds in every run, and what it asks for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from symdata.inspection.asymmetry.views import fields, orbits
from symdata.transforms.lattice import permute
from zoo.errors import ModelError
from zoo.experiments import coverage
from zoo.experiments.harness.setting import Setting

SEEDS, N = 3, 400


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize("p", coverage.DEGREES)
def test_real_images_of_which_a_share_was_moved_hold_it(data, name, p):
    """Three seeds of the experiment, that has a hundred; all three missing has probability 0.0001."""
    place = str(data / name)
    found = [coverage.intervals(place, p, 1000 + seed, N, ("shapes", "compared")) for seed in range(SEEDS)]
    assert sum(one["shapes"].upper >= p for one in found) >= 2
    assert sum(one["compared"].lower <= p + 1e-9 and p <= one["compared"].upper + 1e-9 for one in found) >= 2


def test_images_turned_as_pixels_have_the_versions_that_the_experiment_gives_them():
    images = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8)
    elements = np.arange(8)
    before = orbits(fields(images)["gray"], list(range(8)))
    after = orbits(fields(permute(images, torch.arange(8)))["gray"], list(range(8)))
    np.testing.assert_allclose(coverage.moved(before, elements), after, atol=1e-12)


def test_the_share_that_is_moved_is_the_degree_and_moves_are_uniform():
    elements = coverage.drawn(1, 0.3, 20_000)
    counts = np.bincount(elements, minlength=8) / 20_000
    np.testing.assert_allclose(counts, [0.7 + 0.3 / 8, *[0.3 / 8] * 7], atol=0.01)
    assert not coverage.drawn(1, 0.0, 1000).any()


def test_a_hundred_seeds_of_every_degree_are_asked_for():
    asked = [request for _, request in coverage.requests("mnist", Setting(Path("x"), experiment="coverage"))]
    for degree in coverage.DEGREES:
        seeds = [q["first"] + k for q in asked if q["degree"] == degree for k in range(q["seeds"])]
        assert seeds == list(range(100))


def test_cifar_is_named():
    with pytest.raises(ModelError, match="name a source of its images with --cifar"):
        coverage.check(Setting(Path("x"), experiment="coverage"))
