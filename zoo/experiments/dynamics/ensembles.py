"""Emergent equivariance: the orbit error of the mean prediction of K plain networks, against K.

The networks are ordinary, trained on whole orbits from random weights; their expectation is equivariant, so the error
falls as 1/sqrt(K) (Gerken & Kessel 2024, arXiv 2403.03103). The control is trained on upright digits alone.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.dynamics.descent import IMAGES, SIZE, augmentation, data
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, grouped, values
from zoo.experiments.harness.setting import Setting
from zoo.experiments.subsampling.torus import TEST_SEED, digits, fit, in_parts
from zoo.measure.ensembles import ensemble_error
from zoo.measure.statistics import plus_minus
from zoo.models.registry import create

COUNT, TESTED = 8, 500
"""Networks of an ensemble; test images."""
RECIPE = {"epochs": 2, "batch": 100, "lr": 0.01}
KINDS = ("orbit", "upright")


def requests(setting: Setting) -> Requests:
    """Both kinds of training, with every seed."""
    for seed in range(setting.seeds):
        for kind in KINDS:
            yield f"{kind}-seed{seed}", {"kind": kind, "seed": seed, "count": COUNT, "tested": TESTED, **RECIPE}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train the networks of one ensemble, and measure the ensembles of K of them."""
    q = job.request
    images, labels = data(setting, q["seed"])
    moved = augmentation("orbit") if q["kind"] == "orbit" else lambda x, y: (x, y)

    def loss(model: nn.Module, batch: Tensor, rows: Tensor) -> Tensor:
        every, answers = moved(batch, labels[rows])
        return F.cross_entropy(model(every), answers)

    models = []
    for k in range(q["count"]):
        seed = q["count"] * q["seed"] + k
        model = create(f"z2cnn_{SIZE}", width=8, in_chans=1, seed=seed)
        fit(model, images, lambda batch, rows, model=model: loss(model, batch, rows), q, seed)  # type: ignore[misc]
        models.append(model)
    assert setting.data is not None
    tests, answers = digits(setting.data, "test", q["tested"], TEST_SEED, SIZE)
    found = ensemble_error(models, tests, "c4")
    each = torch.stack([in_parts(model, tests).softmax(1) for model in models])
    single = [100 * float((one.argmax(1) == answers).double().mean()) for one in each]
    together = 100 * float((each.mean(0).argmax(1) == answers).double().mean())
    errors = {f"K={k}": sum(values) / len(values) for k, values in found.errors.items()}
    return {**errors, "slope": found.slope, "single": sum(single) / len(single), "ensemble": together}


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """The orbit error for every K, and accuracies."""
    runs, rows = grouped(records), []
    sizes = [name for name in records[0].result if name.startswith("K=")]
    for kind, found in runs.items():
        errors = [plus_minus(values(found, name), 4) for name in sizes]
        scores = [plus_minus(values(found, name), 1) for name in ("single", "ensemble")]
        rows.append((kind, *errors, plus_minus(values(found, "slope")), *scores))
    header = ("training", *sizes, "slope", "accuracy % of one", "of all")
    note = (
        f"Root mean square over test digits and turns of |F(g x) - F(x)| / |F(x)|, F the mean softmax of K networks "
        f"z2cnn_14 of 8 channels; {IMAGES:,} training and {TESTED} test digits, {RECIPE['epochs']} epochs; mean ± "
        f"sample standard deviation over {setting.seeds} seed(s), disjoint ensembles of {COUNT}. Slope: of log "
        "error against log K; -0.50 for independent deviations. Upright: no augmentation, accuracy on upright digits."
    )
    series = {f"{kind} {name}": values(found, name) for kind, found in runs.items() for name in (*sizes, "slope")}
    return PartReport([Table(header, rows, "Orbit error of the mean prediction", (note,))], series)


CONDITIONS = (
    Condition("Y6", "orbit: slope of log error on log K in -0.6 .. -0.4", "orbit slope", low=-0.6, high=-0.4),
    Condition("Y6", "upright, the control: slope > -0.3", "upright slope", low=-0.3),
)

PART = Part("Emergent equivariance in ensembles", requests, run, report, conditions=CONDITIONS, mnist=True)
