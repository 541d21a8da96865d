"""Every network of the registry is exact at the sizes that arithmetic predicts and at no other."""

import pytest
import torch

from symdata.groups import Group
from tests.support.nets import BROKEN, EXACT
from zoo import audit, exact_sizes
from zoo.errors import SymdataError
from zoo.layers.regular import move
from zoo.measure.feature_error import BROKEN_ERROR, EXACT_ERROR
from zoo.measure.size_table import size_table
from zoo.models.family import families
from zoo.models.names import LATTICE_WORDS, ModelName
from zoo.models.registry import create
from zoo.models.spec import NetworkSpec

WHOLE = (*range(20, 101), 224, 225)

REFERENCE = {
    "cnn": tuple(i for i in WHOLE if i % 2 == 0),
    "cnn2": (20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 224),
    "cwcnn": tuple(i for i in WHOLE if i % 2 == 0 and i >= 28),
    "resnet44": (21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61, 65, 69, 73, 77, 81, 85, 89, 93, 97, 225),
    "resnet18": (25, 33, 41, 49, 57, 65, 73, 81, 89, 97, 225),
    "pcamresnet44": (21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61, 65, 69, 73, 77, 81, 85, 89, 93, 97, 225),
    "knight": tuple(i for i in WHOLE if i % 2 == 1),
}
"""Published exact sizes among 20..100, 224 and 225."""

SOME = {
    "cnn": (20, 21),
    "cnn2": (20, 21, 22, 23),
    "cwcnn": (28, 29),
    "resnet44": (21, 22, 23),
    "resnet18": (17, 18, 19, 21),
    "pcamresnet44": (20, 21),
    "knight": (20, 21),
}
"""An exact size of each architecture, and one for every layer that may be the first to break."""

LATTICE_ARCHITECTURES = [architecture for word, architecture in families() if word == "p4"]
PLAIN = [f"{word}{architecture}" for word in LATTICE_WORDS for architecture in LATTICE_ARCHITECTURES]
FEW = ["gcz2resnet44", "gp4resnet44", "gcp4resnet44", "gcp4mresnet18"]
"""Separable variants: their grids are those of the plain networks."""


USUAL = [
    head
    for head in PLAIN
    if (parsed := ModelName.parse(f"{head}_28")).group_word in ("p4", "pm") or parsed.architecture in ("cnn", "cnn2")
]
"""Every architecture under turns and under mirrors, and every group under one or two pools; `-m exhaustive` has all."""


def width(architecture):
    return (2, 2, 2) if architecture == "pcamresnet44" else 2


def small(head):
    return create(f"{head}_100", width=width(ModelName.parse(f"{head}_100").architecture), seed=0)


@pytest.mark.parametrize("head", [*USUAL, *FEW])
def test_predicted_is_measured(head):
    architecture = ModelName.parse(f"{head}_28").architecture
    rows = size_table(f"{head}_28", SOME[architecture], width=width(architecture))
    for row in rows:
        assert row.agrees, row
        assert row.phi == NetworkSpec.of(f"{head}_{row.size}").phi
    assert {row.exact for row in rows} == {True, False}


@pytest.mark.exhaustive
@pytest.mark.parametrize("head", [*PLAIN, *FEW])
def test_predicted_is_measured_at_every_size(head):
    architecture = ModelName.parse(f"{head}_28").architecture
    sizes = [size for size in WHOLE if architecture != "cwcnn" or size >= 28]
    rows = size_table(f"{head}_28", sizes, width=width(architecture), images=1)
    assert not [row for row in rows if not row.agrees]
    assert tuple(row.size for row in rows if row.exact) == REFERENCE[architecture]


