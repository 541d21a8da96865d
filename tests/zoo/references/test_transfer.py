"""A trained body with another classifier, other channels or another size."""

import pytest
import torch

import zoo
from symdata.groups import Group
from symdata.transforms.action import act
from tests.support.steerable import require_escnn
from zoo.errors import ModelError
from zoo.models.family import STEERABLE_WORDS
from zoo.models.registry import list_models
from zoo.references.transfer import transfer

DIGITS = "p4cnn_28.mnist-none"


def images(size=28, channels=1, count=4):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def test_the_body_is_kept_and_the_classifier_is_new(caplog):
    trained, tuned = zoo.load(DIGITS), zoo.load(DIGITS, num_classes=7)
    assert tuned.new_tensors == ("head.weight", "head.bias")
    assert "head.weight, head.bias" in caplog.text
    x = images()
    assert tuned.features(x).equal(trained.features(x))
    assert tuned(x).shape == (4, 7)
    assert tuned.preprocessing == trained.preprocessing
    assert not hasattr(tuned, "classes") and not hasattr(tuned, "config")


def test_the_same_classes_keep_everything(caplog):
    tuned = zoo.create("p4cnn_28", pretrained=DIGITS)
    assert tuned.new_tensors == () and caplog.text == ""
    assert tuned.training
    assert tuned.eval()(images()).equal(zoo.load(DIGITS)(images()))
    assert tuned.classes == zoo.load(DIGITS).classes


def test_true_means_the_name_itself():
    assert zoo.create(DIGITS, pretrained=True).eval()(images()).equal(zoo.load(DIGITS)(images()))
    with pytest.raises(ModelError, match="has weights"):
        zoo.create(DIGITS)


def test_a_gray_image_gives_the_same_features_in_colour():
    trained, colour = zoo.load(DIGITS), zoo.load(DIGITS, in_chans=3)
    x = images()
    torch.testing.assert_close(colour.features(x.expand(-1, 3, -1, -1)), trained.features(x))
    assert colour.preprocessing.channels == 3
    back = zoo.load(DIGITS, in_chans=1)
    assert back.preprocessing == trained.preprocessing


def test_colour_that_became_another_number_of_channels_is_still_equivariant():
    plain = zoo.create("p4cnn_28", in_chans=3, seed=0).double().eval()
    other = zoo.create("p4cnn_28", in_chans=2, seed=1).double().eval()
    assert transfer(plain, other) == ()
    x = images(channels=2).double()
    moved = act(x, Group.parse("c4").elements[1])
    torch.testing.assert_close(other(moved), other(x))
    odd = zoo.create("p4cnn_29", in_chans=2, seed=1).double().eval()
    transfer(other, odd)
    x = images(29, 2).double()
    assert (odd(act(x, Group.parse("c4").elements[1])) - odd(x)).abs().max() > 1e-6


def test_another_size_takes_the_same_weights():
    larger = zoo.create("p4cnn_30", pretrained=DIGITS)
    assert larger.preprocessing.size == 30 and larger.new_tensors == ()
    assert larger.architecture["name"] == "p4cnn_30"


def test_another_size_is_audited_and_said(caplog):
    zoo.create("p4cnn_29", pretrained=DIGITS)
    assert "trained at 28 pixels, approximate: at 29x29 trunk.pool2 (max pool 2x2, stride 2)" in caplog.text
    caplog.clear()
    zoo.create("p4cnn_30", pretrained=DIGITS)
    assert "trained at 28 pixels, exact: at 30x30" in caplog.text


def test_no_classifier_gives_the_features_that_it_reads():
    trained, bare = zoo.load(DIGITS), zoo.load(DIGITS, num_classes=0)
    x = images()
    assert bare(x).equal(trained.forward_head(trained.forward_features(x), pre_logits=True))
    assert bare(x).shape == (4, bare.num_features)
    assert zoo.create("p4cnn_28", num_classes=0, in_chans=1)(x).shape == (4, 10)


@pytest.mark.parametrize("name", [n for n in list_models() if n.endswith(("_28", "_29", "_33", "_16"))][::5])
def test_every_family_has_the_manners_of_timm(name):
    if name.startswith(STEERABLE_WORDS):
        require_escnn()
    net = zoo.create(name, seed=0).eval()
    size = int(name.split("_")[1])
    x = images(size, net.in_chans, 2)
    assert net.forward_head(net.forward_features(x)).equal(net(x))
    net.reset_classifier(3)
    assert net(x).shape == (2, 3) and net.get_classifier().out_features == 3
    assert net.architecture["classes"] == 3
    net.reset_classifier(0)
    assert net(x).shape == (2, net.num_features)
    rebuilt = zoo.models.registry.build(net.architecture)
    rebuilt.load_state_dict(net.state_dict())
    assert zoo.export(net)(x).shape == (2, net.num_features)


def test_a_learned_average_keeps_its_range():
    name = "z2cnn_28.updown45-augerino"
    tuned, trained = zoo.load(name, num_classes=3), zoo.load(name)
    assert tuned.half_widths() == trained.half_widths()
    assert tuned(images()).shape == (4, 3)
    with pytest.raises(ModelError, match="an average needs logits"):
        tuned.reset_classifier(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "p4mcnn_28"}, "p4mcnn_28 is another network than p4cnn_28"),
        ({"name": "p4cnn_28", "width": 12}, r"'trunk.conv1.weight' is \(10, 1, 3, 3\) in the trained network and \(12"),
        ({"name": "p4cnn_28", "pooling": 3}, "p4cnn_28 has no choice 'pooling'; it has coset_pool"),
        ({"name": "p4cnn_28", "relax": "bias"}, "the trained network has"),
        ({"name": "p4cnn_28", "num_classes": -1}, "num_classes is -1"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ModelError, match=message):
        zoo.create(**options, pretrained=DIGITS)
