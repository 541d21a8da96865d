"""The registry: published parameter counts, networks made again from plain data, and files of unknown origin."""

import json

import pytest

from symdata.groups import Group
from tests.support.nets import small
from zoo.errors import ModelError
from zoo.models.family import families
from zoo.models.names import LATTICE_WORDS, STEERABLE_WORDS, ModelName, known_prefixes
from zoo.models.network import Network
from zoo.models.registry import build, create, export, list_models
from zoo.models.spec import NetworkSpec
from zoo.references.listing import untrained

LATTICE = [
    f"{v}{w}{a}" for v, w, a in dict.fromkeys(known_prefixes().values()) if w in LATTICE_WORDS and a != "pathcnn"
]


def count(net):
    return sum(p.numel() for p in net.parameters())


COUNTS = [
    ("p4cnn_28", {}, 24_990),
    ("p4cnn2_28", {}, 24_990),
    ("z2cnn_28", {}, 25_570),
    ("p4cwcnn_28", {}, 24_810),
    ("z2cwcnn_28", {}, 25_210),
    ("p4knight_32", {}, 14),
    ("p4pcamresnet44_97", {}, 128_652),
    ("z2pcamresnet44_97", {}, 129_538),
]


@pytest.mark.parametrize(("name", "options", "published"), COUNTS)
def test_published_parameter_counts(name, options, published):
    assert count(create(name, **options)) == NetworkSpec.of(name).parameters() == published


BY_CLASSES = [
    ("z2resnet44_33", True, {10: 2_636_458, 100: 2_648_068, 102: 2_648_326, 1000: 2_764_168}),
    ("p4resnet44_33", False, {10: 2_633_946, 100: 2_657_076, 102: 2_657_590, 1000: 2_888_376}),
    ("p4resnet44_33", True, {10: 2_632_026, 100: 2_637_876, 102: 2_638_006, 1000: 2_696_376}),
    ("p4mresnet44_33", False, {10: 2_962_726, 100: 2_997_376, 102: 2_998_146, 1000: 3_343_876}),
    ("p4mresnet44_33", True, {10: 2_959_366, 100: 2_963_776, 102: 2_963_874, 1000: 3_007_876}),
    ("gcp4resnet44_33", False, {10: 2_657_907, 1000: 3_403_377}),
    ("gcp4resnet44_33", True, {10: 2_652_267, 1000: 2_839_377}),
    ("gcp4mresnet44_33", False, {10: 2_931_575, 1000: 4_041_365}),
    ("gcp4mresnet44_33", True, {10: 2_921_775, 1000: 3_061_365}),
    ("z2resnet18_225", True, {10: 11_173_962, 100: 11_220_132, 102: 11_221_158, 1000: 11_681_832}),
    ("p4resnet18_225", False, {10: 11_173_418, 100: 11_265_668, 102: 11_267_718, 1000: 12_188_168}),
    ("p4resnet18_225", True, {10: 11_165_738, 100: 11_188_868, 102: 11_189_382, 1000: 11_420_168}),
    ("p4mresnet18_225", False, {10: 11_546_769, 1000: 13_005_039}),
    ("p4mresnet18_225", True, {10: 11_533_889, 1000: 11_717_039}),
    ("gcp4resnet18_225", False, {10: 11_109_340, 1000: 13_961_530}),
    ("gcp4resnet18_225", True, {10: 11_087_740, 1000: 11_801_530}),
    ("gcp4mresnet18_225", False, {10: 11_227_978, 1000: 15_284_008}),
    ("gcp4mresnet18_225", True, {10: 11_192_138, 1000: 11_700_008}),
]


@pytest.mark.parametrize(("name", "coset_pool", "published"), BY_CLASSES)
def test_published_parameter_counts_by_classes(name, coset_pool, published):
    net = create(name, num_classes=10, coset_pool=coset_pool)
    inputs = net.head.in_features
    assert {classes: count(net) + (inputs + 1) * (classes - 10) for classes in published} == published
    assert coset_pool is False or NetworkSpec.of(name).parameters() == published[10]


def test_control_the_number_of_classes_counts():
    assert count(create("p4resnet44_33", num_classes=102, coset_pool=False)) == 2_657_590


@pytest.mark.parametrize("head", LATTICE)
def test_counting_is_what_is_built(head):
    for coset_pool in (True, False):
        net = small(f"{head}_28", num_classes=7, in_chans=2, coset_pool=coset_pool)
        rebuilt = build(json.loads(json.dumps(net.architecture)))
        assert type(rebuilt) is type(net) and rebuilt.architecture == net.architecture
        shapes = {key: value.shape for key, value in net.state_dict().items()}
        assert {key: value.shape for key, value in rebuilt.state_dict().items()} == shapes
        assert NetworkSpec.from_dict(net.architecture).parameters() == count(net)
        assert net.group == ModelName.parse(f"{head}_28").group and export(net) is net


GOOD = {"name": "p4cnn_28", "classes": 10, "channels": 3, "width": 10, "coset_pool": True, "dropout": 0.0}