@pytest.mark.parametrize("architecture", LATTICE_ARCHITECTURES)
@pytest.mark.parametrize("sizes", [(*range(20, 38), 100, 224, 225), pytest.param(WHOLE, marks=pytest.mark.exhaustive)])
def test_the_published_tables(architecture, sizes):
    """Whether a size is exact depends on its residue modulo 8 or less; 20..37 has each of them twice."""
    published = tuple(size for size in REFERENCE[architecture] if size in sizes)
    assert exact_sizes(small(f"p4{architecture}"), sizes) == published
    runs = [size for size in WHOLE if architecture != "cwcnn" or size >= 28]
    phi = {size: NetworkSpec.of(f"p4{architecture}_{size}").phi for size in runs}
    assert tuple(size for size in runs if phi[size] == 0) == REFERENCE[architecture]


FIRST_BROKEN = [
    ("p4resnet44", "trunk.stage2.0.conv1", (32, 224)),
    ("p4resnet44", "trunk.stage3.0.conv1", (23, 31)),
    ("p4mresnet18", "trunk.stage2.0.conv1", (22, 224)),
    ("p4mresnet18", "trunk.stage3.0.conv1", (23, 27)),
    ("p4mresnet18", "trunk.stage4.0.conv1", (21, 37)),
    ("p4cnn2", "trunk.pool2", (21, 27)),
    ("p4cnn2", "trunk.pool3", (22, 26)),
]


@pytest.mark.parametrize(("head", "layer", "sizes"), FIRST_BROKEN)
def test_the_first_broken_layer(head, layer, sizes):
    net = small(head)
    for size in sizes:
        assert audit(net, size).first_broken.name == layer


INVARIANCE = [("p4cnn", 4), ("pmcnn2", 4), ("p4mresnet18", 2), ("p2pcamresnet44", (2, 2, 2)), ("p4knight", 2)]


@pytest.mark.parametrize(("head", "fields"), INVARIANCE)
def test_logits_are_invariant_exactly_where_the_size_is_exact_and_cosets_are_pooled(head, fields):
    architecture = ModelName.parse(f"{head}_28").architecture
    for size in SOME[architecture][:2]:
        assert (_gap(f"{head}_{size}", fields, True) < EXACT) is (NetworkSpec.of(f"{head}_{size}").phi == 0)
        assert architecture == "knight" or _gap(f"{head}_{size}", fields, False) > BROKEN


def _gap(name, fields, coset_pool):
    """How far apart the logits of an image and of the moved image are, once the norms have seen a batch."""
    net, size = create(name, width=fields, coset_pool=coset_pool, seed=0).double(), ModelName.parse(name).size
    for norm in net.modules():
        norm.momentum = 1.0
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(8, net.in_chans, size, size, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        net.train()(x)
        y = net.eval()(x)
        return max(float((net(move(x, e)) - y).norm() / y.norm()) for e in net.group.elements)


def test_control_the_bounds_are_far_apart_and_a_wrong_prediction_is_seen(monkeypatch):
    assert EXACT_ERROR * 1e5 < BROKEN_ERROR
    monkeypatch.setattr("zoo.exactness.tracer.outcome", lambda recorder, outputs: dict.fromkeys(recorder.elements))
    assert not size_table("p4cnn_28", [27], width=2)[0].agrees


def test_a_module_is_measured_as_it_is_and_bad_input_is_refused():
    net = small("p4cnn")
    assert [row.agrees for row in size_table(net, (12, 13))] == [True, True]
    assert size_table(net, [12])[0].to_dict().keys() == {"size", "phi", "exact", "error", "agrees"}
    with pytest.raises(SymdataError, match="the model is made already"):
        size_table(net, [12], width=3)
    with pytest.raises(SymdataError, match="did you mean p4cnn_28"):
        size_table("p4ccn_28", [12])
    net.group = Group.parse("c8")
    with pytest.raises(SymdataError, match="built on c8, whose feature maps are not compared"):
        size_table(net, [12])
    net.group = Group.parse("c4")
    with pytest.raises(SymdataError, match="larger --size"):
        size_table(net, [4])
