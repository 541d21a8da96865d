"""Fields of c8 to o2 in plain torch: their action, what acts on samples, and architectures from files of any origin."""

import json
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from symdata.installation.hints import install_line
from zoo import ModelError, audit, exact_sizes
from zoo.layers.regular import move
from zoo.layers.steerable.basis import escnn
from zoo.layers.steerable.convolution import ordinary
from zoo.layers.steerable.fibre import IMAGE, Fibre, FibrePool, FieldNonlinearity, mix
from zoo.models.families.fields import FieldNet
from zoo.models.registry import build, needs
from zoo.models.spec import NetworkSpec

GROUPS = ("c8", "c16", "d8", "so2", "o2")
CONTINUOUS = ("so2", "o2")
ANGLES = (0.0, 22.5, 90.0, 135.0, 270.0)

GOOD = {
    "form": "exported",
    "name": "c8cnn_28",
    "classes": 3,
    "channels": 1,
    "width": 2,
    "coset_pool": True,
    "dropout": 0.0,
}


def sampled_elements(fibre):
    """Elements that permute the samples: those of the group, or of the 16 rotations that stand for it."""
    return [e for e in fibre.points if fibre.group.is_finite or e.angle in ANGLES]


def acted(fibre, element, x):
    """The action on fibres alone, without moving pixels."""
    return mix(fibre.action(element).to(x.dtype), x)


@pytest.mark.parametrize("name", GROUPS)
def test_the_action_on_fibres_is_a_representation(name):
    fibre = Fibre(Group.parse(name))
    elements = sampled_elements(fibre)
    one = torch.eye(fibre.size, dtype=torch.float64)
    assert torch.equal(fibre.action(Element()), one)
    for a in elements:
        assert torch.allclose(fibre.action(a) @ fibre.action(a).T, one, atol=1e-11)
        for b in elements:
            assert torch.allclose(fibre.action(a @ b), fibre.action(a) @ fibre.action(b), atol=1e-11)


@pytest.mark.parametrize("name", GROUPS)
def test_elements_of_d4_permute_coefficients_up_to_signs(name):
    group = Group.parse(name)
    for e in Group(4, group.flips).elements:
        action = Fibre(group).action(e)
        assert set(action.abs().unique().tolist()) <= {0.0, 1.0} and torch.equal(
            action.abs().sum(0), torch.ones(len(action), dtype=torch.float64)
        )


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_are_values_of_a_function_that_moves(name):
    """(e f)(g) = f(e^-1 g) at every sample, for elements that lie between the samples too."""
    fibre = Fibre(Group.parse(name))
    f = torch.randn(fibre.size, dtype=torch.float64)
    for e in (Element(90.0), Element(33.0), Element(200.0, name == "o2")):
        pulled = Fibre(fibre.group).sampling() @ fibre.action(~e) @ f  # f(e g) at the samples g
        for i, g in enumerate(fibre.points):
            (j,) = [j for j, h in enumerate(fibre.points) if h.isclose(e @ g)] or [None]
            if j is not None:
                assert torch.isclose(pulled[i], (fibre.sampling() @ f)[j], atol=1e-11)


@pytest.mark.parametrize("name", GROUPS)
def test_bending_and_pooling_commute_with_sampled_elements(name):
    fibre = Fibre(Group.parse(name))
    bend, pool = FieldNonlinearity(fibre, 3, pool=2).double(), FibrePool(fibre).double()
    x = torch.randn(4, 3 * fibre.size, 6, 6, dtype=torch.float64)
    for training in (True, False):
        bend.train(training)
        y = bend(x)
        for e in sampled_elements(fibre):
            assert torch.allclose(bend(acted(fibre, e, x)), acted(fibre, e, y), atol=1e-6)  # sampling is float32
            assert torch.allclose(pool(acted(fibre, e, x)), pool(x), atol=1e-6)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_between_the_samples_bending_is_approximate_and_without_sampling_wrong(name):
    fibre, e = Fibre(Group.parse(name)), Element(11.25, name == "o2")
    bend = FieldNonlinearity(fibre, 3).eval()
    x = torch.randn(4, 3 * fibre.size, 5, 5)
    y = acted(fibre, e, bend(x))
    error = (bend(acted(fibre, e, x)) - y).norm() / y.norm()
    pointwise = acted(fibre, e, F.elu(x))
    wrong = (F.elu(acted(fibre, e, x)) - pointwise).norm() / pointwise.norm()
    assert 1e-7 < error < 0.02 and wrong > 10 * error  # negative control: coefficients must not be bent one by one


def test_the_norm_is_shared_over_the_samples_of_a_field():
    fibre = Fibre(Group.parse("c8"))
    bend = FieldNonlinearity(fibre, 2)
    x = torch.randn(5, 16, 4, 4)
    fields = x.unflatten(1, (8, 2))
    mean, var = fields.mean((0, 1, 3, 4)), fields.var((0, 1, 3, 4), unbiased=False)
    expected = ((fields - mean.view(1, 1, 2, 1, 1)) / (var.view(1, 1, 2, 1, 1) + 1e-5).sqrt()).relu().flatten(1, 2)
    assert torch.allclose(bend(x), expected, atol=1e-5)
    assert bend.norm.running_mean.shape == (2,)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize(
    ("architecture", "exact", "broken"), [("cnn", (28, 30), (27, 29)), ("wrn16", (29, 33), (28, 31, 32))]
)
def test_the_audit_knows_the_exact_sizes(name, architecture, exact, broken):
    net = build(GOOD | {"name": f"{name}{architecture}_33"})
    assert exact_sizes(net, (*exact, *broken)) == exact
    assert not audit(net, broken[0]).exact


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("architecture", ["cnn", "wrn16"])
def test_an_architecture_survives_json(architecture, pool):
    net = build(GOOD | {"name": f"so2{architecture}_29", "coset_pool": pool, "dropout": 0.25})
    again = build(json.loads(json.dumps(net.architecture)))
    again.load_state_dict(net.state_dict())
    x = torch.randn(2, 1, 29, 29)
    assert again.architecture == net.architecture and torch.equal(again(x), net(x))
    assert again(x).shape == (2, 3) and str(again.group) == "so2" and not again.is_steerable


