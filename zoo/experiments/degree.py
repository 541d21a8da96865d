"""How much symmetry every method claims to have learned, beside the true amount.

The truth is known because symdata makes the datasets:

    graded   MNIST under c4-partial@w, w = 0, 1/9, ..., 1: with weight w a digit is turned by a random multiple of 90
             degrees, otherwise it is upright. The truth is w.
    classes  laws that differ by class: mnist-c2c4, rotmnist-60-90, mnist-multiple. The truth is the mean over classes.

Every network starts exactly equivariant (or with no augmentation at all) and is trained alike. What it *claims* is read
off its weights: the degree of `zoo.measure.degree_of_equivariance`, the smallest over its layers, or the half-width of
its augmentations over 180 degrees. What it *shows* is how often its prediction is unchanged by a quarter or half turn.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from symdata.display import Table
from symdata.groups import Group
from symdata.recipes.catalog import find_recipe
from symdata.recipes.spec import Spec
from symdata.store import load
from symdata.symmetry import Symmetry
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.methods import LEARNED, METHODS, SIZE, recipe
from zoo.experiments.harness.networks import predictions, trained
from zoo.experiments.harness.runs import Job, RunRecord, cpu_seconds, grouped, values
from zoo.experiments.harness.section import Drawing, Line
from zoo.experiments.harness.setting import Setting
from zoo.measure.learned import learned_degree, truth
from zoo.measure.statistics import plus_minus, spearman

TRAIN, TEST = 4000, 2000
LEVELS = tuple(f"graded-c4-{level}" for level in range(10))
CLASSES = ("mnist-c2c4", "rotmnist-60-90", "mnist-multiple")

EPOCHS = 6
WHAT = ("claimed", "product", "shown")
LEAST = 0.01
"""Smallest range of degrees over the datasets that is ranked."""

CONDITIONS = tuple(
    Condition(band, f"{name}: Spearman of {what} and true degree >= 0.9", f"{name} {what}", low=0.9)
    for band, what in zip(("D1", "D2", "D3"), WHAT, strict=True)
    for name in LEARNED
)


def datasets(names: Sequence[str], setting: Setting) -> dict[str, Spec]:
    """MNIST under the law of each recipe."""
    return {name: Spec(source=str(setting.data), **_spec(name)) for name in names}


def _spec(name: str) -> dict[str, Any]:
    return {"recipe": name, "size": SIZE, "count": TRAIN, "seed": 0}


def requests(names: Sequence[str], setting: Setting) -> Requests:
    """Every dataset, method and seed; all networks of one seed come before the next seed. Methods that learn no
    symmetry are trained once."""
    for seed in range(setting.seeds):
        for name in names:
            for method in LEARNED if seed else METHODS:
                request = {"data": _spec(name), "train": recipe(method, seed, epochs=EPOCHS), "test": TEST}
                yield f"{name}/{method}-seed{seed}", request


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network, and measure what it claims and what it shows."""
    net = trained(job, setting, job.request["data"]["recipe"])
    images, labels = net.test_images(job.request["test"])
    dataset = load(net.config.data, "test")
    found = learned_degree(net.model, symmetry=dataset.manifest["splits"]["test"]["symmetry"], classes=dataset.classes)
    answers = predictions(net.model, images, setting.device)  # (4, n)
    same = (answers[1:] == answers[0]).double()  # (3, n)
    return {
        "accuracy": 100 * float((answers[0] == labels).double().mean()),
        "shown": float(same.mean()),
        "shown_by_class": [float(same[:, labels == c].mean()) for c in range(len(dataset.classes))],
        "claimed": found.degree,
        "product": found.product,
        "layers": {layer.name: layer.degree for layer in found.layers},
        "training": net.facts,
    }


@cache
def true_degree(name: str) -> float:
    """The degree of a dataset's law, the mean over classes; of a lattice law in c4."""
    return truth(Symmetry.parse(find_recipe(name).symmetry), Group(4)).degree


