"""The cached filter bank between two steps of a training, when gradients wait: kept, and never stale."""

import copy

import pytest
import torch

from tests.support.layers import TIED
from tests.support.layers import inputs as images


@pytest.fixture(params=TIED)
def layer(request):
    """In eval mode, after a backward pass."""
    torch.manual_seed(0)
    module = TIED[request.param]("d4")
    module(images(module)).square().mean().backward()
    return module.eval()


def fresh(layer, x):
    """What the layer gives without any cache."""
    return copy.deepcopy(layer).train()(x)


@torch.no_grad()
def test_the_bank_is_kept_until_the_gradient_goes(layer):
    x = images(layer)
    kept = layer.bank(x)
    assert layer.bank(x) is kept
    layer.zero_grad()
    assert layer.bank(x) is not kept  # from here on without a copy of the weights to compare with
    assert layer.bank(x) is layer.bank(x)


@pytest.mark.parametrize("cleared", [True, False])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD, torch.optim.AdamW])
def test_a_fused_step_is_seen(layer, kind, cleared):
    x = images(layer)
    optimiser = kind(layer.parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        before = layer(x)
        optimiser.step()
        if cleared:
            optimiser.zero_grad()
        assert not torch.allclose(layer(x), before)
        assert torch.equal(layer(x), fresh(layer, x))


@torch.no_grad()
@pytest.mark.parametrize("name", ["first", "last"])
def test_any_one_parameter_written_unseen_is_found(layer, name):
    x = images(layer)
    before = layer(x)
    parameter = list(layer.parameters())[0 if name == "first" else -1]
    version = parameter._version
    parameter.data.view(-1)[-1].add_(1)
    assert parameter._version == version  # so that only a comparison can tell
    assert not torch.equal(layer(x), before)
    assert torch.equal(layer(x), fresh(layer, x))


@torch.no_grad()
@pytest.mark.parametrize("change", ["not a number", "meta"])
def test_what_cannot_be_compared_is_expanded_every_time(layer, change):
    x = images(layer)
    if change == "meta":  # as on any other device than the CPU
        layer, x = layer.to("meta"), x.to("meta")
        assert all(p.grad is not None for p in layer.parameters())
    else:
        for parameter in layer.parameters():
            parameter.view(-1)[0] = torch.nan
    assert layer.bank(x) is not layer.bank(x)


def test_with_gradients_wanted_nothing_is_kept(layer):
    x = images(layer)
    with torch.no_grad():
        layer(x)
    assert layer.bank(x) is not layer.bank(x)
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
