"""Copies of one picture are found, moved or not, and do not make an audit see an upright that is not there."""

import numpy as np
import pytest
import torch

from symdata.errors import ShapeError
from symdata.groups import Elements, Group
from symdata.inspection.asymmetry.audit import audit
from symdata.inspection.asymmetry.copies import copies
from symdata.inspection.asymmetry.views import fields
from symdata.sources import open_source
from symdata.transforms.action import act

D4 = Group.parse("d4")


def gray(images):
    return fields(images)["gray"]


@pytest.fixture(scope="module")
def turned():
    """120 digits, each moved by an element of c4 at random: (120, 1, 28, 28)."""
    images = open_source("glyphs:digits", size=28).read("train", np.arange(120))
    c4 = Group.parse("c4")
    moves = Elements.of([c4.elements[k] for k in np.random.default_rng(0).integers(0, 4, 120)])
    return act(images, moves)


@pytest.mark.parametrize("element", D4.elements, ids=str)
def test_a_moved_image_is_a_copy_under_the_groups_that_move_it_so(turned, element):
    images = torch.cat([turned[:6], act(turned[2:3], element)])
    for group in map(Group.parse, ("c2", "c4", "d1", "d4")):
        found = copies(gray(images), [D4.index(e) for e in group.elements])
        assert found.tolist() == [False] * 6 + [element in group]


@pytest.mark.parametrize(("noise", "expected"), [(0.0, True), (1.0, True), (40.0, False)])
def test_a_little_noise_hides_no_copy(turned, noise, expected):
    drawn = noise * torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    again = (turned[:1] + drawn).round().clip(0, 255).to(torch.uint8)
    assert copies(gray(torch.cat([turned[:1], again])), [0]).tolist() == [False, expected]


def test_brighter_images_are_copies_and_empty_ones_are_not(turned):
    bright = (turned[:1].float() * 0.5 + 100).round().to(torch.uint8)
    assert copies(gray(torch.cat([turned[:1], bright])), [0]).tolist() == [False, True]
    assert not copies(gray(torch.full((3, 1, 9, 9), 7, dtype=torch.uint8)), list(range(8))).any()


def test_different_images_of_real_sets_are_no_copies(data):
    images = open_source(str(data / "mnist")).read("train", np.arange(600))
    assert not copies(gray(images), list(range(8))).any()


def test_repeated_images_give_the_audit_of_each_once(turned):
    """Ten copies of images whose quarter turns are equally likely: no test may find an upright."""
    labels = np.arange(120) % 10
    names = tuple("abcdefghij")
    once = audit([turned], labels, names, "c4")
    ten = audit([turned.repeat(10, 1, 1, 1)], np.tile(labels, 10), names, "c4")
    assert once.is_symmetric and (once.copies, ten.copies, ten.images) == (0, 1080, 120)
    assert ten.tests == once.tests and ten.degree == once.degree and ten.classes == once.classes
    assert "left out: 1,080" in str(ten.parts()[0]) and "left out" not in str(once.parts()[0])


def test_too_few_that_differ_are_refused(turned):
    with pytest.raises(ShapeError, match=r"^30 different images \(copies of them left out: 270\) are too few"):
        audit([turned[:30].repeat(10, 1, 1, 1)], np.arange(300) % 2, ("a", "b"), "c4")


def test_upright_images_come_once_too(turned):
    upright = open_source("glyphs:digits", size=28).read("train", np.arange(200, 320))
    labels = np.arange(120) % 10
    names = tuple("abcdefghij")
    once, ten = (
        audit([turned], labels, names, "c4", upright=([upright.repeat(n, 1, 1, 1)], np.tile(labels, n)))
        for n in (1, 10)
    )
    assert once.compared == ten.compared
