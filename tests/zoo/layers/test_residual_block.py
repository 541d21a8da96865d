"""The residual block: equivariant with and without a stride, one class for networks of the zoo and of anybody."""

import pytest
import torch
from torch import nn

from tests.support.layers import relative, worst_error
from zoo.errors import SymdataError
from zoo.layers import GCGroupConv2d, GGroupConv2d, GroupResidualBlock
from zoo.layers.regular import LATTICE, lattice_group
from zoo.models.registry import create


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def block(group, in_fields, out_fields, **options):
    """In float64, with a norm that is not the identity, and the group that the support functions read."""
    made = GroupResidualBlock(group, in_fields, out_fields, **options).double()
    for name, parameter in made.named_parameters():
        if "norm" in name:
            nn.init.uniform_(parameter)
    made.group = lattice_group(group)
    return made


def noise(group, count, size):
    return torch.randn(3, count * lattice_group(group).order, size, size, dtype=torch.float64)


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("training", [True, False])
def test_it_is_equivariant_with_and_without_a_stride(name, training):
    for widths, stride, sizes in (((2, 2), 1, (6, 7)), ((2, 3), 1, (6, 7)), ((2, 2), 2, (7, 9)), ((2, 3), 3, (7, 10))):
        layer = block(name, *widths, stride=stride).train(training)
        for size in sizes:
            x = noise(name, 2, size)
            assert worst_error(layer, x, layer.group) < 1e-12
            assert layer(x).shape[2:] == (-(-size // stride),) * 2


@pytest.mark.parametrize(
    "options", [{"variant": "g"}, {"variant": "gc"}, {"downsample": "max"}, {"downsample": "blur"}]
)
def test_separable_filters_and_other_ways_to_downsample_are_equivariant_too(options):
    layer = block("d4", 2, 3, stride=2, **options).eval()
    assert worst_error(layer, noise("d4", 2, 8 if "downsample" in options else 9), layer.group) < 1e-12
    assert isinstance(layer.conv1, {"g": GGroupConv2d, "gc": GCGroupConv2d}.get(options.get("variant"), nn.Module))


def test_control_a_stride_on_an_even_size_is_not():
    layer = block("d4", 2, 3, stride=2).eval()
    assert worst_error(layer, noise("d4", 2, 8), layer.group) > 0.1


def test_its_shortcut_is_the_input_or_a_projection():
    plain = block("d4", 2, 2).eval()
    plain.conv2.weight.data.zero_()
    x = noise("d4", 2, 6)
    assert torch.equal(plain(x), x) and not len(plain.shortcut)
    projected = block("d4", 2, 3).eval()
    projected.conv2.weight.data.zero_()
    assert relative(projected(x), projected.shortcut.norm(projected.shortcut.conv(x))) < 1e-12


def test_networks_of_the_zoo_are_made_of_it():
    blocks = [m for m in create("p4resnet44_9", width=2).modules() if isinstance(m, GroupResidualBlock)]
    assert len(blocks) == 21
    assert list(blocks[7].state_dict()) == list(GroupResidualBlock("c4", 2, 4, stride=2).state_dict())


def test_bad_arguments_are_refused():
    with pytest.raises(SymdataError, match="variant is 'x', expected '' for full filters, 'g' or 'gc'"):
        GroupResidualBlock("c4", 2, 2, variant="x")
    with pytest.raises(SymdataError, match=r"relax is 'banks' and the filters are g-separable"):
        GroupResidualBlock("c4", 2, 2, variant="g", relax="banks")
    with pytest.raises(SymdataError, match="stride is 0"):
        GroupResidualBlock("c4", 2, 2, stride=0)