def test_a_state_dict_holds_weights_and_nothing_that_can_be_computed():
    net = build(GOOD | {"name": "o2cnn_28"})
    state = net.state_dict()
    assert all(tensor.is_contiguous() for tensor in state.values())
    own = sum(p.numel() * p.element_size() for p in net.parameters())
    assert sum(t.numel() * t.element_size() for t in state.values()) <= 1.05 * own
    assert {key.rpartition(".")[2] for key in state} == {
        *("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    }


BAD = [
    {"form": "paths"},
    {"name": "p4cnn_28"},
    {"name": "c8cnn_28.mnist"},
    {"name": "c8resnet44_28"},
    {"name": "c8cnn_9"},
    {"name": 7},
    {"name": "__import__('os')"},
    {"classes": -1},
    {"classes": 2.0},
    {"classes": True},
    {"channels": "3"},
    {"channels": -1},
    {"width": 0},
    {"width": 10**30},
    {"width": [2]},
    {"width": math.nan},
    {"coset_pool": 1},
    {"dropout": 1.0},
    {"dropout": math.nan},
    {"dropout": "0.1"},
    {"dropout": True},
    {"extra": 1},
]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_a_senseless_architecture_is_refused(change):
    with pytest.raises(ModelError):
        build(GOOD | change)


@pytest.mark.parametrize("key", GOOD)
def test_every_entry_must_be_there(key):
    with pytest.raises(ModelError):
        build({k: v for k, v in GOOD.items() if k != key})


@pytest.mark.parametrize("architecture", [None, [], "c8cnn_28", {}, {"form": ["exported"]}, {1: 2, "form": "exported"}])
def test_what_is_no_architecture_is_refused(architecture):
    with pytest.raises(ModelError):
        build(architecture)


@given(st.dictionaries(st.sampled_from([*GOOD]), st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=9))))
def test_anything_else_is_refused_or_small(change):
    try:
        net = build(GOOD | change)
    except ModelError:
        return
    assert sum(p.numel() for p in net.parameters()) <= FieldNet.max_parameters


def test_what_only_escnn_can_build_is_not_counted():
    assert needs(GOOD, 28).parameters == sum(p.numel() for p in build(GOOD).parameters())
    with pytest.raises(ModelError, match="is no exported architecture"):
        needs(GOOD | {"form": "steerable"}, 28)


def test_a_huge_network_is_counted_before_it_is_made():
    with pytest.raises(ModelError, match=r"parameters, at most 67,108,864 are built; width=4 is published"):
        build(GOOD | {"name": "c16wrn16_33", "width": 1024, "classes": 65_536})


def test_images_that_do_not_fit_are_refused():
    net = build(GOOD)
    for images in (torch.zeros(1, 3, 28, 28), torch.zeros(1, 28, 28), torch.zeros(1, 1, 28, 28, dtype=torch.uint8)):
        with pytest.raises(ShapeError, match="expected floats"):
            net(images)
    with pytest.raises(ShapeError, match="10x10"):
        net(torch.zeros(1, 1, 9, 28))
    assert net(torch.zeros(1, 1, 10, 10)).shape == (1, 3)


@pytest.mark.parametrize("name", GROUPS)
def test_default_widths_make_about_the_channels_of_a_wide_resnet(name):
    channels = NetworkSpec.of(f"{name}wrn16_29").width * Fibre(Group.parse(name)).size
    assert 63 <= channels <= 70


def test_it_compiles_into_one_graph():
    net = build(GOOD | {"name": "so2cnn_28"})
    x = torch.randn(2, 1, 12, 12)
    with torch.no_grad():
        compiled = torch.compile(net, fullgraph=True, backend="eager")
        assert torch.allclose(compiled(x), net(x), atol=1e-6)


def test_it_loads_where_escnn_cannot_be_imported():
    code = f"""
import sys
sys.modules["escnn"] = None
from zoo.models.registry import build
import torch
assert build({GOOD!r})(torch.zeros(1, 1, 28, 28)).shape == (1, 3)
assert not any(name.startswith("lie_learn") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_escnn_is_a_sentence_with_the_line_that_installs_it(monkeypatch):
    escnn.cache_clear()
    monkeypatch.setitem(sys.modules, "escnn", None)
    with pytest.raises(ModelError, match="--no-deps escnn==") as caught:
        escnn()
    assert install_line("steerable") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_free_filters_are_not_equivariant():
    """Negative control for the exactness of exported networks: the skeleton alone does not make it."""
    net = FieldNet(NetworkSpec.of("c8cnn_28", num_classes=3, in_chans=1, width=2), ordinary).double().eval()
    x = torch.randn(4, 1, 28, 28, dtype=torch.float64)
    f, turned = net.features(x), net.features(move(x, Element(90.0)))
    assert (turned - net.act(f, Element(90.0))).norm() > 0.1 * f.norm()


def test_pixels_have_a_trivial_fibre():
    assert IMAGE.size == 1 and torch.equal(IMAGE.action(Element(45.0, True)), torch.ones(1, 1, dtype=torch.float64))
