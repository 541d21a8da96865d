"""A run of a network of one's own that begins with the weights of another run of the same code."""

import pytest
import torch
from torch import nn

import zoo
from tests.support.commands import run as command
from tests.support.own_networks import own_networks
from tests.support.training import dataset
from zoo.errors import ModelError
from zoo.layers import GroupConv2d, GroupLinear, LiftingConv2d
from zoo.references.classifier import classifier_name
from zoo.training import TrainConfig, prepare

QUICK = {"epochs": 1, "batch_size": 16}
SHELL = ("--epochs", 1, "--batch-size", 16)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two datasets, of four and of three classes, and a network that was trained on the first."""
    place = tmp_path_factory.mktemp("init")
    dataset(place / "four", count=48)
    dataset(place / "three", count=48, source="glyphs:PQR")
    with pytest.MonkeyPatch.context() as patch, own_networks(place, patch):
        zoo.train("mynet:build", str(place / "four"), out=str(place / "run"), **QUICK)
    return place


@pytest.fixture
def here(tmp_path, monkeypatch, made):
    for name in ("four", "three", "run"):
        (tmp_path / name).symlink_to(made / name)
    with own_networks(tmp_path, monkeypatch) as place:
        yield place


def plan(data="three", model="mynet:build", arch=None, **changes):
    return prepare(TrainConfig(**{"data": data, "model": model, "init": "run", **QUICK, **changes}), arch)


def differing(one, other):
    return [key for key, value in one.items() if not value.equal(other[key])]


def test_other_classes_have_a_new_classifier_and_the_body_is_kept(here, caplog):
    before = zoo.load("run", arch="mynet:build").state_dict()
    now, fresh = plan().model.state_dict(), plan(init=None).model.state_dict()
    assert (
        differing(before, now) == ["6.weight", "6.bias"] == [k for k in now if now[k].equal(fresh[k]) and k[0] == "6"]
    )
    assert "not trained, because they are new: 6.weight, 6.bias" in caplog.text


def test_the_same_classes_keep_everything(here, caplog):
    assert differing(zoo.load("run", arch="mynet:build").state_dict(), plan("four").model.state_dict()) == []
    assert "new" not in caplog.text


def test_a_frozen_body_keeps_weights_and_statistics(here):
    result = zoo.train("mynet:build", "three", init="run", freeze="body", out="tuned", **QUICK)
    before, after = zoo.load("run", arch="mynet:build").state_dict(), result.model.state_dict()
    assert differing(before, after) == ["6.weight", "6.bias"] and len(result.model.classes) == 3
    free = zoo.train("mynet:build", "three", init="run", out="free", **QUICK).model.state_dict()
    assert not free["0.weight"].equal(before["0.weight"]), "negative control"
    assert plan("four", freeze="body").parameters == 4 * 4 + 4, "the same classes, and the classifier alone is trained"


def test_the_shell_says_what_is_new(here, caplog):
    words = ("train", "three", "--model", "mynet:build", "--init", "run", "--freeze", "body", "--out", "tuned", *SHELL)
    result = command(*words)
    assert result.exit_code == 0, result.output
    assert "not trained, because they are new: 6.weight, 6.bias" in caplog.text
    assert zoo.info("tuned")["training"]["init"] == "run"
    shown = zoo.info("tuned")["training"]["command"]
    assert "--init run --freeze body" in shown
    assert command(*words, "--resume").exit_code == 0, "a finished run is left as it is"


def test_load_takes_other_classes_and_channels(here, caplog):
    trained, tuned = zoo.load("run", arch="mynet:build"), zoo.load("run", arch="mynet:build", num_classes=7, in_chans=3)
    assert tuned.new_tensors == ("6.weight", "6.bias") and "6.weight" in caplog.text
    assert not hasattr(tuned, "classes") and tuned.preprocessing.channels == 3
    x = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(tuned[:6](x.expand(-1, 3, -1, -1)), trained[:6](x))
    assert tuned(x.expand(-1, 3, -1, -1)).shape == (2, 7)
    with pytest.raises(ModelError, match="says no features"):
        zoo.load("run", arch="mynet:build", num_classes=0)
    with pytest.raises(ModelError, match=r"a network of 4 logits for num_classes=7; let it take num_classes"):
        zoo.load("run", arch=trained, num_classes=7)


class Two(nn.Module):
    """A network whose last layer with weights may be anything."""

    def __init__(self, last, num_classes=4, named=False):
        super().__init__()
        self.head, self.conv, self.last = nn.Linear(4, num_classes), nn.Conv2d(1, 4, 3), last
        if named:
            self.get_classifier = lambda: self.head

    def forward(self, x):
        return self.last(self.head(self.conv(x).mean((2, 3))))


def test_the_classifier_is_the_layer_that_runs_last():
    x = torch.zeros(1, 1, 8, 8)
    assert classifier_name(Two(nn.Identity()), x) == "head", "not the last that was defined"
    lift = LiftingConv2d("c4", 1, 2, 3)
    groups = nn.Sequential(
        lift, GroupConv2d("c4", 2, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), GroupLinear("c4", 2, 3, invariant=True)
    )
    assert classifier_name(groups, x) == "4"
    points = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 3, 1), nn.Flatten())
    assert classifier_name(points, x) == "2"
    assert classifier_name(Two(nn.LayerNorm(4), named=True), x) == "head", "as the model says"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Two(nn.LayerNorm(4)), r"'last', a LayerNorm runs last, and it is not linear; .* def get_classifier\(self\)"),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            r"gives \(1, 4, 6, 6\) for \(1, 4\)",
        ),
        (nn.Flatten(), "Flatten itself runs last, and it is no layer"),
    ],
)
def test_where_it_is_not_clear_a_sentence_says_how_to_name_it(model, sentence):
    with pytest.raises(ModelError, match=sentence) as caught:
        classifier_name(model, torch.zeros(1, 1, 8, 8))
    assert "name it by a method of your network: def get_classifier(self): return self.head" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"init": "p4cnn_28.mnist-none"}, "a network of the zoo, and 'mynet:build' is your own"),
        ({"model": "mynet:wider"}, "does not fit Sequential"),
        ({"init": "nowhere/at/all"}, "there is no model at 'nowhere/at/all'"),
        ({"init": None, "freeze": "body"}, "--init MODEL"),
    ],
)
def test_what_does_not_fit_is_refused(here, changes, sentence):
    with pytest.raises(ModelError, match=sentence):
        plan(**changes)


def test_a_module_has_weights_already(here):
    with pytest.raises(
        ModelError, match=r"has weights already; give those weights instead: zoo.train\(zoo.load\('run'"
    ):
        zoo.train(zoo.load("run", arch="mynet:build"), "three", init="run", **QUICK)
    again = zoo.train(zoo.load("run", arch="mynet:build", num_classes=3), "three", out="again", **QUICK)
    assert len(again.model.classes) == 3
