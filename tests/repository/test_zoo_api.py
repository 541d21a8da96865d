"""The public names of the model side, and that naming them costs nothing."""

import importlib
import inspect
import subprocess
import sys

import pytest

import zoo

PUBLIC = [
    "Audit",
    "Cost",
    "DivergedError",
    "FeatureError",
    "HubModel",
    "ImageOrbit",
    "ImageSet",
    "Mend",
    "ModelError",
    "OpenedModel",
    "Preprocessing",
    "PretrainConfig",
    "Report",
    "Subsampling",
    "TrainConfig",
    "accuracy",
    "act_on_features",
    "angle_curve",
    "audit",
    "compare",
    "cost",
    "create",
    "evaluate",
    "exact_sizes",
    "export",
    "export_pipeline",
    "feature_error",
    "info",
    "list_models",
    "load",
    "open_images",
    "open_model",
    "orbit",
    "predict",
    "pipeline",
    "pretrain",
    "pull",
    "push",
    "read_checkpoint",
    "report",
    "save_checkpoint",
    "train",
    "train_seeds",
]


LAYERS = [
    "AdaptivePolyphase2d",
    "BlurPool2d",
    "EquivariantPolyphase2d",
    "EquivariantSubsample2d",
    "EquivariantUpsample2d",
    "GCGroupConv2d",
    "GGroupConv2d",
    "GroupAvgPool2d",
    "GroupBatchNorm2d",
    "GroupConv2d",
    "GroupConvTranspose2d",
    "GroupDropout",
    "GroupIndex",
    "GroupLinear",
    "GroupMaxPool2d",
    "GroupPool",
    "GroupResidualBlock",
    "GroupUpsampleConv2d",
    "LiftingConv2d",
    "act_on_features",
    "downsampling",
    "fields",
    "flat",
    "group_index",
]


def test_the_layers_are_these():
    layers = importlib.import_module("zoo.layers")
    found = {name for name, value in vars(layers).items() if not (name[0] == "_" or inspect.ismodule(value))}
    assert sorted(found) == sorted(LAYERS)


def test_the_public_names_are_these():
    assert sorted(zoo.__all__) == dir(zoo) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there_and_says_what_it_is(name):
    assert getattr(zoo, name).__doc__


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'nothing'; it has Audit"):
        _ = zoo.nothing


def test_import_zoo_is_light():
    code = "import sys, zoo; dir(zoo); print([m for m in ('torch', 'escnn', 'numpy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
