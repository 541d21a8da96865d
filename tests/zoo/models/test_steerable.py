"""Steerable networks against escnn's own layers, under the group, exported to plain torch, and saved and resumed."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from symdata.groups import Element, Group
from tests.support.smooth import smooth_images, warp
from tests.support.steerable import require_escnn
from zoo import ModelError, audit, exact_sizes
from zoo.layers.regular import SAMPLES, move
from zoo.layers.steerable.basis import gspace, kernel_basis, representation, tied
from zoo.layers.steerable.convolution import FieldConvSpec, SteerableConv2d, ordinary
from zoo.layers.steerable.fibre import BAND, IMAGE, Fibre, FieldNonlinearity, mix
from zoo.layers.steerable.filters import lattice_part
from zoo.models.families.fields import FieldNet
from zoo.models.names import ModelName
from zoo.models.registry import build, create
from zoo.models.steerable import export

pytestmark = pytest.mark.usefixtures("escnn")

GROUPS = ("c8", "c16", "d8", "so2", "o2")
NETS = [f"{group}{kind}" for group in GROUPS for kind in ("cnn_12", "wrn16_13")]


@pytest.fixture(scope="module")
def escnn():
    return require_escnn()


def small(name, **choices):
    """A network with few fields, whose running statistics are no longer those it was born with."""
    net = create(name, **({"num_classes": 4, "in_chans": 1, "width": 2, "seed": 0} | choices))
    size = ModelName.parse(name).size
    with torch.no_grad():
        net.train()(torch.randn(4, net.spec.in_chans, size, size, generator=torch.Generator().manual_seed(1)))
    return net.eval()


def images(net, count=2, dtype=torch.float32):
    size = net.spec.name.size
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, net.spec.in_chans, size, size, generator=generator, dtype=torch.float64).to(dtype)


def field_major(x, size):
    """Our layout of channels to that of escnn."""
    return x.unflatten(1, (size, -1)).transpose(1, 2).flatten(1, 2)


def action_error(net, x, element, turn=move):
    """|F(e x) - e F(x)| / |F(x)| on the last feature map."""
    with torch.no_grad():
        moved, f = net.features(turn(x, element)), turn(net.features(x), element)
    return float((moved - mix(net.fibre.action(element).to(f.dtype), f)).norm() / f.norm())


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("name", GROUPS)
def test_a_convolution_equals_that_of_escnn(escnn, name, kernel):
    group = Group.parse(name)
    fibre, space = Fibre(group), gspace(group)
    for before, count in ((IMAGE, 2), (fibre, 2)):
        ours = SteerableConv2d(FieldConvSpec(before, fibre, count, 3, kernel, 2, kernel // 2), group)
        into, out = (
            escnn.nn.FieldType(space, n * [representation(f, space)]) for f, n in ((before, count), (fibre, 3))
        )
        theirs = escnn.nn.R2Conv(into, out, kernel, stride=2, padding=kernel // 2, bias=False, initialize=False)
        theirs.weights.data = ours.weight.detach().flatten()
        x = torch.randn(2, count * before.size, 9, 9)
        expected = theirs(into(field_major(x, before.size))).tensor
        assert torch.allclose(field_major(ours(x), fibre.size), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["c8", "d8"])
def test_bending_a_regular_field_equals_escnn(escnn, name):
    group = Group.parse(name)
    fibre, space = Fibre(group), gspace(group)
    kind = escnn.nn.FieldType(space, 3 * [space.regular_repr])
    ours = FieldNonlinearity(fibre, 3, pool=2)
    layers = (escnn.nn.InnerBatchNorm(kind), escnn.nn.ReLU(kind), escnn.nn.PointwiseMaxPool2D(kind, 2))
    theirs = escnn.nn.SequentialModule(*layers)
    x = torch.randn(4, 3 * fibre.size, 6, 6)
    for training in (True, False):
        expected = theirs.train(training)(kind(field_major(x, fibre.size))).tensor
        assert torch.allclose(field_major(ours.train(training)(x), fibre.size), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["so2", "o2"])
def test_bending_a_band_limited_field_equals_escnn(escnn, name):
    group = Group.parse(name)
    fibre, space = Fibre(group), gspace(group)
    irreps = space.fibergroup.bl_irreps(BAND)
    theirs = escnn.nn.FourierELU(space, 3, irreps, inplace=False, type="regular", N=SAMPLES)
    ours = FieldNonlinearity(fibre, 3).eval()
    ours.norm.eps = 0.0  # fresh statistics: the norm does nothing
    x = torch.randn(2, 3 * fibre.size, 4, 4)
    expected = theirs(theirs.in_type(field_major(x, fibre.size))).tensor
    assert torch.allclose(field_major(ours(x), fibre.size), expected, atol=1e-5)


@pytest.mark.parametrize("name", GROUPS)
def test_elements_act_on_fibres_as_in_escnn(name):
    fibre, space = Fibre(Group.parse(name)), gspace(Group.parse(name))
    kind, group = representation(fibre, space), space.fibergroup
    for e in fibre.points[:: 3 if fibre.group.is_finite else 5]:
        angle = math.radians(e.angle)
        if fibre.group.is_finite:
            theirs = list(group.elements)[fibre.group.index(e)]
        else:
            theirs = group.element((int(e.flip), angle) if e.flip or fibre.group.flips else angle, "radians")
        expected = torch.tensor(kind(theirs), dtype=torch.float64)
        assert torch.allclose(fibre.action(e), expected, atol=1e-9), str(e)


@pytest.mark.parametrize("name", NETS)
def test_an_exported_network_has_the_same_logits(name):
    net = small(name)
    plain_net = export(net)
    x = images(net)
    assert not any(isinstance(m, SteerableConv2d) for m in plain_net.modules())
    with torch.no_grad():
        assert torch.allclose(plain_net(x), net(x), rtol=1e-6, atol=1e-6)
        wide = copy.deepcopy(net).double()
        assert torch.allclose(export(wide)(x.double()), wide(x.double()), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", NETS)
def test_features_move_with_the_image_and_logits_stay(name):
    net = small(name, width=1)
    generators = [e for e in lattice_part(net.group).elements if str(e) in ("r90", "m")]
    assert len(generators) == 1 + net.group.flips
    for model in (net, export(net)):
        wide = copy.deepcopy(model).double()
        x = images(net, dtype=torch.float64)
        for e in generators:
            assert action_error(model, x.float(), e) < 1e-5
            assert action_error(wide, x, e) < 1e-10
            assert torch.allclose(wide.act(wide.features(x), e), wide.features(move(x, e)), atol=1e-9)
            with torch.no_grad():
                assert torch.allclose(wide(move(x, e)), wide(x), atol=1e-10)


@pytest.mark.parametrize("name", ["c8cnn_13", "so2cnn_13", "c8wrn16_12"])
def test_at_other_sizes_they_do_not(name):
    net = small(name).double()
    assert action_error(net, images(net, dtype=torch.float64), Element(90.0)) > 1e-2


@pytest.mark.parametrize(
    ("name", "exact", "broken"), [("c8cnn_28", 28, 29), ("so2cnn_28", 28, 29), ("c8wrn16_13", 13, 12)]
)
def test_the_audit_is_the_same_before_and_after_export(name, exact, broken):
    net = small(name)
    for size in (exact, broken):
        before, after = audit(net, size), audit(export(net), size)
        assert before.exact == after.exact == (size == exact)
        assert before.phi == after.phi and before.survivors == after.survivors
        assert [layer.kind for layer in before.layers] == [layer.kind for layer in after.layers]
    assert exact_sizes(net, (exact, broken)) == (exact,)


@pytest.mark.parametrize("name", ["c8", "d8", "so2", "o2"])
def test_45_degrees_are_approximate_and_free_filters_far_off(name):
    group = Group.parse(name)
    x = smooth_images(8, 28)
    spec = small(f"{name}cnn_28", width=4).spec

    def error(make):
        torch.manual_seed(0)
        net = FieldNet(spec, make)
        net.body = net.body[:2]  # the first convolution: later ones only add up
        return action_error(net.double().eval(), x, Element(45.0), warp)

    ours, free = error(lambda conv: SteerableConv2d(conv, group)), error(ordinary)
    assert ours < 0.1 and free > 5 * ours, (ours, free)


def test_training_state_is_the_same_in_both_modes_and_goes_into_a_fresh_network():
    net = small("d8cnn_12", dropout=0.2)
    keys = {mode: list(net.train(mode).state_dict()) for mode in (True, False, True)}
    assert keys[True] == keys[False] and not any("basis" in key or "sampling" in key for key in keys[True])
    fresh = create("d8cnn_12", num_classes=4, in_chans=1, width=2, dropout=0.2, seed=7)
    x = images(net)
    assert not torch.equal(fresh.eval()(x), net.eval()(x))
    fresh.train().load_state_dict(net.state_dict())
    assert torch.equal(fresh.eval()(x), net.eval()(x)) and fresh.architecture == net.architecture


def test_an_exported_network_goes_through_safetensors(tmp_path):
    net = export(small("o2wrn16_13", width=1))
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    again = build(net.architecture)
    again.load_state_dict(load_file(tmp_path / "w.safetensors"))
    assert torch.equal(again(images(net)), net(images(net)))
    own = sum(p.numel() * p.element_size() for p in net.parameters())
    assert (tmp_path / "w.safetensors").stat().st_size <= 1.05 * own + 8192  # names and shapes


def test_one_network_does_not_touch_another():
    a, b = small("c8cnn_28"), small("c8cnn_28")
    x = images(a)
    before = b(x)
    copy.deepcopy(a.eval()).double()(x.double())
    a.double().half()
    assert torch.equal(b(x), before)
    assert kernel_basis(a.group, IMAGE, a.fibre, 5).dtype == torch.float32
    assert torch.equal(small("c8cnn_28")(x), before)


@pytest.mark.parametrize("name", ["c8wrn16_13", "o2cnn_12"])
def test_gradients_reach_every_parameter_and_training_lowers_the_loss(name):
    net = small(name).train()
    x, labels = images(net, 8), torch.arange(8) % 4
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(6):
        loss = F.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_layers_keep_the_scale_of_their_input():
    for name in GROUPS:
        group = Group.parse(name)
        conv = SteerableConv2d(FieldConvSpec(Fibre(group), Fibre(group), 8, 8, 5, 1, 0), group)
        y = conv(torch.randn(16, conv.in_channels, 9, 9)).detach()
        assert 1.0 < float(y.square().mean()) < 4.0  # He: 2, which a ReLU halves


def test_the_seed_decides_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    a, b, c = (create("c8cnn_28", width=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a.head.weight, b.head.weight) and not torch.equal(a.head.weight, c.head.weight)
    assert torch.equal(a.body[0].weight, b.body[0].weight)


def test_an_architecture_builds_the_same_network_again():
    net = create("so2cnn_28.mnist-none", width=3, coset_pool=False, dropout=0.1)
    assert net.architecture == {
        "form": "steerable", "name": "so2cnn_28", "classes": 10, "channels": 3, "width": 3,
        "coset_pool": False, "dropout": 0.1,
    }  # fmt: skip
    again = build(net.architecture)
    assert again.architecture == net.architecture and net.is_steerable
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in net.state_dict().items()}
    again.load_state_dict(net.state_dict())


def test_without_coset_pooling_logits_move():
    net = small("c8cnn_28", coset_pool=False).double()
    x = images(net, dtype=torch.float64)
    assert action_error(net, x, Element(90.0)) < 1e-10
    assert not torch.allclose(net(move(x, Element(90.0))), net(x), atol=1e-3)


@pytest.mark.parametrize("name", ["c8cnn_28", "c16cnn_28", "d8cnn_28", "so2cnn_28", "o2cnn_28"])
def test_default_widths_have_about_the_parameters_of_p4cnn(name):
    count = sum(p.numel() for p in create(name).parameters())
    assert 0.85 * 24_990 < count < 1.15 * 24_990


def test_what_is_no_steerable_network_is_refused():
    for name in ("c8resnet44_28", "c8cnn_9"):
        with pytest.raises(ModelError):
            create(name)
    with pytest.raises(ModelError, match=r"is no steerable network; export takes those that zoo\.create makes"):
        export(torch.nn.Conv2d(1, 1, 3))
    with pytest.raises(ModelError, match="width"):
        create("c8cnn_28", width=0)
    net = export(small("c8cnn_28"))
    assert export(net) is net


def test_filters_of_another_convention_are_noticed():
    fibre = Fibre(Group.parse("c8"))
    basis = kernel_basis(fibre.group, IMAGE, fibre, 5)
    assert torch.equal(tied(basis, fibre.group, IMAGE, fibre), basis)
    with pytest.raises(ModelError, match="are off by"):
        tied(basis.flip(1), fibre.group, IMAGE, fibre)
