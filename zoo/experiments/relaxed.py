"""Where symmetry has to be broken: every 6 of MNIST upright and turned by 180 degrees, and the label says which.

A strictly invariant network gives both the same answer, and is right for exactly one of the two: 50.0 %, whatever its
weights. Relaxed layers start as strict ones and have to learn it (Romero & Lohit 2022, MNIST6-180).
"""

from typing import Any

from symdata.display import Table
from symdata.recipes.spec import Spec
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.methods import LEARNED, METHODS, SIZE, recipe
from zoo.experiments.harness.networks import predictions, trained
from zoo.experiments.harness.runs import Job, RunRecord, cpu_seconds, grouped, values
from zoo.experiments.harness.setting import Setting
from zoo.measure.learned import learned_degree
from zoo.measure.statistics import plus_minus

PART = "mnist6-180"
EPOCHS, LIMIT = 10, 6000

CONDITIONS = (
    Condition("R1", "strict: exactly 50 %, every seed", "strict", 50.0, 50.0, every=True),
    *(
        Condition("R2", f"{name}: >= 98 %, every seed", name, low=98.0, every=True)
        for name in LEARNED
        if name != "augerino"
    ),
)


def datasets(setting: Setting) -> dict[str, Spec]:
    """The two turns of the sixes."""
    return {PART: Spec(source=str(setting.data), recipe=PART, size=SIZE)}


def requests(setting: Setting) -> Requests:
    """Every method and seed; all methods of one seed come before the next seed."""
    data = {"recipe": PART, "size": SIZE, "seed": 0}
    for seed in range(setting.seeds):
        for method in METHODS:
            train = recipe(method, seed, epochs=EPOCHS, limit=LIMIT)
            yield f"{method}-seed{seed}", {"data": data, "train": train}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train and test one network."""
    net = trained(job, setting, PART)
    images, labels = net.test_images()
    upright = predictions(net.model, images, setting.device)[0]
    return {
        "accuracy": 100 * float((upright == labels).double().mean()),
        "images": len(labels),
        "learned": learned_degree(net.model).to_dict(),
        "parameters": net.parameters,
        "training": net.facts,
    }


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Accuracy of every method, and the degree of symmetry that it claims."""
    series, rows = {}, []
    for method, runs in grouped(records).items():
        series[method] = values(runs, "accuracy")
        degrees = (plus_minus(values(runs, "learned", name)) for name in ("degree", "product"))
        parameters, cost = f"{runs[0].result['parameters']:,}", f"{cpu_seconds(runs):.0f}"
        rows.append((method, plus_minus(series[method]), *degrees, parameters, cost))
    header = ("method", "accuracy %", "degree", "product", "parameters", "CPU-s")
    note = (
        f"{setting.seeds} seed(s), mean ± sample standard deviation; {LIMIT:,} training images, {EPOCHS} epochs, "
        f"{records[0].result['images']:,} test images of {SIZE} pixels. Degree: of the least equivariant layer; "
        "product: of all. Augerino averages over an interval of angles; it holds 180 degrees only if it is the circle."
    )
    return PartReport([Table(header, rows, "MNIST6-180", (note,))], series, summary=series)


EXPERIMENT = Experiment(
    "Breaking a symmetry where the labels ask for it",
    "task of Romero & Lohit 2022 (arXiv 2110.10211); methods of Veefkind & Cesa 2024 (2406.03946), Finzi et al. 2021 "
    "(2112.01388), Wang et al. 2022 (2201.11969), Wu et al. 2025 (2408.12454), Benton et al. 2020 (2010.11882)",
    {PART: Part("MNIST6-180", requests, run, report, datasets, CONDITIONS, mnist=True)},
)
