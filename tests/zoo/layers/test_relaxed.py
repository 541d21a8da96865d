"""Relaxed group convolutions: strict when training starts, broken by their own parameters, at home in every tool."""

import copy
import io

import pytest
import torch
from torch import nn

from zoo.layers import GroupConv2d, LiftingConv2d, act_on_features
from zoo.layers.bank import is_channels_last
from zoo.layers.regular import move
from zoo.layers.relaxed import RELAXATIONS, PartialGroupConv2d
from zoo.layers.relaxed.base import degree
from zoo.layers.relaxed.filter_mixtures import BANKS
from zoo.measure.kernels import averaged, kernel_deviations

CLASSES = sorted({kind for pair in RELAXATIONS.values() for kind in pair} - {LiftingConv2d}, key=lambda k: k.__name__)
FREE = {
    "likelihood": "likelihood.logits",
    "residual": "free",
    "banks": "mixture",
    "bias": "taps",
    "partial": "keep",
    "free": "weight",
}
"""The parameter that breaks the symmetry."""


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(params=CLASSES, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def make(kind, group="d4", dtype=torch.float64):
    return kind(group, 3, 2, 3, padding=1).to(dtype).eval()


def broken(layer):
    """The same layer, with its symmetry broken."""
    with torch.no_grad():
        free = layer.get_parameter(FREE[layer.relaxation])
        free.add_(0.5 * torch.randn_like(free))
        if layer.relaxation == "partial":
            free[0] = -1
    return layer


def inputs(layer, size=7, dtype=torch.float64):
    return torch.randn(2, layer.in_channels, size, size, dtype=dtype)


def error(layer, element):
    """|e f(x) - f(e x)| / |f(x)|."""
    x = inputs(layer)
    turned = move(x, element) if layer.lifting else act_on_features(x, element, layer.group)
    with torch.no_grad():
        y = layer(x)
        return float((act_on_features(y, element, layer.group) - layer(turned)).norm() / y.norm())


@pytest.mark.parametrize("group", ["c2", "c4", "d1", "d2", "d4"])
def test_it_starts_exactly_equivariant_and_can_leave(kind, group):
    layer = make(kind, group)
    assert layer.is_strict and layer.degree == 1.0
    assert max(error(layer, e) for e in layer.group.elements) < 1e-12
    broken(layer)
    assert not layer.is_strict and layer.degree < 0.99
    assert max(error(layer, e) for e in layer.group.elements) > 0.1


def test_the_projection_is_that_of_the_measures(kind):
    layer = broken(make(kind))
    before = None if layer.lifting else "d4"
    torch.testing.assert_close(layer.projected(), averaged(layer.filters(), "d4", before, "d4"), rtol=0, atol=1e-14)
    (found,) = kernel_deviations(layer)
    distance = float((layer.filters() - layer.projected()).norm() / layer.filters().norm())
    assert found.distance == pytest.approx(distance, rel=1e-9)


@pytest.mark.parametrize(("size", "share"), [(2, 0.0), (4, 0.3), (8, 0.5), (8, 0.99)])
def test_the_degree_falls_from_1_to_0_with_what_is_not_tied(size, share):
    """1 - |K - P K| / (|P K| sqrt(|G| - 1)): white noise, with |G| - 1 parts outside of one that is inside, has 0."""
    tied, free = torch.zeros(8, 1, 2, 2, dtype=torch.float64), torch.zeros(8, 1, 2, 2, dtype=torch.float64)
    tied[0] = 3.0  # |P K| = 6
    free[1] = (1 - share) * 3.0 * (size - 1) ** 0.5
    assert degree(tied + free, tied, size) == pytest.approx(share)
    assert degree(tied - free, tied, size) == pytest.approx(share)
    assert degree(tied + 2 * free, tied, size) == pytest.approx(max(0.0, 2 * share - 1))
    assert degree(tied, tied, size) == degree(tied + free, tied, 1) == 1.0 and degree(free, 0 * tied, size) == 0.0


def test_strict_layers_say_so():
    assert LiftingConv2d("c4", 1, 1, 3).is_strict and GroupConv2d("c4", 1, 1, 3).is_strict


def test_gradients_reach_every_parameter(kind):
    layer = broken(kind("c4", 2, 1, 3).double().eval())
    x = inputs(layer, 4)
    names, values = zip(*layer.named_parameters(), strict=True)

    def forward(*state):
        return torch.func.functional_call(layer, dict(zip(names, state, strict=True)), (x,))

    if layer.relaxation != "partial":
        assert torch.autograd.gradcheck(forward, values)
    layer.train()(x).square().sum().backward()
    assert all(float(p.grad.abs().max()) > 0 for p in layer.parameters())


def test_the_cache_sees_every_parameter(kind):
    layer = broken(make(kind))
    x = inputs(layer)
    with torch.no_grad():
        layer(x)
        assert layer.bank(x) is layer.bank(x)
        for name, p in layer.named_parameters():
            before = layer(x)
            p.neg_() if name != "keep" else p.copy_(-p.roll(1) - 0.1)
            assert not torch.allclose(layer(x), before), name
        assert torch.equal(layer(x), copy.deepcopy(layer)(x))


def test_state_dicts_pickles_and_copies_round_trip(kind):
    layer, x = broken(make(kind)), None
    x = inputs(layer)
    other = make(kind)
    with torch.no_grad():
        wanted = layer(x)
        assert not torch.allclose(other(x), wanted)
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other(x), wanted)
        assert sorted(layer.state_dict()) == sorted(name for name, _ in layer.named_parameters())
        buffer = io.BytesIO()
        torch.save(layer, buffer)
        buffer.seek(0)
        assert torch.equal(torch.load(buffer, weights_only=False)(x), wanted)


