"""Where symmetry has to be broken: every 6 of MNIST upright and turned by 180 degrees, and the label says which.

A strictly invariant network gives both the same answer, and is right for exactly one of the two: 50.0 %, whatever its
weights. Relaxed layers start as strict ones and have to find out (Romero & Lohit 2022, MNIST6-180).
"""

from collections.abc import Sequence
from typing import Any

import torch

from symdata.display import Table
from symdata.recipes.plan import Spec
from symdata.store import load, make
from zoo.experiments.harness.bands import Condition, judge
from zoo.experiments.harness.experiment import Experiment, Part
from zoo.experiments.harness.methods import LEARNED, LEARNING, METHODS, SIZE
from zoo.experiments.harness.mnist import mnist_folder, predictions, training_facts
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import summarise
from zoo.experiments.harness.tables import plus_minus
from zoo.measure.learned import learned_degree
from zoo.references.loading import load as load_model
from zoo.training import TrainConfig, train

PART = "mnist6-180"
EPOCHS, LIMIT = 10, 6000

CONDITIONS = (
    Condition("R1", PART, "strict: exactly 50 %, every seed", {"strict": 1.0}, 50.0, 50.0, every=True),
    *(
        Condition("R2", PART, f"{name}: >= 98 %, every seed", {name: 1.0}, low=98.0, every=True)
        for name in LEARNED
        if name != "augerino"
    ),
)


def jobs(setting: Setting) -> list[Job]:
    """Every method and seed; seeds go round first."""
    data = {"recipe": PART, "size": SIZE, "seed": 0}
    return [
        Job(PART, f"{method}-seed{seed}", {"data": data, "train": _recipe(method, seed)}, run)
        for seed in range(setting.seeds)
        for method in METHODS
    ]


def _recipe(method: str, seed: int) -> dict[str, Any]:
    return LEARNING | METHODS[method] | {"epochs": EPOCHS, "limit": LIMIT, "seed": seed}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train and test one network; the model folder stays beside the record, and is not trained again."""
    data, out = setting.out / "data" / PART, job.place(setting.out).with_suffix("")
    train(TrainConfig(**job.request["train"], data=str(data), out=str(out), device=setting.device), resume=True)
    model, dataset = load_model(out, device=setting.device), load(data, "test")
    labels = torch.from_numpy(dataset.labels)
    answers = predictions(model, dataset.images(), model.preprocessing, setting.device)
    found = learned_degree(model)
    return {
        "accuracy": 100 * float((answers[0] == labels).double().mean()),
        "images": len(labels),
        "learned": found.to_dict(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "training": training_facts(out),
    }


def prepare(setting: Setting) -> None:
    """Make the dataset in OUT/data, if it is missing."""
    make(Spec(source=str(setting.data), recipe=PART, size=SIZE), setting.out / "data" / PART, resume=True)


def check(setting: Setting) -> None:
    """MNIST must be there."""
    mnist_folder(setting.data, [PART])


def report(records: list[RunRecord], setting: Setting) -> Section:
    """Accuracy of every method, and what it says of its symmetry."""
    series: dict[str, list[float]] = {}
    rows = []
    for method in METHODS:
        runs = [record for record in records if record.key.rpartition("-seed")[0] == method]
        series[method] = [record.result["accuracy"] for record in runs]
        rows.append((method, plus_minus(summarise(series[method])), *_degrees(runs), _parameters(runs), _cost(runs)))
    header = ("method", "accuracy %", "degree", "product", "parameters", "CPU-s")
    note = (
        f"{setting.seeds} seed(s), mean and standard deviation; {LIMIT:,} training images, {EPOCHS} epochs, "
        f"{records[0].result['images']:,} test images of {SIZE} pixels. Degree: of the least equivariant layer; "
        "product: of all. Augerino averages over an interval of angles; it holds 180 degrees only if it is the circle."
    )
    judged = judge(PART, series, "", CONDITIONS)
    table = Table(header, tuple(rows), "MNIST6-180", (note,))
    return Section(PART, "MNIST6-180", tuple(records), (table,), tuple(judged), summary=series)


def _degrees(runs: Sequence[RunRecord]) -> list[str]:
    cells = []
    for key in ("degree", "product"):
        values = [r.result["learned"][key] for r in runs if r.result["learned"][key] is not None]
        cells.append(plus_minus(summarise(values)) if values else "-")
    return cells


def _parameters(runs: Sequence[RunRecord]) -> str:
    return f"{runs[0].result['parameters']:,}"


def _cost(runs: Sequence[RunRecord]) -> str:
    return f"{sum(record.cpu_seconds for record in runs) / len(runs):.0f}"


EXPERIMENT = Experiment(
    "relaxed",
    "Breaking a symmetry where the labels ask for it",
    "task of Romero & Lohit 2022 (arXiv 2110.10211); methods of Veefkind & Cesa 2024 (2406.03946), Finzi et al. 2021 "
    "(2112.01388), Wang et al. 2022 (2201.11969), Wu et al. 2025 (2408.12454), Benton et al. 2020 (2010.11882)",
    {PART: Part(jobs, report, prepare, check)},
)
