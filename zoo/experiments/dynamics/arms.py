"""Whether gradient descent on whole orbits stays equivariant: four parametrisations, orbit and random batches.

Every network is trained for an epoch as an equivariant one, its filters projected after every step; then it is set free
for an epoch of 40 steps. By the theorem (Nordenfors, Ohlsson & Flinth, arXiv 2303.13458) it stays if the window of its
filters is one that the group keeps, and their basis is orthonormal.

Each is a network of the zoo, with ReLU and max pooling, and a smooth one. A kink has another gradient on each side, and
rounding decides the side, in every orientation for itself.
"""

from copy import deepcopy
from typing import Any

import torch

from symdata.display import Table
from zoo.experiments.dynamics.descent import STEPS, augmentation, data, descend, network
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, grouped, series_of, values
from zoo.experiments.harness.section import Drawing, Line
from zoo.experiments.harness.setting import Setting

FILTERS = {
    "full": ("full", "orthonormal"),
    "cross": ("cross", "orthonormal"),
    "skew": ("skew", "orthonormal"),
    "skewed": ("cross", "skewed"),
}
"""Name -> the window and the basis of the filters; the first two are compatible with c4."""
ARMS = {f"{smooth}{name}": pair for smooth in ("", "smooth-") for name, pair in FILTERS.items()}
COMPATIBLE = ("full", "cross", "smooth-full", "smooth-cross")
KINDS = {"orbit": torch.float32, "orbit64": torch.float64, "random": torch.float32}
"""What moves the images -> the precision."""
LR = 0.01
DRAWN = (
    *((f"smooth-{name}", "orbit") for name in ("full", "skew", "skewed")),
    *(("full", kind) for kind in KINDS),
)
"""The curves of the picture."""


def requests(setting: Setting) -> Requests:
    """Every arm and seed; all arms of one seed come before the next seed."""
    for seed in range(setting.seeds):
        for arm, (window, basis) in ARMS.items():
            request = {"window": window, "basis": basis, "seed": seed, "lr": LR, "steps": STEPS}
            yield f"{arm}-seed{seed}", request | ({"smooth": True} if arm.startswith("smooth") else {})


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network as an equivariant one, then free under every augmentation."""
    q = job.request
    images, labels = data(setting, q["seed"])
    calls = {"lr": q["lr"], "steps": q["steps"], "seed": q["seed"]}
    found: dict[str, Any] = {}
    starts = {}
    for kind, dtype in KINDS.items():
        if dtype not in starts:
            starts[dtype] = network(q["seed"], q["window"], q["basis"], dtype, smooth=q.get("smooth", False))
            descend(starts[dtype], images, labels, augmentation("orbit"), tied=True, **calls)
        distances = descend(deepcopy(starts[dtype]), images, labels, augmentation(kind.removesuffix("64")), **calls)
        found |= {f"{kind} curve": distances, f"{kind} start": distances[0], kind: distances[-1]}
    return found


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """The distance at the start and at the end, a row for each arm."""
    runs = grouped(records)
    rows = []
    for arm, found in runs.items():
        window, basis = ARMS[arm]
        cells = [_range(values(found, name)) for name in ("orbit start", "orbit", "orbit64", "random")]
        rows.append((arm, window, basis, "yes" if arm in COMPATIBLE else "no", *cells))
    header = ("arm", "window", "basis", "compatible", "start", "orbit", "orbit, float64", "random")
    note = (
        f"Distance (sum over layers of |K - P K|^2)^1/2 after {STEPS} steps of plain gradient descent at lr {LR:g}, "
        f"median (smallest .. largest) of {setting.seeds} seed(s); float32 but for one column. Orbit: batches of 100 "
        "digits under all of c4; random: one element for each digit. p4cnn_14 of 4 fields with batch norm, ReLU and "
        "max pooling; smooth: with tanh and mean pooling."
    )
    first = {arm: found[0].result for arm, found in runs.items()}
    steps = tuple(float(step) for step in range(STEPS + 1))
    drawn = [(arm, kind) for arm, kind in DRAWN if arm in first]
    lines = [Line(f"{arm}, {kind}", steps, tuple(first[arm][f"{kind} curve"])) for arm, kind in drawn]
    drawing = Drawing("Distance to the equivariant networks, seed 0", tuple(lines), x_label="step", y_label="distance")
    return PartReport([Table(header, rows, "Distance", (note,))], series_of(runs, KINDS), drawing)


def _range(numbers: list[float]) -> str:
    ordered = sorted(numbers)
    return f"{ordered[len(ordered) // 2]:.1e} ({ordered[0]:.1e} .. {ordered[-1]:.1e})"


CONDITIONS = (
    *(Condition("Y1", f"{a}, orbit: < 1e-5 in float32", f"{a} orbit", high=1e-5, every=True) for a in COMPATIBLE),
    *(Condition("Y2", f"{a}, orbit: < 1e-12 in float64", f"{a} orbit64", high=1e-12, every=True) for a in COMPATIBLE),
    *(
        Condition("Y3", f"{a}, {kind}: > 3e-3", f"{a} {kind}", low=3e-3, every=True)
        for a in ARMS
        if a not in COMPATIBLE
        for kind in ("orbit", "orbit64")
    ),
    *(Condition("Y4", f"{a}, random: > 1e-3", f"{a} random", low=1e-3, every=True) for a in ARMS),
)

PART = Part("Four parametrisations that start equivariant", requests, run, report, conditions=CONDITIONS, mnist=True)
