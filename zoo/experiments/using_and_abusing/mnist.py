"""Networks trained and tested on MNIST as published: four regimes of training, one upright test set.

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
from symdata.store import load
from zoo.evaluation import angle_curve
from zoo.experiments.harness.experiment import Requests
from zoo.experiments.harness.mnist import mnist_folder
from zoo.experiments.harness.networks import predictions, trained
from zoo.experiments.harness.runs import Job
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing.published import MODELS

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
"""What all budgets share. The rate of the published networks' dropout is not known; here there is none."""

FILLS = ("zero", "background")
"""As published, and as a photograph would continue."""

ANGLES = 36
TEST_SEED = 0
"""Of the order of the test images: every network is tested on the same ones."""


@dataclass(frozen=True)
class Regime:
    """What the networks see in training."""

    title: str
    data: str
    """Name of the dataset."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the `TrainConfig`."""


def _gaussian(std: int) -> Regime:
    """One angle a batch; the corners are filled with 0 after normalisation."""
    augmentation = {"symmetry": f"so2@45~{std}", "augment_per": "batch", "fill": "zero", "resample": "bilinear"}
    return Regime(f"one angle a batch, Gaussian, 45 +- {std} degrees", "upright", augmentation)


REGIMES = {
    "upright": Regime("upright training images", "upright"),
    "uniform": Regime("each training image turned once by an angle uniform on 0..360", "uniform"),
    "biased": _gaussian(20),
    "biased40": _gaussian(40),
}

DATASETS: dict[str, dict[str, Any]] = {
    "upright": {"symmetry": "none"},
    "uniform": {
        "symmetry": "so2", "test_symmetry": "none", "resample": "bilinear", "mask": "none", "padding": "zeros"
    },
}  # fmt: skip
"""Name -> fields of its `Spec`."""


def datasets(regime: str, setting: Setting) -> dict[str, Spec]:
    """The dataset of a regime, and the upright one, on which all are tested."""
    swapped = swap(mnist_folder(setting.data, [regime]), setting.out / "data" / "mnist-swapped")
    names = dict.fromkeys(("upright", REGIMES[regime].data))
    return {name: Spec(source=str(swapped), validation=0.2, **DATASETS[name]) for name in names}


def swap(folder: Path, target: Path) -> Path:
    """A folder of links in which MNIST's two splits have changed places."""
    target.mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "t10k"), ("test", "train")):
        for kind, path in find_idx(folder)[""][split].items():
            rank = "idx3" if kind == "images" else "idx1"
            link = target / f"{name}-{kind}-{rank}-ubyte{'.gz' if path.suffix == '.gz' else ''}"
            if link.is_symlink():
                link.unlink()
            link.symlink_to(os.path.relpath(path.resolve(), target.resolve()))
    return target


def requests(regime: str, setting: Setting) -> Requests:
    """Every model and seed of a regime; all models of one seed come before the next seed."""
    shared = {**LEARNING, **setting.budget.train, **REGIMES[regime].train}
    test = {"lattice": setting.lattice, "curve": setting.budget.curve, "seed": TEST_SEED}
    for seed in range(setting.seeds):
        for model in MODELS:
            recipe = shared | {"model": model, "seed": seed}
            request = {"spec": DATASETS[REGIMES[regime].data], "train": recipe, "test": test}
            yield f"{setting.budget.name}/{model}-seed{seed}", request


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network; test it under quarter turns and over angles, in percent, and count the predictions that a
    quarter turn changes."""
    net, test = trained(job, setting, REGIMES[job.part].data), job.request["test"]
    model = net.model.to(memory_format=torch.channels_last)
    n, m = test["lattice"], test["curve"]
    images, labels = test_images(setting.out / "data" / "upright", max(n, m))
    answers = predictions(model, images[:n], setting.device)  # (4, n)
    hits = (answers == labels[:n]).double().mean(1) * 100
    curves = {
        fill: angle_curve(model, images[:m], labels[:m], model.preprocessing, ANGLES, fill=fill, device=setting.device)
        for fill in FILLS
    }
    return {
        "lattice": {str(90 * k): float(hits[k]) for k in range(4)},
        "changed": {str(90 * k): int((answers[k] != answers[0]).sum()) for k in range(1, 4)},
        "curves": {fill: [round(100 * rate, 4) for rate in rates] for fill, rates in curves.items()},
        "training": net.facts,
    }


def test_images(folder: Path, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` test images of a seeded shuffle, uint8 (n, 1, 28, 28), and their labels."""
    dataset = load(folder, "test")
    rows = np.asarray(permutation(TEST_SEED, "test", "experiment", len(dataset)))[:count]
    return dataset.images(rows), dataset.labels[rows]
