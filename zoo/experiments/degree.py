"""How much symmetry every method says it found, beside how much there was: the datasets are made, so that is known.

    graded   MNIST under c4-partial@w, w = 0, 1/9, ..., 1: with weight w a digit is turned by a random multiple of 90
             degrees, else it stands upright. The truth is w.
    classes  laws that differ by class: mnist-c2c4, rotmnist-60-90, mnist-multiple. The truth is the mean over classes.

Every network starts exactly equivariant (or with no augmentation at all) and is trained alike. What it *claims* is read
off its weights: the degree of `zoo.measure.degree_of_equivariance`, the smallest over its layers, or the half-width of
its augmentations over 180 degrees. What it *shows* is how often a quarter or a half turn leaves its answer as it was.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from symdata.display import Table
from symdata.groups import Group
from symdata.recipes.catalog import find_recipe
from symdata.recipes.plan import Spec
from symdata.store import load, make
from symdata.symmetry import Symmetry
from zoo.experiments.harness.bands import Condition, judge
from zoo.experiments.harness.experiment import Experiment, Part
from zoo.experiments.harness.methods import LEARNED, LEARNING, METHODS, SIZE
from zoo.experiments.harness.mnist import mnist_folder, predictions, training_facts
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Drawing, Line, Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import Figure, spearman, summarise
from zoo.experiments.harness.tables import plus_minus
from zoo.measure.learned import learned_degree, truth
from zoo.references.loading import load as load_model
from zoo.training import TrainConfig, train

TRAIN, TEST = 4000, 2000
LEVELS = tuple(f"graded-c4-{level}" for level in range(10))
CLASSES = ("mnist-c2c4", "rotmnist-60-90", "mnist-multiple")

EPOCHS = 6
WHAT = ("claimed", "product", "shown")
LEAST = 0.01
"""Smallest spread of degrees over the datasets that is ranked."""

CONDITIONS = tuple(
    Condition(band, "graded", f"{name}: Spearman of {what} and true degree >= 0.9", {f"{name} {what}": 1.0}, low=0.9)
    for band, what in zip(("D1", "D2", "D3"), WHAT, strict=True)
    for name in LEARNED
)


def jobs(datasets: Sequence[str], part: str, setting: Setting) -> list[Job]:
    """Every dataset, method and seed; seeds go round first. Networks that learn no symmetry are trained once."""
    return [
        _job(part, data, method, seed)
        for seed in range(setting.seeds)
        for data in datasets
        for method in (LEARNED if seed else METHODS)
    ]


def _job(part: str, data: str, method: str, seed: int) -> Job:
    request = {
        "data": _spec(data),
        "train": LEARNING | METHODS[method] | {"epochs": EPOCHS, "seed": seed},
        "test": TEST,
    }
    return Job(part, f"{data}/{method}-seed{seed}", request, run)


def _spec(data: str) -> dict[str, Any]:
    return {"recipe": data, "size": SIZE, "count": TRAIN, "seed": 0}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network, and hold what it says and does against its dataset; the model folder is not trained again."""
    data, out = setting.out / "data" / job.request["data"]["recipe"], job.place(setting.out).with_suffix("")
    train(TrainConfig(**job.request["train"], data=str(data), out=str(out), device=setting.device), resume=True)
    model = load_model(out, device=setting.device)
    dataset = load(data, "test")
    images, labels = dataset.images()[: job.request["test"]], torch.from_numpy(dataset.labels)[: job.request["test"]]
    found = learned_degree(model, symmetry=str(dataset.manifest["splits"]["test"]["symmetry"]), classes=dataset.classes)
    answers = predictions(model, images, model.preprocessing, setting.device)  # (4, n)
    same = (answers[1:] == answers[0]).double()  # (3, n)
    return {
        "accuracy": 100 * float((answers[0] == labels).double().mean()),
        "shown": float(same.mean()),
        "shown_by_class": [float(same[:, labels == c].mean()) for c in range(len(dataset.classes))],
        "claimed": found.degree,
        "product": found.product,
        "layers": {layer.name: layer.degree for layer in found.layers},
        "training": training_facts(out),
    }


def true_degree(data: str) -> float:
    """The degree of the dataset's law, the mean over classes; of a lattice law in c4."""
    return truth(Symmetry.parse(find_recipe(data).symmetry), Group(4)).degree


def prepare(datasets: Sequence[str], setting: Setting) -> None:
    """Make the datasets in OUT/data, as far as they are missing."""
    for name in datasets:
        make(Spec(source=str(setting.data), **_spec(name)), setting.out / "data" / name, resume=True)


def check(part: str, setting: Setting) -> None:
    """MNIST must be there."""
    mnist_folder(setting.data, [part])


