"""Pretext tasks: the labels move with the images, exactly, for every task, every element and every label."""

import pytest
import torch

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from zoo.layers.regular import move, products
from zoo.pretraining import TASKS, ErasedQuadrant, Jigsaw, act_on_labels, label_action, label_orbits

GROUPS = ("c1", "c2", "c4", "d1", "d2", "d4")
EVERY = pytest.mark.parametrize("kind", TASKS.values(), ids=list(TASKS))


def holds(task, element, images, labels, moved_labels):
    """Whether g tau_y(x) is tau of the moved label, bit for bit."""
    source = move(images, element) if task.source_moves else images
    return torch.equal(move(task(images, labels), element), task(source, moved_labels))


@EVERY
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("size", [6, 7, 9, 28])
def test_a_moved_image_has_the_moved_label(kind, group, size):
    task = kind(group)
    labels = torch.arange(len(task.classes))
    images = torch.randn(len(labels), 2, size, size, generator=torch.Generator().manual_seed(size))
    for element in Group.parse(group).elements:
        assert holds(task, element, images, labels, act_on_labels(task, element, labels)), str(element)


@EVERY
def test_labels_that_do_not_move_are_found_out(kind):
    task = kind("c4")
    labels = torch.arange(len(task.classes))
    images = torch.randn(len(labels), 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert not any(holds(task, element, images, labels, labels) for element in list(Group(4).elements)[1:])


@EVERY
@pytest.mark.parametrize("group", GROUPS)
def test_the_action_is_one_of_the_group(kind, group):
    table = label_action(kind(group))
    assert torch.equal(table[0], torch.arange(table.shape[1]))
    for g, row in enumerate(products(Group.parse(group))):
        for h, gh in enumerate(row):
            assert torch.equal(table[g][table[h]], table[gh])


@pytest.mark.parametrize(
    ("name", "group", "sizes"),
    [
        ("erased-quadrant", "c4", [4]), ("erased-quadrant", "d4", [4]), ("erased-quadrant", "d1", [2, 2]),
        ("relative-patch", "c4", [4, 4]), ("relative-patch", "d4", [4, 4]),
        ("rotation", "c4", [4]), ("rotation", "d4", [8]),
    ],
)  # fmt: skip
def test_labels_fall_into_the_orbits_that_theory_says(name, group, sizes):
    assert [len(orbit) for orbit in label_orbits(TASKS[name](group))] == sizes


def test_the_jigsaw_has_as_many_orbits_as_burnside_counts():
    assert len(label_orbits(Jigsaw("c4"))) == (24 + 4 + 8 + 4) // 4 == 10
    fixed = (label_action(Jigsaw("d4")) == torch.arange(24)).sum()
    assert len(label_orbits(Jigsaw("d4"))) == int(fixed) // 8


@EVERY
def test_every_label_makes_another_image(kind):
    task = kind("d4")
    labels = torch.arange(len(task.classes))
    image = torch.randn(1, 1, 9, 9).expand(len(labels), -1, -1, -1)
    assert len(task(image, labels).reshape(len(labels), -1).unique(dim=0)) == len(labels)


def test_images_that_no_task_can_use_are_refused():
    with pytest.raises(ShapeError, match="make them square"):
        ErasedQuadrant("c4")(torch.zeros(1, 1, 4, 6), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(SymmetryError, match="c8 moves pixels off their lattice"):
        ErasedQuadrant("c8")
