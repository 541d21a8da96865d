"""Closed subgroups of O(2): the axioms over all triples, subgroups, the convention, and agreement with escnn."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symdata import Element, Elements, Group
from symdata.errors import SymmetryError
from symdata.groups import MAX_ORDER, SNAP_DEG, wrap
from tests.support.steerable import require_escnn

FINITE = [f"{letter}{n}" for n in range(1, 9) for letter in "cd"]
ANGLES = st.floats(-1e4, 1e4) | st.sampled_from([0.0, -0.0, 90.0, 360.0, -1e-20, 359.99999999999994, 1e-300])
ELEMENTS = st.builds(Element, ANGLES, st.booleans())


@pytest.fixture(params=FINITE)
def group(request):
    return Group.parse(request.param)


def broken_axioms(n, product, inverse):
    """The axioms that a product and an inverse on 0..n-1 violate, checked over all triples."""
    all_ = range(n)
    checks = {
        "closure": all(0 <= product(i, j) < n for i in all_ for j in all_),
        "identity": all(product(0, i) == i == product(i, 0) for i in all_),
        "inverse": all(product(i, inverse(i)) == 0 == product(inverse(i), i) for i in all_),
        "associativity": all(
            product(product(i, j), k) == product(i, product(j, k)) for i in all_ for j in all_ for k in all_
        ),
        "cancellation": all(len({product(i, j) for j in all_}) == n for i in all_),
    }
    return [name for name, kept in checks.items() if not kept]


def test_the_axioms_hold(group):
    assert broken_axioms(group.order, group.product, group.inverse) == []


def test_the_checker_catches_what_is_no_group():
    group = Group.parse("d3")
    n = group.order
    forgets_to_turn_back = lambda i, j: (i % 3 + j % 3) % 3 + 3 * (i // 3 ^ j // 3)  # noqa: E731  (that is c3 x c2)
    assert broken_axioms(n, forgets_to_turn_back, group.inverse) == ["inverse"]
    assert broken_axioms(n, lambda i, j: (i - j) % n, lambda i: i) == ["identity", "associativity"]
    assert "closure" in broken_axioms(n, lambda i, j: i + j, group.inverse)


def test_elements_and_indices_agree(group):
    elements = group.elements
    assert len(elements) == group.order
    assert elements[0] == Element() == Element(0.0, False)
    for i, element in enumerate(elements):
        assert group.index(element) == i
        assert element in group
        assert (~element).isclose(elements[group.inverse(i)])
        for j, other in enumerate(elements):
            assert (element @ other).isclose(elements[group.product(i, j)])
    assert not any(one.isclose(other) for one, other in itertools.combinations(elements, 2))


def test_rotations_come_first_then_the_same_after_a_mirror():
    expected = [(angle, flip) for flip in (False, True) for angle in (0.0, 90.0, 180.0, 270.0)]
    assert [(e.angle, e.flip) for e in Group.parse("d4").elements] == expected
    assert " ".join(map(str, Group.parse("d4").elements)) == "e r90 r180 r270 m r90m r180m r270m"


def test_composition_is_the_second_first():
    turn, mirror = Element(90), Element(0, flip=True)
    assert turn @ mirror == Element(90, flip=True)
    assert mirror @ turn == Element(270, flip=True)


@pytest.mark.parametrize("make", [lambda g: g.elements, lambda g: [g.elements[i] for i in range(len(g.elements))]])
def test_batches_agree_with_single_elements(group, make):
    n = group.order
    left, right = np.divmod(np.arange(n * n), n)
    products = [group.product(int(i), int(j)) for i, j in zip(left, right, strict=True)]
    inverses = [group.inverse(i) for i in range(n)]
    batch = Elements.of(make(group))
    assert group.indices(batch[left] @ batch[right]).tolist() == products
    assert group.indices(~batch).tolist() == inverses
    on_torch = batch.to("cpu")
    assert group.indices(on_torch[torch.from_numpy(left)] @ on_torch[torch.from_numpy(right)]).tolist() == products
    assert group.indices(~on_torch).tolist() == inverses


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_take_gives_the_elements_themselves(group, make):
    batch = group.take(make(list(range(group.order))))
    assert str(batch.angle.dtype).endswith("float64") and str(batch.flip.dtype).endswith("bool")
    assert tuple(batch) == group.elements
    assert len(group.take(make([0])[:0])) == 0
    for wrong in (-1, group.order):
        with pytest.raises(SymmetryError, match=rf"leave {group}, which has 0\.\.{group.order - 1}"):
            group.take(make([0, wrong]))


@given(ELEMENTS, ELEMENTS, ELEMENTS)
def test_the_axioms_hold_in_o2(a, b, c):
    identity = Element()
    assert ((a @ b) @ c).isclose(a @ (b @ c), 1e-6)
    assert (a @ ~a).isclose(identity, 1e-6) and (~a @ a).isclose(identity, 1e-6)
    assert a @ identity == a == identity @ a
    assert (~(a @ b)).isclose(~b @ ~a, 1e-6)
    assert 0.0 <= a.angle < 360.0


@given(st.lists(st.tuples(ANGLES, st.booleans()), max_size=8), st.sampled_from([np.array, torch.tensor]))
def test_a_batch_composes_as_its_elements_do(pairs, make):
    listed = [Element(*pair) for pair in pairs]
    batch = Elements.of(listed)
    batch = batch if make is np.array else batch.to("cpu")
    assert list(batch @ ~batch) == [a @ ~a for a in listed]
    assert list(~batch) == [~a for a in listed]
    assert list(batch.cpu()) == list(batch.to("cpu")) == listed
    assert all(0.0 <= e.angle < 360.0 for e in batch)


def test_wrapping_never_gives_the_full_turn():
    for xp in (np.array, torch.tensor):
        assert wrap(xp([-1e-20, 360.0, 720.0, -90.0, 359.5])).tolist() == [0.0, 0.0, 0.0, 270.0, 359.5]
    assert Element(-1e-20) == Element(360) == Element(0)
    assert hash(Element(-90)) == hash(Element(270))


def test_subgroups_form_a_lattice():
    groups = [Group.parse(name) for name in [*FINITE, "so2", "o2"]]
    for a, b in itertools.product(groups, groups):
        assert (a <= b) == all_in(a, b)
        assert a <= a | b and b <= a | b and a | b == b | a
        assert (a <= b) == (a | b == b)
        assert (a <= b and b <= a) == (a == b)
        uppers = [c for c in groups if a <= c and b <= c]
        assert all(a | b <= c for c in uppers)


def all_in(a, b):
    """Whether a is a subgroup of b, by its elements if they are finitely many."""
    if a.is_finite:
        return all(element in b for element in a.elements)
    return not b.is_finite and (b.flips or not a.flips)


JOINS = """
    c1 c1 c1,  c2 c3 c6,  c4 d1 d4,  c4 d3 d12,  c7 so2 so2,  d1 so2 o2,  c180 c360 c360,  c7 c360 so2,  d7 c360 o2
