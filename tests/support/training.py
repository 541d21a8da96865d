"""Small datasets and runs for the tests of training."""

import json
from pathlib import Path
from typing import Any

from symdata.recipes.spec import Spec
from symdata.store import make
from zoo.training import TrainConfig, train

MODEL = "p4cnn_12"
"""Exact at its size, and small enough for a run of a second."""


def dataset(folder: Path, count: int = 96, **spec: Any) -> Path:
    """Four glyphs that no turn makes alike, 12 x 12, `count` images to train on, a sixth of that for the others."""
    make(Spec(**{"source": "glyphs:OXAF", "size": 12, "count": count, "symmetry": "none", **spec}), folder)
    return folder


def config(data: Path, **changes: Any) -> TrainConfig:
    """Two epochs of a tiny network."""
    fields = {"data": str(data), "model": MODEL, "out": str(data.parent / "run"), "epochs": 2, "batch_size": 16}
    return TrainConfig(**{**fields, "width": 2, "log_every": 2, **changes})


def run(data: Path, *, resume: bool = False, overwrite: bool = False, **changes: Any) -> Path:
    """Train, and return the folder."""
    return train(config(data, **changes), resume=resume, overwrite=overwrite)


def lines(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the times."""
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read]


def weights(folder: Path) -> bytes:
    """The file of weights, whose bytes are a function of the weights alone."""
    return (folder / "model.safetensors").read_bytes()
