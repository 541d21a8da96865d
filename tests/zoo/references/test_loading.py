"""Trained models by reference: bundled names and folders, and references that lead nowhere."""

import shutil
import subprocess
import sys
import textwrap

import pytest
import torch

from tests.conftest import ROOT
from tests.support import checkpoints
from tests.support.checkpoints import same
from zoo import files
from zoo.errors import ModelError
from zoo.files import bundled
from zoo.references.loading import info, load

whole, here = checkpoints.whole, checkpoints.here


@pytest.fixture
def shelf(whole, here, monkeypatch):
    """A package with one bundled model."""
    shutil.copytree(whole, here / "weights" / "p4cnn_20.squares-none")
    monkeypatch.setattr(files, "_weights", lambda: here / "weights")


# Trained models


def test_a_folder(whole):
    model = load(whole)
    assert same(model) and not model.training
    assert model.classes == ("a", "b", "c", "d")
    images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    assert model(model.preprocessing(images)).shape == (2, 4)
    assert same(load(str(whole)))


def test_a_bundled_name(shelf):
    assert bundled() == ("p4cnn_20.squares-none",)
    assert same(load("p4cnn_20.squares-none"))
    assert info("p4cnn_20.squares-none")["name"] == "p4cnn_20.squares-none"


def test_a_model_in_a_folder_here_comes_before_a_bundled_name(shelf, here):
    folder = here / "p4cnn_20.squares-none"
    folder.mkdir()
    assert same(load("p4cnn_20.squares-none")), "a folder that holds no model is not in the way"
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load("./p4cnn_20.squares-none")
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json"):
        load("p4cnn_20.squares-none")


def test_info_reads_no_weights(whole, here):
    folder = shutil.copytree(whole, here / "m")
    (folder / "model.safetensors").unlink()
    assert info(folder)["classes"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", bundled())
def test_what_is_bundled_loads(name):
    model = load(name)
    side = model.preprocessing.size
    images = torch.zeros(1, model.preprocessing.channels, side, side, dtype=torch.uint8)
    assert model(model.preprocessing(images)).shape == (1, len(model.classes))


def test_loading_needs_torch_and_safetensors_alone(whole):
    code = f"""
        import sys
        for name in (
            *("datasets", "kornia", "escnn", "huggingface_hub", "pyarrow", "pandas", "PIL", "jinja2", "torch._dynamo"),
        ):
            sys.modules[name] = None  # importing it fails
        from zoo.references.loading import load
        import torch
        model = load({str(whole)!r})
        print(model(model.preprocessing(torch.zeros(1, 1, 20, 20, dtype=torch.uint8))).shape)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == "torch.Size([1, 4])\n", run.stderr


# References that lead nowhere


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("p4cn_20", r"there is no model 'p4cn_20': neither bundled nor a folder; the nearest are p4cnn_2"),
        ("p4cnn_20", r"'p4cnn_20' has no weights; bundled: p4cnn_20.squares-none; for .* zoo.create\('p4cnn_20'\)"),
        ("p4cnn_20.mnist", r"is not bundled; bundled: p4cnn_20.squares-none; .* zoo.create\('p4cnn_20'\)"),
        ("o2wrn16_29", "has no weights; bundled: p4cnn_20.squares-none; for"),
        ("xyzzy", "there is no model 'xyzzy': neither bundled nor a folder; `symdata models` lists them"),
        ("", "there is no model at ''; give a name of `symdata models`, a folder, or user/repo"),
        ("./nowhere", r"there is no model at './nowhere'; give a name"),
        ("a/b/c", "there is no model at 'a/b/c'; give a name"),
        ("../x", "there is no model at '../x'"),
        ("user/my repo", "there is no model at 'user/my repo'"),
        ("two\nlines", r"there is no model at 'two\\nlines'"),
    ],
)
def test_a_reference_that_leads_nowhere(shelf, ref, sentence):
    with pytest.raises(ModelError, match=sentence):
        load(ref)


def test_a_path_is_never_asked_of_the_hub(here):
    with pytest.raises(ModelError, match="there is no model at 'runs/mine'"):
        load(here.relative_to(here) / "runs" / "mine")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "has no config.json, so it is not a model"),
        ({"symdata.json": "{}"}, "is a dataset, not a model; train one on it: symdata train x --model p4cnn_28"),
        ({"pytorch_model.bin": "x"}, "has 'pytorch_model.bin', a pickle, .* pickles are refused"),
        ({"config.json": "{}"}, "is not of a symdata model"),
        ({"config.json": '{"library_name": "symdata", "format": 2}'}, "has format 2, and this version reads 1; update"),
    ],
)
def test_folders_that_are_no_models(here, files, sentence):
    (here / "x").mkdir()
    for name, content in files.items():
        (here / "x" / name).write_text(content)
    with pytest.raises(ModelError, match=sentence):
        load("x")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.safetensors", "holds weights alone; .* --weights model.safetensors --arch package.module:build"),
        ("model.pt", "is a pickle, which may run code"),
        ("config.json", "is a part of a model; give its folder"),
        ("notes.txt", "is a file, and a model is a folder"),
    ],
)
def test_files_that_are_no_models(here, name, sentence):
    (here / name).write_text("x")
    with pytest.raises(ModelError, match=sentence):
        load(name)


def test_a_device_that_is_not_there(whole):
    with pytest.raises(ModelError, match=r"device 'cuda:99' cannot be used: .*; use 'cpu'"):
        load(whole, device="cuda:99")
    with pytest.raises(ModelError, match="device 'gpu' cannot be used"):
        load(whole, device="gpu")
