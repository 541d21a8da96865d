"""Networks trained and tested on MNIST as published: three regimes of training, one upright test set.

The two splits change places: the networks are trained on MNIST's test split (10,000 images, of which 8,000 to train on)
and tested on its train split (60,000). Images are resized, then normalised, then turned. The published networks took
three equal channels, ours take one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.keys import permutation
from symdata.recipes.spec import Spec
from symdata.sources.idx import find_idx
from symdata.store import load, make
from zoo.evaluation import angle_curve
from zoo.experiments.harness.mnist import mnist_folder, predictions, training_facts
from zoo.experiments.harness.runs import Job
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing.published import MODELS
from zoo.references.loading import load as load_model
from zoo.training import TrainConfig, train

MEAN, STD = 0.13084, 0.043477
"""Of values in [0, 1], as published; the second is the spread of the means of whole images, not that of pixels."""

LEARNING = {
    "optimizer": "adam",
    "lr": 0.01,
    "weight_decay": 1e-5,
    "mean": (MEAN,),
    "std": (STD,),
    "channels": 1,
    "channels_last": True,
}
"""What both budgets share. The rate of the published networks' dropout is not known; here there is none."""

FILLS = ("zero", "background")
"""As published, and as a photograph would continue."""

ANGLES = 36
TEST_SEED = 0
"""Of the order of the test images: every network is tested on the same ones."""


@dataclass(frozen=True)
class Regime:
    """What the networks see in training."""

    name: str
    title: str
    spec: Mapping[str, Any]
    """Fields of the dataset's `Spec`."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the `TrainConfig`."""

    @property
    def data(self) -> str:
        """Name of the folder of its dataset."""
        return "upright" if self.spec["symmetry"] == "none" else self.name


def _gaussian(std: int) -> dict[str, Any]:
    # One angle a batch; the corners are filled with 0 after normalisation.
    return {"symmetry": f"so2@45~{std}", "augment_per": "batch", "fill": "zero", "resample": "bilinear"}


REGIMES = {
    regime.name: regime
    for regime in (
        Regime("upright", "upright training images", {"symmetry": "none"}),
        Regime(
            "uniform",
            "each training image turned once by an angle uniform on 0..360",
            {"symmetry": "so2", "test_symmetry": "none", "resample": "bilinear", "mask": "none", "padding": "zeros"},
        ),
        Regime("biased", "one angle a batch, Gaussian, 45 +- 20 degrees", {"symmetry": "none"}, _gaussian(20)),
        Regime("biased40", "one angle a batch, Gaussian, 45 +- 40 degrees", {"symmetry": "none"}, _gaussian(40)),
    )
}


def jobs(regime: str, setting: Setting) -> list[Job]:
    """Every model and seed of a regime; seeds go round first, so that an early look sees all models."""
    return [_job(regime, model, seed, setting) for seed in range(setting.seeds) for model in MODELS]


def _job(regime: str, model: str, seed: int, setting: Setting) -> Job:
    recipe = {**LEARNING, **setting.budget.train, **REGIMES[regime].train, "model": model, "seed": seed}
    test = {"lattice": setting.lattice, "curve": setting.budget.curve, "seed": TEST_SEED}
    request = {"spec": dict(REGIMES[regime].spec), "train": recipe, "test": test}
    return Job(regime, f"{setting.budget.name}/{model}-seed{seed}", request, run)


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train and test one network; the model folder stays beside the record, and is not trained again."""
    data, out = setting.out / "data", job.place(setting.out).with_suffix("")
    config = TrainConfig(
        **job.request["train"], data=str(data / REGIMES[job.part].data), out=str(out), device=setting.device
    )
    epochs: list[dict[str, Any]] = []
    train(config, resume=True, report=epochs.append)
    test = job.request["test"]
    images, labels = test_images(data / "upright", max(test["lattice"], test["curve"]))
    return measure(out, images, labels, test, setting.device) | {"training": training_facts(out)}


def measure(folder: Path, images: Tensor, labels: Tensor, test: Mapping[str, int], device: str) -> dict[str, Any]:
    """Accuracies in percent under quarter turns and over angles, and how many predictions a quarter turn changes."""
    model = load_model(folder, device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    preprocessing: Any = model.preprocessing
    n, m = test["lattice"], test["curve"]
    answers = predictions(model, images[:n], preprocessing, device)  # (4, n)
    hits = (answers == labels[:n]).double().mean(1) * 100
    curves = {
        fill: angle_curve(model, images[:m], labels[:m], preprocessing, ANGLES, fill=fill, device=device)
        for fill in FILLS
    }
    return {
        "lattice": {str(90 * k): float(hits[k]) for k in range(4)},
        "changed": {str(90 * k): int((answers[k] != answers[0]).sum()) for k in range(1, 4)},
        "curves": {fill: [round(100 * rate, 4) for rate in rates] for fill, rates in curves.items()},
    }


def test_images(folder: Path, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` test images of a seeded shuffle, uint8 (n, 1, 28, 28), and their labels."""
    dataset = load(folder, "test")
    rows = np.asarray(permutation(TEST_SEED, "test", "experiment", len(dataset)))[:count]
    return dataset.images(rows), torch.from_numpy(dataset.labels[rows])


def prepare(parts: list[str], setting: Setting) -> None:
    """Make the datasets of these regimes in OUT/data, as far as they are missing."""
    data = setting.out / "data"
    swapped = swap(mnist_folder(setting.data, parts), data / "mnist-swapped")
    for name in dict.fromkeys(["upright", *(REGIMES[part].data for part in parts)]):  # all are tested on upright images
        make(Spec(source=str(swapped), validation=0.2, **REGIMES[name].spec), data / name, resume=True)


def swap(folder: Path, target: Path) -> Path:
    """A folder of links in which MNIST's two splits have changed places."""
    target.mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "t10k"), ("test", "train")):
        for kind, path in find_idx(folder)[""][split].items():
            rank = "idx3" if kind == "images" else "idx1"
            _link(path.resolve(), target / f"{name}-{kind}-{rank}-ubyte{'.gz' if path.suffix == '.gz' else ''}")
    return target


def _link(path: Path, link: Path) -> None:
    if link.is_symlink():
        link.unlink()
    os.symlink(os.path.relpath(path, link.parent.resolve()), link)
