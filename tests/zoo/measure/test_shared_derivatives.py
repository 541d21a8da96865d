"""Derivatives that are shared or shortened are those of torch, one by one."""

import pytest
import torch
from torch import nn

from zoo.measure import layerwise_equivariance_error
from zoo.measure.motions.derivatives import forward_mode
from zoo.measure.motions.layerwise import layerwise_equivariance_errors
from zoo.models.registry import create


def norms(affine=True, track=True):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=affine, track_running_stats=track), nn.ReLU(), nn.Flatten()
    )
    net.train()(torch.randn(16, 1, 8, 8))  # so that the statistics are not 0 and 1
    return net.eval().double()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_the_derivative_through_a_batch_norm_is_that_of_torch(affine, track):
    """Without statistics of training the norm is not linear, and is left to torch: the negative control."""
    net = norms(affine, track)
    x, v = torch.randn(2, 3, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.func.jvp(net, (x,), (v,))
    for found, wanted in zip(forward_mode(net, x, v), expected, strict=True):
        assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["p4cnn_12", "p4resnet44_13"])
def test_motions_that_share_their_backwards_have_the_terms_that_each_has_alone(name):
    model, x = create(name, width=2, in_chans=1, seed=0).eval(), torch.randn(3, 1, int(name[-2:]), int(name[-2:]))
    motions = ("rotation", "translate_x", "scale")
    together = layerwise_equivariance_errors(model, x, motions)
    assert together == tuple(layerwise_equivariance_error(model, x, motion) for motion in motions)
    assert together[0] != together[1] and layerwise_equivariance_errors(model, x, []) == ()