"""


@pytest.mark.parametrize(("a", "b", "join"), [line.split() for line in JOINS.split(",")])
def test_joins(a, b, join):
    assert str(Group.parse(a) | Group.parse(b)) == join


@pytest.mark.parametrize("name", [*FINITE, "c360", "d360", "so2", "o2"])
def test_names_read_back(name):
    group = Group.parse(name)
    assert str(group) == group.name == name
    assert Group.parse(str(group)) == group
    assert pickle.loads(pickle.dumps(group)) == group


def test_none_is_c1():
    assert Group.parse("none") == Group(1) == Group.parse("c1")
    assert [g for g in (*FINITE, "so2", "o2") if Group.parse(g).is_lattice] == ["c1", "d1", "c2", "d2", "c4", "d4"]


@pytest.mark.parametrize("text", ["", "c", "d", "c-4", "C4", "e4", "so3", "c4 ", "c4.0", "c٤", "none1", "c" + "9" * 10])
def test_what_is_no_group_is_refused(text):
    with pytest.raises(SymmetryError) as error:
        Group.parse(text)
    assert repr(text) in str(error.value) and "so2, o2" in str(error.value)


@pytest.mark.parametrize(("text", "mend"), [("c0", "so2"), ("d0", "o2"), (f"c{MAX_ORDER + 1}", "so2"), ("d999", "o2")])
def test_orders_out_of_range_are_refused(text, mend):
    with pytest.raises(SymmetryError, match=rf"'{text}' has \d+ rotations, expected 1 to 360; use {mend} "):
        Group.parse(text)


@pytest.mark.parametrize("name", ["so2", "o2"])
def test_infinite_groups_list_no_elements(name):
    group = Group.parse(name)
    assert group.order == math.inf and not group.is_finite
    batch = Elements.of(Element())
    for ask in (
        lambda: group.elements,
        lambda: group.index(Element()),
        lambda: group.indices(batch),
        lambda: group.product(0, 0),
        lambda: group.inverse(0),
        lambda: group.take(np.arange(1)),
    ):
        with pytest.raises(SymmetryError, match=f"^{name} has infinitely many elements; use a finite group"):
            ask()
    assert Element(12.3) in group
    assert (Element(12.3, flip=True) in group) == (name == "o2")


def test_strangers_are_refused():
    for stranger in (Element(45), Element(90, flip=True), Element(90 + 2 * SNAP_DEG)):
        assert stranger not in Group.parse("c4")
        with pytest.raises(SymmetryError, match=rf"element {stranger} is not in c4; its rotations are multiples of 90"):
            Group.parse("c4").index(stranger)
        with pytest.raises(SymmetryError, match=rf"element {stranger} is not in c4"):
            Group.parse("c4").indices(Elements.of([Element(90), stranger]))
    for ask in (lambda g: g.product(8, 0), lambda g: g.product(0, -1), lambda g: g.inverse(8)):
        with pytest.raises(SymmetryError, match=r"index (8|-1) is not in d4, which has 0\.\.7"):
            ask(Group.parse("d4"))
    with pytest.raises(SymmetryError, match="angle nan is not a finite number"):
        Element(float("nan"))


@pytest.mark.parametrize("what", [90, "r90", [90], [Element(90), None]])
def test_what_is_no_element_is_refused(what):
    with pytest.raises(SymmetryError, match=r"is not an element; write Element\(90\)"):
        Elements.of(what)


def test_a_stored_float32_angle_is_still_its_element():
    for name in ("c7", "d3", "c360", "d360"):
        group = Group.parse(name)
        stored = Elements.of(group.elements).angle.astype(np.float32)
        batch = Elements(stored.astype(np.float64), Elements.of(group.elements).flip)
        assert group.indices(batch).tolist() == list(range(group.order))
        assert [group.index(element) for element in batch] == list(range(group.order))
        assert all(element in group for element in batch)
    assert Group.parse("c4").index(Element(359.9999)) == 0


def test_the_lattice_index_is_the_index_in_d4():
    d4 = Group.parse("d4")
    listed = [*d4.elements, Element(45), Element(90.001), Element(-90), Element(720, flip=True)]
    expected = [0, 1, 2, 3, 4, 5, 6, 7, -1, -1, 3, 4]
    batch = Elements.of(listed)
    assert batch.lattice_index().tolist() == expected == batch.to("cpu").lattice_index().tolist()
    assert batch.lattice_index().dtype == np.int64 and batch.to("cpu").lattice_index().dtype == torch.int64


def test_batches_of_nothing():
    for batch in (Elements.of([]), Elements.of(Element(), 0), Elements.of([]).to("cpu")):
        assert len(batch) == len(~batch) == len(batch @ batch) == len(batch.lattice_index()) == 0
        assert list(batch) == [] and Group.parse("d4").indices(batch).tolist() == []


def test_read_only_arrays_go_to_torch():
    angle, flip = np.array([0.0, 90.0]), np.array([False, True])
    angle.flags.writeable = flip.flags.writeable = False
    assert list(Elements(angle, flip).to("cpu")) == [Element(0), Element(90, flip=True)]


def test_one_element_is_repeated_and_a_batch_is_kept():
    batch = Elements.of(Element(30, flip=True), 3)
    assert list(batch) == [Element(30, flip=True)] * 3 and batch.one(2) == Element(30, flip=True)
    assert Elements.of(batch, 3) is batch
    assert list(batch[1:]) == [Element(30, flip=True)] * 2


@pytest.mark.parametrize("name", ["c1", "c2", "c4", "c8", "d1", "d2", "d3", "d4", "d8"])
def test_escnn_has_the_same_elements_in_the_same_order(name):
    escnn = require_escnn()
    group = Group.parse(name)
    make = escnn.group.dihedral_group if group.flips else escnn.group.cyclic_group
    theirs = make(group.rotations)
    assert theirs.order() == group.order
    listed = list(theirs.elements)
    for i, j in itertools.product(range(group.order), repeat=2):
        assert listed.index(listed[i] @ listed[j]) == group.product(i, j)
    assert [listed.index(~element) for element in listed] == [group.inverse(i) for i in range(group.order)]


def test_flips_are_bools_on_every_device():
    moved = Elements(np.array([0.0, 90.0]), np.array([0, 1])).to("cpu")
    assert moved.flip.dtype == torch.bool and moved.flip.tolist() == [False, True]
    assert moved.angle.dtype == torch.float64
