"""From a spec to images: a pure function of (spec, split, index)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symdata.groups import Elements
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import Spec
from symdata.sources import open_source
from symdata.transforms.action import act
from tests.support.folders import D4_PARTIAL, by_numpy, p_value
from tests.support.images import noise, write_idx


@pytest.fixture
def small(tmp_path: Path) -> str:
    """12 + 4 gray images of 9x9, three classes."""
    write_idx(tmp_path / "small", noise(12, 9, 9), np.arange(12) % 3)
    return str(write_idx(tmp_path / "small", noise(4, 9, 9, seed=1), np.arange(4) % 3, "t10k"))


def all_of(plan: DatasetPlan, split: str, step: int) -> list[torch.Tensor | np.ndarray]:
    """Images, labels, angles of a split, made `step` at a time."""
    batches = [
        plan.batch(split, range(a, min(a + step, len(plan.samples[split]))))
        for a in range(0, len(plan.samples[split]), step)
    ]
    return [
        torch.cat([batch.images for batch in batches]).numpy(),
        np.concatenate([batch.labels for batch in batches]),
        *(np.concatenate([b.elements[part].angle for b in batches]) for part in range(len(batches[0].elements))),
    ]


SYMMETRIES = ["none", "d4-partial", "c8", "so2", "o2-partial@0.3", "so2@45~20", "0-4:d4,rest:none", "0:so2,rest:c4"]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_batches_of_any_size_give_the_same(symmetry):
    plan = resolve(Spec(symmetry=symmetry, count=300, size=17))
    whole = all_of(plan, "train", 300)
    for step in (17, 128):
        for a, b in zip(whole, all_of(plan, "train", step), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("recipe", ["updown45", "quadrant", "digit-quadrant", "ddmnist-o2", "mnist678-180", "rotmnist"])
def test_batches_of_recipes_of_any_size_give_the_same(recipe):
    source = None if recipe == "updown45" else "glyphs:digits"
    plan = resolve(Spec(recipe=recipe, source=source, count=200))
    for split in plan.samples:
        whole = all_of(plan, split, 10_000)
        for a, b in zip(whole, all_of(plan, split, 23), strict=True):
            assert np.array_equal(a, b)


@given(start=st.integers(0, 99), length=st.integers(1, 30), symmetry=st.sampled_from(SYMMETRIES))
def test_a_batch_is_a_slice_of_the_whole(start, length, symmetry):
    plan = resolve(Spec(symmetry=symmetry, count=130, size=9))
    whole, part = plan.batch("train", range(130)), plan.batch("train", range(start, start + length))
    assert torch.equal(whole.images[start : start + length], part.images)
    assert np.array_equal(whole.elements[0].angle[start : start + length], part.elements[0].angle)


@pytest.mark.parametrize("recipe", ["updown45", "quadrant", "ddmnist-o2"])
def test_samples_may_be_made_in_any_order(recipe):
    plan = resolve(Spec(recipe=recipe, source=None if recipe == "updown45" else "glyphs:digits", count=100))
    whole, order = plan.batch("train", range(100)), np.random.default_rng(0).integers(0, 100, 40)
    some = plan.batch("train", order)
    assert torch.equal(some.images, whole.images[order])
    assert np.array_equal(some.labels, whole.labels[order]) and np.array_equal(some.index, whole.index[order])


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_each_image_is_the_recorded_element_of_its_source_image(symmetry):
    plan = resolve(Spec(symmetry=symmetry, count=200))
    batch = plan.batch("train", range(200))
    upright = plan.source.read("train", batch.index[:, 0])
    # Angles are recorded as float32, and the image must be that of the recorded angle.
    recorded = Elements(batch.elements[0].angle.astype(np.float32).astype(np.float64), batch.elements[0].flip)
    how = plan.how
    moved = act(upright, recorded, resample=how.kernel, mask=how.mask, padding=how.padding)
    assert torch.equal(batch.images, moved)
    if how.is_exact:
        assert np.array_equal(batch.images, by_numpy(upright, recorded))
    else:
        assert not torch.equal(batch.images, upright), "the identity is resampled as well"


def test_the_recorded_angle_of_a_pose_and_a_turn_is_the_one_that_was_used():
    plan = resolve(Spec(recipe="updown45", count=400))
    batch = plan.batch("train", range(400))
    angle = batch.elements[0].angle
    assert np.array_equal(angle, angle.astype(np.float32).astype(np.float64))
    assert (angle < 360).all() and (angle >= 0).all()


def test_the_pose_acts_first_and_the_symmetry_after_it():
    """A mirror and a quarter turn do not commute, so the other order is another image."""
    plan = resolve(Spec(recipe="mnist6-m", source="glyphs:digits", symmetry="c4", count=200))
    batch, upright = plan.batch("train", range(200)), plan.upright("train", range(200))[:, 0]
    mirrored = torch.where(torch.from_numpy(batch.labels)[:, None, None, None] == 1, upright.flip(-1), upright)
    quarters = (plan.drawn("train", range(200))[0].angle / 90).astype(int)
    expected = [torch.rot90(image, int(k), (-2, -1)) for image, k in zip(mirrored, quarters, strict=True)]
    assert torch.equal(batch.images, torch.stack(expected))
    assert set(zip(batch.labels.tolist(), quarters.tolist(), strict=True)) == {(y, k) for y in (0, 1) for k in range(4)}


def test_the_same_seed_gives_the_same_and_another_seed_another():
    first, again, other = (resolve(Spec(symmetry="d4", count=500, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first.batch("train", range(500)).images, again.batch("train", range(500)).images)
    assert not torch.equal(first.batch("train", range(500)).images, other.batch("train", range(500)).images)


def test_the_splits_draw_independently():
    plan = resolve(Spec(symmetry="d4", count=4000))
    drawn = {split: plan.group(split).indices(plan.elements(split, range(600))[0]) for split in plan.samples}
    assert (drawn["train"][:600] == drawn["test"]).mean() < 0.25
    assert (drawn["validation"] == drawn["test"]).mean() < 0.25


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_elements_of_every_class_follow_the_spec(split):
    plan = resolve(Spec(symmetry="0-7:d4-partial,8-9:c4,rest:none", count=30_000))
    n = len(plan.samples[split])
    label, index = plan.labels(split, range(n)), plan.group(split).indices(plan.elements(split, range(n))[0])
    for c in range(16):
        counts = np.bincount(index[label == c], minlength=8)
        if c < 8:
            assert p_value(counts, D4_PARTIAL) > 0.0005
        elif c < 10:
            assert not counts[4:].any() and p_value(counts[:4], np.full(4, 0.25)) > 0.0005
        else:
            assert counts[0] == counts.sum()


def test_symmetry_of_the_label_that_a_canvas_makes():
    """`quadrant` has 40 labels, and a symmetry per class is about these."""
    plan = resolve(Spec(recipe="quadrant", source="glyphs:digits", count=2000, symmetry="0-9:c4,rest:none"))
    batch = plan.batch("train", range(2000))
    turned = batch.elements[0].angle != 0
    assert turned[batch.labels < 10].mean() > 0.6 and not turned[batch.labels >= 10].any()


def test_the_test_split_may_have_a_symmetry_of_its_own():
    plan = resolve(Spec(symmetry="none", test_symmetry="d4", count=600))
    assert [str(s) for s in plan.symmetries.values()] == ["none", "none", "d4"]
    assert plan.group("train").name == "c1" and plan.group("test").name == "d4"
    assert not plan.elements("train", range(600))[0].angle.any()
    assert plan.elements("test", range(100))[0].angle.any()


def test_resampling_is_decided_for_the_whole_dataset():
    plan = resolve(Spec(symmetry="none", test_symmetry="so2", count=60))
    assert (plan.how.kernel, plan.how.mask) == ("halves", "disk")
    batch = plan.batch("train", range(60))
    assert not torch.equal(batch.images, plan.upright("train", range(60))[:, 0])
    assert resolve(Spec(symmetry="0:c8,rest:none", count=60)).how.kernel == "halves"
    assert resolve(Spec(symmetry="c8@-90..90", count=60)).how.kernel == "halves"
    assert resolve(Spec(symmetry="c8@-90..-90", count=60)).how.is_exact, "that is a quarter turn"
    assert resolve(Spec(symmetry="d4", supersample=3, count=60)).how.kernel == "bilinear"
    assert resolve(Spec(symmetry="d4", mask="disk", count=60)).how.is_exact


def test_a_source_with_its_own_splits_and_sizes(small):
    plan = resolve(Spec(source=small, symmetry="d4", validation=0.25))
    assert {split: len(samples) for split, samples in plan.samples.items()} == {"train": 9, "validation": 3, "test": 4}
    assert plan.name == "small-d4" and plan.classes == ("0", "1", "2") and plan.shape == (1, 9, 9)
    assert resolve(Spec(source=small, size=12)).shape == (1, 12, 12)


def test_a_larger_count_draws_new_elements(small):
    plan = resolve(Spec(source=small, symmetry="so2", count=48))
    batch = plan.batch("train", range(48))
    assert np.bincount(batch.index[:, 0]).tolist() == [4] * 12
    assert len(np.unique(batch.elements[0].angle)) == 48


def test_glyphs_come_in_any_number_without_repetition():
    plan = resolve(Spec(count=20_000, symmetry="d4"))
    assert {split: len(samples) for split, samples in plan.samples.items()} == {
        "train": 20_000,
        "validation": 3333,
        "test": 3333,
    }
    assert len(np.unique(plan.samples["train"].index)) == 20_000
    small = resolve(Spec(count=50, symmetry="d4"))
    assert len(small.samples["train"]) == 50


def test_names_of_folders():
    assert resolve(Spec(count=20)).name == "glyphs-none"
    assert resolve(Spec(count=20, symmetry="so2@-45..45")).name == "glyphs-so2_at_m45_to_45"
    assert resolve(Spec(count=20, recipe="updown45")).name == "updown45"
    assert resolve(Spec(count=20, recipe="updown45", symmetry="c4")).name == "updown45-c4"


def test_a_source_without_revision_is_its_own_pin():
    assert resolve(Spec(count=20)).pinned is None
    assert resolve(Spec(source="glyphs:OX", count=20)).pinned == "glyphs:OX"


def test_a_plan_shows_its_splits():
    plan = resolve(Spec(source="glyphs:OX", symmetry="d4-partial", test_symmetry="so2", count=1200, size=20))
    assert str(plan).splitlines() == [
        "split       images  size     symmetry        degree",
        "----------  ------  -------  --------------  ------",
        "train       1,200   20x20x1  d4-partial@0.5  0.500",
        "validation  200     20x20x1  d4-partial@0.5  0.500",
        "test        200     20x20x1  so2             1.000",
    ]
    assert plan._repr_html_().count("<tr>") == 4
    assert plan.to_dict()["splits"]["test"] == {"num_examples": 200, "symmetry": "so2"}
    assert Spec.from_dict(plan.to_dict()["spec"]) == plan.spec


def test_the_group_of_a_split_contains_its_poses():
    groups = {"mnist6-180": "c2", "mnist6-m": "d1", "mnist678-180": "c4", "rotmnist": "so2"}
    for recipe, group in groups.items():
        plan = resolve(Spec(recipe=recipe, source="glyphs:digits", count=100))
        assert plan.group("train").name == group
        assert all(pose in plan.group("train") for pose in plan.poses)


REAL = ["mnist", "cifar10", "histology", "blood_cells", "radio_galaxies"]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("symmetry", ["d4-partial", "so2", "0:c8,rest:none"])
def test_real_images(data, name, symmetry):
    source = open_source(str(data / name))
    plan = resolve(Spec(source=str(data / name), symmetry=symmetry, count=100 if name == "radio_galaxies" else 300))
    for split in plan.samples:
        n = min(60, len(plan.samples[split]))
        batch = plan.batch(split, range(n))
        upright = source.read(split, batch.index[:, 0])
        assert np.array_equal(batch.labels, source.labels(split)[batch.index[:, 0]])
        if plan.how.is_exact:
            assert np.array_equal(batch.images, by_numpy(upright, batch.elements[0]))
        else:
            moved = act(upright, batch.elements[0], resample=plan.how.kernel, mask=plan.how.mask)
            assert torch.equal(batch.images, moved)