@pytest.mark.parametrize("fields", [1, 3])
def test_channels_last_changes_the_layout_and_no_number(kind, fields):
    layer = broken(kind("d4", fields, 2, 3, padding=1).double().eval())
    x = inputs(layer)
    with torch.no_grad():
        wanted = layer(x)
        layer.to(memory_format=torch.channels_last)
        assert is_channels_last(layer.expand()[0])
        torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), wanted, rtol=0, atol=1e-12)


def test_autocast_leaves_the_filters_alone(kind):
    """The filters are expanded in full precision, and rounded once: a strict layer then stays one."""
    layer = make(kind, dtype=torch.float32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.expand()[0].dtype == torch.float32
        assert layer.train().expand()[0].dtype == torch.float32


@pytest.mark.parametrize("word", ["residual", "bias"])
def test_what_is_added_is_the_distance_from_the_tied_filters(word):
    lifting, group = RELAXATIONS[word]
    for kind, strict in ((lifting, LiftingConv2d), (group, GroupConv2d)):
        layer, tied = make(kind, "c4"), strict("c4", 3, 2, 3).double()
        with torch.no_grad():
            added = layer.get_parameter(FREE[word])
            added.copy_(torch.randn_like(added))
            tied.weight.copy_(layer.weight)
            extra = layer.expand()[0] - tied.expand()[0]
            if word == "residual":
                torch.testing.assert_close(extra, layer.free, rtol=0, atol=1e-14)
            for g in range(4) if word == "bias" else ():
                per_tap = extra[2 * g : 2 * g + 2].flatten(0, 1)  # (O J C, k, k)
                torch.testing.assert_close(per_tap, added[g].expand_as(per_tap), rtol=0, atol=1e-14)


def test_banks_are_mixed_per_output_orientation():
    layer, tied = broken(make(RELAXATIONS["banks"][1], "c4")), GroupConv2d("c4", 3, 2, 3).double()
    with torch.no_grad():
        wanted = torch.zeros_like(layer.filters())
        for i in range(BANKS):
            tied.weight.copy_(layer.weight[2 * i : 2 * i + 2])
            wanted += tied.expand()[0] * layer.mixture[i].repeat_interleave(2).view(-1, 1, 1, 1)
    torch.testing.assert_close(layer.filters(), wanted, rtol=0, atol=1e-14)


def test_the_spread_is_zero_only_for_constant_mixtures():
    layer = make(RELAXATIONS["banks"][1], "c4")
    assert float(layer.spread().detach()) == 0.0
    with torch.no_grad():
        layer.mixture[0, 1] += 0.25
    assert float(layer.spread().detach()) == pytest.approx(2 * 3 * 0.25)  # in 6 ordered pairs


# Partial convolutions


def keeping(layer, kept):
    """Keep these elements, by index, and the identity."""
    with torch.no_grad():
        layer.keep.fill_(-1.0)
        layer.keep[[i - 1 for i in kept if i]] = 1.0
    return layer


@pytest.mark.parametrize(
    ("group", "kept"), [("c4", (2,)), ("d4", (2,)), ("d4", (1, 2, 3)), ("d4", (4,)), ("d4", (2, 4, 6))]
)
def test_keeping_a_subgroup_leaves_exactly_that(group, kept):
    layer = keeping(make(PartialGroupConv2d, group), kept)
    assert layer.kept().tolist() == [i in (0, *kept) for i in range(len(layer.group.elements))]
    assert layer.kept().dtype == torch.bool
    for i, element in enumerate(layer.group.elements):
        assert error(layer, element) < 1e-12 if i in (0, *kept) else error(layer, element) > 0.1


def test_a_dropped_orientation_repeats_a_kept_one_and_a_maximum_is_over_those_kept():
    layer, full = make(PartialGroupConv2d, "d4"), GroupConv2d("d4", 3, 2, 3, padding=1).double()
    keeping(layer, (1, 5))
    full.load_state_dict({"weight": layer.weight, "bias": layer.bias})
    x = inputs(layer)
    with torch.no_grad():
        found, maps = (y(x).view(2, 8, 2, 7, 7) - 100 for y in (layer, full))  # all negative: zeros would win
        kept = [0, 1, 5]
        torch.testing.assert_close(found[:, kept], maps[:, kept])
        torch.testing.assert_close(found.amax(1), maps[:, kept].amax(1))
        assert all(any(torch.equal(found[:, g], found[:, k]) for k in kept) for g in range(8))


def test_training_draws_and_evaluation_does_not():
    layer = make(PartialGroupConv2d, "c4")
    nn.init.zeros_(layer.keep)
    x = inputs(layer)
    with torch.no_grad():
        assert torch.equal(layer(x), layer(x))
        drawn = torch.stack([layer.train()._drawn() for _ in range(2000)])
        assert bool((drawn[:, 0] == 1).all()) and set(drawn.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(drawn.mean(0), layer.probabilities(), rtol=0, atol=0.05)
        nn.init.constant_(layer.keep, 1.5)
        mean = torch.stack([layer._drawn() for _ in range(2000)]).mean(0)
        torch.testing.assert_close(mean, layer.probabilities(), rtol=0, atol=0.03)


def test_the_gradient_of_a_draw_is_that_of_a_relaxed_bernoulli_variable_at_one_half(monkeypatch):
    """d/dk of sigmoid((k + noise) / T) with T = 1/2 (Maddison, Mnih & Teh 2017), at a noise of logit(1/2) = 0."""
    layer = make(PartialGroupConv2d, "c4")
    with torch.no_grad():
        layer.keep.copy_(torch.tensor([0.3, -0.4, 1.1]))
    monkeypatch.setattr(torch, "rand_like", lambda x: torch.full_like(x, 0.5))
    drawn = layer.train()._drawn()
    assert drawn.tolist() == [1.0, 1.0, 0.0, 1.0]
    (gradient,) = torch.autograd.grad(drawn.sum(), layer.keep)
    soft = torch.sigmoid(2 * layer.keep.detach())
    torch.testing.assert_close(gradient, 2 * soft * (1 - soft))


def test_where_training_starts():
    """Constants of the papers: elements kept in 88 %, two banks that share the variance of one filter."""
    partial = make(PartialGroupConv2d, "c4")
    torch.testing.assert_close(partial.probabilities()[1:], torch.full((3,), 0.880797).double(), atol=1e-6, rtol=0)
    banks = make(RELAXATIONS["banks"][1], "c4")
    assert BANKS == 2 and banks.mixture.shape == (2, 4)
    torch.testing.assert_close(banks.mixture.detach(), torch.full((2, 4), 0.5**0.5).double())
