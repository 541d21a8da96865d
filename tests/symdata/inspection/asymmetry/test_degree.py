"""The bounds of the degree: they hold what was put in, see nothing that is not there, say what they are."""

import numpy as np
import pytest
from scipy import stats

from symdata.errors import ShapeError
from symdata.inspection.asymmetry.advice import advice
from symdata.inspection.asymmetry.audit import audit
from symdata.inspection.asymmetry.degree import Degree, Trial, bounds, clearest
from symdata.inspection.asymmetry.exact import binomial_cdf
from symdata.inspection.asymmetry.ranking import rank, rounds
from symdata.inspection.asymmetry.reference import compare
from symdata.inspection.source_audit import audit_source
from symdata.recipes.plan import resolve
from symdata.recipes.spec import Spec

N = 400


def simulated(rng, p, n=N, order=8, plain=0.8):
    """Versions of n images with an upright, of which a share of `plain` shows it, and a share p is moved at random."""
    strength = np.where(rng.random(n) < plain, 3.0, 0.0)
    versions = rng.normal(size=(n, order, 12)) * 0.5
    versions[:, :, 0] += strength[:, None] * np.where(np.arange(order) == 0, 1.0, -1.0 / (order - 1))
    turns = np.where(rng.random(n) < p, rng.integers(0, order, n), 0)
    versions = np.take_along_axis(versions, ((np.arange(order) + turns[:, None]) % order)[:, :, None], axis=1)
    return versions, rng.integers(0, 2, n)


