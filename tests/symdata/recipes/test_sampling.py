"""The choice of samples: splits, counts, held-out images and copies, without pixels."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdata.errors import RecipeError
from symdata.groups import Element
from symdata.recipes.catalog import PLAIN, Pose, Recipe, find_recipe
from symdata.recipes.sampling import Samples, Sampling, copies_per_image, plan_samples, poses_of, scaled


class Labels:
    """A source that has labels and no images."""

    def __init__(self, splits: Mapping[str, int], classes: int = 10) -> None:
        self.splits = dict(splits)
        self.classes = tuple(str(c) for c in range(classes))

    def labels(self, split: str) -> np.ndarray:
        return np.random.default_rng(len(split)).integers(0, len(self.classes), self.splits[split])


MNIST = Labels({"train": 6000, "test": 1000})
THREE = Labels({"train": 600, "validation": 200, "test": 100})
COPIES = Recipe("copies", "", "", poses={"3": (Pose(Element(), 0), Pose(Element(180), 1)), "5": (Pose(Element(), 2),)})
POOL = replace(find_recipe("rotmnist"), counts={"train": 100, "validation": 20, "test": 500})
PAIRS = replace(find_recipe("ddmnist-c4"), counts={"train": 300, "validation": 100, "test": 200})


def sizes(planned: Mapping[str, Samples]) -> dict[str, int]:
    return {split: len(samples) for split, samples in planned.items()}


def images(samples: Samples, source: Labels) -> set[tuple[str, int]]:
    """The source images of a split, each as (source split, index in it)."""
    starts = np.cumsum([0] + [source.splits[split] for split in samples.origin])
    index = np.unique(samples.index)
    origin = np.searchsorted(starts, index, side="right") - 1
    return {(samples.origin[o], int(i - starts[o])) for o, i in zip(origin.tolist(), index, strict=True)}


def assert_disjoint(planned: Mapping[str, Samples], source: Labels) -> None:
    found = [images(samples, source) for samples in planned.values()]
    assert sum(map(len, found)) == len(set.union(*found))


def test_without_options_every_image_comes_once_and_in_order():
    planned = plan_samples(THREE, Sampling())
    assert sizes(planned) == THREE.splits
    for split, samples in planned.items():
        assert samples.origin == (split,)
        assert np.array_equal(samples.index[:, 0], np.arange(THREE.splits[split]))
        assert np.array_equal(samples.label, THREE.labels(split))
        assert not samples.pose.any()


@pytest.mark.parametrize("share", [0.1, 1 / 6, 0.5])
def test_validation_is_held_out_of_training(share):
    planned = plan_samples(MNIST, Sampling(validation=share))
    assert list(planned) == ["train", "validation", "test"]
    assert sizes(planned)["validation"] == round(6000 * share)
    assert sizes(planned)["train"] + sizes(planned)["validation"] == 6000
    assert planned["validation"].origin == ("train",)
    assert_disjoint(planned, MNIST)
    for split in ("train", "validation"):
        own = MNIST.labels("train")[planned[split].index[:, 0]]
        assert np.array_equal(own, planned[split].label)
        assert (np.diff(planned[split].index[:, 0]) > 0).all(), "in the order of the source"


def test_another_seed_holds_out_other_images():
    first, second = (plan_samples(MNIST, Sampling(seed=seed, validation=0.1))["validation"] for seed in (0, 1))
    assert not np.array_equal(first.index, second.index)
    assert len(np.intersect1d(first.index, second.index)) < 150


@pytest.mark.parametrize("share", [1e-9, 0.99999])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(
        RecipeError, match=r"validation share of .* takes \d+ of 6000 training images; use --validation 0"
    ):
        plan_samples(MNIST, Sampling(validation=share))


@pytest.mark.parametrize("count", [1, 10, 599])
def test_a_smaller_count_takes_a_random_part_of_every_split(count):
    planned = plan_samples(THREE, Sampling(count=count))
    assert sizes(planned)["train"] == count
    assert sizes(planned)["validation"] == max(1, round(count * 200 / 600))
    assert sizes(planned)["test"] == max(1, round(count * 100 / 600))
    for samples in planned.values():
        assert len(np.unique(samples.index)) == len(samples)
    assert_disjoint(planned, THREE)


def test_a_smaller_count_is_no_prefix():
    index = plan_samples(THREE, Sampling(count=100))["train"].index[:, 0]
    assert index.max() > 400


def test_a_larger_count_repeats_the_images_evenly():
    planned = plan_samples(THREE, Sampling(count=1500))
    assert sizes(planned) == {"train": 1500, "validation": 500, "test": 250}
    assert set(np.bincount(planned["train"].index[:, 0])) == {2, 3}
    assert_disjoint(planned, THREE)


@given(count=st.integers(1, 3000), share=st.sampled_from([0.0, 0.1, 0.3]), seed=st.integers(-5, 5))
def test_the_training_split_has_exactly_count_samples(count, share, seed):
    planned = plan_samples(MNIST, Sampling(seed=seed, count=count, validation=share))
    assert sizes(planned)["train"] == count
    assert min(sizes(planned).values()) >= 1
    assert_disjoint(planned, MNIST)


def test_a_source_with_only_a_test_split_is_cut_to_count():
    planned = plan_samples(Labels({"test": 50}), Sampling(count=20))
    assert sizes(planned) == {"test": 20}


def test_other_splits_are_kept_with_their_names():
    planned = plan_samples(Labels({"train": 60, "test": 20, "holdout": 30}), Sampling(validation=0.5))
    assert list(planned) == ["train", "validation", "test", "holdout"]


# Copies


def test_copies_follow_their_image_and_carry_pose_and_label():
    planned = plan_samples(MNIST, Sampling(COPIES))
    own = MNIST.labels("train")
    samples = planned["train"]
    assert poses_of(COPIES) == (Element(), Element(180))
    assert set(own[samples.index[:, 0]]) == {3, 5}
    assert (np.diff(samples.index[:, 0]) >= 0).all()
    threes = own[samples.index[:, 0]] == 3
    assert samples.label[threes].tolist() == [0, 1] * (threes.sum() // 2)
    assert np.array_equal(samples.pose[threes], samples.label[threes])
    assert not samples.pose[~threes].any() and set(samples.label[~threes]) == {2}


def test_copies_of_one_image_stay_in_one_split():
    assert_disjoint(plan_samples(MNIST, Sampling(COPIES, validation=0.3)), MNIST)
    assert_disjoint(plan_samples(MNIST, Sampling(COPIES, count=37, validation=0.3)), MNIST)


@pytest.mark.parametrize("count", [20, 100, 500])
def test_a_count_of_copies_takes_whole_images(count):
    samples = plan_samples(MNIST, Sampling(find_recipe("mnist6-180"), count=count))["train"]
    assert len(samples) == count
    assert set(np.unique(samples.index, return_counts=True)[1]) == {2}


def test_keep_takes_a_share_from_the_front():
    samples = plan_samples(MNIST, Sampling(replace(COPIES, keep={"3": 0.25})))["train"]
    own = MNIST.labels("train")
    threes = np.flatnonzero(own == 3)
    assert np.array_equal(np.unique(samples.index[own[samples.index[:, 0]] == 3]), threes[: round(len(threes) / 4)])


def test_copies_per_image_is_the_mean_over_the_classes():
    assert copies_per_image(COPIES, MNIST.classes) == pytest.approx(0.3)
    assert copies_per_image(replace(COPIES, keep={"3": 0.5}), MNIST.classes) == pytest.approx(0.2)


# Pools


def test_a_pool_throws_the_splits_together():
    planned = plan_samples(MNIST, Sampling(POOL))
    assert sizes(planned) == POOL.counts
    assert_disjoint(planned, MNIST)
    origins = {origin for origin, _ in images(planned["test"], MNIST)}
    assert origins == {"train", "test"}
    for samples in planned.values():
        own = np.concatenate([MNIST.labels("train"), MNIST.labels("test")])
        assert np.array_equal(own[samples.index[:, 0]], samples.label)


@given(count=st.integers(1, 3000))
def test_a_pool_of_any_count(count):
    planned = plan_samples(MNIST, Sampling(POOL, count=count))
    assert sizes(planned) == scaled(dict(POOL.counts), count)
    assert_disjoint(planned, MNIST)


def test_a_pool_that_is_too_small_is_divided_in_proportion():
    planned = plan_samples(Labels({"train": 62}), Sampling(POOL))
    assert sizes(planned) == {"train": 10, "validation": 2, "test": 50}


# Pairs


def test_pairs_have_balanced_labels_and_fitting_images():
    planned = plan_samples(MNIST, Sampling(PAIRS, validation=1 / 6))
    assert sizes(planned) == PAIRS.counts
    assert_disjoint(planned, MNIST)
    for samples in planned.values():
        own = MNIST.labels(samples.origin[0])[samples.index]
        assert np.array_equal(own[:, 0] * 10 + own[:, 1], samples.label)


def test_pairs_are_drawn_evenly_from_a_class():
    samples = plan_samples(MNIST, Sampling(PAIRS, count=60_000))["train"]
    own = MNIST.labels("train")
    for c in (0, 7):
        members = np.flatnonzero(own == c)
        for part in range(2):
            drawn = samples.index[own[samples.index[:, part]] == c, part]
            counts = np.bincount(np.searchsorted(members, drawn), minlength=len(members))
            mean = counts.mean()
            assert 0.8 < counts.var() / mean < 1.25, "as a Poisson count has it"


def test_both_halves_of_a_pair_are_drawn_independently():
    samples = plan_samples(MNIST, Sampling(PAIRS, count=60_000))["train"]
    twins = samples.index[samples.label % 11 == 0]
    assert np.count_nonzero(twins[:, 0] == twins[:, 1]) < 40  # 6000 pairs among about 600 images a class: 10 expected


def test_every_split_draws_and_pairs_for_itself():
    """The test split is the training split again, so an equal choice would be seen as one."""

    class Twice(Labels):
        def labels(self, split: str) -> np.ndarray:
            return np.arange(self.splits[split]) % len(self.classes)

    source = Twice({"train": 2000, "test": 2000})
    even = replace(PAIRS, counts={"train": 300, "test": 300})
    pairs = plan_samples(source, Sampling(even))
    assert np.array_equal(pairs["train"].label, pairs["test"].label)
    assert (pairs["train"].index == pairs["test"].index).mean() < 0.05  # 200 images a class: 1 in 200 expected
    some = plan_samples(source, Sampling(count=200))
    common = np.intersect1d(some["train"].index, some["test"].index)
    assert len(common) < 60  # 20 expected


@given(
    splits=st.dictionaries(
        st.sampled_from(["train", "validation", "test", "extra"]), st.integers(200, 400), min_size=1
    ),
    recipe=st.sampled_from([PLAIN, COPIES, POOL, PAIRS]),
    count=st.none() | st.integers(1, 900),
    share=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 3),
)
def test_whatever_the_options_no_image_is_in_two_splits(splits, recipe, count, share, seed):
    source = Labels(splits)
    if recipe is PAIRS and list(splits) == ["extra"]:
        with pytest.raises(RecipeError, match=r"needs one of the splits train, validation, test; the source has extra"):
            plan_samples(source, Sampling(recipe))
        return
    planned = plan_samples(source, Sampling(recipe, seed, count, share))
    assert_disjoint({split: samples for split, samples in planned.items() if len(samples)}, source)
    again = plan_samples(source, Sampling(recipe, seed, count, share))
    for split, samples in planned.items():
        for name in ("index", "pose", "label"):
            assert np.array_equal(getattr(samples, name), getattr(again[split], name))
            assert len(getattr(samples, name)) == len(samples)
