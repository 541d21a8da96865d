"""Texts of elements, batches and groups: what is printed can be read."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symdata import Element, Elements, Group, act
from symdata.errors import SymmetryError


@given(st.floats(-1e6, 1e6), st.booleans())
def test_the_text_of_an_element_reads_back(angle, flip):
    element = Element(angle, flip)
    assert Element.parse(str(element)).isclose(element)
    assert Element(str(element)) == Element.parse(str(element))
    assert eval(repr(element)) == element


@pytest.mark.parametrize("name", ["c1", "c4", "c7", "c360", "d1", "d4", "d5", "d360"])
def test_the_texts_of_a_group_and_its_elements_read_back(name):
    group = Group(name)
    assert Group(str(group)) == Group.parse(str(group)) == group
    assert [group.index(Element.parse(str(e))) for e in group.elements] == list(range(group.order))
    assert group.indices(Elements.parse(str(Elements.of(group.elements)))).tolist() == list(range(group.order))


def test_the_names_of_albumentations_are_what_they_do_to_pixels():
    x = torch.arange(9.0).view(1, 1, 3, 3)
    expected = {
        "e": x,
        "r90": torch.rot90(x, 1, (2, 3)),
        "r180": torch.rot90(x, 2, (2, 3)),
        "r270": torch.rot90(x, 3, (2, 3)),
        "h": x.flip(3),
        "v": x.flip(2),
        "t": x.transpose(2, 3),
        "hvt": torch.rot90(x, 2, (2, 3)).transpose(2, 3),
    }
    for name, image in expected.items():
        assert act(x, Element(name)).equal(image), name
    assert not act(x, Element("h")).equal(expected["v"])  # the test does see a wrong one


@pytest.mark.parametrize(
    "text", ["", "E", "r", "mr90", "r90 m", "r90mm", "rm", "90", "r٣", "r90\n", "rnan", "hv", None, 4]
)
def test_what_is_no_element_is_refused(text):
    with pytest.raises(SymmetryError, match="is not an element; expected e, r90, m, r90m or one of h, v, t, hvt"):
        Element.parse(text)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Element("r90", flip=True), r"write Element\('r90m'\)"),
        (lambda: Element("x"), "'x' is not an element"),
        (lambda: Element(None), "angle None is not a finite number"),
        (lambda: Element(float("inf")), "angle inf is not a finite number"),
        (lambda: Element("r1e999"), "angle inf is not a finite number"),
        (lambda: Group("c4", flips=True), r"leave flips out, as in Group\('d4'\)"),
        (lambda: Group("D4"), "'D4' is not a group; expected one of none, c1"),
        (lambda: Group(2.5), "a group has 2.5 rotations, expected a whole number"),
        (lambda: Group(True), "a group has True rotations"),
        (lambda: Group([4]), r"a group has \[4\] rotations"),
        (lambda: Group(0), "'c0' has 0 rotations"),
        (lambda: Elements.parse("e x"), "'x' is not an element"),
    ],
)
def test_what_is_no_element_or_group_is_refused(build, message):
    with pytest.raises(SymmetryError, match=message):
        build()


def test_groups_and_elements_are_values():
    assert Group("d4") == Group(4, True) == Group(np.int64(4), flips=True) and Group("so2") == Group(None)
    assert Group("none") == Group(1) and hash(Group("d4")) == hash(Group(4, True))
    for value in (Group("d4"), Element("r45m")):
        assert copy.deepcopy(value) == value == pickle.loads(pickle.dumps(value))


def test_the_text_of_a_batch_is_that_of_its_elements():
    batch = Elements.parse("e r90 t")
    assert str(batch) == "e r90 r90m" == str(batch.to("cpu"))
    assert str(Elements.parse("")) == "" and len(Elements.parse("")) == 0
