"""The datasets of the literature: the table, and each recipe on the real MNIST against the facts of its paper."""

import numpy as np
import pytest
import torch
from scipy import stats

from symdata.errors import RecipeError
from symdata.groups import Element
from symdata.recipes.catalog import find_recipe, is_recipe, levels, list_recipes
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import Spec
from symdata.symmetry import Symmetry
from symdata.transforms.action import act
from tests.support.folders import p_value

NAMES = [recipe.name for recipe in list_recipes() if "<" not in recipe.name]
ON_MNIST = [recipe.name for recipe in list_recipes() if recipe.source.startswith("hub:")]
SIX = {"train": 5918, "test": 958}
"""Sixes in MNIST."""

pytestmark = pytest.mark.usefixtures("opened_once")


def planned(mnist: str, name: str, **spec) -> DatasetPlan:
    return resolve(Spec(recipe=name, source=mnist if name in ON_MNIST else None, **spec))


def source_labels(plan: DatasetPlan, split: str) -> np.ndarray:
    """Source labels of the (first) source image of each sample of a split."""
    samples = plan.samples[split]
    return np.concatenate([plan.source.labels(origin) for origin in samples.origin])[samples.index[:, 0]]


# The table


def test_the_recipes_are_these():
    graded = "graded-<group>"
    pairs = [f"ddmnist-{group}" for group in ("c1", "c3", "c4", "so2", "d1", "d3", "d4", "o2")]
    others = """
        rotmnist rotmnist-60 rotmnist-60-90 mnist-multiple mnist-c2c4
        mnist6-180 mnist6-m mnist67-180 mnist678-180 mnist-180 updown45 digit-quadrant quadrant
    """
    assert {recipe.name for recipe in list_recipes()} == {graded, *pairs, *others.split()}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_listed_is_accepted(name):
    recipe = find_recipe(name)
    assert is_recipe(name) and recipe.name == name
    assert levels(name) == [name]
    assert recipe.about and recipe.paper
    for text in filter(None, (recipe.symmetry, recipe.test_symmetry)):
        Symmetry.parse(text)


def test_the_graded_family_has_ten_levels_of_rising_weight():
    assert levels("graded-d4") == [f"graded-d4-{level}" for level in range(10)]
    degrees = [Symmetry.parse(find_recipe(name).symmetry).degree for name in levels("graded-c8")]
    assert np.allclose(degrees, np.arange(10) / 9)


@pytest.mark.parametrize("group", ["c4", "d4", "c8", "so2", "o2"])
def test_all_levels_of_a_family_take_one_path(group):
    """Otherwise only the upright level would be sharp, and sharpness would reveal the level."""
    kernels = {resolve(Spec(recipe=name, count=20)).how for name in levels(f"graded-{group}")}
    assert len(kernels) == 1
    assert next(iter(kernels)).is_exact == (group in ("c4", "d4"))


ROT = ({"train": 10_000, "validation": 2_000, "test": 50_000}, True)
"""Counts of the rotated MNIST of Larochelle et al., and whether they are drawn from all splits together."""
PAIR = ({"train": 10_000, "validation": 2_000, "test": 5_000}, False)
OWN: tuple[dict[str, int], bool] = ({}, False)
MULTIPLE = "0:none,1:so2@-18..18,2:so2@-36..36,3:so2@-54..54,4:so2@-72..72,5:so2@-90..90,6:so2@-108..108"
MULTIPLE += ",7:so2@-126..126,8:so2@-144..144,9:so2@-162..162"
PAPERS = {
    "rotmnist": ("so2", *ROT),
    "rotmnist-60": ("so2@-60..60", *ROT),
    "rotmnist-60-90": ("0-4:so2@-60..60,5-9:so2@-90..90", *ROT),
    "mnist-multiple": (MULTIPLE, *ROT),
    "mnist-c2c4": ("0-4:c2,5-9:c4", *ROT),
    **dict.fromkeys("mnist6-180 mnist6-m mnist67-180 mnist678-180 mnist-180".split(), ("none", *OWN)),
    "updown45": ("so2@-45..45", *OWN),
    "digit-quadrant": ("none", *OWN),
    "quadrant": ("none", *OWN),
    **{f"ddmnist-{group}": (group, *PAIR) for group in "c1 c3 c4 so2 d1 d3 d4 o2".split()},
    **{f"graded-c4-{k}": (f"c4-partial@{w}", *OWN) for k, w in {3: 1 / 3, 6: 2 / 3}.items()},
    "graded-c4-0": ("none", *OWN),
    "graded-d4-9": ("d4", *OWN),
}


