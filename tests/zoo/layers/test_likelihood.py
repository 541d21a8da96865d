"""The likelihood over a group and the convolutions that carry one: its identities, and that no bank is ever stale."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Group
from symdata.symmetry import Symmetry
from zoo.layers import GroupConv2d, LiftingConv2d, act_on_features
from zoo.layers.regular import move
from zoo.layers.relaxed import GroupLikelihood, LikelihoodGroupConv2d, LikelihoodLiftingConv2d
from zoo.layers.relaxed.base import mixed, orbit_index
from zoo.measure.kernels import averaged, moved_filters

GROUPS = ("c2", "c4", "d1", "d2", "d4")
LAYERS = (LikelihoodLiftingConv2d, LikelihoodGroupConv2d)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def make(kind, group, **options):
    return kind(group, 3, 2, 3, padding=1, **options).double().eval()


def error(layer, element):
    """|e f(x) - f(e x)| / |f(x)|."""
    x = torch.randn(2, layer.in_channels, 8, 8, dtype=torch.float64)
    turned = move(x, element) if layer.lifting else act_on_features(x, element, layer.group)
    with torch.no_grad():
        y = layer(x)
        return float((act_on_features(y, element, layer.group) - layer(turned)).norm() / y.norm())


def uniform_on(layer, subgroup):
    """Make the likelihood of `layer` uniform on a subgroup, by its elements."""
    inside = torch.tensor([float(e in Group.parse(subgroup)) for e in layer.group.elements], dtype=torch.float64)
    layer.likelihood.assign(inside / inside.sum())
    return layer


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", LAYERS)
def test_it_starts_uniform_and_exactly_equivariant(kind, group):
    layer = make(kind, group)
    assert layer.is_strict and layer.degree == 1.0 == pytest.approx(layer.likelihood.degree())
    assert max(error(layer, e) for e in layer.group.elements) < 1e-12


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_uniform_likelihood_projects(kind, group):
    layer = make(kind, group)
    before = None if layer.lifting else group
    wanted = averaged(layer.weight, group, before, group) * math.sqrt(len(layer.group.elements))
    torch.testing.assert_close(layer.expand()[0], wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_point_mass_is_the_ordinary_convolution(kind, group):
    layer = uniform_on(make(kind, group), "none")
    x = torch.randn(2, layer.in_channels, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        wanted = F.conv2d(x, layer.weight, layer.bias.repeat(len(layer.group.elements)), padding=1)
        assert float((layer(x) - wanted).abs().max()) < 1e-12
    assert not layer.is_strict
    assert all(error(layer, e) > 0.1 for e in layer.group.elements[1:])


@pytest.mark.parametrize(("group", "subgroup"), [("c4", "c2"), ("d4", "c2"), ("d4", "c4"), ("d4", "d1"), ("d2", "d1")])
@pytest.mark.parametrize("kind", LAYERS)
def test_uniform_on_a_subgroup_is_exactly_equivariant_under_that_alone(kind, group, subgroup):
    layer = uniform_on(make(kind, group), subgroup)
    for e in layer.group.elements:
        found = error(layer, e)
        assert found < 1e-12 if e in Group.parse(subgroup) else found > 0.1, e


@pytest.mark.parametrize("group", GROUPS)
def test_the_orbit_is_that_of_the_measures(group):
    """Two ways to move filters: rows gathered by an index, and pixels and channels moved one after the other."""
    elements = Group.parse(group).elements
    size = len(elements)
    for lifting, inputs in ((True, 1), (False, size)):
        filters = torch.randn(size * 2, inputs * 3, 3, 3, dtype=torch.float64)
        index = orbit_index(Group.parse(group), 3, lifting=lifting)
        for i, element in enumerate(elements):
            weights = torch.eye(size, dtype=torch.float64)[i]
            wanted = moved_filters(filters, element, None if lifting else group, group)
            assert torch.equal(mixed(filters, weights, index, inputs), wanted)


def test_moving_the_filters_moves_the_likelihood():
    """g K_lambda = K_lambda', lambda'(h) = lambda(g^-1 h): why a layer is as equivariant as lambda is invariant."""
    layer, group = make(LikelihoodGroupConv2d, "d4"), Group(4, True)
    nn.init.normal_(layer.likelihood.logits)
    chances = layer.likelihood.probabilities().detach()
    filters = layer.expand()[0].detach()
    for g, element in enumerate(group.elements):
        shifted = chances[[group.product(group.inverse(g), h) for h in range(8)]]
        layer.likelihood.assign(shifted)
        torch.testing.assert_close(layer.expand()[0], moved_filters(filters, element, group, group), rtol=0, atol=1e-12)


def test_the_scale_of_the_outputs_does_not_change_as_it_sharpens():
    for subgroup in ("d4", "c4", "c2", "none"):
        bank = uniform_on(LikelihoodGroupConv2d("d4", 8, 8, 3).double(), subgroup).filters()
        assert float(bank.std() * math.sqrt(3 * bank[0].numel())) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("change", ["in place", "load", "replace"])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_change_of_the_likelihood_is_seen_in_eval_mode(kind, change):
    layer, other = make(kind, "c4"), make(kind, "c4")
    nn.init.normal_(other.likelihood.logits)
    x = torch.randn(2, layer.in_channels, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        before = layer(x)
        assert layer.bank(x) is layer.bank(x)
        if change == "in place":
            layer.likelihood.logits[0] += 1
        elif change == "load":
            layer.load_state_dict({**layer.state_dict(), "likelihood.logits": other.likelihood.logits})
        else:
            layer.likelihood.logits = nn.Parameter(other.likelihood.logits.clone())
        after = layer(x)
        assert not torch.allclose(after, before)
        assert torch.equal(after, layer.train()(x))


def test_a_shared_likelihood_is_one():
    shared = GroupLikelihood("c4")
    net = nn.Sequential(
        LikelihoodLiftingConv2d("c4", 1, 2, 3, likelihood=shared),
        LikelihoodGroupConv2d("c4", 2, 2, 3, likelihood=shared),
    ).eval()
    assert len([name for name, _ in net.named_parameters() if "logits" in name]) == 1
    x = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        before = net(x)
        shared.logits[0] += 1
        assert not torch.allclose(net(x), before)
    with pytest.raises(SymmetryError, match="the likelihood is over c4, expected d4"):
        LikelihoodGroupConv2d("d4", 2, 2, 3, likelihood=shared)


@pytest.mark.parametrize("group", ["c1", *GROUPS, "c8", "d8"])
def test_every_distribution_is_reached_and_comes_back(group):
    likelihood = GroupLikelihood(group).double()
    n = len(likelihood.points.elements)
    assert likelihood.logits.numel() == n - 1
    wanted = torch.rand(n, dtype=torch.float64) + 0.01
    likelihood.assign(wanted)
    torch.testing.assert_close(likelihood.probabilities(), wanted / wanted.sum(), rtol=0, atol=1e-12)


def test_a_band_limit_leaves_out_what_is_fast():
    likelihood = GroupLikelihood("c8", bandlimit=1).double()  # of a basis in float32
    assert likelihood.logits.numel() == 2
    nn.init.normal_(likelihood.logits)
    spectrum = torch.fft.fft(likelihood.log_probabilities().detach()).abs()
    assert float(spectrum[2:7].max()) < 1e-6 < 0.1 < float(spectrum[1])
    mirror = GroupLikelihood("d4", bandlimit=0).double()
    nn.init.ones_(mirror.logits)
    chances = mirror.probabilities().detach()
    assert torch.equal(chances[:4], chances[:1].expand(4)) and float(chances[0]) > 2 * float(chances[4])


@pytest.mark.parametrize("bandlimit", [-1, 3, 1.0, True, "1"])
def test_a_band_limit_out_of_range_is_refused(bandlimit):
    with pytest.raises(ShapeError, match="expected a whole number from 0 to 2 for c4"):
        GroupLikelihood("c4", bandlimit)


def test_divergences_are_those_of_torch():
    one, two = GroupLikelihood("d4").double(), GroupLikelihood("d4").double()
    nn.init.normal_(one.logits), nn.init.normal_(two.logits)
    p, q = one.probabilities().detach(), two.probabilities().detach()
    assert float(one.kl(two).detach()) == pytest.approx(float(divergence(p, q)))
    flat = torch.full_like(p, 1 / 8)
    assert float(one.kl().detach()) == pytest.approx(float(divergence(p, flat)))
    assert float(one.kl(one).detach()) == 0.0
    one.kl(two, fixed=True).backward()
    assert two.logits.grad is None and float(one.logits.grad.norm()) > 0
    with pytest.raises(SymmetryError, match="over c4, expected d4"):
        one.kl(GroupLikelihood("c4"))


def divergence(p, q):
    return torch.distributions.kl_divergence(torch.distributions.Categorical(p), torch.distributions.Categorical(q))


def test_misalignment_is_zero_only_where_the_identity_is_on_top():
    likelihood = GroupLikelihood("c4").double()
    assert float(likelihood.misalignment().detach()) == 0.0
    likelihood.assign(torch.tensor([0.4, 0.1, 0.4, 0.1]))
    assert float(likelihood.misalignment().detach()) == pytest.approx(0.0, abs=1e-12)
    likelihood.assign(torch.tensor([0.1, 0.2, 0.1, 0.6]))
    assert float(likelihood.misalignment().detach()) == pytest.approx(math.log(6))


@pytest.mark.parametrize("text", ["c4", "c4-partial@0.3", "c4-partial@0.7", "none"])
def test_its_degree_is_that_of_a_symmetry(text):
    symmetry, likelihood = Symmetry.parse(text), GroupLikelihood("c4").double()
    mass = dict(symmetry.elements)
    likelihood.assign(torch.tensor([mass.get(e, 0.0) for e in Group(4).elements], dtype=torch.float64))
    wanted = symmetry.degree if text != "none" else 0.0
    assert likelihood.degree() == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_reach_filters_and_likelihood(kind):
    layer = kind("c4", 2, 1, 3).double()
    nn.init.normal_(layer.likelihood.logits)
    x = torch.randn(1, layer.in_channels, 4, 4, dtype=torch.float64)
    names, values = zip(*layer.named_parameters(), strict=True)

    def forward(*state):
        return torch.func.functional_call(layer, dict(zip(names, state, strict=True)), (x,))

    assert set(names) == {"weight", "bias", "likelihood.logits"}
    assert torch.autograd.gradcheck(forward, values)


def test_it_is_a_strict_layer_that_the_uniform_one_gives():
    """The same function as a tied layer whose free weight is the first orientation of the bank."""
    for kind, strict in zip(LAYERS, (LiftingConv2d, GroupConv2d), strict=True):
        layer, tied = make(kind, "d4"), strict("d4", 3, 2, 3, padding=1).double().eval()
        with torch.no_grad():
            tied.weight.copy_(layer.expand()[0][:2])
            tied.bias.copy_(layer.bias)
            x = torch.randn(2, layer.in_channels, 8, 8, dtype=torch.float64)
            torch.testing.assert_close(layer(x), tied(x), rtol=0, atol=1e-12)


def test_probabilities_that_are_none_are_refused():
    likelihood = GroupLikelihood("c2")
    for wrong in (torch.ones(3), torch.tensor([-1.0, 2.0]), torch.zeros(2)):
        with pytest.raises(ShapeError, match="are none over 2 elements of c2"):
            likelihood.assign(wrong)
    assert Element() in likelihood.points.elements