def report(names: Sequence[str], records: list[RunRecord], setting: Setting) -> PartReport:
    """Claimed and shown degree of every method beside the true one."""
    found = grouped(records)
    summary = {method: _summary({name: found[f"{name}/{method}"] for name in names}) for method in METHODS}
    rows = [_row(method, name, found[f"{name}/{method}"]) for method in METHODS for name in names]
    header = ("method", "dataset", "accuracy %", *WHAT, "true", "claimed - true", "CPU-s")
    note = (
        f"{setting.seeds} seed(s), strict and plain one; mean ± sample standard deviation; {TRAIN:,} training and "
        f"{TEST:,} test images of {SIZE} pixels. Claimed: degree of the least equivariant layer; product: of all "
        "layers; of augerino both are the half-width over 180. Shown: share of answers that turns by 90, 180 and 270 "
        "degrees leave as they were."
    )
    series = {f"{method} {what}": s[f"rank_{what}"] for method, s in summary.items() for what in WHAT}
    degrees = Table(header, rows, "Degrees", (note,))
    return PartReport([_methods(summary), degrees], series, _drawing(summary) if names == LEVELS else None, summary)


def _row(method: str, name: str, runs: Sequence[RunRecord]) -> tuple[str, ...]:
    claims, true = values(runs, "claimed"), true_degree(name)
    cells = [plus_minus(values(runs, "accuracy"), 1), *(plus_minus(values(runs, what)) for what in WHAT)]
    error = f"{_mean(claims) - true:+.2f}" if claims else "-"
    return (method, name, *cells, f"{true:.2f}", error, f"{cpu_seconds(runs):.0f}")


def _summary(by_data: Mapping[str, Sequence[RunRecord]]) -> dict[str, Any]:
    """Of one method: the means over seeds for every dataset, and for every seed the rank correlation with the truth."""
    true = [true_degree(name) for name in by_data]
    runs = [record for found in by_data.values() for record in found]
    summary: dict[str, Any] = {"true": true}
    for what in WHAT:
        table = [values(found, what) for found in by_data.values()]  # (datasets, seeds)
        summary[what] = [_mean(row) if row else None for row in table]
        summary[f"rank_{what}"] = [spearman(s, true) for s in zip(*table, strict=True) if max(s) - min(s) > LEAST]
    errors = [abs(c - t) for c, t in zip(summary["claimed"], true, strict=True) if c is not None]
    summary["error"] = _mean(errors) if errors else None
    return summary | {"accuracy": _mean(values(runs, "accuracy")), "cpu_seconds": cpu_seconds(runs)}


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _methods(summary: Mapping[str, Mapping[str, Any]]) -> Table:
    ranks = tuple(f"rank correlation, {what}" for what in WHAT)
    rows = []
    for method, s in summary.items():
        cells = [plus_minus(s[f"rank_{what}"]) for what in WHAT]
        error = "-" if s["error"] is None else f"{s['error']:.2f}"
        rows.append((method, *cells, error, f"{s['accuracy']:.1f}", f"{s['cpu_seconds']:.0f}"))
    note = f"Spearman's correlation with the true degree over the datasets; - where values differ by less than {LEAST}."
    return Table(("method", *ranks, "|claimed - true|", "accuracy %", "CPU-s"), rows, "Methods", (note,))


def _drawing(summary: Mapping[str, Mapping[str, Any]]) -> Drawing:
    lines = [
        Line(method, tuple(s["true"]), tuple(s["claimed"]))
        for method, s in summary.items()
        if method in LEARNED and None not in s["claimed"]
    ]
    truth_line = Line("the truth", (0.0, 1.0), (0.0, 1.0), published=True)
    return Drawing("Degree of symmetry", (*lines, truth_line), x_label="true", y_label="claimed")


def _part(title: str, names: Sequence[str], conditions: Sequence[Condition] = ()) -> Part:
    data = partial(datasets, names)
    return Part(title, partial(requests, names), run, partial(report, names), data, conditions, mnist=True)


EXPERIMENT = Experiment(
    "Learned and true degree of symmetry",
    "after Veefkind & Cesa 2024 (arXiv 2406.03946), Benton et al. 2020 (2010.11882), Finzi et al. 2021 (2112.01388), "
    "Wang et al. 2022 (2201.11969), Wu et al. 2025 (2408.12454), Romero & Lohit 2022 (2110.10211)",
    {
        "graded": _part("Graded c4, ten levels", LEVELS, CONDITIONS),
        "classes": _part("Laws that differ by class", CLASSES),
    },
)
