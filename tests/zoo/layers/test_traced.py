"""Layers in other hands: traces of torch.jit use their own weights; batches of none; channels_last."""

import pytest
import torch

from symdata.errors import ShapeError
from tests.support.layers import TIED, inputs
from tests.support.steerable import require_escnn
from zoo import create


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of shapes that are checked
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", ["z2cnn_12", "p4cnn_12", "p4mcnn_12", "c8cnn_12", "z2pathcnn_28"])
def test_weights_that_are_loaded_into_a_trace_are_used(name, gradients):
    if name.startswith("c8"):
        require_escnn()
    first, second = (create(name, num_classes=3, in_chans=1, width=4, seed=seed).eval() for seed in (0, 1))
    x = torch.randn(2, 1, 12, 12) if name.endswith("12") else torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        wanted, other = first(x), second(x)  # now the filter banks are kept
    with torch.set_grad_enabled(gradients):
        traced, second = (torch.jit.trace(model, x) for model in (first, second))
        assert traced(x).allclose(wanted, atol=1e-5)
        traced.load_state_dict(second.state_dict())
        assert traced(x).allclose(other, atol=1e-5) and not other.allclose(wanted, atol=1e-3)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "choices",
    [
        *[{"downsample": how} for how in ("max", "avg", "blur", "aps", "equivariant")],
        *[{"relax": how} for how in ("likelihood", "residual", "banks", "bias", "partial")],
    ],
    ids=lambda choices: "-".join(choices.values()),
)
def test_every_choice_is_traced_and_takes_none_and_another_layout(choices):
    model = create("p4cnn_12", num_classes=3, in_chans=1, width=4, seed=0, **choices).eval()
    first, second = 50 * torch.randn(2, 2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        traced, wanted = torch.jit.trace(model, first), model(second)
        assert traced(second).allclose(wanted, atol=1e-5) and not wanted.allclose(model(first), atol=1e-4)
        assert traced(torch.cat([first, second]))[2:].allclose(wanted, atol=1e-5)  # another batch size
        assert model(first[:0]).shape == (0, 3)
        assert model(second.to(memory_format=torch.channels_last)).allclose(wanted, atol=1e-5)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["z2resnet44_17", "p4mresnet18_33", "p4pcamresnet44_33", "p4knight_17", "so2wrn16_17"])
def test_every_architecture_is_traced_and_takes_none_and_another_layout(name):
    if name.startswith("so2"):
        require_escnn()
    model, size = create(name, num_classes=3, in_chans=3, width=4, seed=0).eval(), int(name.split("_")[1])
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        wanted = model(x)
        assert torch.jit.trace(model, x, check_trace=False)(x).allclose(wanted, atol=1e-4)
        assert model(x[:0]).shape == (0, 3) and model.train()(x[:0]).shape == (0, 3)
        assert model.eval()(x.to(memory_format=torch.channels_last)).allclose(wanted, atol=1e-4)
        with pytest.raises(ShapeError, match="expected floats"):
            model(x[:, :1])  # it would be repeated for the three channels


@pytest.mark.parametrize("name", ["p4cnn_12", "c8cnn_12", "d8cnn_12", "so2cnn_12", "o2cnn_12"])
def test_a_batch_of_none_and_another_layout_in_memory(name):
    if not name.startswith("p4"):
        require_escnn()
    model, other = (create(name, num_classes=3, in_chans=2, width=4, seed=seed).eval() for seed in (0, 1))
    x = torch.randn(2, 2, 12, 12)
    with torch.no_grad():
        wanted = model(x)
        assert model(x[:0]).shape == (0, 3)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        assert last.allclose(wanted, atol=1e-5) and not last.allclose(other(x), atol=1e-3)
        assert model.double()(x.double()).dtype == torch.float64


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of shapes that are checked
@pytest.mark.parametrize("kind", TIED)
def test_every_layer_is_traced_with_its_own_weights(kind):
    torch.manual_seed(0)
    first, second = (TIED[kind]("d4").eval() for _ in range(2))
    x = inputs(first)
    with torch.no_grad():
        wanted, other = first(x), second(x)
        traced, second = (torch.jit.trace(layer, x) for layer in (first, second))
        assert traced(x).allclose(wanted, atol=1e-5)
        traced.load_state_dict(second.state_dict())
        assert traced(x).allclose(other, atol=1e-5) and not other.allclose(wanted, atol=1e-3)
