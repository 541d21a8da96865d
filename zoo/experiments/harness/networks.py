"""The networks of the experiments: trained on a dataset of OUT/data, read back, asked for predictions."""

import json
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from symdata.groups import Group
from symdata.store import load
from zoo.experiments.harness.runs import Job
from zoo.experiments.harness.setting import Setting
from zoo.inference import sweep
from zoo.references.loading import load as load_model
from zoo.training import TrainConfig, train

KEPT = ("epoch", "step", "loss", "accuracy", "validation_loss", "validation_accuracy")
"""What a record holds of the last epoch."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and its training."""

    model: Any
    """As `zoo.load` reads it."""
    config: TrainConfig
    epochs: list[dict[str, Any]]
    """The line of metrics.jsonl of every epoch."""

    @property
    def facts(self) -> dict[str, Any]:
        """The numbers of the last epoch, and the seconds of all."""
        last = {name: self.epochs[-1][name] for name in KEPT if name in self.epochs[-1]}
        return last | {"seconds": round(sum(line["seconds"] for line in self.epochs), 1)}

    @property
    def parameters(self) -> int:
        """Number of all weights."""
        return sum(p.numel() for p in self.model.parameters())

    def test_images(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """The first `count` images of its dataset's test split, uint8 (n, C, H, W), and their labels (n,)."""
        dataset = load(self.config.data, "test")
        rows = range(len(dataset) if count is None else min(count, len(dataset)))
        return dataset.images(rows), dataset.labels[: len(rows)]


def trained(job: Job, setting: Setting, data: str) -> TrainedNetwork:
    """The network of a job, trained on OUT/data/`data` unless it is there: its folder stays beside the record."""
    out = job.place(setting.out).with_suffix("")
    folder = str(setting.out / "data" / data)
    config = TrainConfig(**job.request["train"], data=folder, out=str(out), device=setting.device)
    train(config, resume=True)
    lines = map(json.loads, (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    epochs = [line for line in lines if "seconds" in line]
    return TrainedNetwork(load_model(out, device=setting.device), config, epochs)


def predictions(model: Any, images: Tensor, device: str) -> Tensor:
    """The predicted class of every image under the four quarter turns, (4, n) int64."""
    return sweep.predictions(model, images, None, model.preprocessing, Group(4).elements, device=device)
