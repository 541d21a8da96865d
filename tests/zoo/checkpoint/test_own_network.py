"""The folder of a network of one's own: no code in it, loaded only by the code that the user names, strictly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from tests.support.checkpoints import edit, golden, rehash, save
from tests.support.own_networks import own_networks
from zoo.checkpoint.folder import read_checkpoint
from zoo.checkpoint.largest_map import largest_map
from zoo.checkpoint.tensors import serialised
from zoo.errors import CodeNeededError, ModelError
from zoo.models.own import OwnArchitecture

OWN = OwnArchitecture("Net", "mynet:Net")


@pytest.fixture
def here(tmp_path, monkeypatch):
    with own_networks(tmp_path, monkeypatch) as place:
        yield place


def network(seed=0, width=4):
    """The class `Net` of mynet.py, without its file."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, width, 3), nn.Linear(width, 4)

        def forward(self, x):
            return self.head(self.conv(x).relu().mean((2, 3)))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net()


@pytest.fixture
def folder(here):
    return save(here / "m", network(), own=OWN, name="mine")


def refused(folder, match, arch="mynet:Net"):
    with pytest.raises(ModelError, match=match) as caught:
        read_checkpoint(folder, arch)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    return str(caught.value)


def test_it_loads_with_its_code_and_not_without(folder):
    with pytest.raises(CodeNeededError) as caught:
        zoo.load(folder)
    assert str(caught.value) == (
        "'mine' is a network of somebody's own: its class Net was made by mynet:Net, and the folder has no code; if "
        "you have that code and trust it, name it: --arch mynet:Net, or zoo.load(..., arch='mynet:Net') in Python"
    )
    assert not Path("imported").exists(), "what a file names is not imported"
    read = read_checkpoint(folder, "mynet:Net")
    assert Path("imported").exists() and read.trained and type(read.model).__name__ == "Net" and read.name == "mine"
    with torch.no_grad():
        assert torch.equal(read.model(golden()), network()(golden()))
    assert not read.model.training and read.model.config["architecture"]["code"] == "mynet:Net"


@pytest.mark.parametrize("arch", ["module", "class", "function", "words", "words of a module"])
def test_the_code_in_every_form(folder, arch):
    module = network(seed=1)
    given = {
        "module": module, "class": type(module), "function": lambda: module, "words": "mynet:Net",
        "words of a module": "mynet:ready",
    }[arch]  # fmt: skip
    with torch.no_grad():
        assert torch.equal(zoo.load(folder, arch=given)(golden()), network()(golden()))
    if arch == "module":
        assert torch.equal(module.head.weight, network(seed=1).head.weight), "it is copied"


def test_a_module_named_twice_is_two_models(folder, here):
    other = save(here / "other", network(seed=1), own=OWN)
    first, second = (zoo.load(place, arch="mynet:ready") for place in (folder, other))
    assert not torch.equal(first.head.weight, second.head.weight)


def test_another_network_is_refused_by_its_keys(folder, here):
    assert "missing 0.bias" in refused(folder, "m/model.safetensors' does not fit Sequential: ", "mynet:build")
    refused(folder, r"'conv.weight|conv.weight is float32 \(4, 1, 3, 3\), expected float32 \(5, 1, 3, 3\)", _wide)
    (folder / "model.safetensors").write_bytes(serialised(network(width=40_000).state_dict()))
    rehash(folder, "model.safetensors")
    said = refused(folder, "does not fit Sequential: it has .* bytes and the network .*; unexpected", "mynet:build")
    assert "unexpected conv.bias, conv.weight, head.bias" in said, "and a large file is not read"
    refused(folder, "returned int, expected a torch.nn.Module", lambda: 3)
    refused(folder, "'mynet' has no 'nothing'", "mynet:nothing")
    refused(folder, "'Net' is no code; write package.module:callable", "Net")


def _wide():
    return network(width=5)


def test_a_network_of_the_zoo_needs_no_code(here):
    place = save(here / "z")
    refused(place, "is a network of the zoo and made by its name; leave out the code mynet:Net")


def test_whatever_is_in_the_folder_runs_nothing(folder, here):
    (folder / "mynet.py").write_text("raise SystemExit('run')")
    (here / "evil.py").write_text("from pathlib import Path\nPath('opened').touch()")
    edit(folder, lambda config: config["architecture"].update(code="evil:build"))
    with pytest.raises(CodeNeededError, match="was made by evil:build"):
        zoo.load(folder)
    assert zoo.load(folder, arch="mynet:Net").head.out_features == 4, "the code is what the user names"
    assert not Path("opened").exists() and "evil" not in sys.modules
    zoo.load(folder, arch=lambda: __import__("evil") and network())
    assert Path("opened").exists(), "negative control: it would have been seen"


