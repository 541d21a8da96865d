"""What `--monitor distance` costs beside a step of training, at its default interval."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

from symdata.display import Table
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, grouped, values
from zoo.experiments.harness.setting import Setting
from zoo.measure.distance import equivariant_distance
from zoo.measure.statistics import plus_minus
from zoo.models.registry import create
from zoo.training.config import TrainConfig

EVERY: int = TrainConfig(data="digits", model="p4cnn_28").monitor_every
NAMES = ("p4cnn_28", "p4mcnn_28")
REPEATS = 15


def requests(setting: Setting) -> Requests:
    """Every network and seed."""
    for seed in range(setting.seeds):
        for name in NAMES:
            yield f"{name}-seed{seed}", {"name": name, "batch": 64, "every": EVERY, "repeats": REPEATS}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Time steps and measurements in turn."""
    q = job.request
    model = create(q["name"], in_chans=1, relax="free", seed=0).train()
    images, labels = torch.rand(q["batch"], 1, 28, 28), torch.arange(q["batch"]) % 10
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    pairs = [(_seconds(step), _seconds(lambda: equivariant_distance(model))) for _ in range(q["repeats"])]
    steps, distances = (median(times) for times in zip(*pairs[2:], strict=True))
    return {"step_seconds": steps, "distance_seconds": distances, "percent": 100 * distances / (q["every"] * steps)}


def _seconds(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Milliseconds of a step and of a measurement, and the share at the default interval."""
    runs, rows = grouped(records), []
    for name, found in runs.items():
        cells = [plus_minus([1000 * s for s in values(found, key)], 1) for key in ("step_seconds", "distance_seconds")]
        rows.append((name, *cells, plus_minus(values(found, "percent"), 2)))
    header = ("network", "step, ms", "distance, ms", f"% of a step, every {EVERY}")
    note = f"CPU time, one thread, batches of 64; median of {REPEATS - 2}, mean ± deviation of {setting.seeds} run(s)."
    series = {f"{name} percent": values(found, "percent") for name, found in runs.items()}
    return PartReport([Table(header, rows, "Cost of monitoring", (note,))], series)


CONDITIONS = tuple(
    Condition("Y7", f"{name}: monitoring < 5 % of a step", f"{name} percent", high=5.0, every=True) for name in NAMES
)

PART = Part("Cost of monitoring", requests, run, report, conditions=CONDITIONS)