@pytest.mark.parametrize("name", PAPERS)
def test_symmetry_and_counts_are_those_of_the_paper(name):
    recipe = find_recipe(name)
    assert (recipe.symmetry, dict(recipe.counts), recipe.pool) == PAPERS[name]
    assert recipe.test_symmetry is None and recipe.validation == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("mnist6-180", "6 upright, 6 turned"),
        ("mnist6-m", "6 upright, 6 mirrored"),
        ("mnist67-180", "6 upright, 6 turned, 7"),
        ("mnist678-180", "6 upright, 6 turned, 7, 8 upright, 8 lying"),
        ("mnist-180", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("updown45", "A up, A down, F up, F down"),
        ("rotmnist", ""),
    ],
)
def test_labels_have_these_names(name, labels):
    assert ", ".join(find_recipe(name).class_names) == labels


def test_copies_and_labels_are_those_of_the_paper():
    """(class, turn or mirror, label), and the share of a class that is used."""
    poses = {
        "mnist6-180": "6 e 0, 6 r180 1",
        "mnist6-m": "6 e 0, 6 m 1",
        "mnist67-180": "6 e 0, 6 r180 1, 7 e 2, 7 r180 2",
        "mnist678-180": "6 e 0, 6 r180 1, 7 e 2, 7 r180 2, 8 e 3, 8 r90 4",
        "mnist-180": ", ".join(f"{c} e {c}, {c} r180 {y}" for c, y in zip("0123456789", "0123459786", strict=True)),
        "updown45": "A e 0, A r180 1, F e 2, F r180 3",
    }
    keep = {"mnist67-180": {"7": 0.5}, "mnist678-180": {"7": 0.5}, "mnist-180": {str(c): 0.25 for c in range(10)}}
    for name in NAMES:
        recipe = find_recipe(name)
        found = [f"{c} {pose.element} {pose.label}" for c, many in recipe.poses.items() for pose in many]
        assert ", ".join(found) == poses.get(name, "")
        assert dict(recipe.keep) == keep.get(name, {})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mnist", r"no recipe 'mnist'; there are rotmnist, .*, graded-<group>"),
        ("graded-c4-10", r"not graded-<group>-<level>, level 0 to 9, as in graded-c4-3"),
        ("graded-c4-x", r"not graded-<group>-<level>"),
        ("graded-c4", r"not graded-<group>-<level>"),
        ("graded--3", r"not graded-<group>-<level>"),
        ("graded-c4-²", r"not graded-<group>-<level>"),
        ("graded-k4-3", r"recipe 'graded-k4-3': 'k4' is not a group; expected one of none, c1"),
        ("graded-so2@-45..45-3", r"'so2@-45..45' is not a group"),
    ],
)
def test_other_names_are_refused(name, sentence):
    with pytest.raises(RecipeError, match=sentence):
        find_recipe(name)


# Each on MNIST


@pytest.mark.parametrize("name", NAMES)
def test_no_source_image_is_in_two_splits(mnist, name):
    plan = planned(mnist, name)
    assert list(plan.samples) == ["train", "validation", "test"]
    seen: dict[tuple[str, int], str] = {}
    for split, samples in plan.samples.items():
        sizes = [plan.source.splits[origin] for origin in samples.origin]
        place = np.searchsorted(np.cumsum(sizes), np.unique(samples.index), side="right")
        starts = np.cumsum([0, *sizes])
        for origin, index in zip(place.tolist(), np.unique(samples.index).tolist(), strict=True):
            image = (samples.origin[origin], index - starts[origin])
            assert seen.setdefault(image, split) == split


@pytest.mark.parametrize("name", NAMES)
def test_the_first_images_of_each_can_be_made(mnist, name):
    plan = planned(mnist, name, count=200)
    for split in plan.samples:
        batch = plan.batch(split, range(4))
        assert batch.images.shape == (4, *plan.shape) and batch.images.dtype == torch.uint8
        assert batch.labels.max() < len(plan.classes)


@pytest.mark.parametrize(("name", "element"), [("mnist6-180", Element(180)), ("mnist6-m", Element(0, True))])
def test_mnist6_has_the_official_counts_and_both_labels_equally(mnist, name, element):
    plan = planned(mnist, name, validation=0.0)
    assert {split: len(samples) for split, samples in plan.samples.items()} == {"train": 11_836, "test": 1_916}
    for split, samples in plan.samples.items():
        assert np.bincount(samples.label).tolist() == [SIX[split]] * 2
        assert set(source_labels(plan, split)) == {6}
        batch = plan.batch(split, range(40))
        upright = plan.upright(split, range(40))[:, 0]
        for image, label, original in zip(batch.images, batch.labels, upright, strict=True):
            assert torch.equal(image, act(original[None], element if label else Element())[0])


def test_mnist6_has_a_validation_split_of_its_own_by_default(mnist):
    plan = planned(mnist, "mnist6-180")
    sizes = {split: len(samples) for split, samples in plan.samples.items()}
    assert sizes["train"] + sizes["validation"] == 11_836 and sizes["test"] == 1_916
    assert sizes["validation"] == pytest.approx(11_836 / 6, rel=0.1)
    for samples in plan.samples.values():
        assert len(set(np.bincount(samples.label))) == 1


