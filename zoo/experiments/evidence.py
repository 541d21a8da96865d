"""Which structure a task asks for, by the evidence: convolutions, or layers with free weights at every pixel.

digit-quadrant   a digit in a random quadrant, labelled by the digit: shifts by a quadrant are a symmetry
quadrant         the same images, labelled by digit and quadrant (40 classes): they are not

The convolutional network cannot distinguish the quadrants at all, and the dense one fits either task; the training loss
prefers the dense one on both. The evidence counts what its weights cost; the experiment asks whether it chooses right
on each task, from training images alone ("Learning Layer-wise Equivariances Automatically using Gradients", van der
Ouderaa, Immer & van der Wilk 2023). Blocks with both paths show how much of each is used.
"""

from typing import Any

from symdata.display import Table
from symdata.recipes.spec import Spec
from zoo.evaluation import accuracy
from zoo.evidence import LaplaceEvidence
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.networks import trained
from zoo.experiments.harness.runs import Job, RunRecord, cpu_seconds, grouped, series_of, values
from zoo.experiments.harness.setting import Setting
from zoo.layers.spatial_layers import PATHS
from zoo.measure.statistics import plus_minus
from zoo.objectives.evidence import dimensions
from zoo.training.data import open_data

PART, TITLE = "quadrants", "Convolutions or dense layers, by the evidence"
TASKS = ("digit-quadrant", "quadrant")
MADE, TRAIN = 12_000, 8_000
"""Images of the train split, and those of them that a network is trained on; a sixth of the former is tested on."""
LEARNING = {
    "model": "z2pathcnn_16", "objective": "evidence", "epochs": 20, "batch_size": 128, "lr": 0.002,
    "schedule": "cosine", "weight_decay": 0.0, "validation": 0.0, "limit": TRAIN,
}  # fmt: skip
GAP = 0.1
"""Nats per image by which one structure must be ahead of the other."""
KINDS = ("conv", "dense", "factored", "head")
ITERATIONS = 20
"""Of the fixed point at the end, with the exact curvature of all training images."""

CONDITIONS = (
    Condition(
        "E1", f"digit-quadrant: evidence of conv - dense >= {GAP} nats an image, every seed",
        "digit-quadrant conv evidence - digit-quadrant dense evidence", low=GAP, every=True,
    ),
    Condition(
        "E1", f"quadrant: evidence of dense - conv >= {GAP} nats an image, every seed",
        "quadrant dense evidence - quadrant conv evidence", low=GAP, every=True,
    ),
    Condition(
        "E2", "digit-quadrant: training loss of dense < conv, every seed",
        "digit-quadrant dense loss - digit-quadrant conv loss", high=0.0, every=True,
    ),
    Condition("E3", "quadrant: accuracy of conv <= 30%", "quadrant conv accuracy", high=30.0),
    Condition("E3", "quadrant: accuracy of dense >= 88%", "quadrant dense accuracy", low=88.0),
)  # fmt: skip


def datasets(setting: Setting) -> dict[str, Spec]:
    """Both tasks."""
    return {task: Spec(source=str(setting.data), recipe=task, count=MADE, validation=0.0) for task in TASKS}


def requests(setting: Setting) -> Requests:
    """Every task, path and seed; all networks of one seed come before the next seed."""
    for seed in range(setting.seeds):
        for task in TASKS:
            for path in PATHS:
                recipe = LEARNING | {"path": path, "seed": seed}
                request = {"data": {"recipe": task, "count": MADE}, "train": recipe, "iterations": ITERATIONS}
                yield f"{task}/{path}-seed{seed}", request


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network under its evidence, and fit the evidence once more on all its images, without sampling."""
    net = trained(job, setting, job.request["data"]["recipe"])
    model, share = net.model, open_data(net.config).train
    images, labels = model.preprocessing(share.images).to(setting.device), share.labels.to(setting.device)
    precisions = dict(zip(model.layer_names, model.precisions.tolist(), strict=True))
    found = LaplaceEvidence(iterations=job.request["iterations"]).fit(model, images, labels, precisions)
    return {
        "accuracy": 100 * accuracy(model, *net.test_images(), model.preprocessing, device=setting.device),
        "loss": -found.log_likelihood_per_sample,
        "evidence": found.log_evidence_per_sample,
        "layers": found.to_dict()["layers"],
        "training": net.facts,
    }


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Accuracy, loss and evidence of every path on both tasks, and how much of each path a network uses."""
    runs = {name.replace("/", " "): found for name, found in grouped(records).items()}
    numbers, used = [], []
    for name, found in runs.items():
        parameters = sum(layer["parameters"] for layer in found[0].result["layers"])
        digits = {"accuracy": 1, "loss": 3, "evidence": 3}
        cells = [plus_minus(values(found, what), n) for what, n in digits.items()]
        numbers.append((*name.split(), f"{parameters:,}", *cells, f"{cpu_seconds(found):.0f}"))
        layers = values(found, "layers")
        sums = [dimensions((x["name"], x["effective_dimension"]) for x in each) for each in layers]
        used.append((*name.split(), *(plus_minus([each[kind] for each in sums if kind in each], 0) for kind in KINDS)))
    header = ("task", "path", "parameters", "test accuracy %", "training loss", "log evidence / N", "CPU-s")
    note = (
        f"{setting.seeds} seed(s), mean ± sample standard deviation; {TRAIN:,} training images at 16 pixels. Loss and "
        "evidence in nats per training image; the evidence uses no test image."
    )
    first = Table(header, numbers, "Evidence", (note,))
    note = (
        "Sum over layers of gamma, the number of parameters that the data determine. A network with both paths keeps "
        "some of each on either task: the choice between networks is sharp, that within one is not."
    )
    second = Table(("task", "network", *KINDS), used, "Effective dimension of each path", (note,))
    return PartReport([first, second], series_of(runs, ("accuracy", "loss", "evidence")))


EXPERIMENT = Experiment(
    "The evidence chooses between convolutions and dense layers",
    "van der Ouderaa, Immer & van der Wilk, Learning Layer-wise Equivariances Automatically using Gradients, NeurIPS "
    "2023, arXiv 2310.06131",
    {PART: Part(TITLE, requests, run, report, datasets, CONDITIONS, mnist=True)},
)
