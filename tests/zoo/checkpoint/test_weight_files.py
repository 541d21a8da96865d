"""Weights as others write them: tied ones by `save_model`, several files with an index; and all of it strictly."""

import json
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from zoo.checkpoint.sharded import read_weights
from zoo.checkpoint.tensors import load_strictly
from zoo.errors import ModelError


def tied(seed=0):
    """The second layer has the weights of the first, and a buffer is a part of the bias."""
    torch.manual_seed(seed)
    model = nn.Sequential(OrderedDict(b=nn.Linear(4, 4), a=nn.Linear(4, 4), c=nn.Linear(4, 2), norm=nn.BatchNorm1d(2)))
    model.a.weight, model.a.bias = model.b.weight, model.b.bias
    model.register_buffer("part", model.c.bias.detach()[:1])
    return model


def loaded(path, model):
    load_strictly(model, read_weights(path), repr(str(path)))
    return model


def test_tied_weights_that_are_saved_once(tmp_path):
    model, path = tied(), tmp_path / "model.safetensors"
    save_model(model, str(path))
    names = read_weights(path).keys()
    assert len(names & {"a.bias", "b.bias"}) == 1 and "part" not in names
    other = loaded(path, tied(seed=1))
    assert all(value.equal(other.state_dict()[key]) for key, value in model.state_dict().items())
    assert other.a.weight is other.b.weight


def test_tied_weights_under_all_their_names(tmp_path):
    state = {key: value.clone() for key, value in tied().state_dict().items()}
    save_file(state, str(tmp_path / "a.safetensors"))
    assert loaded(tmp_path / "a.safetensors", tied(seed=1)).a.weight.equal(state["b.weight"])


def test_weights_that_differ_are_no_tied_weights(tmp_path):
    state = {key: value.clone() for key, value in tied().state_dict().items()}
    state["a.bias"][0] += 1
    model = tied(seed=1)
    before = model.b.bias.clone()
    with pytest.raises(
        ModelError, match=r"b\.bias and a\.bias are the same weights in the model and differ in the file"
    ):
        load_strictly(model, state, "'x'")
    assert model.b.bias.equal(before)
    state["a.bias"][0] = state["b.bias"][0] = float("nan")
    load_strictly(model, state, "'x'")


def test_a_weight_that_is_not_tied_is_missing():
    state = {key: value.clone() for key, value in tied().state_dict().items() if key != "c.weight"}
    with pytest.raises(ModelError, match=r"missing c\.weight"):
        load_strictly(tied(), state, "'x'")
    apart = nn.Sequential(OrderedDict(a=nn.Linear(4, 4), b=nn.Linear(4, 4)))
    with pytest.raises(ModelError, match=r"missing b\.bias, b\.weight"):
        load_strictly(apart, {f"a.{key}": value for key, value in apart.a.state_dict().items()}, "'x'")
    with pytest.raises(ModelError, match=r"missing c\.bias"):  # a part does not stand for the whole
        load_strictly(tied(), {key: value for key, value in tied().state_dict().items() if key != "c.bias"}, "'x'")


@pytest.fixture
def shards(tmp_path):
    """A network in two files and an index: its path."""
    state = {key: value.clone() for key, value in nn.Linear(4, 2).state_dict().items()}
    names = {"weight": "model-00001-of-00002.safetensors", "bias": "model-00002-of-00002.safetensors"}
    for key, name in names.items():
        save_file({key: state[key]}, str(tmp_path / name))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 40}, "weight_map": names}))
    return index


def test_several_files(shards):
    model = loaded(shards, nn.Linear(4, 2))
    assert model.weight.equal(read_weights(shards.with_name("model-00001-of-00002.safetensors"))["weight"])


def edited(change):
    def edit(index):
        content = json.loads(index.read_text())
        change(content)
        index.write_text(json.dumps(content))

    return edit


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda index: index.unlink(), "there is no file .*index.json'; expected the index"),
        (lambda index: index.write_text("{"), "is no index: it has no weight_map"),
        (lambda index: index.write_text("[]"), "is no index"),
        (lambda index: index.write_text('{"weight_map": {}}'), "is no index"),
        (lambda index: index.write_text('{"weight_map": {"weight": 3}}'), "is no index"),
        (
            edited(lambda x: x["weight_map"].update(bias="../x.safetensors")),
            r"names '\.\./x\.safetensors', expected files",
        ),
        (edited(lambda x: x["weight_map"].update(bias="/x.safetensors")), "expected files beside it"),
        (edited(lambda x: x["weight_map"].update(bias="x.safetensors")), "there is no file .*x.safetensors"),
        (edited(lambda x: x["weight_map"].update(bias="x.bin")), "is a pickle"),
        (
            edited(lambda x: x["weight_map"].update(more="model-00001-of-00002.safetensors")),
            "'more' is not in that file",
        ),
        (edited(lambda x: x["weight_map"].pop("bias")), r"missing bias"),
        (
            lambda index: save_file(
                {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)},
                str(index.with_name("model-00001-of-00002.safetensors")),
            ),
            "'extra' is in that file",
        ),
    ],
)
def test_an_index_that_is_damaged(shards, damage, sentence):
    damage(shards)
    with pytest.raises(ModelError, match=sentence):
        loaded(shards, nn.Linear(4, 2))
