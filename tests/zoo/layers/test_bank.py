"""The cached filter bank: never stale, and at home in deepcopy, state dicts, autocast, compile and channels_last."""

import copy
import io
import warnings
from itertools import permutations, product

import pytest
import torch
from torch import nn
from torch._prims_common import suggest_memory_format

from tests.support.layers import TIED
from tests.support.layers import inputs as images
from tests.support.nets import cnn, resnet
from zoo.layers import GroupConv2d, LiftingConv2d
from zoo.layers.bank import is_channels_last


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(params=TIED)
def kind(request):
    return request.param


@pytest.fixture
def layer(kind):
    return TIED[kind]("d4").eval()


def fresh(layer, x):
    """What the layer gives without any cache."""
    with torch.no_grad():
        return copy.deepcopy(layer).train()(x)


def test_the_bank_is_kept_in_eval_and_made_anew_in_training(layer):
    x = images(layer)
    with torch.no_grad():
        assert layer.bank(x) is layer.bank(x)
        assert layer.train().bank(x) is not layer.bank(x)
    assert layer.eval().bank(x) is not layer.bank(x)  # a gradient may be wanted
    layer.requires_grad_(False)
    assert layer.bank(x) is layer.bank(x)


@pytest.mark.parametrize("change", ["step", "load", "assign", "replace", "double", "data and eval", "functional"])
def test_a_change_of_the_weight_is_seen(kind, layer, change):
    x = images(layer)
    other = TIED[kind]("d4")
    with torch.no_grad():
        before = layer(x)
        if change == "step":
            for p in layer.parameters():
                p.mul_(-2)
        elif change in ("load", "assign"):
            layer.load_state_dict(other.state_dict(), assign=change == "assign")
        elif change == "replace":
            for name, p in list(layer.named_parameters()):
                setattr(layer, name, nn.Parameter(p * -2))
        elif change == "double":
            layer.double().float()
            assert torch.equal(layer(x), before)
            layer, x = layer.double(), x.double()
            assert layer(x).dtype == torch.float64
        elif change == "data and eval":
            for p in layer.parameters():
                p.data.mul_(-2)
            layer.eval()
        else:
            state = {name: p * -2 for name, p in layer.named_parameters()}
            after = torch.func.functional_call(layer, state, (x,))
            assert not torch.allclose(after, before)
            assert torch.equal(layer(x), before)
            return
        after = layer(x)
    assert change == "double" or not torch.allclose(after, before)
    assert torch.equal(after, fresh(layer, x))


def test_a_step_of_an_optimiser_between_two_evaluations_is_seen(layer):
    x = images(layer)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        before = layer(x)
    layer(x).square().mean().backward()  # in eval mode, as when fine-tuning with frozen statistics
    layer(x).square().mean().backward()
    optimiser.step()
    with torch.no_grad():
        assert not torch.allclose(layer(x), before)
        assert torch.equal(layer(x), fresh(layer, x))


def test_copies_and_pickles_leave_the_bank_behind(layer):
    x = images(layer)
    with torch.no_grad():
        before = layer(x)
        twin = copy.deepcopy(layer)
        assert twin._kept is None
        for p in twin.parameters():
            p.zero_()
        assert torch.equal(layer(x), before)
        assert twin(x).abs().max() == 0
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    size = sum(p.numel() for p in layer.parameters()) * 4
    assert list(layer.state_dict()) == [name for name, _ in layer.named_parameters()]
    assert sum(t.numel() * 4 for t in layer.state_dict().values()) == size
    buffer.seek(0)
    with torch.no_grad():
        assert torch.equal(torch.load(buffer, weights_only=False)(x), before)


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("loaded", [True, False])
def test_state_dicts_round_trip_in_either_mode(saved, loaded):
    source, target = cnn("c4", 2).train(saved), cnn("c4", 2).train(loaded)
    x = torch.randn(4, 3, 14, 14)
    with torch.no_grad():
        target(x)
        missing = target.load_state_dict(source.state_dict())
        assert not missing.missing_keys and not missing.unexpected_keys
        assert torch.equal(target.eval()(x), source.eval()(x))


def test_a_bank_made_in_inference_mode_serves_gradients_of_the_input(layer):
    layer.requires_grad_(False)
    x = images(layer)
    with torch.inference_mode():
        layer(x)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None


