"""A model that was trained on images in another pose is noticed; one that was not, never."""

import numpy as np
import pytest
import torch
from scipy import stats

from symdata.groups import Group
from tests.support.classifiers import UNIT, Centroids, SortedCentroids, digits
from zoo import ImageSet, OpenedModel, Report, evaluate
from zoo.evaluation.pose_mismatch import ALPHA, find_mismatch, mcnemar

D4 = [str(element) for element in Group(4, True).elements]


def answers(*shares, n=400, seed=0):
    """(E, n) bool: independent answers that are right with these probabilities."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((len(shares), n)) < np.array(shares)[:, None])


@pytest.mark.parametrize(("more", "less"), [(0, 0), (3, 1), (12, 12), (40, 9), (5, 30), (900, 700)])
def test_the_test_is_the_exact_binomial_one(more, less):
    first = torch.tensor([True] * more + [False] * less + [True, False])
    second = torch.tensor([False] * more + [True] * less + [True, False])
    n = more + less
    expected = stats.binomtest(more, n, 0.5, alternative="greater").pvalue if n else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_images_that_were_transposed_in_training_are_noticed_first(data):
    images, labels = digits(data, "train", 1000)
    model = OpenedModel(Centroids(images.transpose(2, 3), labels), UNIT, name="transposed")
    tested = ImageSet(*digits(data, "test", 200), name="mnist, test")
    report = evaluate(model, tested, angles=0, probe=0)
    found = report.mismatch
    assert found.element == "r90m" and found.p_value < 1e-12
    assert found.moved.value > 0.7 > 0.5 > found.upright.value == report.upright.value
    text = str(report)
    assert text.startswith("The images may be in another pose than those of training: ")
    assert "r90m exchanges rows and columns" in text and 'symdata.Element("r90m")' in text
    assert "`symdata make DATA --symmetry r90m --out moved`" in text
    assert Report.from_dict(report.to_dict()) == report
    # the mend works, and is not proposed again
    mended = ImageSet(tested.images.transpose(2, 3).contiguous(), tested.labels, name="mnist, transposed")
    again = evaluate(model, mended, angles=0, probe=0)
    assert again.mismatch is None and again.upright == found.moved


@pytest.mark.parametrize("kind", [Centroids, SortedCentroids])
def test_a_model_trained_upright_is_not_suspected_exact_or_not(data, kind):
    """Negative control: a plain model, and one that gives the same answer under every element."""
    model = OpenedModel(kind(*digits(data, "train", 1000)), UNIT)
    report = evaluate(model, digits(data, "test", 200), angles=0, probe=0)
    assert report.mismatch is None and "another pose" not in str(report)


def test_of_elements_that_are_as_good_the_likeliest_cause_is_proposed():
    """As with a network on c4 that was trained on transposed images: it is right under every mirror."""
    right = answers(0.52, 0.52, 0.52, 0.52, 0.96, 0.955, 0.96, 0.96, n=2000)
    found = find_mismatch(right, D4)
    assert found.element == "r90m" and set(found.alike) == {"m", "r180m", "r270m"}
    assert "(and about as many under m, r180m, r270m)" in str(found)


def test_a_difference_must_be_large_and_beyond_chance():
    assert find_mismatch(answers(0.50, *[0.55] * 7, n=20_000), D4) is None  # beyond chance, and small
    assert find_mismatch(answers(0.40, *[0.75] * 7, n=10), D4) is None  # large, of ten images
    assert find_mismatch(answers(0.40, *[0.75] * 7, n=200), D4) is not None


def test_models_that_guess_are_hardly_ever_suspected():
    """The p-value is corrected for the elements: of 2,000 models that guess on 40 images, at most ALPHA on average."""
    suspected = sum(find_mismatch(answers(*[0.5] * 8, n=40, seed=seed), D4) is not None for seed in range(2000))
    assert suspected <= stats.binom.ppf(0.999, 2000, ALPHA)
