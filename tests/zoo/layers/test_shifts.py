"""Networks on a torus: the logits of real digits under circular shifts, turns and mirrors, exact and not."""

import pytest
import torch

from symdata.groups import Group
from tests.support.torus import change, digits, lively, shifts
from zoo.layers.subsampling.downsampling import KINDS, on_torus
from zoo.models.families.cnn import CNN
from zoo.models.families.resnet import ResNet

C4 = Group(4).elements


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def exact_under(net, images, elements, count, seed=0):
    with torch.no_grad():
        before, worst = net(images), torch.zeros(len(images), dtype=torch.float64)
    for k, e in enumerate(elements):
        for shift in shifts(count, images.shape[-1], seed + k):
            worst = worst.maximum(change(net, images, e, shift, before))
    return worst


@pytest.mark.parametrize("kind", [*filter(on_torus, KINDS)])
def test_logits_of_real_digits_do_not_change_under_turns_and_circular_shifts(kind, data):
    """300 digits, 4 turns and 8 shifts: each quarter of the digits has all turns and two of the shifts."""
    images = digits(data, 300, size=28)
    net = lively(CNN("c4", 3, in_chans=1, pools=2, downsample=kind), images[:50])
    for k, part in enumerate(images.chunk(4)):
        assert exact_under(net, part, C4, 2, seed=4 * k).max() <= 1e-9
    with torch.no_grad():
        assert net(part).std(0).max() > 1e-4, "not a constant"


@pytest.mark.parametrize("kind", [*filter(on_torus, KINDS)])
def test_both_paths_of_a_residual_block_are_sampled_alike(kind, data):
    images = digits(data, 40)
    net = lively(ResNet("c4", (2, 3, 4), 1, downsample=kind, in_chans=1), images)
    assert exact_under(net, images, C4, 2).max() <= 1e-9
    for block in net.modules():
        if getattr(block, "choice", None) is not None:
            block.choice = None  # now each path chooses by itself
    assert exact_under(net, images, C4[:1], 2).median() > 1e-3


def test_mirrors_of_p4m_are_exact_too(data):
    images = digits(data, 20, size=28)
    net = lively(CNN("d4", 2, in_chans=1, pools=2, downsample="equivariant"), images)
    assert exact_under(net, images, Group.parse("d4").elements, 2).max() <= 1e-9


def test_control_a_stride_is_far_from_exact_and_pools_are_under_even_shifts_alone(data):
    images, e = digits(data, 24, size=28), C4[0]
    stride = lively(CNN("c4", 4, in_chans=1, pools=2, downsample="stride", padding_mode="circular"), images)
    assert change(stride, images, e, (1, 3)).median() >= 0.1 and change(stride, images, C4[1]).median() >= 0.1
    for kind in ("max", "avg", "blur"):
        net = lively(CNN("c4", 4, in_chans=1, pools=2, downsample=kind, padding_mode="circular"), images)
        assert change(net, images, C4[1], (4, 8)).max() <= 1e-9, "shifts by multiples of the total stride"
        assert change(net, images, e, (1, 3)).median() > 1e-3
    zeros = lively(CNN("c4", 4, in_chans=1, pools=2), images)
    assert change(zeros, images, e, (4, 8)).median() > 1e-3, "without a torus not even those"
