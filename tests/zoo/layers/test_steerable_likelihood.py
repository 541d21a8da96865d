"""Convolutions with a likelihood over c8, c16, d8, so2 and o2: steerable where it is uniform, and no more elsewhere."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zoo
from symdata.groups import Element, Group
from tests.support.checkpoints import save
from tests.support.steerable import require_escnn
from zoo.errors import ModelError
from zoo.exactness.audits import audit
from zoo.layers.regular import move
from zoo.layers.relaxed import GroupLikelihood
from zoo.layers.steerable.convolution import FieldConv2d, FieldConvSpec
from zoo.layers.steerable.fibre import IMAGE, Fibre
from zoo.layers.steerable.filters import lattice_part
from zoo.layers.steerable.likelihood import LikelihoodSteerableConv2d, turned_harmonics
from zoo.measure import degree_of_equivariance, model_degree
from zoo.models.registry import build, create, export, needs
from zoo.objectives import objective_of
from zoo.preprocessing import Preprocessing

GROUPS = ("c8", "c16", "d8", "so2", "o2")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def layer(group, lifting=False, kernel=5):
    fibre = Fibre(Group.parse(group))
    spec = FieldConvSpec(IMAGE if lifting else fibre, fibre, 2, 3, kernel)
    return LikelihoodSteerableConv2d(spec, fibre.group).double()


def skew(model, spread=1.0):
    """Likelihoods that are not uniform."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, GroupLikelihood):
            nn.init.normal_(module.logits, std=spread)
    return model


@pytest.mark.parametrize("kernel", [1, 5])
@pytest.mark.parametrize("lifting", [True, False])
@pytest.mark.parametrize("group", GROUPS)
def test_a_uniform_likelihood_projects_on_the_steerable_kernels(group, lifting, kernel):
    """Its filters are sums of escnn's kernels for the group, and those of any other likelihood are not."""
    require_escnn()
    from zoo.layers.steerable.basis import kernel_basis

    conv = layer(group, lifting, kernel)
    basis = kernel_basis(conv.symmetry, conv.before, conv.after, kernel).double()
    columns = basis.flatten(1).T  # (d_out d_in k k, K)

    def outside():
        split = conv.filter().detach().view(conv.after.size, 3, conv.before.size, 2, kernel, kernel)
        rows = split.permute(1, 3, 0, 2, 4, 5).flatten(2).flatten(0, 1)
        inside = columns @ torch.linalg.lstsq(columns, rows.T).solution
        return float((inside - rows.T).norm() / rows.norm())

    assert outside() < 1e-6  # escnn samples in float32
    skew(conv)
    assert outside() > 0.05


@pytest.mark.parametrize("lifting", [True, False])
@pytest.mark.parametrize("group", GROUPS)
def test_it_starts_exact_on_pixels_and_can_leave(group, lifting):
    conv = layer(group, lifting)
    assert conv.is_strict and conv.degree == 1.0
    x = torch.randn(2, conv.in_channels, 9, 9, dtype=torch.float64)

    def worst():
        found = []
        for e in lattice_part(conv.symmetry).elements:
            into = torch.kron(conv.before.action(e), torch.eye(2, dtype=torch.float64))
            out = torch.kron(conv.after.action(e), torch.eye(3, dtype=torch.float64))
            turned = torch.einsum("ij,bjhw->bihw", into, move(x, e))
            wanted = torch.einsum("ij,bjhw->bihw", out, move(conv(x), e))
            found.append(float((conv(turned) - wanted).detach().norm() / wanted.detach().norm()))
        return max(found)

    assert worst() < 1e-6  # the constants are kept in float32
    skew(conv)
    assert worst() > 0.1 and not conv.is_strict and conv.degree < 0.95


def test_a_point_mass_is_an_ordinary_convolution_of_harmonics():
    conv = layer("c8")
    conv.likelihood.assign(torch.eye(8, dtype=torch.float64)[0])
    filters = torch.einsum("ocqrb,bxy->qorcxy", conv.coefficients, conv.turned[0]).reshape(conv.filter().shape)
    torch.testing.assert_close(conv.filter(), filters, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("group", "subgroup"), [("c8", "c4"), ("c16", "c4"), ("d8", "c4"), ("so2", "c4")])
