"""How fast the penalty gamma/2 |K - P K|^2 draws a network to the equivariant ones: by (1 - eta gamma)^t, if alone.

Networks start off the equivariant ones, with noise on their filters, and learn on whole orbits (Nordenfors & Flinth
2025, arXiv 2502.06547).
"""

from typing import Any

import torch

from symdata.display import Table
from zoo.experiments.dynamics.descent import augmentation, data, descend, network
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, grouped, series_of, values
from zoo.experiments.harness.setting import Setting
from zoo.layers.relaxed import FreeConv2d
from zoo.measure.statistics import plus_minus
from zoo.objectives.equivariance_penalty import EquivariancePenalty

GAMMAS = (0.0, 5.0, 20.0)
LR, STEPS, NOISE = 0.004, 80, 0.05
"""NOISE is the standard deviation of what is added to every filter tap."""


def requests(setting: Setting) -> Requests:
    """Every gamma and seed; all of one seed come before the next seed."""
    for seed in range(setting.seeds):
        for gamma in GAMMAS:
            yield (
                f"gamma-{gamma:g}-seed{seed}",
                {"gamma": gamma, "seed": seed, "lr": LR, "steps": STEPS, "noise": NOISE},
            )


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network under one penalty."""
    q = job.request
    images, labels = data(setting, q["seed"])
    model = network(q["seed"], "full", "orthonormal", torch.float32)
    generator = torch.Generator().manual_seed(q["seed"])
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, FreeConv2d):
                layer.weight.add_(torch.randn(layer.weight.shape, generator=generator), alpha=q["noise"])
    calls = {"lr": q["lr"], "steps": q["steps"], "seed": q["seed"]}
    objective = EquivariancePenalty(q["gamma"])
    distances = descend(model, images, labels, augmentation("orbit"), objective=objective, **calls)
    law = (1 - q["lr"] * q["gamma"]) ** q["steps"]
    share = distances[-1] / distances[0]
    return {"curve": distances, "start": distances[0], "end": distances[-1], "share": share, "ratio": share / law}


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """What is left of the distance, beside the law."""
    runs, rows = grouped(records), []
    for name, found in runs.items():
        gamma = found[0].request["gamma"]
        law = (1 - LR * gamma) ** STEPS
        cells = (plus_minus(values(found, "start"), 3), plus_minus(values(found, "end"), 4))
        rows.append((f"{gamma:g}", *cells, plus_minus(values(found, "share"), 5), f"{law:.5f}", *_ratio(runs, name)))
    header = ("gamma", "start", "end", "end / start", "(1 - eta gamma)^t", "measured / law")
    note = (
        f"Distance before and after t = {STEPS} steps at eta = {LR:g} on orbits of digits, mean ± sample standard "
        f"deviation over {setting.seeds} seed(s); p4cnn_14 of 4 fields, noise of {NOISE:g} on its filters."
    )
    return PartReport([Table(header, rows, "Penalty", (note,))], series_of(runs, ("share", "ratio")))


def _ratio(runs: dict[str, list[RunRecord]], name: str) -> tuple[str]:
    return (plus_minus(values(runs[name], "ratio"), 3),)


CONDITIONS = tuple(
    Condition("Y5", f"gamma {g:g}: within 15 % of the law", f"gamma-{g:g} ratio", low=0.85, high=1.15, every=True)
    for g in GAMMAS
    if g
)

PART = Part("A penalty that makes equivariance attractive", requests, run, report, conditions=CONDITIONS, mnist=True)
