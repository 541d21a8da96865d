"""A permuted network is matched with itself, group convolutional ones as the theory says, and |x| not at all."""

import builtins

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import ShapeError
from symdata.groups import Group
from tests.zoo.alignment.test_permutations import NETS, Residual, permuted, seeded
from zoo.alignment import PermutationSpec, match_activations, merge, plain_copy
from zoo.alignment.merging import reset_batch_norm
from zoo.alignment.transform import moved_copy
from zoo.errors import ModelError
from zoo.experiments.alignment import EvenReLU

IMAGES = torch.rand(40, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def norm_free():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4))


@pytest.mark.parametrize("kind", ["vgg", "residual", "grouped"])
def test_a_permuted_network_is_matched_with_itself_and_merged_without_loss(kind):
    net = seeded(NETS[kind])
    spec = PermutationSpec.of(net, 8)
    twin = permuted(seeded(NETS[kind]), spec)
    found = match_activations(net, twin, IMAGES, spec)
    if kind != "grouped":  # there a few channels per factor may be equally like two others
        assert min(layer.correlation for layer in found.layers) > 1 - 1e-9
        torch.testing.assert_close(merge(net, twin, found)(IMAGES), net(IMAGES))
        assert (merge(net, twin)(IMAGES) - net(IMAGES)).abs().max() > 1e-3
    assert all(sorted(layer.permutation) == list(range(len(layer.permutation))) for layer in found.layers)


def test_two_networks_are_matched_less_well_than_one_with_itself():
    net, torch_seed = seeded(Residual), torch.manual_seed(1)
    assert torch_seed
    other = Residual().double().eval()
    assert max(layer.correlation for layer in match_activations(net, other, IMAGES).layers) < 0.95


@pytest.mark.parametrize("name", ["p4cnn_12", "p4mcnn_12"])
def test_a_group_network_is_permuted_by_its_elements_and_by_no_others(name):
    net = zoo.create(name, width=3, seed=0)
    plain, images = plain_copy(net).double(), torch.rand(20, 3, 12, 12, dtype=torch.float64)
    spec = PermutationSpec.of(plain, 12)
    for g in Group("d4").elements[1:]:
        found = match_activations(plain, moved_copy(plain, g), images, spec)
        least = min(layer.correlation for layer in found.layers)
        order = 2 if g.flip or g.angle == 180 else 4
        if g in net.group:
            assert least > 1 - 1e-6
            dead = sum(layer.dead for layer in found.layers)
            assert dead or all(layer.returns(order) == 1 for layer in found.layers)
        else:
            assert least < 0.99


def test_an_invariant_function_need_not_have_equivariant_layers():
    net, x = EvenReLU(), torch.rand(200, 1, 4, 4)
    torch.testing.assert_close(net(x.flip(-1)), net(x), atol=1e-6, rtol=0)
    difference = x[..., :2].mean((1, 2, 3)) - x[..., 2:].mean((1, 2, 3))
    torch.testing.assert_close(net(x)[:, 0], difference.abs(), atol=1e-6, rtol=0)
    found = match_activations(net, moved_copy(net, Group("d1").elements[1]), x)
    assert found.layers[0].correlation < 0.95


def test_dead_channels_are_counted_and_left_out_of_the_mean():
    net = seeded(norm_free)
    net[0].weight.data[2], net[0].bias.data[2] = 0, -1.0
    found = match_activations(net, net, IMAGES)
    assert found.layers[0].dead == 1
    assert found.layers[0].correlation > 1 - 1e-9


def test_returns_counts_steps_around_cycles():
    net = seeded(norm_free)
    (first, *_) = match_activations(net, net, IMAGES).layers
    turned = type(first)(first.name, (1, 2, 3, 0, 5, 4), 1.0, 0)
    assert (turned.returns(2), turned.returns(4)) == (2 / 6, 1.0)


def test_networks_of_other_shapes_are_refused():
    with pytest.raises(
        ModelError, match=r"'0.weight' is \(6, 3, 3, 3\) in one network and \(5, 3, 3, 3\) in the other"
    ):
        match_activations(norm_free(), nn.Sequential(nn.Conv2d(3, 5, 3), *norm_free()[1:]), IMAGES)


def test_one_image_is_refused():
    with pytest.raises(ShapeError, match="n > 1, to correlate over them"):
        match_activations(seeded(norm_free), seeded(norm_free), IMAGES[:1])


def test_without_scipy_the_line_that_installs_it_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    net = seeded(norm_free)
    with pytest.raises(ModelError, match=r"matching channels needs scipy; run .*pip install"):
        match_activations(net, net, IMAGES)


def test_batch_norm_measures_its_statistics_again():
    net = seeded(NETS["vgg"])
    reset_batch_norm(net, IMAGES)
    features = net[0](IMAGES)
    torch.testing.assert_close(net[1].running_mean, features.mean((0, 2, 3)))
    assert not net.training and not net[1].training


@pytest.mark.parametrize("kind", ["vgg", "residual", "norm_free"])
def test_repair_gives_every_channel_the_moments_of_its_parents(kind):
    make = NETS.get(kind, norm_free)
    one, two = seeded(make), make().double().eval()
    merged = merge(one, two, recalibrate="repair", images=IMAGES)
    names = [n for n, m in one.named_modules() if isinstance(m, nn.BatchNorm2d)] or ["0", "2"]
    for name in names:
        moments = [stats(net, name) for net in (one, two, merged)]
        for a, b, c in zip(*moments, strict=True):
            torch.testing.assert_close(c, (a + b) / 2, rtol=1e-3, atol=1e-3)


def test_repair_of_a_network_with_itself_changes_nothing():
    net = seeded(Residual)
    torch.testing.assert_close(merge(net, net, recalibrate="repair", images=IMAGES)(IMAGES), net(IMAGES))


def stats(net, name):
    seen = []
    hook = dict(net.named_modules())[name].register_forward_hook(lambda m, args, out: seen.append(out))
    with torch.no_grad():
        net(IMAGES)
    hook.remove()
    return seen[0].mean((0, 2, 3)), seen[0].std((0, 2, 3), correction=0)


def test_alpha_weighs_the_two_networks():
    one, two = seeded(norm_free), norm_free().double().eval()
    for alpha, like in ((1.0, one), (0.0, two)):
        torch.testing.assert_close(merge(one, two, alpha=alpha)(IMAGES), like(IMAGES))


def test_bad_merges_are_refused():
    net = seeded(norm_free)
    with pytest.raises(ModelError, match="alpha is 2, expected"):
        merge(net, net, alpha=2)
    with pytest.raises(ModelError, match="measures statistics on images; give images="):
        merge(net, net, recalibrate="repair")
    with pytest.raises(ModelError, match="recalibrate"):
        merge(net, net, recalibrate="bn")