@pytest.mark.parametrize("name", ["rotmnist", "rotmnist-60", "rotmnist-60-90", "mnist-multiple", "mnist-c2c4"])
def test_rotmnist_and_its_kin_have_the_official_counts(mnist, name):
    plan = planned(mnist, name)
    sizes = {split: len(samples) for split, samples in plan.samples.items()}
    assert sizes == {"train": 10_000, "validation": 2_000, "test": 50_000}
    own = {split: np.bincount(source_labels(plan, split)) / size for split, size in sizes.items()}
    assert np.allclose(own["train"], own["test"], atol=0.015), "the pool is shuffled"


def test_the_angles_of_rotmnist_are_uniform(mnist):
    plan = planned(mnist, "rotmnist")
    (elements,) = plan.elements("train", range(10_000))
    assert not elements.flip.any()
    assert stats.kstest(elements.angle / 360, "uniform").pvalue > 0.001
    (other,) = plan.elements("test", range(10_000))
    assert not np.allclose(elements.angle, other.angle), "each split draws for itself"


def signed(angle: np.ndarray) -> np.ndarray:
    return (angle + 180.0) % 360.0 - 180.0


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("rotmnist-60", [60] * 10),
        ("rotmnist-60-90", [60] * 5 + [90] * 5),
        ("mnist-multiple", [18 * c for c in range(10)]),
    ],
)
def test_the_angles_of_each_class_fill_their_arc(mnist, name, limit):
    plan = planned(mnist, name)
    (elements,) = plan.elements("test", range(20_000))
    label = plan.labels("test", range(20_000))
    for c in range(10):
        angle = signed(elements.angle[label == c])
        if limit[c] == 0:
            assert not angle.any()
        else:
            assert np.abs(angle).max() <= limit[c]
            assert stats.kstest((angle / limit[c] + 1) / 2, "uniform").pvalue > 0.001


def test_mnist_c2c4_turns_half_of_the_classes_by_halves(mnist):
    plan = planned(mnist, "mnist-c2c4")
    assert plan.how.is_exact
    (elements,) = plan.elements("test", range(50_000))
    label = plan.labels("test", range(50_000))
    for c in range(10):
        counts = np.bincount((elements.angle[label == c] / 90).astype(int), minlength=4)
        if c < 5:
            assert counts[1] == counts[3] == 0
            counts = counts[[0, 2]]
        assert p_value(counts, np.full(len(counts), 1 / len(counts))) > 0.001


def test_mnist67_180(mnist):
    plan = planned(mnist, "mnist67-180", validation=0.0)
    own, samples = source_labels(plan, "train"), plan.samples["train"]
    sevens = round(np.count_nonzero(plan.source.labels("train") == 7) * 0.5)
    assert np.bincount(samples.label).tolist() == [SIX["train"], SIX["train"], 2 * sevens]
    turned = np.array([pose == Element(180) for pose in plan.poses])[samples.pose]
    assert np.array_equal(samples.label, np.where(own == 7, 2, turned))
    assert np.count_nonzero(turned) * 2 == len(samples)


def test_mnist678_180(mnist):
    plan = planned(mnist, "mnist678-180", validation=0.0)
    own, samples = source_labels(plan, "train"), plan.samples["train"]
    eights = np.count_nonzero(plan.source.labels("train") == 8)
    assert np.bincount(samples.label)[3:].tolist() == [eights, eights]
    poses = np.array([plan.poses[pose].angle for pose in samples.pose])
    assert set(poses[samples.label == 4]) == {90.0} and set(own[samples.label == 4]) == {8}
    assert set(poses[samples.label == 3]) == {0.0}
    assert plan.group("train").name == "c4"


def test_mnist_180_swaps_6_and_9(mnist):
    plan = planned(mnist, "mnist-180", validation=0.0)
    own, samples = source_labels(plan, "train"), plan.samples["train"]
    turned = np.array([pose == Element(180) for pose in plan.poses])[samples.pose]
    swapped = np.array([0, 1, 2, 3, 4, 5, 9, 7, 8, 6])
    assert np.array_equal(samples.label, np.where(turned, swapped[own], own))
    quarter = [round(n / 4) for n in np.bincount(plan.source.labels("train"))]
    assert np.bincount(own[~turned]).tolist() == quarter
    # "first quarter": in the order of the file
    sixes = np.flatnonzero(plan.source.labels("train") == 6)
    assert np.array_equal(np.unique(samples.index[own == 6, 0]), sixes[: quarter[6]])


def test_updown45_stands_or_hangs_within_45_degrees():
    plan = resolve(Spec(recipe="updown45", count=2000))
    batch = plan.batch("train", range(2000))
    angle = signed(batch.elements[0].angle - np.where(batch.labels % 2, 180.0, 0.0))
    assert np.abs(angle).max() <= 45.0001
    assert stats.kstest((angle / 45 + 1) / 2, "uniform").pvalue > 0.001
    assert np.bincount(batch.labels).tolist() == [500] * 4
    letters = np.array(plan.source.classes)[source_labels(plan, "train")]
    assert [name[0] for name in np.array(plan.classes)[batch.labels]] == letters.tolist()
