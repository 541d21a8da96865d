"""Six classifiers of other hands, each measured by one command: transformers, a file, escnn, weights alone."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from symdata.groups import Group
from tests.support.commands import refused, run
from tests.support.steerable import require_escnn
from zoo import ModelError, feature_error
from zoo.evaluation.structure import structure
from zoo.measure import equivariance_error, layerwise_equivariance_error
from zoo.measure.isotropic import isotropise
from zoo.references.adapters import Logits
from zoo.references.opening import open_model
from zoo.report.measures import measure

DATA = ("--data", "glyphs:digits", "--limit", "3", "--generators", "rotation", "--json")
OWN = ("--size", "29", "--mean", "0.15", "--std", "0.3")

FILES = {
    "mynet.py": """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
""",
    "steerable.py": """
from escnn import gspaces
from escnn import nn as enn
from torch import nn

def build():
    space = gspaces.rot2dOnR2(4)
    gray = enn.FieldType(space, [space.trivial_repr])
    hidden = enn.FieldType(space, 2 * [space.regular_repr])
    logits = enn.FieldType(space, 10 * [space.trivial_repr])
    return enn.SequentialModule(
        enn.R2Conv(gray, hidden, 5, padding=2), enn.InnerBatchNorm(hidden), enn.ReLU(hidden),
        enn.PointwiseAvgPool2D(hidden, 3, stride=2), enn.R2Conv(hidden, logits, 14))

class Inside(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()

    def forward(self, images):
        return self.net(self.net.in_type(images)).tensor.flatten(1)
""",
    "hubconf.py": """
import torch
from torch import nn

dependencies = ["torch"]

class BasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes)
        self.relu, self.downsample = nn.ReLU(inplace=True), None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)

class ResNet(nn.Module):
    def __init__(self, width=4, num_classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2 = BasicBlock(width, width), BasicBlock(width, 2 * width, 2)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x))))))
        return self.fc(torch.flatten(self.avgpool(x), 1))

def resnet(pretrained=False, **kwargs):
    return ResNet(**kwargs)
""",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with the files of somebody else, alone in its parent."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    for name, code in FILES.items():
        Path(name).write_text(code)
    yield place
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)


def measured(*arguments: str, layers: bool = True) -> dict:
    result = run("measure", *arguments, *DATA, *(["--layers"] if layers else []))
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["images"] == 3 and set(found["invariance"]["errors"]) >= {"e", "r90", "m"}
    if not layers:
        return found
    (local,), (layers,) = found["local"], found["layers"]
    assert layers["gap"] < 1e-10, "the terms of the layers add up to the whole"
    assert layers["total"]["value"] == pytest.approx(local["value"]["value"], rel=0.1)  # kinks of pools
    return found


def save(kind: str) -> None:
    """A small model of transformers with random weights, and its processor, in the folder of its name."""
    transformers = pytest.importorskip("transformers", reason="pip install 'symdata[transformers]'")
    torch.manual_seed(0)
    stages = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_labels": 10}
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config, model, processor = {
        "resnet": lambda: (
            transformers.ResNetConfig(embedding_size=8, layer_type="basic", **stages),
            transformers.ResNetForImageClassification,
            transformers.ConvNextImageProcessor(size={"shortest_edge": 33}, crop_pct=0.875),
        ),
        "convnext": lambda: (
            transformers.ConvNextConfig(**stages),
            transformers.ConvNextForImageClassification,
            transformers.ConvNextImageProcessor(size={"shortest_edge": 32}),
        ),
        "vit": lambda: (
            transformers.ViTConfig(image_size=28, patch_size=7, num_labels=10, **sizes),
            transformers.ViTForImageClassification,
            transformers.ViTImageProcessor(size={"height": 28, "width": 28}),
        ),
    }[kind]()
    model(config).save_pretrained(kind)
    processor.save_pretrained(kind)


@pytest.mark.parametrize(("kind", "size"), [("resnet", 33), ("convnext", 32), ("vit", 28)])
def test_a_folder_of_transformers(here, kind, size):
    save(kind)
    found = measured(f"hf:{kind}")
    assert found["size"] == size and found["invariance"]["errors"]["r90"]["value"] > 1e-3
    assert len(found["equivariance"]["errors"]) > 5, "feature maps, tokens among them"


def test_a_convnext_has_its_channels_last_inside_of_blocks():
    """With filters averaged over d4 every map moves with the image, where the strides divide the size."""
    transformers = pytest.importorskip("transformers", reason="pip install 'symdata[transformers]'")
    torch.manual_seed(0)
    stages = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}  # 8 channels of 8x8 pixels are among them
    net = transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**stages)).double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    stock = equivariance_error(net, images, "d4")
    assert stock.worst > 1e-2 and any("pwconv1" in name for name in stock.errors)
    assert feature_error(net, 64, "d4").worst < 1e-12
    predicted = structure(Logits(net), images)
    assert predicted.exact and predicted.agrees
    assert feature_error(net, 66, "d4").worst > 1e-3
    isotropise(net)
    found = equivariance_error(net, images, "d4")
    assert found.errors.keys() == stock.errors.keys() and found.worst < 1e-12


def test_a_file(here):
    assert list(measured("mynet:build", *OWN)["equivariance"]["errors"]) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("name", ["build", "Inside"])
def test_a_network_of_escnn(here, name):
    """Exact under quarter turns at 29 pixels, as built, and not under mirrors: what its own library says of it."""
    require_escnn()
    found = measured(f"steerable:{name}", *OWN, layers=False)
    errors = {element: error["value"] for element, error in found["invariance"]["errors"].items()}
    assert max(errors[element] for element in ("r90", "r180", "r270")) < 1e-6 < 1e-2 < errors["m"]


def test_layers_of_escnn_are_not_looked_into(here):
    require_escnn()
    said = refused("measure", "steerable:Inside", "--layers", *OWN, "--data", "glyphs:digits", code=2)
    assert "layers of escnn return typed tensors, which are not followed; leave --layers out." in said
    out = run("audit", "steerable:build", "--size", "29", "--channels", "1").output
    assert (
        "Its layers are those of escnn, whose fields are not analysed: this is about the sampling grids alone." in out
    )
    assert "No layer ties" not in out
    network, images = open_model("steerable:Inside").model, torch.randn(2, 1, 29, 29)
    with pytest.raises(ModelError, match="typed tensors, which are not followed; use local_equivariance_error"):
        layerwise_equivariance_error(network, images)
    found = measure(network, images, Group(2))
    assert not found.splits and found.note.count("layers of escnn return typed tensors") == 1 and found.motions


def test_weights_as_torch_hub_gives_them(here):
    """They come pickled, are refused with the line that converts them, and are then measured."""
    sys.path.insert(0, str(here))
    try:
        from hubconf import resnet
    finally:
        sys.path.remove(str(here))
    torch.manual_seed(0)
    network = resnet()
    torch.save(network.state_dict(), "resnet-0123abcd.pth")
    said = refused("measure", "resnet-0123abcd.pth", "--arch", "hubconf:resnet", *OWN, "--data", "glyphs:digits")
    assert "is a pickle, which may run code when it is opened, and is refused; convert it: python -c" in said
    save_file(network.state_dict(), "resnet.safetensors")
    found = measured("resnet.safetensors", "--arch", "hubconf:resnet", *OWN)
    assert found["name"] == "resnet" and "layer2.relu#2" in found["equivariance"]["errors"]
