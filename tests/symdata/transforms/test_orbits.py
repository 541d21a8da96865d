"""Orbit batches: every image under every element, bit for bit, or a sentence that says why not."""

import pytest
import torch

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Group
from symdata.transforms.action import act
from symdata.transforms.orbits import OrbitBatch, memory

GROUPS = ["c1", "c2", "c4", "d1", "d2", "d4"]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_each_part_is_the_batch_under_one_element(group, dtype):
    images = torch.randint(0, 256, (3, 2, 6, 6)).to(dtype)
    found = OrbitBatch(group)(images, torch.tensor([5, 1, 4]))
    elements = Group(group).elements
    assert found.images.dtype == dtype and len(found.images) == 3 * len(elements)
    for k, element in enumerate(elements):
        rows = slice(3 * k, 3 * k + 3)
        assert torch.equal(found.images[rows], act(images, element, resample="exact"))
        assert found.labels[rows].tolist() == [5, 1, 4] and set(found.elements[rows].tolist()) == {k}


@pytest.mark.parametrize("group", GROUPS)
def test_a_moved_batch_has_the_same_orbits_in_another_order(group):
    images = torch.rand(2, 1, 5, 5)
    orbits = OrbitBatch(group)
    whole = {row.numpy().tobytes() for row in orbits(images).images}
    for element in Group("d4").elements:
        moved = {row.numpy().tobytes() for row in orbits(act(images, element)).images}
        assert (moved == whole) == (element in Group(group))  # elements outside of the group: negative control


def test_half_turns_and_mirrors_take_any_shape_and_quarter_turns_squares():
    assert OrbitBatch("d2")(torch.rand(1, 1, 4, 6)).images.shape == (4, 1, 4, 6)
    with pytest.raises(ShapeError, match=r"images are 4x6, and a quarter turn needs square ones.*use d2"):
        OrbitBatch("c4")(torch.rand(1, 1, 4, 6))


def test_what_does_not_fit_is_refused_with_a_size_that_does():
    images = torch.rand(8, 1, 16, 16)  # 8 KiB, and 64 KiB with all of d4
    assert len(OrbitBatch("d4", max_bytes=1 << 16)(images).images) == 64
    with pytest.raises(ShapeError, match=r"8 images under d4 take 65,536 bytes, and 65,535 are there; .* of 1 images"):
        OrbitBatch("d4", max_bytes=(1 << 16) - 1)(images)
    huge = torch.empty(1, 1, 1, 1).expand(1 << 20, 64, 1 << 10, 1 << 10)  # no memory of its own
    with pytest.raises(ShapeError, match="use smaller batches"):
        OrbitBatch("c4")(huge)


def test_the_memory_of_a_device_that_does_not_say_is_unknown():
    assert memory(torch.device("cpu")) > 1 << 20 and memory(torch.device("meta")) is None


def test_bad_input_is_refused():
    with pytest.raises(SymmetryError, match=r"c8 moves pixels off their lattice.*take one of c2"):
        OrbitBatch("c8")
    with pytest.raises(ShapeError, match=r"images are \(4, 4\), expected \(B, C, H, W\)"):
        OrbitBatch("c4")(torch.rand(4, 4))
    with pytest.raises(ShapeError, match="and 3 labels, expected"):
        OrbitBatch("c4")(torch.rand(2, 1, 4, 4), torch.arange(3))