HOSTILE = [
    ({"width": 4096}, "at most 200,000,000 are built"),
    ({"width": 10**9}, "width is 1000000000, expected a whole number from 1 to 4096, for example width=10"),
    ({"width": -1}, "width is -1"),
    ({"width": True}, "width is True"),
    ({"width": 10.0}, "width is 10.0"),
    ({"width": [10]}, "expected one number of fields: width=10"),
    ({"width": "10"}, "width is '10', expected a whole number"),
    ({"width": None}, "width is None"),
    ({"classes": 10**9}, "num_classes is 1000000000"),
    ({"classes": -1}, "num_classes is -1"),
    ({"channels": 10**6}, "in_chans is 1000000"),
    ({"coset_pool": 1}, "coset_pool is 1, expected true or false"),
    ({"dropout": 1.0}, "dropout is 1.0, expected a rate"),
    ({"dropout": float("nan")}, "dropout is nan"),
    ({"dropout": "0.1"}, "dropout is '0.1'"),
    ({"name": "p4ccn_28"}, "did you mean p4cnn_28"),
    ({"name": "p4cnn_28.mnist"}, "without data"),
    ({"name": "c8cnn_28"}, "the form of c8cnn_28 is '', expected 'steerable' or 'exported'"),
    ({"form": "exported"}, "the form of p4cnn_28 is 'exported', expected ''"),
    ({"name": ["p4cnn_28"]}, "is not the name of a network"),
    ({"name": "p4cnn_7"}, "needs at least 8 pixels, for example p4cnn_28"),
    ({"name": "p4resnet44_33", "dropout": 0.1}, "p4resnet44_33 has no such choice; leave it out, or take p4cnn_28"),
    ({"name": "p4resnet44_33", "width": [1, 2]}, "expected 3 numbers of fields, one per stage, or one: width=16"),
    ({"name": "p4resnet44_33", "width": [1, 2, "3"]}, "width is '3'"),
    ({"name": "p4resnet44_33", "width": [4096, 4096, 4096]}, "parameters"),
    ({"extra": 1}, "expected exactly the keys name, classes, channels, width, coset_pool, dropout"),
]


@pytest.mark.parametrize(("change", "sentence"), HOSTILE)
def test_a_hostile_architecture_is_refused_before_anything_is_allocated(change, sentence, monkeypatch):
    if "p4cnn_7" not in str(change):
        monkeypatch.setattr(Network, "__init__", _never)
    with pytest.raises(ModelError, match=sentence):
        build(GOOD | change)


def _never(*arguments, **options):
    raise AssertionError("something was built")


@pytest.mark.parametrize(
    "bad", [None, [], "p4cnn_28", {}, {"name": "p4cnn_28"}, {1: 2}, {"form": "exported"}, {"form": 3}]
)
def test_what_is_no_architecture_is_refused(bad):
    with pytest.raises(ModelError):
        build(bad)


def test_the_largest_network_that_is_built_fits_in_memory():
    """What is allowed: below the bound, and its index tables are no larger than its weights."""
    assert Network.max_parameters * 4 < 2**30
    net = create("p4mcnn_28", width=31)
    held = sum(b.numel() * b.element_size() for b in net.buffers())
    assert held < 8 * 4 * count(net) * 1.1


def test_bad_choices_are_refused():
    with pytest.raises(ModelError, match=r"dropout is 2, expected a rate"):
        create("p4cnn_28", dropout=2)
    with pytest.raises(ModelError, match="seed is -1, expected a whole number"):
        create("p4cnn_28", seed=-1)
    with pytest.raises(ModelError, match="did you mean p4cnn_28"):
        create("p4ccn_28")


def test_the_list_is_canonical_and_every_row_describes():
    names = list_models()
    assert len(set(names)) == len(names) and all(str(ModelName.parse(name)) == name for name in names)
    assert set(list_models("*p4cnn_*")) == {"p4cnn_27", "p4cnn_28", "p4cnn_29"}
    assert list_models("nothing*") == ()
    rows = untrained()
    assert [row["name"] for row in rows] == list(names)
    assert {row["group"] for row in rows} == {*LATTICE_WORDS.values(), *STEERABLE_WORDS}
    for row in rows:
        json.dumps(row)
        assert (row["parameters"] is None) is (row["phi"] is None) is (not Group.parse(row["group"]).is_lattice)
    for (word, architecture), family in families().items():
        assert word != "p4" or NetworkSpec.of(f"p4{architecture}_{family.sizes[0]}").phi == 0
    assert str(NetworkSpec.of("p4cnn_28.mnist-none").name) == "p4cnn_28"


def test_other_groups_have_about_as_many_parameters_as_the_plain_network():
    for name in list_models():
        spec = NetworkSpec.of(name)
        if spec.in_plain_torch and spec.name.architecture != "knight":
            plain = NetworkSpec.of(f"z2{spec.name.architecture}_{spec.name.size}").parameters()
            assert 0.9 < spec.parameters() / plain < 1.25, name
