"""`symdata evaluate`: from a model and images to numbers, a picture, and a card; and everything that it refuses."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.support import commands
from tests.support.classifiers import digits
from tests.support.commands import refused, run
from tests.support.folders import build, contents
from zoo.checkpoint.folder import save_checkpoint
from zoo.evaluation import Report
from zoo.models.registry import create
from zoo.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(28, (0.1307,), (0.3081,))
NET = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, outputs=10, channels=1):
        super().__init__(nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
                         nn.Linear(64, outputs))

def build():
    torch.manual_seed(0)
    return Net()

def colour():
    return Net(channels=3)

def two():
    return Net(2)

class Bad(Net):
    def forward(self, x):
        raise KeyError("where")

class TooSmall(ValueError):
    pass

class Own(Net):
    def forward(self, x):
        raise TooSmall("the patches\\nwant 31 pixels.")
"""
OWN = ["--size", 28, "--mean", 0.13, "--std", 0.31]


@pytest.fixture
def here(tmp_path, monkeypatch, data):
    """An empty folder to work in, with mynet.py, weights for it, and `data` beside it."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    Path("data").symlink_to(data)
    with commands.reader(place, monkeypatch, NET):
        yield place


@pytest.fixture
def model(here, data):
    return trained("p4cnn_28", data)


def trained(name, data, *, classes="0123456789", **config):
    folder = Path(f"{name}.mnist-none")
    net = create(name, width=3, in_chans=1, num_classes=len(classes), seed=0).eval()
    config = {"training": {"symmetry": "none"}, "dataset": {"name": "mnist-none", "symmetry": "none"}} | config
    return save_checkpoint(
        folder,
        net,
        name=str(folder),
        preprocessing=Preprocessing(int(name[-2:]), (0.1307,), (0.3081,)),
        classes=tuple(classes),
        golden_images=PREPROCESSING(digits(data, "test", 8)[0]),
        **config,
    )


def test_a_trained_model_on_a_source_that_nobody_built(model):
    result = run("evaluate", model, "--data", "data/mnist", "--limit", 60, "--angle-limit", 20, "--angles", 12)
    assert result.exit_code == 0, result.output
    assert "p4cnn_28.mnist-none on mnist, test: 60 images at 28x28, 10 classes" in result.stdout
    assert "12 angles on 20 images, fill background" in result.stdout
    assert "on elements seen in training (upright alone)" in result.stdout
    assert "Exact: at 28x28 its feature maps move with the image under c4." in result.stdout
    assert "Feature maps agree with the prediction." in result.stdout
    assert {path.name for path in Path("p4cnn_28.mnist-none-evaluation").iterdir()} == {"evaluation.json", "polar.png"}
    report = Report.from_dict(json.loads(Path("p4cnn_28.mnist-none-evaluation/evaluation.json").read_text()))
    assert report.count == 60 and report.curve.count == 20
    rates = [score.rate for score in report.elements]
    assert rates[0] == rates[1] == rates[2] == rates[3] == report.upright
    with Image.open("p4cnn_28.mnist-none-evaluation/polar.png") as picture:
        assert picture.width > 600


def test_json_is_the_report_and_the_folder_is_not_touched(model):
    before = contents(model)
    options = ["--limit", 20, "--angles", 0, "--elements", "c8", "--fill", "zero", "--out", "elsewhere", "--json"]
    result = run("evaluate", model, "--data", "data/mnist", *options)
    assert result.exit_code == 0, result.output
    report = Report.from_dict(json.loads(result.stdout))
    assert len(report.elements) == 8 and report.curve is None and report.fill == "zero"
    assert [path.name for path in Path("elsewhere").iterdir()] == ["evaluation.json"]
    assert contents(model) == before


def test_save_puts_the_numbers_on_the_card(model):
    limits = ["--limit", 40, "--angle-limit", 10, "--angles", 4]
    result = run("evaluate", model, "--data", "data/mnist", *limits, "--save")
    assert result.exit_code == 0, result.output
    saved = json.loads((model / "evaluation.json").read_text())
    assert saved["upright"]["count"] == 40 and "weights_sha256" in saved
    assert f"{100 * saved['upright']['accuracy']:.2f}" in (model / "README.md").read_text()
    again = run("evaluate", model, "--data", "data/mnist", *limits, "--beside", model / "evaluation.json")
    assert again.exit_code == 0, again.output


def test_a_dataset_folder_knows_what_moved_its_images(model, data):
    build(Path("mnist-d4"), source=str(data / "mnist"), symmetry="d4", count=60)
    result = run("evaluate", model, "--data", "mnist-d4", "--angles", 0, "--limit", 9, "--json")
    assert result.exit_code == 0, result.output
    report = Report.from_dict(json.loads(result.stdout))
    assert report.gap.seen.count == 9  # one element of the eight undoes what moved an image
    assert report.data == f"{json.loads(Path('mnist-d4/symdata.json').read_text())['name']}, test"


def test_labels_that_speak_of_the_pose_are_called_so(here, data):
    build(Path("six"), recipe="mnist6-180", source=str(data / "mnist"), count=60)
    model = trained("p4cnn_28", data, classes=["6 upright", "6 turned"])
    result = run("evaluate", model, "--data", "six", "--angles", 0, "--limit", 9)
    assert result.exit_code == 0, result.output
    assert "Note: the labels of this dataset depend on the pose" in result.stdout
    assert "gap      not known" in result.stdout


def test_a_network_of_your_own_with_its_weights(here):
    from mynet import build as network

    net = network()
    torch.nn.init.ones_(net[-1].bias)
    save_file(net.state_dict(), "mine.safetensors")
    own = ["--weights", "mine.safetensors", "--arch", "mynet:build", *OWN]
    options = ["--data", "data/mnist", "--limit", 30, "--angle-limit", 10, "--angles", 4]
    result = run("evaluate", *own, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("mine on mnist, test: 30 images at 28x28, 10 classes")
    assert "architecture not of our layers: this is said of its grids only" in result.stdout
    assert "Its grids agree with the prediction." in result.stdout and "Its grids are approximate" in result.stdout
    assert "gap      not known: the model does not say what it was trained on" in result.stdout
    named = run("evaluate", *own, *options, "--classes", "0,1,2,3,4,5,6,7,8,9", "--json")
    report = Report.from_dict(json.loads(named.stdout))
    assert report.structure.survivors == ("e",) and report.structure.agrees is True
    assert run("evaluate", "mynet:build", *OWN, *options).exit_code == 0  # its builder may know its weights
    assert run("evaluate", "mynet:colour", *OWN, *options).exit_code == 0  # grey is repeated, and one mean serves all


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["p4cnn_28"], "'p4cnn_28' has random weights; train it with `symdata train`"),
        (["p4cnn_28", "--allow-untrained"], "does not say how images become its input; say --mean 0.5 --std 0.5"),
        (["mynet:build"], "does not say how images become its input; say --size 28 --mean 0.5 --std 0.5"),
        (["mynet:two", *OWN], "has 2 outputs and there are 10 classes"),
        (["mynet:build", *OWN, "--classes", "1,0,2,3,4,5,6,7,8,9"], "in another order: class 0 is '1' to the model"),
        (["mynet:build", *OWN, "--classes", "cat,dog"], "has 2 classes (cat, dog) and the images have 10 (0, 1, 2"),
        (["mynet:Bad", *OWN], "'mynet:Bad' cannot be evaluated: KeyError: 'where'"),
        (["mynet:Own", *OWN], "Own cannot run on images (1, 1, 28, 28): TooSmall: the patches want 31 pixels"),
        (
            ["mynet:build", "--size", 2000, *OWN[2:], "--limit", 1, "--device", "nowhere"],
            "device is 'nowhere', expected cpu, cuda, cuda:1 or mps",
        ),
        (["mynet:build", *OWN, "--device", "cuda:99"], "there is no device 'cuda:99' here; use --device c"),
        (["mynet:build", *OWN, "--device", "meta"], "device is 'meta', expected cpu, cuda, cuda:1 or mps"),
        (["nothing-here"], "there is no model 'nothing-here'"),
    ],
)
def test_models_that_are_refused(here, arguments, sentence):
    assert sentence in refused("evaluate", *arguments, "--data", "data/mnist", "--limit", 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nowhere"], "'nowhere' is neither a file nor a folder here"),
        (["--data", "data/mnist", "--split", "holdout"], "has no split 'holdout'"),
        (["--data", "data/cifar10", "--limit", 2], "have 3 channels and the model takes 1"),
        (["--data", "glyphs:OXNZ"], "the model has 10 classes"),
    ],
)
def test_images_that_are_refused(model, arguments, sentence):
    assert sentence in refused("evaluate", model, *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--elements", "so2"], "'so2' has infinitely many elements"),
        (["--elements", "q8"], "'q8' is not a group"),
        (["--angles", 400], "400 is not in the range 0<=x<=360"),
        (["--mean", "grey"], "'grey' is no list of numbers"),
        (["--fill", "black"], "'black' is not one of"),
        (["--out", "p4cnn_28.mnist-none"], "is the model folder; use --save"),
        (["--beside", "mynet.py"], "is no evaluation.json"),
        (["--weights", "w.safetensors", "--save"], "--save needs a model folder"),
    ],
)
def test_wrong_usage(model, arguments, sentence):
    assert sentence in refused("evaluate", model, "--data", "data/mnist", *arguments, code=2)


def test_nothing_is_written_into_a_dataset(model, data):
    build(Path("upright"), source=str(data / "mnist"), symmetry="none", count=30)
    said = refused("evaluate", model, "--data", "upright", "--out", "upright/results", code=2)
    assert "is inside the dataset, whose files are hashed" in said
    assert "--save needs a model folder" in refused("evaluate", "mynet:build", "--data", "upright", "--save", code=2)