def test_gradients_reach_the_free_weight(layer):
    twin = copy.deepcopy(layer).double().train()
    x = images(twin, torch.float64, batch=1, size=4)
    names, values = zip(*twin.named_parameters(), strict=True)

    def loss(*tensors):
        return torch.func.functional_call(twin, dict(zip(names, tensors, strict=True)), (x,))

    assert torch.autograd.gradcheck(loss, [v.detach().requires_grad_() for v in values], fast_mode=True)


def test_autocast_in_eval_and_in_training(layer):
    x = images(layer)
    with torch.no_grad():
        exact = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            low = layer(x)
            assert layer.bank(x)[0].dtype == torch.bfloat16
        assert low.dtype == torch.bfloat16
        assert torch.allclose(low.float(), exact, atol=0.05)
        assert torch.equal(layer(x), exact)
    with torch.autocast("cpu", torch.bfloat16):
        layer.train()(x).float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_channels_last_gives_the_same_numbers_and_stays(training):
    net = resnet("c4", 4).double().train(training)
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)
    y, z = net(x), twin(x.to(memory_format=torch.channels_last))
    assert torch.allclose(y, z, rtol=1e-10, atol=1e-12)
    feature = twin.trunk.stem(x.to(memory_format=torch.channels_last))
    assert feature.is_contiguous(memory_format=torch.channels_last)
    y.sum().backward()
    z.sum().backward()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_lifting_layer_turns_to_channels_last_when_its_weight_does(channels):
    plain, ours = nn.Conv2d(channels, 8, 3), LiftingConv2d("c4", channels, 2, 3)
    x = torch.randn(2, channels, 8, 8)
    for format_ in (torch.contiguous_format, torch.channels_last):
        y, z = (layer.to(memory_format=format_).eval()(x) for layer in (plain, ours))
        assert y.stride() == z.stride() and z.is_contiguous(memory_format=format_)
    pointwise = GroupConv2d("c4", 2, 2, 1).to(memory_format=torch.contiguous_format)
    assert pointwise(torch.randn(2, 8, 4, 4)).is_contiguous()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", TIED)
def test_every_layer_in_channels_last_gives_the_same_numbers_and_stays(kind, training):
    layer = TIED[kind]("c4").double().train(training)
    twin, x = copy.deepcopy(layer).to(memory_format=torch.channels_last), images(layer, torch.float64)
    last = x.to(memory_format=torch.channels_last) if x.ndim == 4 else x
    y, z = layer(x), twin(last)
    assert torch.allclose(y, z, rtol=1e-10, atol=1e-12) and y.is_contiguous()
    assert z.ndim == 2 or z.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", TIED)
def test_every_layer_takes_a_batch_of_none(kind):
    layer = TIED[kind]("d4")
    x = images(layer)
    for format_ in (torch.contiguous_format, torch.channels_last):
        none = x[:0].contiguous(memory_format=format_) if x.ndim == 4 else x[:0]
        assert layer(none).shape == (0, *layer(x).shape[1:])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", TIED)
def test_compiles_into_one_graph(kind, training):
    layer = TIED[kind]("c4").train(training)
    _compare_compiled(layer, images(layer), training)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_compiles_into_one_graph(training):
    net = cnn("d4", 2).train(training)
    _compare_compiled(net, torch.randn(2, 3, 14, 14), training)
    _compare_compiled(net, torch.randn(2, 3, 14, 14).to(memory_format=torch.channels_last), training)


def _compare_compiled(module, x, training):
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own machinery
        compiled = torch.compile(copy.deepcopy(module), fullgraph=True, backend="aot_eager")
        y = compiled(x)
        if training:
            y.sum().backward()
    assert torch.allclose(y, module(x), atol=1e-5)


def test_the_memory_format_is_the_one_that_torch_sees():
    """For every shape with and without axes of one element, and every order of the axes in memory."""
    for shape in product((1, 2, 3), (1, 2, 3), (1, 3), (1, 3)):
        for order in permutations(range(4)):
            tensor = torch.empty([shape[axis] for axis in order]).permute([order.index(axis) for axis in range(4)])
            assert is_channels_last(tensor) == (suggest_memory_format(tensor) == torch.channels_last)
