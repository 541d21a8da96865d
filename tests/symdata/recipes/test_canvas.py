"""Recipes with a canvas, two digits side by side or one in a quadrant, and recipes on other sources."""

import numpy as np
import pytest
import torch
from scipy import stats

from symdata.errors import RecipeError
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import Spec
from symdata.transforms.action import act
from tests.support.folders import p_value

pytestmark = pytest.mark.usefixtures("opened_once")


def planned(mnist: str, name: str, **spec) -> DatasetPlan:
    return resolve(Spec(recipe=name, source=mnist, **spec))


# Two digits


@pytest.mark.parametrize("group", ["c1", "c3", "c4", "so2", "d1", "d3", "d4", "o2"])
def test_ddmnist_moves_its_digits_independently(mnist, group):
    plan = planned(mnist, f"ddmnist-{group}")
    assert {split: len(samples) for split, samples in plan.samples.items()} == {
        "train": 10_000,
        "validation": 2_000,
        "test": 5_000,
    }
    assert plan.shape == (1, 56, 56) and len(plan.classes) == 100
    left, right = plan.elements("train", range(10_000))
    if group == "c1":
        assert not left.angle.any() and not right.angle.any()
        return
    assert np.count_nonzero((left.angle == right.angle) & (left.flip == right.flip)) < 5200, "not one element for both"
    for a, b in ((left.angle, right.angle), (left.flip, right.flip)):
        cells = [np.digitize(np.asarray(x, float), [0.5, 90, 180, 270]) for x in (a, b)]
        counts = np.zeros((5, 5))
        np.add.at(counts, tuple(cells), 1)
        counts = counts[counts.any(1)][:, counts.any(0)]
        if min(counts.shape) > 1:
            assert stats.chi2_contingency(counts).pvalue > 0.001


def test_no_two_digits_share_their_element():
    plan = resolve(Spec(recipe="ddmnist-so2", source="glyphs:digits", count=500))
    for split in plan.samples:
        n = len(plan.samples[split])
        angles = np.concatenate([part.angle for part in plan.elements(split, range(n))])
        assert len(np.unique(angles)) == 2 * n


def test_ddmnist_labels_its_digits_tens_and_units(mnist):
    plan = planned(mnist, "ddmnist-d4")
    for split in plan.samples:
        samples = plan.samples[split]
        assert set(np.bincount(samples.label, minlength=100)) == {len(samples) // 100}
        own = plan.source.labels(samples.origin[0])[samples.index]
        assert np.array_equal(samples.label, 10 * own[:, 0] + own[:, 1])
    assert plan.classes[37] == "37"


def test_ddmnist_lays_its_digits_out_side_by_side(mnist):
    plan = planned(mnist, "ddmnist-d4")
    batch, upright = plan.batch("train", range(30)), plan.upright("train", range(30))
    assert not batch.images[:, :, :14].any() and not batch.images[:, :, 42:].any()
    assert torch.equal(batch.images[:, :, 14:42, :28], act(upright[:, 0], batch.elements[0]))
    assert torch.equal(batch.images[:, :, 14:42, 28:], act(upright[:, 1], batch.elements[1]))


def test_ddmnist_draws_with_replacement_from_the_training_images(mnist):
    plan = planned(mnist, "ddmnist-c4")
    assert plan.samples["validation"].origin == ("train",)
    index = plan.samples["train"].index
    assert len(np.unique(index)) < index.size


# Quadrants


@pytest.mark.parametrize(("name", "classes"), [("digit-quadrant", 10), ("quadrant", 40)])
def test_the_quadrant_is_where_the_digit_is(mnist, name, classes):
    plan = planned(mnist, name)
    assert plan.shape == (1, 32, 32) and len(plan.classes) == classes
    batch = plan.batch("train", range(2000))
    own = plan.samples["train"].label[:2000]
    ink = batch.images[:, 0].double()
    halves = torch.stack([ink[:, r : r + 16, c : c + 16].sum((1, 2)) for r in (0, 16) for c in (0, 16)], 1)
    assert np.array_equal(halves.argmax(1).numpy(), batch.quadrant)
    assert p_value(np.bincount(batch.quadrant, minlength=4), np.full(4, 0.25)) > 0.001
    assert np.array_equal(batch.labels, own + 10 * batch.quadrant if classes == 40 else own)
    if classes == 40:
        assert plan.classes[0] == "0 top left" and plan.classes[31] == "1 bottom right"


def test_quadrants_of_a_source_with_other_than_ten_classes():
    plan = resolve(Spec(recipe="quadrant", source="glyphs:OXNZ", count=400))
    assert len(plan.classes) == 16
    batch = plan.batch("train", range(400))
    assert np.array_equal(batch.labels, plan.samples["train"].label + 4 * batch.quadrant)
    assert plan.classes[batch.labels[0]].split()[0] == "OXNZ"[plan.samples["train"].label[0]]


def test_every_split_draws_its_own_quadrants():
    plan = resolve(Spec(recipe="quadrant", source="glyphs:digits", count=1200))
    train, test = (plan.quadrant(split, range(200)) for split in ("train", "test"))
    assert (train == test).mean() < 0.4  # a quarter expected


# Other sources, other counts


def test_a_recipe_wants_its_classes(mnist):
    with pytest.raises(RecipeError, match=r"'mnist6-180' needs class '6', but the source has O, X"):
        resolve(Spec(recipe="mnist6-180", source="glyphs:OX"))
    with pytest.raises(RecipeError, match=r"split 'train' has no image of class 4, and pairs need the classes 0 to 9"):
        resolve(Spec(recipe="ddmnist-c4", source="glyphs:OXNZ"))
    with pytest.raises(RecipeError, match=r"'updown45' needs class 'A'"):
        planned(mnist, "mnist6-180") and resolve(Spec(recipe="updown45", source=mnist))


@pytest.mark.parametrize("name", ["mnist6-180", "rotmnist", "ddmnist-c4", "quadrant"])
@pytest.mark.parametrize("count", [100, 1000])
def test_recipes_on_glyphs_of_any_count(name, count):
    plan = resolve(Spec(recipe=name, source="glyphs:digits", count=count))
    assert len(plan.samples["train"]) == count
    if name in ("mnist6-180", "rotmnist"):
        copies = 2 if name == "mnist6-180" else 1
        assert len(np.unique(plan.samples["train"].index)) * copies == count, "as many images as it takes"


def test_a_count_beyond_the_source_keeps_the_splits_apart(mnist):
    plan = planned(mnist, "rotmnist", count=40_000)
    sizes = {split: len(samples) for split, samples in plan.samples.items()}
    assert sizes == {"train": 40_000, "validation": 8_000, "test": 200_000}
    images = [set(np.unique(samples.index).tolist()) for samples in plan.samples.values()]
    assert sum(map(len, images)) == len(set.union(*images)) <= 70_000


def test_a_split_that_would_be_empty_is_refused(mnist):
    with pytest.raises(RecipeError, match=r"'rotmnist' has a validation split of its own; leave --validation out"):
        planned(mnist, "rotmnist", validation=0.2)
