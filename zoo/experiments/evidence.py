"""Which structure a task asks for, by the evidence: convolutions, or layers that know every pixel by its place.

digit-quadrant   a digit in a random quadrant, labelled by the digit: shifts by a quadrant are a symmetry
quadrant         the same images, labelled by digit and quadrant (40 classes): they are not

The convolutional network cannot tell quadrants apart at all, and the dense one fits either task; the training loss
prefers the dense one on both. The evidence counts what its weights cost, and is asked for the right answer on each,
from training images alone ("Learning Layer-wise Equivariances Automatically using Gradients", van der Ouderaa, Immer &
van der Wilk 2023). Blocks with both paths show how much of each is used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from symdata.display import Table
from symdata.recipes.spec import Spec
from symdata.store import load, make
from zoo.evidence import LaplaceEvidence
from zoo.experiments.harness.bands import Condition, judge
from zoo.experiments.harness.experiment import Experiment, Part
from zoo.experiments.harness.mnist import mnist_folder, training_facts
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import summarise
from zoo.experiments.harness.tables import plus_minus
from zoo.layers.spatial_layers import PATHS
from zoo.objectives.evidence import path_of
from zoo.references.loading import load as load_model
from zoo.training import TrainConfig, train
from zoo.training.data import open_data

PART = "quadrants"
TASKS = ("digit-quadrant", "quadrant")
MADE, TRAIN = 12_000, 8_000
"""Images of the train split, and those of them that a network is trained on; a sixth of the former is tested on."""
LEARNING = {
    "model": "z2pathcnn_16", "objective": "evidence", "epochs": 20, "batch_size": 128, "lr": 0.002,
    "schedule": "cosine", "weight_decay": 0.0, "validation": 0.0, "limit": TRAIN,
}  # fmt: skip
GAP = 0.1
"""Nats per image that one structure must be ahead of the other."""
ITERATIONS = 20
"""Of the fixed point at the end, with the exact curvature of all training images."""

CONDITIONS = (
    Condition(
        "E1", PART, f"digit-quadrant: evidence of conv - dense >= {GAP} nats an image, every seed",
        {"digit-quadrant conv evidence": 1.0, "digit-quadrant dense evidence": -1.0}, low=GAP, every=True,
    ),
    Condition(
        "E1", PART, f"quadrant: evidence of dense - conv >= {GAP} nats an image, every seed",
        {"quadrant dense evidence": 1.0, "quadrant conv evidence": -1.0}, low=GAP, every=True,
    ),
    Condition(
        "E2", PART, "digit-quadrant: training loss of dense < conv, every seed",
        {"digit-quadrant dense loss": 1.0, "digit-quadrant conv loss": -1.0}, high=0.0, every=True,
    ),
    Condition("E3", PART, "quadrant: accuracy of conv <= 30%", {"quadrant conv accuracy": 1.0}, high=30.0),
    Condition("E3", PART, "quadrant: accuracy of dense >= 88%", {"quadrant dense accuracy": 1.0}, low=88.0),
)  # fmt: skip


def jobs(setting: Setting) -> list[Job]:
    """Every task, path and seed; seeds go round first."""
    return [_job(task, path, seed) for seed in range(setting.seeds) for task in TASKS for path in PATHS]


def _job(task: str, path: str, seed: int) -> Job:
    recipe = LEARNING | {"path": path, "seed": seed}
    request = {"data": {"recipe": task, "count": MADE}, "train": recipe, "iterations": ITERATIONS}
    return Job(PART, f"{task}/{path}-seed{seed}", request, run)


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network under its evidence, and fit the evidence once more on all its images, without sampling."""
    data, out = setting.out / "data" / job.request["data"]["recipe"], job.place(setting.out).with_suffix("")
    config = TrainConfig(**job.request["train"], data=str(data), out=str(out), device=setting.device)
    train(config, resume=True)
    model: Any = load_model(out, device=setting.device)
    share = open_data(config).train
    images, labels = model.preprocessing(share.images).to(setting.device), share.labels.to(setting.device)
    precisions = dict(zip(model.layer_names, model.precisions.tolist(), strict=True))
    found = LaplaceEvidence(iterations=job.request["iterations"]).fit(model, images, labels, precisions)
    return {
        "accuracy": accuracy(model, data, setting.device),
        "loss": -found.log_likelihood_per_sample,
        "evidence": found.log_evidence_per_sample,
        "layers": found.to_dict()["layers"],
        "training": training_facts(out),
    }