def test_uniform_on_the_quarter_turns_is_exact_under_those(group, subgroup):
    conv = layer(group)
    inside = [float(e in Group.parse(subgroup)) for e in conv.likelihood.points.elements]
    if group == "so2":  # a likelihood over so2 is band-limited: the nearest it comes has frequency 4
        nn.init.zeros_(conv.likelihood.logits)
        with torch.no_grad():
            conv.likelihood.logits[6] = 3.0
    else:
        conv.likelihood.assign(torch.tensor(inside, dtype=torch.float64))
    filters = conv.filters()
    split = filters.view(conv.after.size, 3, conv.before.size, 2, 5, 5)

    def change(element):
        out, into = conv.after.action(element), conv.before.action(element)
        turned = torch.einsum("pq,qorcxy,sr->poscxy", out, move(split, element), into)
        return float((turned - split).norm() / split.norm())

    assert max(change(Element(90.0 * k)) for k in range(4)) < 1e-6
    assert conv.likelihood.degree() < 0.95
    if conv.symmetry.flips:
        assert change(Element(0.0, True)) > 0.1


def test_harmonics_turn_with_the_elements():
    """Band-limited functions: what a turn by 45 degrees makes of them is a sum of the same ones."""
    turned = turned_harmonics(Group(8), 5).flatten(2)
    for h in range(8):
        inside = turned[0].T @ torch.linalg.lstsq(turned[0].T, turned[h].T).solution
        torch.testing.assert_close(inside, turned[h].T, rtol=0, atol=1e-12)
        torch.testing.assert_close(
            turned_harmonics(Group(8), 5)[(h + 2) % 8], move(turned_harmonics(Group(8), 5)[h], Element(90.0))
        )


def test_gradients_reach_coefficients_and_likelihood():
    conv = LikelihoodSteerableConv2d(FieldConvSpec(IMAGE, Fibre(Group(8)), 1, 1, 3), Group(8)).double()
    skew(conv)
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    names, values = zip(*conv.named_parameters(), strict=True)

    def forward(*state):
        return torch.func.functional_call(conv, dict(zip(names, state, strict=True)), (x,))

    assert torch.autograd.gradcheck(forward, values)


@pytest.mark.parametrize("name", ["c8cnn_28", "so2cnn_28"])
def test_a_network_exports_saves_and_says_what_it_holds(tmp_path, name):
    model = create(name, relax="likelihood", width=2, num_classes=4, in_chans=1, seed=0).eval()
    assert build(model.architecture).architecture == model.architecture
    assert audit(model, 28).exact and objective_of(model, "auto").name == "likelihood"
    skew(model, 0.3)
    plain = export(model)
    x = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), model(x), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in plain.parameters()) == needs(plain.architecture, 28).parameters
    assert any(isinstance(m, FieldConv2d) for m in build(plain.architecture).modules())
    layers = degree_of_equivariance(model)
    assert {found.kind for found in layers} == {"likelihood"} and 0.1 < model_degree(layers) < 0.95
    assert len(layers[0].likelihood) == (8 if name == "c8cnn_28" else 16)
    assert model_degree(degree_of_equivariance(plain)) == pytest.approx(model_degree(layers), abs=1e-4)
    for net in (model, plain):
        said = audit(net, 28)
        assert not said.exact and len(said.relaxed) == 7 and "7 layers are relaxed" in said.verdict
    folder = save(tmp_path / "m", plain, preprocessing=Preprocessing(28, (0.1,), (0.3,)), golden_images=x)
    loaded = zoo.load(folder)
    with torch.no_grad():
        assert torch.equal(loaded(x), plain(x))
    assert not loaded.config["exactness"]["exact"] and not loaded.config["exactness"]["tied"]


def test_channels_last_changes_the_layout_and_no_number():
    model = create("c8cnn_28", relax="likelihood", width=2, in_chans=1, seed=0).eval()
    x = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        before = model(x)
        after = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_it_learns_the_filters_of_a_plain_network():
    """Nothing that a steerable network could not have is out of reach: a turned and an upright image are told apart."""
    net = create("c8cnn_28", relax="likelihood", width=2, num_classes=2, in_chans=1, seed=0).train()
    x = torch.rand(16, 1, 12, 12)
    images, labels = torch.cat([x, x.rot90(1, (-2, -1))]), torch.arange(2).repeat_interleave(16)
    logits = [p for name, p in net.named_parameters() if "logits" in name]
    others = [p for name, p in net.named_parameters() if "logits" not in name]
    optimiser = torch.optim.Adam([{"params": logits, "lr": 0.1}, {"params": others, "lr": 0.02}])
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(net(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.6 > 0.3 > losses[-1]


def test_other_relaxations_and_values_are_refused():
    with pytest.raises(ModelError, match="relax is 'bias' and c8cnn_28 is on a finer group"):
        create("c8cnn_28", relax="bias")
    architecture = create("c8cnn_28", relax="likelihood", width=1, seed=0).architecture
    with pytest.raises(ModelError, match="relax is 1"):
        build(architecture | {"relax": 1})
