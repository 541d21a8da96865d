"""The audit recovers what is known of freshly built images, and finds what is done to them."""

import json

import numpy as np
import pytest
import torch

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from symdata.inspection.asymmetry.advice import advice
from symdata.inspection.asymmetry.audit import _differing_by_class, audit
from symdata.inspection.asymmetry.labels import label_tests
from symdata.inspection.asymmetry.two_sample import Test
from symdata.inspection.asymmetry.views import fields
from symdata.inspection.source_audit import audit_source
from symdata.recipes.plan import resolve
from symdata.recipes.spec import Spec
from symdata.sources import open_source
from symdata.store import load, make


def images_of(symmetry, count, seed=1, size=20, **more):
    """Images, labels and class names of a build of glyphs."""
    plan = resolve(Spec(symmetry=symmetry, count=count, seed=seed, size=size, **more))
    batch = plan.batch("train", range(count))
    return [batch.images], np.asarray(batch.labels), plan.classes


@pytest.mark.parametrize("group", ["c4", "d4"])
def test_the_degree_of_our_own_builds_is_recovered(group):
    degrees = (0.0, 0.5, 1.0)
    found = [audit(*images_of(f"{group}-partial@{p}", 1000), group) for p in degrees]
    values = [one.degree.bound for one in found]
    assert values == sorted(values)
    np.testing.assert_allclose(values, degrees, atol=0.1)
    assert [one.is_symmetric for one in found] == [False] * 2 + [True]
    assert all(one.degree.lower <= one.degree.bound for one in found)


@pytest.fixture
def verdicts(monkeypatch):
    """For tests of verdicts alone: the degree, on which no verdict depends, is estimated in short."""
    monkeypatch.setattr("symdata.inspection.asymmetry.audit.SPLITS", 1)


@pytest.fixture
def denials(verdicts):
    """How often the verdict of some seeds is wrong."""

    def count_denials(group, seeds, count, size):
        return sum(not audit(*images_of(group, count, seed, size), group).is_symmetric for seed in seeds)

    return count_denials


def test_the_verdict_does_not_depend_on_the_degree(denials, monkeypatch):
    short = audit(*images_of("c4", 200, size=12), "c4")
    monkeypatch.undo()
    whole = audit(*images_of("c4", 200, size=12), "c4")
    assert short.tests == whole.tests and short.degree != whole.degree


def test_full_symmetry_is_seldom_denied(denials):
    """At 5 %, more than 3 of 12 has probability 0.002; 100 seeds are tried with `-m exhaustive`."""
    assert denials("d4", range(12), 240, 12) <= 3


@pytest.mark.exhaustive
@pytest.mark.parametrize("group", ["c4", "d4"])
def test_full_symmetry_is_denied_by_at_most_8_of_100_seeds(group, denials):
    assert denials(group, range(100), 400, 16) <= 8


def test_a_half_turn_is_kept_where_the_set_has_it(verdicts):
    found = audit(*images_of("c2", 800), "d4")
    assert {"e", "r180"} == set(found.kept)
    assert found.safe == "c2"
    assert "Augmenting with c2 is safe" in advice(found)[0]


@pytest.mark.parametrize(("low", "distance"), [(0.7, 0.4), (1.0, 1.0), (0.5, 0.0), (0.3, 0.0)])
def test_the_distance_is_bounded_by_what_is_certain(low, distance):
    """2 a - 1 at the lower end of the interval: half of two laws that differ in 40 % are told apart in 70 %."""
    found = Test("r90", "gray", accuracy=0.9, low=low, high=1.0, p_value=0.01, corrected=0.01)
    assert found.distance == pytest.approx(distance) == found.to_dict()["distance_at_least"]


def test_one_class_of_ten_needs_more_evidence_than_one_alone():
    """15 of 20 guesses are right with probability .021 by chance, and in one of ten classes with .19."""

    def lost(wins, n_classes):
        rows = [[2, -2]] * wins + [[-2, 2]] * (20 - wins)
        rows += ([[2, -2]] * 10 + [[-2, 2]] * 10) * (n_classes - 1)
        labels = np.repeat(np.arange(n_classes), 20)
        return _differing_by_class({"m": np.array(rows)}, labels, n_classes, Group.parse("d1"))

    assert lost(15, 1) == [("m",)] and lost(15, 10) == [()] * 10
    assert lost(19, 10) == [("m",), *[()] * 9]
    assert lost(20, 10)[0] == ("m",)


def test_classes_that_are_confused_as_they_are_do_not_turn_into_each_other():
    """Both letters are symmetric, and the labels of the test half are exchanged: so they are before any move."""
    source = open_source("glyphs:OX")
    images, labels = source.read("train", range(120)), source.labels("train")[:120]
    halves = np.arange(60), np.arange(60, 120)
    given = np.where(np.arange(120) < 60, labels, 1 - labels)
    acting = Group.parse("c4")
    (half, _) = label_tests(fields(images)["gray"], given, 2, acting, [0, 1, 2, 3], halves)
    assert half.unmoved < 0.1 and half.moved < 0.1 and half.cycles == ()