def report(datasets: Sequence[str], part: str, title: str, records: list[RunRecord], setting: Setting) -> Section:
    """Claimed and shown degree of every method beside the true one."""
    found = {method: {data: _of(records, data, method) for data in datasets} for method in METHODS}
    summary = {method: _summary(by_data) for method, by_data in found.items()}
    rows = [_row(method, data, runs) for method, by_data in found.items() for data, runs in by_data.items()]
    header = ("method", "dataset", "accuracy %", "claimed", "product", "shown", "true", "claimed - true", "CPU-s")
    notes = (
        f"{setting.seeds} seed(s), strict and plain one; mean and standard deviation; {TRAIN:,} training and {TEST:,} "
        f"test images of {SIZE} pixels. Claimed: degree of the least equivariant layer; product: of all layers; of "
        "augerino both are the half-width over 180. Shown: share of answers that turns by 90, 180 and 270 degrees "
        "leave as they were.",
    )
    tables = (_methods(summary), Table(header, tuple(rows), "Degrees", notes))
    series = {f"{m} {what}": s[f"rank_{what}"] for m, s in summary.items() for what in WHAT if s[f"rank_{what}"]}
    judged = tuple(judge(part, series, "", CONDITIONS))
    return Section(part, title, tuple(records), tables, judged, _drawings(part, summary), summary)


def _of(records: Sequence[RunRecord], data: str, method: str) -> list[RunRecord]:
    keys = f"{data}/{method}-seed"
    return [record for record in records if record.key.startswith(keys)]


def _values(runs: Sequence[RunRecord], what: str) -> list[float]:
    """One number per seed; none where the method claims nothing."""
    return [record.result[what] for record in runs if record.result[what] is not None]


def _row(method: str, data: str, runs: Sequence[RunRecord]) -> tuple[str, ...]:
    true, figures = true_degree(data), [_figure(_values(runs, what)) for what in WHAT]
    claim, cost = figures[0], sum(r.cpu_seconds for r in runs) / len(runs)
    cells = [plus_minus(_figure(_values(runs, "accuracy")), 1), *(plus_minus(figure) for figure in figures)]
    return (method, data, *cells, f"{true:.2f}", "-" if claim is None else f"{claim.mean - true:+.2f}", f"{cost:.0f}")


def _figure(values: Sequence[float]) -> Figure | None:
    return summarise(values) if values else None


def _summary(by_data: Mapping[str, Sequence[RunRecord]]) -> dict[str, Any]:
    """Per method: the curves over datasets, and for every seed the rank correlation with the truth."""
    true = [true_degree(data) for data in by_data]
    runs = [record for found in by_data.values() for record in found]
    summary: dict[str, Any] = {"true": true}
    for what in WHAT:
        table = [_values(found, what) for found in by_data.values()]  # (datasets, seeds)
        summary[what] = [sum(values) / len(values) if values else None for values in table]
        summary[f"rank_{what}"] = [spearman(s, true) for s in zip(*table, strict=True) if max(s) - min(s) > LEAST]
    errors = [abs(c - t) for c, t in zip(summary["claimed"], true, strict=True) if c is not None]
    summary["error"] = sum(errors) / len(errors) if errors else None
    summary["accuracy"] = sum(_values(runs, "accuracy")) / len(runs)
    return summary | {"cpu_seconds": sum(record.cpu_seconds for record in runs) / len(runs)}


def _methods(summary: Mapping[str, Mapping[str, Any]]) -> Table:
    ranks = tuple(f"rank correlation, {what}" for what in WHAT)
    rows = []
    for method, s in summary.items():
        cells = [plus_minus(_figure(s[f"rank_{what}"])) for what in WHAT]
        error = "-" if s["error"] is None else f"{s['error']:.2f}"
        rows.append((method, *cells, error, f"{s['accuracy']:.1f}", f"{s['cpu_seconds']:.0f}"))
    note = f"Spearman's correlation with the true degree over the datasets; - where values differ by less than {LEAST}."
    return Table(("method", *ranks, "|claimed - true|", "accuracy %", "CPU-s"), tuple(rows), "Methods", (note,))


def _drawings(part: str, summary: Mapping[str, Mapping[str, Any]]) -> tuple[Drawing, ...]:
    if part != "graded":
        return ()
    curves = [
        Line(method, tuple(s["true"]), tuple(s["claimed"]))
        for method, s in summary.items()
        if method in LEARNED and None not in s["claimed"]
    ]
    truth_line = Line("the truth", (0.0, 1.0), (0.0, 1.0), published=True)
    drawing = Drawing(part, "Degree of symmetry", (*curves, truth_line), x_label="true", y_label="claimed")
    return (drawing,)


def _part(name: str, datasets: Sequence[str], title: str) -> Part:
    return Part(
        jobs=partial(jobs, datasets, name),
        report=partial(report, datasets, name, title),
        prepare=partial(prepare, datasets),
        check=partial(check, name),
    )


EXPERIMENT = Experiment(
    "degree",
    "Learned and true degree of symmetry",
    "after Veefkind & Cesa 2024 (arXiv 2406.03946), Benton et al. 2020 (2010.11882), Finzi et al. 2021 (2112.01388), "
    "Wang et al. 2022 (2201.11969), Wu et al. 2025 (2408.12454), Romero & Lohit 2022 (2110.10211)",
    {
        "graded": _part("graded", LEVELS, "Graded c4, ten levels"),
        "classes": _part("classes", CLASSES, "Laws that differ by class"),
    },
)