@torch.no_grad()
def accuracy(model: Any, data: Path, device: str) -> float:
    """Percent of the test images that are classified right."""
    dataset = load(data, "test")
    answers = [
        model(model.preprocessing(part).to(device)).argmax(1).cpu() for part in torch.split(dataset.images(), 500)
    ]
    return 100 * float((torch.cat(answers) == torch.from_numpy(dataset.labels)).double().mean())


def report(records: list[RunRecord], setting: Setting) -> Section:
    """Accuracy, loss and evidence of every path on both tasks, and what the two-path networks use."""
    series = {
        f"{task} {path} {what}": [record.result[what] for record in _of(records, task, path)]
        for task in TASKS
        for path in PATHS
        for what in ("accuracy", "loss", "evidence")
    }
    tables = (_numbers(records, setting), _dimensions(records))
    judged = tuple(judge(PART, series, "", CONDITIONS))
    summary = {name: summarise(values)._asdict() for name, values in series.items()}
    title = "Convolutions or dense layers, by the evidence"
    return Section(PART, title, tuple(records), tables, judged, (), summary)


def _of(records: Sequence[RunRecord], task: str, path: str) -> list[RunRecord]:
    return [record for record in records if record.key.startswith(f"{task}/{path}-seed")]


def _numbers(records: Sequence[RunRecord], setting: Setting) -> Table:
    rows = []
    for task in TASKS:
        for path in PATHS:
            found = _of(records, task, path)
            cells = [
                plus_minus(summarise([r.result[what] for r in found]), digits)
                for what, digits in (("accuracy", 1), ("loss", 3), ("evidence", 3))
            ]
            parameters = sum(layer["parameters"] for layer in found[0].result["layers"])
            seconds = sum(r.cpu_seconds for r in found) / len(found)
            rows.append((task, path, f"{parameters:,}", *cells, f"{seconds:.0f}"))
    header = ("task", "path", "parameters", "test accuracy %", "training loss", "log evidence / N", "CPU-s")
    note = (
        f"{setting.seeds} seed(s), mean and standard deviation; {TRAIN:,} training images at 16 pixels. Loss and "
        "evidence in nats per training image; the evidence uses no test image."
    )
    return Table(header, tuple(rows), "Evidence", (note,))


def _dimensions(records: Sequence[RunRecord]) -> Table:
    kinds = ("conv", "dense", "factored", "head")
    rows = []
    for task in TASKS:
        for path in PATHS:
            used = [dimensions(record) for record in _of(records, task, path)]
            cells = [plus_minus(summarise([u[k] for u in used]), 0) if k in used[0] else "-" for k in kinds]
            rows.append((task, path, *cells))
    note = (
        "Sum over layers of gamma, the number of parameters that the data determine. A network with both paths keeps "
        "some of each on either task: the choice between networks is sharp, that within one is not."
    )
    return Table(("task", "network", *kinds), tuple(rows), "Effective dimension of each path", (note,))


def dimensions(record: RunRecord) -> dict[str, float]:
    """Path -> its effective dimension, over all blocks."""
    total: dict[str, float] = {}
    for layer in record.result["layers"]:
        kind = path_of(layer["name"])
        total[kind] = total.get(kind, 0.0) + layer["effective_dimension"]
    return total


def prepare(setting: Setting) -> None:
    """Make both datasets in OUT/data, as far as they are missing."""
    for task in TASKS:
        spec = Spec(source=str(setting.data), recipe=task, count=MADE, validation=0.0)
        make(spec, setting.out / "data" / task, resume=True)


def check(setting: Setting) -> None:
    """MNIST must be there."""
    mnist_folder(setting.data, [PART])


EXPERIMENT = Experiment(
    "evidence",
    "The evidence chooses between convolutions and dense layers",
    "van der Ouderaa, Immer & van der Wilk, Learning Layer-wise Equivariances Automatically using Gradients, NeurIPS "
    "2023, arXiv 2310.06131",
    {PART: Part(jobs, report, prepare, check)},
)