@pytest.mark.parametrize(
    "change",
    [
        {"code": "os; rm"}, {"code": 3}, {"code": "a:" + "b" * 300}, {"class_name": "a b"}, {"class_name": None},
        {"class_name": "N" * 300}, {"more": 1}, {"name": "p4cnn_28"},
    ],
)  # fmt: skip
def test_forged_architectures(folder, change):
    edit(folder, lambda config: config["architecture"].update(change))
    refused(folder, "describes no model: the architecture is .* expected form 'own', class_name")
    assert not Path("imported").exists()


def test_everything_else_is_checked_as_ever(folder):
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    state = network(seed=1).state_dict()

    def tampered(match, name, data, seal=True):
        (folder / name).write_bytes(data)
        if seal:
            rehash(folder, name)
        refused(folder, match)
        for file, content in whole.items():
            (folder / file).write_bytes(content)

    tampered("was changed or damaged: its sha256", "model.safetensors", serialised(state), seal=False)
    tampered("does not give the logits", "model.safetensors", serialised(state))
    tampered("expected float32", "model.safetensors", serialised({k: v.double() for k, v in state.items()}))
    for key, value, match in [
        ("group", "c4", "says group = 'c4', and its network has 'c1'"),
        ("classes", ["a", "b", "c"], "logits"),
        ("name", "x", None),
    ]:
        edit(folder, lambda config, key=key, value=value: config.update({key: value}))
        assert read_checkpoint(folder, "mynet:Net").name == "x" if match is None else refused(folder, match)
        (folder / "config.json").write_bytes(whole["config.json"])


READ = """
import resource, sys
from pathlib import Path
from zoo.checkpoint.folder import read_checkpoint
from symdata.errors import SymdataError

def read(name, arch):
    try:
        return read_checkpoint(Path(name), arch).name
    except SymdataError as error:
        return str(error)

print(read("m", "mynet:Net"))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (256 << 20),) * 2)
print(read("sparse", "mynet:Net"))
print(read("large", "mynet:Many"))
print(read("classes", "mynet:build"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is limited as Linux does it")
def test_a_folder_asks_for_no_memory(folder, here):
    def copy(name):
        place = here / name
        place.mkdir()
        for path in folder.iterdir():
            (place / path.name).write_bytes(path.read_bytes())
        return place

    with (copy("sparse") / "model.safetensors").open("r+b") as file:
        file.truncate(1 << 36)
    large = save(here / "large", network(width=64), own=OWN)
    edit(large, lambda c: c.update(input_size=[4096, 4096], preprocessing=c["preprocessing"] | {"size": 4096}))
    (large / "golden.safetensors").write_bytes(
        serialised({"images": torch.zeros(1, 1, 4096, 4096), "logits": torch.zeros(1, 4)})
    )
    rehash(large, "golden.safetensors")
    edit(copy("classes"), lambda c: c.update(classes=[""] * 100_001))
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, cwd=here, timeout=300)
    assert not done.returncode, done.stderr
    first, sparse, huge, classes = done.stdout.splitlines()
    assert first == "mine", done.stderr
    assert "it has 68,719,476,736 bytes and the network 240" in sparse
    assert "has a feature map of 1,072,693,504 numbers, at most 268,435,456 are held" in huge
    assert "has 100,001 classes, at most 100,000" in classes


def test_the_largest_map_of_any_network_is_known_before_it_runs():
    wide = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 4))
    assert largest_map(wide, 1, 2048) == 64 * 2048**2
    assert largest_map(nn.Flatten(), 1, 10) <= 100


def test_the_verdict_is_one_of_three(here):
    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(1, 4)

        def forward(self, x):
            return self.head(torch.fft.fft2(x).abs().mean((2, 3)))

    unknown = zoo.info(save(here / "unknown", Fourier()))
    assert unknown["exactness"]["outcome"] == "unknown" and not unknown["exactness"]["exact"]
    tied = nn.Sequential(zoo.layers.LiftingConv2d("c4", 1, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    exact = zoo.info(save(here / "exact", tied))
    assert exact["group"] == "c4" and exact["exactness"]["tied"]
    card = (here / "exact" / "README.md").read_text()
    word = {"exact": "**Exactly**", "approximate": "**Approximately**", "unknown": "**Unknown**"}
    assert word[exact["exactness"]["outcome"]] in card and json.dumps(exact)


def test_it_is_saved_as_it_is_given(here):
    model = network().train()
    save(here / "m", model)
    assert model.training and zoo.info(here / "m")["architecture"] == {
        "form": "own", "class_name": "Net", "code": None,
    }  # fmt: skip
    tied = network()
    tied.copy = tied.head
    assert zoo.load(save(here / "tied", tied), arch=tied).copy.weight is not None
