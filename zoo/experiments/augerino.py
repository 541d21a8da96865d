"""How much rotation a network learns that its task allows: learned half-widths beside the true ones.

A plain CNN is averaged over rotations of its images within +- h, and h is learned (Benton, Finzi, Izmailov & Wilson
2020, arXiv 2010.11882, "Augerino"). Three tasks, trained alike but for `reg`, the weight of the bonus for width:

    partial   `updown45`, the paper's Mario and Iggy task in letters: four classes, two letters upright or upside down,
              each turned by up to 45 degrees. Turned by another h > 45, some of up and of down are the same image.
    full      MNIST, every digit turned by any angle; the labels stay
    upright   MNIST as it is

The larger `reg`, the further the width grows against the resistance of the cross-entropy. For `partial` it is known
where a classifier that knows the densities would stop (`settles`): 49 degrees at 0.05 and 54 at 0.1, not 45.
"""

import math
from typing import Any

import torch

from symdata.display import Table
from symdata.recipes.spec import Spec
from zoo.evaluation import accuracy
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.networks import trained
from zoo.experiments.harness.runs import Job, RunRecord, grouped, values
from zoo.experiments.harness.section import Drawing, Line
from zoo.experiments.harness.setting import Setting
from zoo.measure.statistics import plus_minus

IMAGES, TESTED = 8000, 2000
LEARNING = {
    "model": "z2cnn_28",
    "width": 10,
    "average": "rotation",
    "copies": 4,
    "epochs": 6,
    "batch_size": 64,
    "optimizer": "adam",
    "lr": 0.01,
    "schedule": "onecycle",
    "weight_decay": 0.0,
    "limit": IMAGES,
    "validation": 0.0,
}
"""Of every run; chosen on seeds from 100 on, which are not reported. The half-width starts at 8.6 degrees."""

TASKS = {"partial": ("45", (0.1, 0.05)), "full": ("180", (0.05, 0.0)), "upright": ("small", (0.05,))}
"""Name -> the true half-width in degrees, and the values of `reg` that are run; the first is the paper's."""

CONDITIONS = (
    Condition("A1", "partial, reg 0.1: 45±8°, every seed", "partial 0.1", 37.0, 53.0, every=True),
    Condition("A2", "full, reg 0.05: 180°, every seed", "full 0.05", 180.0, 180.0, every=True),
    Condition("A3", "upright, reg 0.05: below 15°, every seed", "upright 0.05", high=15.0, every=True),
)


def datasets(setting: Setting) -> dict[str, Spec]:
    """The three tasks."""
    source = str(setting.data)
    return {
        "partial": Spec(recipe="updown45"),
        "full": Spec(source=source, symmetry="so2", count=IMAGES),
        "upright": Spec(source=source, symmetry="none", count=IMAGES),
    }


def requests(setting: Setting) -> Requests:
    """Every task, `reg` and seed; all tasks of one seed come before the next seed."""
    for seed in range(setting.seeds):
        for task, (_, regs) in TASKS.items():
            for reg in regs:
                recipe = LEARNING | {"objective": f"augerino:reg={reg:g}", "seed": seed}
                yield f"{task}-reg{reg:g}-seed{seed}", {"task": task, "reg": reg, "train": recipe}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network, and test it averaged over fixed copies."""
    net = trained(job, setting, job.request["task"])
    images, labels = net.test_images(TESTED)
    right = accuracy(net.model, images, labels, net.model.preprocessing, device=setting.device)
    return {
        "half_widths": [line["half_width rotation"] for line in net.epochs],
        "accuracy": round(100 * right, 3),
        "loss": net.facts["loss"],
        "seconds": net.facts["seconds"],
    }


def settles(reg: float, degrees: float = 45.0) -> float:
    """The half-width, in degrees, at which a classifier that knows all densities stops on `partial`.

    The sum of an angle uniform in +-`degrees` and one uniform in +-h has a density f on the circle, for up, and the
    same half a turn away, g, for down. The cross-entropy of the best answer, the integral of (f + g)/2 times the
    binary entropy of f / (f + g), minus `reg` times the width 2 h, is least there.
    """
    angle = torch.arange(-math.pi, math.pi, 2 * math.pi / 7200, dtype=torch.float64)
    true = math.radians(degrees)
    halves = torch.arange(5.0, 180.25, 0.25, dtype=torch.float64).deg2rad()

    def density(centre: float, half: float) -> torch.Tensor:
        turns = torch.stack([(angle - centre + 2 * math.pi * k).abs() for k in range(-2, 3)])
        return (true + half - turns).clamp(0, 2 * min(true, half)).sum(0) / (4 * true * half)

    def loss(half: float) -> float:
        f, g = density(0.0, half), density(math.pi, half)
        entropy = -(torch.special.xlogy(f, f) + torch.special.xlogy(g, g) - torch.special.xlogy(f + g, f + g))
        return float(entropy.sum() / 2) * 2 * math.pi / len(angle) - 2 * reg * half

    return float(torch.rad2deg(min(halves, key=lambda half: loss(float(half)))))


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Learned half-widths beside the true ones, and over epochs."""
    series, rows, lines = {}, [], []
    for runs in grouped(records).values():
        task, reg = runs[0].request["task"], runs[0].request["reg"]
        epochs = list(zip(*values(runs, "half_widths"), strict=True))  # (epochs, seeds)
        widths = series[f"{task} {reg:g}"] = epochs[-1]
        ideal = f"{settles(reg):.0f}" if task == "partial" else "-"
        each, accuracies = " ".join(f"{width:.1f}" for width in widths), plus_minus(values(runs, "accuracy"))
        rows.append((task, f"{reg:g}", TASKS[task][0], ideal, plus_minus(widths, 1), each, accuracies))
        means = tuple(sum(row) / len(runs) for row in epochs)
        lines.append(Line(f"{task}, reg {reg:g}", tuple(float(k + 1) for k in range(len(epochs))), means))
    header = ("task", "reg", "true", "perfect classifier", "learned", "every seed", "accuracy")
    notes = (
        "Degrees, 180 is full rotation; mean ± sample standard deviation over seeds; accuracy in percent on "
        f"up to {TESTED:,} test images, averaged over {LEARNING['copies']} copies.",
        "Perfect classifier: where the bonus and the least possible cross-entropy balance, for any number of images.",
    )
    drawing = Drawing(TITLE, tuple(lines), x_label="epoch", y_label="half-width in degrees")
    return PartReport([Table(header, rows, "Learned half-width", notes)], series, drawing)


TITLE = "Half-width of the rotations that were learned"

EXPERIMENT = Experiment(
    "Learned invariances: how far a task may be turned",
    "Benton, Finzi, Izmailov & Wilson, Learning Invariances in Neural Networks, NeurIPS 2020, arXiv 2010.11882",
    {"widths": Part(TITLE, requests, run, report, datasets, CONDITIONS, mnist=True)},
)