def halved(rng, n, times=2):
    orders = [rng.permutation(n) for _ in range(times)]
    return [(order[: n // 2], order[n // 2 :]) for order in orders]


def test_the_binomial_law_is_that_of_scipy():
    for n, p in ((1, 0.5), (40, 0.1), (600, 0.875), (3000, 0.3)):
        for k in (0, n // 3, n - 1):
            assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-9, abs=1e-12)
    assert (binomial_cdf(0, 0, 0.5), binomial_cdf(3, 5, 0.0), binomial_cdf(4, 5, 1.0), binomial_cdf(5, 5, 1.0)) == (
        1.0,
        1.0,
        0.0,
        1.0,
    )


def test_one_trial_gives_the_bound_of_clopper_and_pearson_at_half_the_level():
    for below, n, chance in ((0, 50, 0.5), (7, 120, 0.25), (20, 300, 0.875)):
        exact = stats.beta.ppf(1.0 - 0.025, below + 1, n - below) / chance  # twice a p-value is compared with 5 %
        assert bounds([Trial(below, n, chance)], n).upper == pytest.approx(exact, abs=1e-6)


def test_an_end_is_rounded_outwards():
    shown = Degree(0.299, 0.3001, 0.3, 10)
    assert (shown.interval, shown.at_most) == ("0.29-0.31", "0.31")
    assert Degree(0.0, 0.3, 0.1, 10).interval == "0.00-0.30"


def test_trials_without_images_refuse_nothing():
    assert bounds([Trial(0, 0, 0.5)], 0) == Degree(0.0, 1.0, 1.0, 0)


def test_versions_that_tie_are_ranked_by_lot():
    values = np.zeros((4000, 4))
    found = rank(values, np.zeros(4000, dtype=int), np.arange(4000))
    assert stats.chisquare(np.bincount(found.ranks, minlength=4)).pvalue > 1e-4
    assert not found.gaps.any()


def test_which_images_are_counted_does_not_depend_on_the_version_that_came():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 8))
    turned = np.stack([row[rng.permutation(8)] for row in values])
    one, other = (rank(v, np.zeros(200, dtype=int), np.arange(200)) for v in (values, turned))
    for k in (1, 4, 7):
        assert clearest(one, k, 0.3).tolist() == clearest(other, k, 0.3).tolist()
    assert (one.ranks != other.ranks).any()


def test_no_image_is_ranked_by_a_score_that_saw_it():
    """The version that came is marked in every image by noise of its own, which only a score that saw it could know."""
    rng = np.random.default_rng(3)
    versions = rng.normal(size=(80, 8, 400))
    for one in rounds(versions, np.zeros(80, dtype=int), halved(rng, 80)):
        for ranking in (one.inside, one.outside):
            assert len(ranking.ranks) == 40 and 2.0 < ranking.ranks.mean() < 5.0  # 3.5 by chance, 0 if it were seen


@pytest.mark.parametrize("p", [0.0, 0.3, 0.7, 1.0])
def test_simulated_degrees_are_held_by_both_kinds_of_intervals(p):
    """60 seeds at 95 %: fewer than 51 have probability 0.001."""
    rng = np.random.default_rng(int(10 * p))
    alone, beside = [], []
    for _ in range(60):
        versions, labels = simulated(rng, p, 160)
        upright, known = simulated(rng, 0.0, 160)
        made = list(rounds(versions, labels, halved(rng, 160)))
        alone.append(_bounds(made))
        beside.append(compare(versions, labels, upright, known, halved(rng, 160)))
    assert sum(one.upper >= p for one in alone) >= 51 and all(one.lower == 0.0 for one in alone)
    assert sum(one.lower <= p + 1e-9 and p <= one.upper + 1e-9 for one in beside) >= 51
    assert np.median([one.bound for one in beside]) == pytest.approx(p, abs=0.06)
    if p < 0.5:  # a control: they are no intervals that hold everything
        assert np.median([one.upper for one in alone]) < p + 0.35
        assert sum(one.lower <= 0.9 <= one.upper for one in beside) == 0


def _bounds(made):
    from symdata.inspection.asymmetry.degree import _trial

    return bounds([_trial(one.inside, one.outside) for one in made], 160)


def test_a_score_that_counts_its_own_images_does_not_hold():
    """The negative control: fitted and counted on the same images, full symmetry would be denied."""
    denied = 0
    for seed in range(10):
        versions, labels = simulated(np.random.default_rng(seed), 1.0, 80, plain=0.0)
        versions = np.concatenate([versions, np.random.default_rng(seed + 99).normal(size=(80, 8, 300))], axis=2)
        rows = np.arange(80)
        made = list(rounds(versions, labels, [(rows, rows)]))
        denied += _bounds(made).upper < 1.0
    assert denied >= 8


@pytest.fixture(scope="module")
def glyphs():
    def build(symmetry, seed, count=600):
        plan = resolve(Spec(symmetry=symmetry, count=count, seed=seed, size=16, source="glyphs:FGR"))
        batch = plan.batch("train", range(count))
        return batch.images, np.asarray(batch.labels), plan.classes

    return build


def test_an_audit_beside_upright_images_has_two_ends(glyphs):
    images, labels, classes = glyphs("d4-partial@0.5", 1)
    upright, known, _ = glyphs("none", 2)
    found = audit([images], labels, classes, upright=([upright], known))
    assert 0.3 < found.compared.lower <= 0.5 <= found.compared.upper < 0.7
    assert found.degree.lower == 0.0 and found.by_view["together"].upper >= 0.5
    assert f"beside upright images: {found.compared.bound:.2f}, 95 %: {found.compared.interval}" in str(found)
    assert advice(found)[-1].endswith("if those are of the same kind.")
    assert found.to_dict()["compared"]["lower"] == found.compared.lower


def test_without_upright_images_nothing_bounds_the_degree_from_below_and_it_says_so(glyphs):
    images, labels, classes = glyphs("d4-partial@0.5", 1)
    found = audit([images], labels, classes)
    assert found.compared is None and found.to_dict()["compared"] is None
    assert "at most, by view: gray" in str(found) and "from images alone at least 0" in str(found)
    assert "No images bound it from below" in advice(found)[-1] and "at most 0." in advice(found)[-1]
    every = [found.degree, *found.by_view.values(), *(row.degree for row in found.classes)]
    assert {one.lower for one in every} == {0.0}
    assert set(found.to_dict()["degree"]) == {"lower", "upper", "bound", "images"}


def test_upright_images_that_are_not_alike_are_refused(glyphs):
    images, labels, classes = glyphs("none", 1, 200)
    for upright, known, sentence in (
        (images[:50], labels[:50], "50 upright images are too few"),
        (images, np.zeros(200, dtype=int), "no upright images of class 1"),
        (images.repeat(1, 3, 1, 1), labels, "another size or other channels"),
        (images[..., 3:-3, 3:-3], labels, "another size or other channels"),
    ):
        with pytest.raises(ShapeError, match=sentence):
            audit([images], labels, classes, upright=([upright], known))


def test_a_source_is_compared_with_a_source():
    found = audit_source("glyphs:FG", group="c4", limit=200, upright="glyphs:FGH").audit
    assert found.compared.lower == 0.0 and found.compared.upper < 0.2
    with pytest.raises(ShapeError, match="the upright images have no class 'F'"):
        audit_source("glyphs:FG", limit=200, upright="glyphs:bd")
