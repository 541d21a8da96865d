"""Exchanges of labels: found where they are, and not claimed from the mistakes of a classifier of few images."""

import os
from pathlib import Path

import numpy as np
import pytest

from symdata.groups import Group
from symdata.inspection.asymmetry.advice import advice
from symdata.inspection.asymmetry.exchanges import RIDGE, Exchanges, cycles, distances
from symdata.inspection.asymmetry.labels import label_tests
from symdata.inspection.asymmetry.views import fields
from symdata.inspection.source_audit import audit_source
from symdata.sources import open_source

MNIST = Path(os.environ.get("SYMDATA_TEST_DATA", "nowhere"), "mnist")


def two_blobs(n=60, swap=0.5, seed=0):
    """Features of two classes of n points in the plane, and moved ones of which a share stands where the other was."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], n)
    known = rng.normal(size=(2 * n, 2)) * 0.3 + np.array([[-2, 0], [2, 0]])[labels]
    turned = np.tile(np.arange(n) < swap * n, 2)
    return known, labels, np.where(turned[:, None], -known, known)


def test_the_classifier_never_saw_the_image_that_it_labels():
    known, labels, moved = two_blobs(8)
    found = Exchanges(known, labels, 2)._scores(moved)
    for i in range(16):
        rest = np.arange(16) != i
        kernel = np.exp(-distances(known[rest], known[rest]) / np.median(distances(known, known))) + RIDGE * np.eye(15)
        weights = np.linalg.solve(kernel, np.eye(2)[labels[rest]])
        at = np.exp(-distances(moved[i : i + 1], known[rest]) / np.median(distances(known, known)))
        assert found[i] == pytest.approx((at @ weights)[0])


def test_an_exchange_needs_a_share_a_p_value_and_images():
    known, labels, moved = two_blobs(60, swap=0.8)
    (found,) = Exchanges(known, labels, 2).find(moved, 2, tests=1)
    assert found.cycle == (0, 1) and found.p_value < 1e-6 and found.images == 60 and found.is_told(2)
    assert not found.is_told(5)  # of five classes each would need 75
    assert Exchanges(known, labels, 2).find(known, 2, tests=1) == ()
    assert Exchanges(known, labels, 2).find(two_blobs(60, swap=0.3)[2], 2, tests=1) == ()
    known, labels, moved = two_blobs(30, swap=0.6)
    found = [Exchanges(known, labels, 2).find(moved, 2, tests)[0] for tests in (1, 10**7)]
    assert found[0].is_told(2) and not found[1].is_told(2)  # the same shares, corrected for more tests
    assert Exchanges(known, labels, 2).too_few() == ""
    assert "smallest class has 9, and 30 are needed; raise --limit" in Exchanges(*two_blobs(9)[:2], 2).too_few()


def test_cycles_close_and_divide_the_order():
    turn = np.roll(np.eye(4), 1, axis=1)
    assert cycles(turn, 4) == ((0, 1, 2, 3),) and cycles(turn, 2) == () and cycles(0.39 * turn, 4) == ()
    pair = np.eye(4)[[1, 0, 2, 3]]
    assert cycles(pair - np.eye(4), 2)[0] == (0, 1)


@pytest.mark.parametrize(("count", "cycle"), [(160, ((0, 1),)), (24, ())])
def test_letters_that_are_mirror_images(count, cycle):
    source = open_source("glyphs:bdO", size=14)
    images, labels = source.read("train", range(count)), source.labels("train")[:count]
    halves = np.arange(count // 2), np.arange(count // 2, count)
    (found,) = label_tests(fields(images)["gray"], labels, 3, Group.parse("d1"), [0, 4], halves)
    assert found.cycles == cycle and len(found.p_values) == len(cycle)
    assert bool(found.unsure) == (count == 24) and all(p < 0.05 for p in found.p_values)


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST in $SYMDATA_TEST_DATA")
def test_mnist():
    few = audit_source(MNIST, group="c2", limit=400).audit
    assert [test.cycles for test in few.labels] == [()]
    (sentence,) = [line for line in advice(few) if "labels are exchanged" in line]
    assert sentence.endswith("the smallest class has 32, and 150 are needed; raise --limit or add images.")
    assert not any("seems to turn" in line or ":none" in line for line in advice(few))
    assert "too few images" in str(few)
    enough = audit_source(MNIST, group="c2").audit
    assert [test.cycles for test in enough.labels] == [((6, 9),)] and not enough.labels[0].unsure
    assert any("r180 seems to turn 6 into 9 and back" in line for line in advice(enough))
