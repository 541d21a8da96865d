"""Networks and weights of one's own, and any model that a command may be given."""

import json
import sys
import textwrap
import time

import pytest
import safetensors.torch
import torch

from tests.support import checkpoints
from tests.support.checkpoints import network
from zoo.errors import ModelError
from zoo.preprocessing import Preprocessing
from zoo.references.opening import open_model

whole, here = checkpoints.whole, checkpoints.here


NET = """
    import torch
    from torch import nn
    print("loading")

    class Net(nn.Module):
        def __init__(self, width=4):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, width, 3, 2, 1), nn.Linear(width, 3)
        def forward(self, x):
            return self.head(self.conv(x).mean((-2, -1)))

    class Needs(Net):
        def __init__(self, width): super().__init__(width)

    class Zoo:
        net = Net()

    def build(): return Net()
    def nothing(): return None
    def fails(): return 1 / 0
    def leaves(): raise SystemExit(3)
    ready = Net()
    number = 3
"""


@pytest.fixture
def mine(here, monkeypatch):
    """A file with networks in the current folder; its name."""
    name = f"net_{time.monotonic_ns()}"
    (here / f"{name}.py").write_text(textwrap.dedent(NET))
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("what", ["build", "Net", "ready", "Zoo.net"])
def test_a_callable(mine, what, capfd):
    path = list(sys.path)
    opened = open_model(f"{mine}:{what}")
    assert type(opened.model).__name__ == "Net" and not opened.model.training and not opened.trained
    assert opened.preprocessing is opened.classes is opened.size is None and opened.config == {}
    assert sys.path == path
    assert capfd.readouterr().out == "", "what somebody's code prints is no output of ours"


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("built", "has no 'built'; it has .*build"),
        ("nothing", "returned NoneType, expected a torch.nn.Module; return the network"),
        ("number", "is int, expected a torch module or a function that makes one"),
        ("Needs", r"cannot be called without arguments \(missing a required argument: 'width'\); name a function"),
        ("fails", "failed when it was called: ZeroDivisionError: division by zero; mend that function"),
        ("leaves", "failed when it was called: SystemExit: 3"),
        ("Zoo.cat", "has no 'cat'; it has"),
    ],
)
def test_callables_that_make_no_network(mine, what, sentence):
    with pytest.raises(ModelError, match=sentence):
        open_model(f"{mine}:{what}")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import not_there_at_all", "cannot be imported: it needs 'not_there_at_all'; pip install not_there_at_all"),
        ("def build(:", "cannot be imported: SyntaxError: .*; mend net_bad"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero; mend net_bad"),
        ("raise SystemExit", "cannot be imported: SystemExit"),
        ("from os import nothing", "cannot be imported: ImportError: cannot import name 'nothing'"),
    ],
)
def test_a_file_that_cannot_be_imported(here, code, sentence):
    name = f"net_bad_{time.monotonic_ns()}"
    (here / f"{name}.py").write_text(code)
    with pytest.raises(ModelError, match=sentence):
        open_model(f"{name}:build")


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("net_none:build", "there is no module 'net_none' in .* run the command in the folder of the file"),
        ("torch.nothing:x", "there is no module 'torch.nothing'"),
        ("net.py:build", "there is no module 'net'|no module 'net.py'"),
        ("mynet:", "'mynet:' is no model; write package.module:callable"),
        (":build", "':build' is no model; write package.module:callable"),
        ("a b:c", "'a b:c' is no model; write package.module:callable"),
    ],
)
def test_callables_that_are_not_there(here, ref, sentence):
    with pytest.raises(ModelError, match=sentence):
        open_model(ref)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("mynet.py", r"'mynet\.py' is code; .* for example mynet:build$"),
        ("nets/mine.py", r"for example nets\.mine:build$"),
        ("my-nets/mine.py", r"for example mine:build in the folder '.*my-nets'$"),
    ],
)
def test_a_file_of_code_is_not_its_function(here, path, sentence):
    (here / path).parent.mkdir(exist_ok=True)
    (here / path).write_text("def build(): return None\n")
    with pytest.raises(ModelError, match=sentence):
        open_model(path)


# Any model


def test_a_zoo_name_is_untrained():
    opened = open_model("p4cnn_28")
    assert not opened.trained and opened.size == 28 and opened.preprocessing is None
    given = open_model("p4cnn_28", mean=(0.1, 0.2, 0.3), std=(1, 1, 1)).preprocessing
    assert given == Preprocessing(28, (0.1, 0.2, 0.3), (1, 1, 1))


