"""CIFAR-10: ResNet44 at 32 pixels, approximate, and at 33, exact; plain, p4 and p4m.

No number of this experiment is published, only its sign: on upright test images the approximate networks are no worse,
on turned ones the exact ones are better. Training follows the authors' script (Adam, one cycle up to 1e-3, weight decay
1e-5, batches of 256, a mirror half of the time) but for its random crops, which `zoo.train` does not have.
"""

from typing import Any

import torch

from symdata.display import Table
from symdata.recipes.spec import Spec
from symdata.store import load, splits
from zoo.errors import ModelError
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.networks import predictions, trained
from zoo.experiments.harness.runs import Job, RunRecord, grouped, values
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing.claims import CONDITIONS
from zoo.measure.statistics import plus_minus

MODELS = tuple(f"{group}resnet44_{size}" for group in ("z2", "p4", "p4m") for size in (32, 33))
EPOCHS = {"small": 30, "long": 200, "paper": 200}
"""Budget -> epochs; 200 as in the authors' script."""
LEARNING = {
    "optimizer": "adam",
    "lr": 1e-3,
    "weight_decay": 1e-5,
    "schedule": "onecycle",
    "batch_size": 256,
    "symmetry": "d1",
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2023, 0.1994, 0.2010),
    "validation": 0.0,
}
TURNS = ("0", "90", "180", "270")


def check(setting: Setting) -> None:
    """Refuse what cannot be run, before anything is."""
    if setting.cifar is None:
        raise ModelError("cifar trains on CIFAR-10: name a source of its images with --cifar, as for `symdata make`")
    if setting.device == "cpu" and setting.width is None:
        raise ModelError(
            "cifar trains six ResNet44s of 2.6 to 3 million parameters, each of them days on a CPU and minutes to "
            "hours on a GPU; use --device cuda, or --width 4 for narrow ones"
        )


def datasets(setting: Setting) -> dict[str, Spec]:
    """CIFAR-10 as it is."""
    return {"cifar": Spec(source=setting.cifar)}


def requests(setting: Setting) -> Requests:
    """Every model and seed; all models of one seed come before the next seed."""
    precision = {"precision": "bf16", "channels_last": True} if setting.device.startswith("cuda") else {}
    width = {} if setting.width is None else {"width": setting.width}
    shared = LEARNING | precision | width | {"epochs": EPOCHS[setting.budget.name]}
    place = setting.budget.name if setting.width is None else f"{setting.budget.name}-width{setting.width}"
    for seed in range(setting.seeds):
        for model in MODELS:
            yield f"{place}/{model}-seed{seed}", {"train": shared | {"model": model, "seed": seed}}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network; test it under quarter turns, on all images of all splits but the one that was trained on."""
    net = trained(job, setting, "cifar")
    data = net.config.data
    others = [load(data, split) for split in splits(data) if split != "train"]
    images = torch.cat([other.images() for other in others])
    labels = torch.cat([other.labels for other in others])
    answers = predictions(net.model, images, setting.device)
    hits = (answers == labels).double().mean(1) * 100
    return {
        "lattice": dict(zip(TURNS, hits.tolist(), strict=True)),
        "changed": {turn: int((answers[k] != answers[0]).sum()) for k, turn in enumerate(TURNS) if k},
        "images": len(labels),
        "training": net.facts,
    }


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Accuracies under quarter turns, and the signs that the abstract names."""
    series: dict[str, list[float]] = {}
    rows = []
    for model, runs in ((name.rpartition("/")[2], found) for name, found in grouped(records).items()):
        hits = {turn: values(runs, "lattice", turn) for turn in TURNS}
        hits["quarters"] = [sum(each) / 4 for each in zip(*hits.values(), strict=True)]
        series |= {f"{model} {name}": each for name, each in hits.items()}
        kind = "plain" if model.startswith("z2") else "exact" if model.endswith("33") else "approximate"
        seconds = " ".join(f"{value:.0f}" for value in values(runs, "training", "seconds"))
        rows.append((model, kind, *map(plus_minus, hits.values()), seconds))
    header = ("model", "", "0°", "90°", "180°", "270°", "mean of the four", "training s")
    width = "as published" if setting.width is None else f"{setting.width} fields in the first stage"
    tested = f"{records[0].result['images']:,} images that were not trained on"
    note = f"Percent on {tested}; {setting.seeds} seed(s), widths {width}. Nothing is published to compare with."
    return PartReport([Table(header, rows, "Accuracy", (note,))], series)


PART = Part("CIFAR-10, ResNet44", requests, run, report, datasets, CONDITIONS["cifar"], check=check)
