"""What is registered is found: a family of networks, a relaxation and a way to downsample that only this file has."""

import json

import pytest
import torch
from torch import nn

from zoo.errors import ModelError
from zoo.layers import LiftingConv2d
from zoo.layers.regular import order
from zoo.layers.relaxed import RELAXATIONS, RelaxedConv2d
from zoo.layers.relaxed.base import relaxation
from zoo.layers.subsampling.downsampling import KINDS, DownsamplingKind, Stride2d
from zoo.measure import degree_of_equivariance
from zoo.models import family as registered
from zoo.models.choices import COSET_POOL
from zoo.models.family import Choice, families, family, known_prefixes
from zoo.models.names import ModelName
from zoo.models.network import Network
from zoo.models.registry import build, create, list_models, needs
from zoo.models.spec import NetworkSpec
from zoo.references.listing import list_rows


def forget():
    families.cache_clear()
    known_prefixes.cache_clear()


def _slope(spec, value):
    if not isinstance(value, float):
        raise ModelError(f"slope is {value!r}, expected a number, for example 0.1")
    return value


@pytest.fixture
def tiny(monkeypatch):
    """A family of one layer, for as long as a test runs."""
    families()
    monkeypatch.setattr(registered, "_FAMILIES", dict(registered._FAMILIES))
    facts = {"sizes": (9, 8), "width": lambda name: 2, "period": 2, "first": 1, "bias": False}

    @family("tiny", ("z2", "p4"), choices=(COSET_POOL, Choice("slope", 0.0, _slope, optional=True)), **facts)
    class Tiny(Network):
        def __init__(self, group, fields, *, in_chans, num_classes, coset_pool=True, slope=0.0, bias=True):
            layer = LiftingConv2d(group, in_chans, fields, 3, stride=2, padding=1, bias=bias)
            trunk = nn.Sequential(layer, nn.LeakyReLU(slope))
            super().__init__(
                group, trunk, in_chans=in_chans, fields=fields, num_classes=num_classes, coset_pool=coset_pool
            )

        @classmethod
        def trunk_count(cls, spec):
            return LiftingConv2d.count(order(spec.group), spec.in_chans, spec.widths[0], 3)

    yield Tiny
    forget()


def test_a_family_is_created_built_counted_and_listed(tiny):
    net = create("p4tiny_9", slope=0.5, seed=0)
    assert type(net) is tiny and net.in_chans == 3 and net.num_classes == 10 and net.trunk[0].bias is None
    assert net.architecture == {
        "name": "p4tiny_9", "classes": 10, "channels": 3, "width": 2, "coset_pool": True, "slope": 0.5,
    }  # fmt: skip
    again = build(json.loads(json.dumps(net.architecture)))
    again.load_state_dict(net.state_dict())
    images = torch.randn(2, 3, 9, 9)
    assert torch.equal(again(images), net(images)) and net(images).shape == (2, 10)
    assert needs(net.architecture, 9).parameters == sum(p.numel() for p in net.parameters())
    assert list_models("*tiny*") == ("z2tiny_9", "z2tiny_8", "p4tiny_9", "p4tiny_8")
    assert [row["phi"] for row in list_rows("p4tiny*").rows] == [0, 1] and "slope" not in create(
        "z2tiny_8"
    ).architecture
    assert str(ModelName.parse("c4tiny_9")) == "p4tiny_9"


def test_a_family_is_refused_what_it_does_not_have(tiny):
    for call, sentence in (
        (lambda: create("p4tny_9"), "did you mean p4tiny_9"),
        (lambda: create("p4mtiny_9"), "did you mean p4tiny_9"),
        (lambda: create("p4tiny_9", relax="bias"), "relax is 'bias' and p4tiny_9 has no such choice"),
        (
            lambda: create("p4cnn_28", slope=0.1),
            "slope is 0.1 and p4cnn_28 has no such choice; leave it out, or take p4t",
        ),
        (lambda: create("p4tiny_9", slope=1), "slope is 1, expected a number"),
        (lambda: create("p4tiny_9", slpe=1.0), "no network has a choice 'slpe'; did you mean slope"),
        (lambda: build(create("p4tiny_9").architecture | {"dropout": 0.0}), "expected exactly the keys name, classes"),
    ):
        with pytest.raises(ModelError, match=sentence):
            call()


def test_it_is_gone_afterwards():
    with pytest.raises(ModelError, match="no network of the zoo"):
        create("p4tiny_9")


def test_a_name_is_registered_once(tiny):
    with pytest.raises(ValueError, match="there are two families z2tiny"):
        family("tiny", ("z2",), sizes=(9,), width=lambda name: 2)(tiny)


def test_every_family_says_what_it_needs():
    for (word, architecture), entry in families().items():
        name = ModelName(entry.variants[0], word, architecture, entry.sizes[0])
        spec = NetworkSpec.of(name)
        assert name.family is entry and spec.form == entry.forms[0]
        assert (
            spec.parameters() > 0 and spec.largest_map(name.size) > 0 and NetworkSpec.from_dict(spec.to_dict()) == spec
        )
        assert all(choice.name in spec.choices for choice in entry.choices)


def test_a_relaxation_is_found_by_its_word():
    try:

        @relaxation("scaled", lambda tied, size, pixels: tied + size)
        class ScaledGroupConv2d(RelaxedConv2d):
            def make_weights(self):
                super().make_weights()
                self.scale = nn.Parameter(torch.ones(order(self.group)))

            def expand(self):
                bank, bias = super().expand()
                return bank * self.scale.repeat_interleave(self.out_fields).view(-1, 1, 1, 1), bias

        net = create("p4cnn_28", relax="scaled", width=2, seed=0)
        assert RELAXATIONS["scaled"] == (LiftingConv2d, ScaledGroupConv2d)
        assert needs(net.architecture, 28).parameters == sum(p.numel() for p in net.parameters())
        with torch.no_grad():
            net.trunk.conv3.scale[1] = 2.0
        assert net.trunk.conv3.degree < 1 and "scaled" in str(degree_of_equivariance(net))
        with pytest.raises(ModelError, match="p4knight_33 has a lifting layer alone, which stays a full one"):
            create("p4knight_33", relax="scaled")
    finally:
        RELAXATIONS.pop("scaled", None)


def test_a_way_to_downsample_is_found_by_its_word(monkeypatch):
    monkeypatch.setitem(KINDS, "first", DownsamplingKind(lambda s, *_: Stride2d(s), on_torus=True))
    net = create("p4cnn_28", downsample="first", width=2, seed=0)
    assert isinstance(net.trunk.pool2, Stride2d) and net.divisor == 2 and net.trunk.conv1.padding_mode == "circular"
    with pytest.raises(ModelError, match="expected a multiple of 2, for example p4cnn_28"):
        create("p4cnn_27", downsample="first")
    with pytest.raises(ModelError, match="expected one of stride, max, avg, blur, aps, equivariant, first"):
        create("p4cnn_28", downsample="last")
