"""What experiments on MNIST share: the folder of its files, predictions under quarter turns, facts of a training."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symdata.groups import Element, Group
from symdata.sources import open_source
from symdata.sources.idx import find_idx
from zoo.errors import ModelError
from zoo.inference.sweep import sweep


def training_facts(out: Path) -> dict[str, Any]:
    """Of the lines of metrics.jsonl: the last epoch's, and the seconds of all."""
    import json

    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    epochs = [line for line in lines if "seconds" in line]
    kept = ("epoch", "step", "loss", "accuracy", "validation_loss", "validation_accuracy")
    last = {name: epochs[-1][name] for name in kept if name in epochs[-1]}
    return last | {"seconds": round(sum(line["seconds"] for line in epochs), 1)}


def predictions(model: Any, images: Tensor, preprocessing: Any, device: str) -> Tensor:
    """The predicted class of every image under the four quarter turns, (4, n) int64."""
    quarter: tuple[Element, ...] = Group(4).elements
    answers = torch.empty(4, len(images), dtype=torch.int64)
    for rows, logits in sweep(model, images, preprocessing, quarter, device=device):
        answers[:, rows] = logits.argmax(-1)
    return answers


def mnist_folder(folder: Path | None, parts: list[str]) -> Path:
    """The folder of idx files, checked to be MNIST; `ModelError` that says which files are wanted."""
    wanted = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte"
    which = " and ".join(parts)
    if folder is None:
        raise ModelError(f"{which} train on MNIST: name the folder of {wanted} (or .gz) with --data")
    found = find_idx(folder).get("", {}) if folder.is_dir() else {}
    lacking = [split for split in ("train", "test") if set(found.get(split, ())) != {"images", "labels"}]
    if lacking:
        raise ModelError(f"{str(folder)!r} does not hold MNIST's {' and '.join(lacking)} split; it needs {wanted}")
    counts = dict(open_source(str(folder)).splits)
    if counts != {"train": 60_000, "test": 10_000}:
        raise ModelError(f"{str(folder)!r} holds {counts} images, expected MNIST's 60,000 and 10,000; fetch it again")
    return folder
