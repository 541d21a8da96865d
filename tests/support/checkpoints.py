"""Small model folders, and their configuration changed."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.checkpoint.folder import read_checkpoint, save_checkpoint
from zoo.checkpoint.manifest import sealed
from zoo.errors import ModelError
from zoo.files import CONFIG
from zoo.models.registry import create
from zoo.preprocessing import Preprocessing

NAME = "p4cnn_20"
SIZE = 20


def network(name: str = NAME, seed: int = 0, **choices: Any) -> torch.nn.Module:
    """A small network whose batch norms have seen images, so that no feature is dead and every buffer is its own."""
    model = create(name, **{"in_chans": 1, "width": 3, "num_classes": 4, "seed": seed} | choices).train()
    generator = torch.Generator().manual_seed(seed)
    size = int(name.split("_")[1])
    for norm in model.modules():
        if hasattr(norm, "running_mean"):
            norm.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(8, model.architecture["channels"], size, size, generator=generator))
    return model.eval()


def golden(count: int = 8, channels: int = 1, size: int = SIZE) -> Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(7))


def save(folder: Path, model: torch.nn.Module | None = None, **changes: Any) -> Path:
    """A model folder of a small network, with anything changed that `changes` names."""
    parts: dict[str, Any] = {
        "name": f"{NAME}.squares-none",
        "preprocessing": Preprocessing(SIZE, (0.13,), (0.31,)),
        "classes": ("a", "b", "c", "d"),
        "training": {"command": "symdata train squares-none --model p4cnn_20", "epochs": 2, "seed": 0},
        "dataset": {"name": "squares-none", "source": {"ref": "hub:user/squares", "license": "mit"}},
        "golden_images": golden(),
    }
    return save_checkpoint(folder, network() if model is None else model, **parts | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that no test changes."""
    return save(tmp_path_factory.mktemp("whole") / "m")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(whole, tmp_path / "m"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def same(model: torch.nn.Module) -> bool:
    """Whether a model gives the logits of `network()`."""
    with torch.no_grad():
        return torch.equal(model(golden()), network()(golden()))


def edit(folder: Path, change: Callable[[dict[str, Any]], object], seal: bool = True) -> None:
    """Change config.json in place; with `seal`, as somebody would who knows about the hash in it."""
    path = folder / CONFIG
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(sealed(config) if seal else config))


def rehash(folder: Path, name: str) -> None:
    """Write the hash that a tensor file has now into the configuration."""
    key = "weights" if name.startswith("model") else "golden"
    edit(folder, lambda config: config[key].update(sha256=sha256((folder / name).read_bytes()).hexdigest()))


def refused(folder: Path, match: str | None = None) -> str:
    """The sentence with which a folder is refused."""
    with pytest.raises(ModelError, match=match) as caught:
        read_checkpoint(folder)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 1000
    return said