def test_a_folder_opened(whole):
    opened = open_model(whole)
    assert opened.trained and opened.size == 20 and opened.classes == ("a", "b", "c", "d")
    assert opened.name == opened.config["name"] == "p4cnn_20.squares-none"
    other = open_model(whole, size=21, mean=0.5)
    assert other.preprocessing == Preprocessing(21, (0.5,), (0.31,)) and other.size == 21


def test_half_a_preprocessing(mine):
    with pytest.raises(ModelError, match="is not whole: give --size and --std too"):
        open_model(f"{mine}:build", mean=0.5)
    assert open_model(f"{mine}:build", size=32, mean=0.5, std=0.5).preprocessing.size == 32


def test_weights_of_ones_own(mine, here):
    net = open_model(f"{mine}:build").model
    safetensors.torch.save_file(net.state_dict(), "mine.safetensors")
    for options in ({"ref": None, "arch": f"{mine}:build"}, {"ref": f"{mine}:build"}):
        opened = open_model(weights="mine.safetensors", **options)
        assert opened.trained and opened.name == "mine" and opened.config == {}
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), opened.model.parameters(), strict=True))
    assert open_model("mine.safetensors", arch=f"{mine}:build").trained


def test_weights_for_a_network_of_the_zoo(here):
    net = network("p4cnn_28", in_chans=3, width=None, num_classes=None)
    safetensors.torch.save_file(net.state_dict(), "w.safetensors")
    opened = open_model(None, weights="w.safetensors", arch="p4cnn_28")
    assert opened.trained and opened.size == 28
    assert torch.equal(opened.model.head.weight, net.head.weight)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: {"module." + k: v for k, v in s.items()},
         r"does not fit Net: every key of the file begins with 'module.' .* \{k.removeprefix\('module.'\): v for"),
        (lambda s: {k: v for k, v in s.items() if "head" not in k},
         "missing head.bias, head.weight; give the weights of this very architecture"),
        (lambda s: s | {"extra": torch.zeros(1)}, "unexpected extra; give the weights"),
        (lambda s: s | {"head.bias": torch.zeros(10)},
         r"head.bias is float32 \(10,\), expected float32 \(3,\); build the model with the width"),
        (lambda s: {k: v.half() for k, v in s.items()}, r"conv.bias is float16 \(4,\), .* convert them, for example"),
        (lambda s: {f"x{i}": torch.zeros(1) for i in range(9)}, "missing conv.bias, conv.weight, head.bias and 1 more"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(mine, here, change, sentence):
    net = open_model(f"{mine}:build").model
    safetensors.torch.save_file(change(net.state_dict()), "w.safetensors")
    with pytest.raises(ModelError, match=sentence):
        open_model(None, weights="w.safetensors", arch=f"{mine}:build")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ref": None}, "no model was given; `symdata models` lists some"),
        ({"ref": None, "weights": "w.safetensors"}, "add --arch package.module:build to --weights w.safetensors"),
        ({"ref": None, "arch": "p4cnn_28"}, "--arch p4cnn_28 asks for weights; add --weights"),
        ({"ref": "p4cnn_27", "arch": "p4cnn_28", "weights": "w.safetensors"}, "two models were given, 'p4cnn_27' and"),
        ({"ref": "p4cnn_28", "weights": "none.safetensors"}, "there is no file 'none.safetensors'; expected weights"),
        ({"ref": "p4cnn_28", "weights": "w.pt"}, "'w.pt' is a pickle, .* convert it: python -c"),
        ({"ref": "p4cnn_28", "weights": "."}, "cannot read '.': Is a directory"),
    ],
)
def test_parts_that_do_not_go_together(here, options, sentence):
    with pytest.raises(ModelError, match=sentence):
        open_model(**options)


def test_weights_in_several_files(mine, here):
    state = open_model(f"{mine}:build").model.state_dict()
    safetensors.torch.save_file({key: value + 1 for key, value in state.items()}, here / "part.safetensors")
    (here / "big.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(state, "part.safetensors")})
    )
    opened = open_model("big.safetensors.index.json", arch=f"{mine}:build")
    assert (opened.name, opened.trained) == ("big", True)
    assert opened.model.state_dict()["head.bias"].equal(state["head.bias"] + 1)