def test_what_cancels_over_the_classes_is_seen_within_them(verdicts):
    """b and d are each other's mirror images: their union is symmetric under the mirror, neither of them is."""
    found = audit(*images_of("none", 800, source="glyphs:bd"), "d1")
    views = {test.view: test for test in found.tests}
    assert views["by class"].differs and views["by class"].accuracy > 0.9
    assert not views["gray"].differs
    assert found.labels[0].cycles == ((0, 1),)
    assert any("b into d and back" in line for line in advice(found))
    assert found.safe == "none"


def test_a_half_pixel_between_colour_planes_is_found_and_named():
    (images,), labels, classes = images_of("d4", 800)
    wide = images.float()
    red = (wide + wide.roll(1, -1)) / 2.0
    coloured = torch.cat([red, wide, wide], dim=1).round().to(torch.uint8)
    found = audit([coloured], labels, classes, "d4")
    strongest = {element: tests[0].view for element, tests in found.differing.items()}
    assert strongest["r180"] == "planes"
    assert found.by_view["planes"].bound < 0.2 < 0.8 < found.degree.bound
    assert any(line.startswith("planes:") and "train on gray" in line for line in advice(found))


def test_sharpening_along_an_axis_is_found_and_the_half_turn_kept(verdicts):
    (images,), labels, classes = images_of("d4", 800)
    wide = images.float()
    sharp = (wide * 1.6 - 0.3 * (wide.roll(1, -1) + wide.roll(-1, -1))).clamp(0, 255).round().to(torch.uint8)
    found = audit([sharp], labels, classes, "d4")
    assert found.differing["r90"][0].view == "texture"
    assert set(found.kept) == {"e", "r180", "m", "r180m"}
    assert found.safe == "d2"


def test_a_scale_bar_is_found_at_the_border(verdicts):
    (images,), labels, classes = images_of("d4", 800, size=28)
    images = images.clone()
    images[:, :, -2, 2:8] = 255
    found = audit([images], labels, classes, "d4")
    border = [test for test in found.tests if test.view == "border"]
    assert all(test.differs and test.accuracy > 0.99 for test in border)
    assert any("a scale bar" in line and "crop the border" in line for line in advice(found))


def test_batches_and_order_of_reading_do_not_matter(verdicts):
    (images,), labels, classes = images_of("c4-partial@0.5", 400)
    whole = audit([images], labels, classes, "c4").to_dict()
    parts = audit(iter(torch.split(images, 64)), labels, classes, "c4").to_dict()
    assert [t["accuracy"] for t in whole["tests"]] == [t["accuracy"] for t in parts["tests"]]
    assert json.loads(json.dumps(whole, allow_nan=False))["classes"][0]["name"] == "O"


def test_recorded_elements_are_not_read(tmp_path):
    make(Spec(symmetry="d4-partial@0.5", count=600, size=16), tmp_path / "a")
    found = audit_source(tmp_path / "a", limit=400)
    dataset = load(tmp_path / "a")
    assert (found.split, found.audit.images, found.shape) == ("train", 400, dataset.shape)
    assert found.audit.degree.bound == pytest.approx(0.5, abs=0.25)


def test_classes_without_images_and_rare_ones_are_passed_over():
    (images,), labels, classes = images_of("d4", 320)
    found = audit([images[:200]], np.minimum(labels[:200], 3), (*classes[:4], "none of this"), "c4")
    assert found.classes[4].degree is None
    assert found.classes[4].images == 0


def test_a_class_for_each_image_is_audited_all_the_same(verdicts):
    (images,), _, _ = images_of("none", 120)
    found = audit([images], np.arange(120), tuple(map(str, range(120))), "c4")
    assert found.differing
    assert all(not row.differs for row in found.classes)


def test_blank_images_are_symmetric():
    found = audit([torch.zeros(100, 3, 16, 16, dtype=torch.uint8)], np.arange(100) % 2, ("a", "b"))
    assert found.is_symmetric
    assert found.degree.bound == 1.0


def test_images_that_are_not_square_are_audited_by_mirrors_and_half_turns(verdicts):
    (images,), labels, classes = images_of("none", 320)
    found = audit([images[..., 2:-2, :]], labels, classes)
    assert found.group.name == "d2"
    assert {test.element for test in found.tests} == {"r180", "m", "r180m"}


@pytest.mark.parametrize(
    ("cut", "group", "error", "sentence"),
    [
        (np.s_[:79], None, ShapeError, "79 images are too few"),
        (np.s_[:, :, :7, :7], None, ShapeError, "images are 7x7, .*sides of 8 or more"),
        (np.s_[:, :, 2:-2], "d4", ShapeError, "images are 16x20, .*use --group d2"),
        (np.s_[:, :, 2:-2], "c4", ShapeError, "use --group c2"),
        (np.s_[:], "c8", SymmetryError, "'c8' is no group that moves pixels.*use one of d4"),
        (np.s_[:], "so2", SymmetryError, "'so2' is no group that moves pixels"),
        (np.s_[:], "none", SymmetryError, "'none' is no group"),
        (np.s_[:], "d5x", SymmetryError, "'d5x' is not a group"),
    ],
)
def test_refusals_name_the_mend(cut, group, error, sentence):
    (images,), labels, classes = images_of("none", 160)
    images = images[cut]
    with pytest.raises(error, match=sentence) as caught:
        audit([images], labels[: len(images)], classes, group)
    assert "\n" not in str(caught.value)
