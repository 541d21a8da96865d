"""Small model folders that ask for gigabytes: each is refused in a sentence, by a process that has no memory for it."""

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.support import checkpoints
from tests.support.bad_models import forged
from tests.support.checkpoints import rehash
from zoo.checkpoint.tensors import serialised
from zoo.errors import ModelError
from zoo.files import CONFIG, GOLDEN, WEIGHTS
from zoo.models.families.fields import FieldNet
from zoo.models.network import Network
from zoo.models.registry import create, needs
from zoo.models.spec import MAX_FILTERS, NetworkSpec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is limited as Linux does it")

whole = checkpoints.whole
MEBIBYTE = 1 << 20
ROOM = 256 * MEBIBYTE
"""What the reading process may take beyond what it has after it has read a small model."""

READ = """
import json, resource, sys
from pathlib import Path
import zoo.checkpoint.folder, zoo.checkpoint.golden
from symdata.errors import SymdataError

def read(name):
    try:
        return "loaded " + zoo.checkpoint.folder.read_checkpoint(Path(sys.argv[1], name)).name
    except SymdataError as error:
        return str(error)

read("small")  # whatever is set up once
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]),) * 2)
found = {path.name: read(path.name) for path in sorted(Path(sys.argv[1]).iterdir())}
zoo.checkpoint.golden.LARGEST_MAP = 1 << 62
found["a wide map, let through"] = read("a wide map")
print(json.dumps(found))
"""


def large(name: str, **choices: object) -> dict[str, object]:
    """The architecture of a network as large as it may be, in its width."""
    good, bad = 1, 5000
    while bad - good > 1:
        width = (good + bad) // 2
        try:
            NetworkSpec.of(name, **choices, width=width)
        except ModelError:
            bad = width
        else:
            good = width
    return NetworkSpec.of(name, **choices, width=good).to_dict()


EXPORTED = {"form": "exported", "name": "o2cnn_28", "classes": 4, "channels": 1, "coset_pool": True, "dropout": 0.0}

ARCHITECTURES: dict[str, dict[str, object]] = {
    "as many parameters as are allowed": large("z2cnn_20", in_chans=1, num_classes=4),
    "as many classes as are allowed": large("z2cnn_20", in_chans=1, num_classes=100_000),
    "as large filters as are allowed": large("gp4mresnet18_225", in_chans=1, num_classes=4),
    "filters far beyond": {**large("gp4mresnet18_225", in_chans=1, num_classes=4), "width": 100},
    "beyond 64 bits": {**NetworkSpec.of("p4cnn_20", in_chans=1, num_classes=4).to_dict(), "width": 1 << 62},
    "as many numbers as are allowed, exported": EXPORTED | {"width": 47},
    "far more, exported": EXPORTED | {"width": 1024},
}


def wide_map(folder: Path) -> None:
    """A whole folder of two megabytes: one convolution of few weights, and an image on which it makes a huge map."""
    size, network = 512, create("p4mknight_33", in_chans=1, num_classes=4, width=4096)
    assert needs(network.architecture, size).largest_map >= 8 << 30  # bytes: 4 for a number of a map halved twice
    golden = {"images": torch.zeros(1, 1, size, size), "logits": torch.zeros(1, 4)}
    (folder / WEIGHTS).write_bytes(serialised(network.state_dict()))
    (folder / GOLDEN).write_bytes(serialised(golden))
    count = sum(p.numel() for p in network.parameters())
    change(folder, architecture=network.architecture, group="d4", input_size=[size, size])
    change(folder, preprocessing={"size": size, "mean": [0.5], "std": [0.5], "resize": "bilinear"})
    change(folder, weights={"file": WEIGHTS, "sha256": "0" * 64, "parameters": count})
    rehash(folder, WEIGHTS)
    rehash(folder, GOLDEN)


def change(folder: Path, **fields: object) -> None:
    (folder / CONFIG).write_bytes(forged(json.loads((folder / CONFIG).read_bytes()) | fields))


FOLDERS: dict[str, Callable[[Path], object]] = {
    **{name: lambda folder, a=said: change(folder, architecture=a) for name, said in ARCHITECTURES.items()},
    "a wide map": wide_map,
}


@pytest.fixture(scope="module")
def answers(whole, tmp_path_factory) -> dict[str, str]:
    """What a process says that has no memory for any of them."""
    root = tmp_path_factory.mktemp("bombs")
    for name, make in {"small": lambda folder: None, **FOLDERS}.items():
        make(Path(shutil.copytree(whole, root / name)))
    assert sum(path.stat().st_size for path in root.rglob("*")) < 8 * MEBIBYTE
    command = [sys.executable, "-c", textwrap.dedent(READ), str(root), str(ROOM)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_what_is_asked_for_is_far_more_than_there_is():
    for name in ("as many parameters as are allowed", "as many classes as are allowed"):
        parameters, most = NetworkSpec.from_dict(ARCHITECTURES[name]).parameters(), Network.max_parameters
        assert 0.9 * most < parameters <= most
    assert NetworkSpec.from_dict(ARCHITECTURES["as large filters as are allowed"]).filters() > 0.9 * MAX_FILTERS
    exported = needs(ARCHITECTURES["as many numbers as are allowed, exported"], 28).parameters
    assert 0.9 * FieldNet.max_parameters < exported <= FieldNet.max_parameters


def test_a_small_folder_is_read(answers):
    assert answers["small"] == "loaded p4cnn_20.squares-none"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_asks_for_much_memory(answers, name):
    text = answers[name]
    assert "\n" not in text and len(text) < 1000 and "loaded" not in text and "alloc" not in text


def test_without_a_bound_the_memory_would_be_asked_for(answers):
    """The negative control: a folder that is refused for its size alone runs out of memory if it is let through."""
    assert "feature map of" in answers["a wide map"]
    assert (
        "cannot run on images" in answers["a wide map, let through"] and "alloc" in answers["a wide map, let through"]
    )
