"""CIFAR-10: ResNet44 at 32 pixels, approximate, and at 33, exact; plain, p4 and p4m.

No number of this experiment is published, only its sign: on upright test images the approximate networks are no worse,
on turned ones the exact ones are better. Training follows the authors' script (Adam, one cycle up to 1e-3, weight decay
1e-5, batches of 256, a mirror half of the time) but for its random crops, which `zoo.train` does not have.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from symdata.display import Table
from symdata.recipes.spec import Spec
from symdata.store import load, make, splits
from zoo.errors import ModelError
from zoo.experiments.harness.mnist import predictions, training_facts
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import summarise
from zoo.experiments.harness.tables import plus_minus
from zoo.experiments.using_and_abusing.claims import verdicts
from zoo.references.loading import load as load_model
from zoo.training import TrainConfig, train

MODELS = tuple(f"{group}resnet44_{size}" for group in ("z2", "p4", "p4m") for size in (32, 33))
EPOCHS = {"small": 30, "paper": 200}
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


def prepare(setting: Setting) -> None:
    """Make the dataset in OUT/data, if it is missing."""
    make(Spec(source=setting.cifar), setting.out / "data" / "cifar", resume=True)


def jobs(setting: Setting) -> list[Job]:
    """Every model and seed; seeds go round first."""
    return [_job(model, seed, setting) for seed in range(setting.seeds) for model in MODELS]


def _job(model: str, seed: int, setting: Setting) -> Job:
    precision = {"precision": "bf16", "channels_last": True} if setting.device.startswith("cuda") else {}
    width = {} if setting.width is None else {"width": setting.width}
    recipe = {**LEARNING, **precision, **width, "epochs": EPOCHS[setting.budget.name], "model": model, "seed": seed}
    place = setting.budget.name if setting.width is None else f"{setting.budget.name}-width{setting.width}"
    return Job("cifar", f"{place}/{model}-seed{seed}", {"train": recipe}, run)


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train and test one network; the model folder stays beside the record, and is not trained again."""
    data, out = setting.out / "data" / "cifar", job.place(setting.out).with_suffix("")
    train(TrainConfig(**job.request["train"], data=str(data), out=str(out), device=setting.device), resume=True)
    return measure(out, data, setting.device) | {"training": training_facts(out)}


def measure(folder: Path, data: Path, device: str) -> dict[str, Any]:
    """Accuracy in percent under quarter turns, on all images of all splits but the one that was trained on."""
    model = load_model(folder, device=device)
    others = [load(data, split) for split in splits(data) if split != "train"]
    found = [(other.images(), torch.from_numpy(other.labels)) for other in others]
    images, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    answers = predictions(model, images, model.preprocessing, device)
    hits = (answers == labels).double().mean(1) * 100
    changed = {turn: int((answers[k] != answers[0]).sum()) for k, turn in enumerate(TURNS) if k}
    return {"lattice": dict(zip(TURNS, hits.tolist(), strict=True)), "changed": changed, "images": len(labels)}


def report(records: list[RunRecord], setting: Setting) -> Section:
    """Accuracies under quarter turns, and the signs that the abstract names."""
    series: dict[str, list[float]] = {}
    for record in records:
        model, lattice = record.request["train"]["model"], record.result["lattice"]
        for name, value in {**lattice, "quarters": sum(lattice.values()) / 4}.items():
            series.setdefault(f"{model} {name}", []).append(value)
    figures = {name: summarise(values) for name, values in series.items()}
    rows = []
    for model in MODELS:
        cells = [plus_minus(figures[f"{model} {name}"]) for name in (*TURNS, "quarters")]
        found = [r for r in records if r.request["train"]["model"] == model]
        kind = "exact" if model.endswith("33") and not model.startswith("z2") else "approximate"
        rows.append((model, "plain" if model.startswith("z2") else kind, *cells, _seconds(found)))
    header = ("model", "", "0°", "90°", "180°", "270°", "mean of the four", "training s")
    width = "as published" if setting.width is None else f"{setting.width} fields in the first stage"
    tested = f"{records[0].result['images']:,} images that were not trained on"
    note = f"Percent on {tested}; {setting.seeds} seed(s), widths {width}. Nothing is published to compare with."
    judged = verdicts("cifar", series, setting.budget.name)
    summary = {name: figure._asdict() for name, figure in figures.items()}
    table = Table(header, tuple(rows), "Accuracy", (note,))
    return Section("cifar", "CIFAR-10, ResNet44", tuple(records), (table,), judged, summary=summary)


def _seconds(records: Sequence[RunRecord]) -> str:
    return " ".join(f"{record.result['training']['seconds']:.0f}" for record in records)
