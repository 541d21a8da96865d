"""The interface of huggingface_hub, `from_pretrained` and `push_to_hub`: both sides read the same repository."""

import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin

from symdata.errors import HubError
from tests.support import checkpoints
from tests.support.checkpoints import same
from zoo import HubModel, load, push
from zoo.errors import ModelError
from zoo.models.registry import build

pytest_plugins = ["tests.support.hub_fixture"]
REPO = "user/p4cnn_20.squares-none"

whole, here = checkpoints.whole, checkpoints.here


def test_the_mixin_of_huggingface_hub_reads_what_we_publish(hub, whole):
    """Its own code, and not one line of ours but the class: config.json for `__init__`, the weights by their keys."""

    class Theirs(torch.nn.Module, PyTorchModelHubMixin):
        def __init__(self, architecture: dict, classes: list):
            super().__init__()
            net = build(architecture)
            self.trunk, self.pool, self.head, self.classes = net.trunk, net.pool, net.head, classes
            self.net = (net,)

        def forward(self, x):
            return self.net[0](x)

    push(whole, REPO)
    model = Theirs.from_pretrained(REPO, strict=True)
    assert same(model) and model.classes == ["a", "b", "c", "d"]


def test_our_class_speaks_its_language(hub, whole, here):
    push(whole, REPO, tag="v1")
    model = HubModel.from_pretrained(REPO, revision="v1")
    assert same(model) and not model.training and model.classes == ("a", "b", "c", "d")
    assert model.network.group.name == "c4" and model.state_dict().keys() == load(whole).state_dict().keys()
    model.save_pretrained(here / "saved")
    assert same(load(here / "saved")) and same(HubModel.from_pretrained(here / "saved"))
    model.push_to_hub("user/theirs")
    assert same(load("user/theirs"))
    assert model.preprocessing == load("user/theirs").preprocessing
    assert same(model.double().float()) and model.train().network.trunk.training


def test_its_laxity_is_not_ours(hub, whole):
    push(whole, REPO)
    data = bytearray((whole / "model.safetensors").read_bytes())
    data[-1] ^= 1
    hub.tamper(REPO, "model.safetensors", bytes(data))
    with pytest.raises(ModelError, match="sha256"):
        HubModel.from_pretrained(REPO, strict=False)
    with pytest.raises(HubError, match="no repository 'user/nothing'"):
        HubModel.from_pretrained("user/nothing")
