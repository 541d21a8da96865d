"""Self-supervision for equivariant networks: labels that move, and views that may turn (Mukuta & Harada 2023).

A c4 network learns from digits that are turned by 0, 90, 180 or 270 degrees, without their labels:

    quadrants          which quadrant was erased, with an equivariant head and with an invariant one, which cannot know
    contrastive max    two views of an image, each turned by its own quarter turns; the maximum over the group
    contrastive plain  the same views, their features compared as they are
    contrastive still  as plain, and the views of an image are turned alike: they give the pose away
    random             none of it: the rate is 1e-12, so that the norms alone see the images

The pretext accuracy is that on held-out images. A linear and a k-NN probe then learn from 300 labels, on the maximum
over the group of the features, and are tested on other images. The loss gap is the relative change of the contrastive
loss of test images when the second view is turned by 90 degrees.
"""

from typing import Any

import torch
from torch import Tensor

from symdata.display import Table
from symdata.groups import Element
from symdata.recipes.spec import Spec
from symdata.store import load
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, cpu_seconds, grouped, series_of, values
from zoo.experiments.harness.setting import Setting
from zoo.layers.regular import move
from zoo.measure.probes import LABELS, probe
from zoo.measure.statistics import plus_minus
from zoo.pretraining import PretrainConfig, contrastive_loss, parse_pretext, pretrain
from zoo.pretraining.objectives import ContrastivePretext

PART, DATA, SIZE = "digits", "rotated-digits", 16
MADE, TESTED, COMPARED = 6000, 1000, 64
"""Images of the train split; images that a probe is tested on; images of the loss gap."""
SHARED: dict[str, Any] = {"model": f"p4cnn2_{SIZE}", "width": 16, "lr": 0.01, "validation": 0.1}
QUADRANTS = SHARED | {"epochs": 3, "batch_size": 32, "limit": 1500}
CONTRASTIVE = SHARED | {"epochs": 4, "batch_size": 32, "limit": 2000, "shift": 1, "symmetry": "c4"}
ARMS: dict[str, dict[str, Any]] = {
    "random": CONTRASTIVE | {"objective": "contrastive", "lr": 1e-12, "epochs": 1},
    "quadrants equivariant": QUADRANTS | {"objective": "erased-quadrant"},
    "quadrants invariant": QUADRANTS | {"objective": "erased-quadrant:head=invariant"},
    "contrastive max": CONTRASTIVE | {"objective": "contrastive"},
    "contrastive plain": CONTRASTIVE | {"objective": "contrastive:over=plain"},
    "contrastive still": CONTRASTIVE | {"objective": "contrastive:over=plain", "symmetry": "none"},
}
"""Name -> the fields of its `PretrainConfig`; rate and temperature were chosen on single runs of seeds 0 and 100."""

CONDITIONS = (
    Condition("S1", "equivariant head: at least 95 % of the quadrants", "quadrants equivariant pretext", low=95.0),
    Condition("S1", "invariant head: at most 32 %", "quadrants invariant pretext", high=32.0),
    Condition("S2", "max: the loss changes by at most 1e-5, every seed", "contrastive max gap", high=1e-5, every=True),
    Condition("S3", "probe: max - random >= 6 points", "contrastive max linear - random linear", low=6.0),
    Condition("S3", "probe: max - plain >= 8 points", "contrastive max linear - contrastive plain linear", low=8.0),
)


def datasets(setting: Setting) -> dict[str, Spec]:
    """Digits that are turned by quarter turns."""
    return {DATA: Spec(source=str(setting.data), symmetry="c4", size=SIZE, count=MADE, validation=0.0)}


def requests(setting: Setting) -> Requests:
    """Every arm and seed; all arms of one seed come before the next seed."""
    for seed in range(setting.seeds):
        for arm, recipe in ARMS.items():
            request = {"data": {"symmetry": "c4", "size": SIZE, "count": MADE}, "pretrain": recipe | {"seed": seed}}
            yield f"{arm.replace(' ', '-')}-seed{seed}", request | {"labels": LABELS, "tested": TESTED}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Pretrain one network, and probe its features."""
    folder, out = str(setting.out / "data" / DATA), str(job.place(setting.out).with_suffix(""))
    recipe = job.request["pretrain"]
    found = pretrain(PretrainConfig(**recipe, data=folder, out=out, device=setting.device), resume=True)
    model = found.load(setting.device)
    train, test = (load(folder, split) for split in ("train", "test"))
    given = (train.images(range(len(train))), train.labels)
    tested = (test.images(range(TESTED)), test.labels[:TESTED])
    probes = {kind: probe(model, given, tested, kind, labels=LABELS, seed=recipe["seed"]) for kind in ("linear", "knn")}
    facts = found.config["training"]
    return {
        "pretext": 100 * facts["validation_accuracy"],
        **{kind: 100 * result.accuracy.value for kind, result in probes.items()},
        "gap": _gap(model, tested[0][: 2 * COMPARED], recipe["objective"]),
        "parameters": facts["parameters"],
        "training_seconds": facts["seconds"],
    }


@torch.no_grad()
def _gap(model: Any, images: Tensor, objective: str) -> float | None:
    """|loss(a, r90 b) - loss(a, b)| / loss(a, b) of different images a and b; None for other objectives."""
    pretext = parse_pretext(objective)
    if not isinstance(pretext, ContrastivePretext):
        return None
    x = model.preprocessing(images).to(next(model.parameters()).device)
    a, b = x[:COMPARED], x[COMPARED:]
    losses = [float(contrastive_loss(model(a), model(y), model.group, pretext.over)) for y in (b, move(b, Element(90)))]
    return abs(losses[1] - losses[0]) / losses[0]


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Pretext accuracy, probes and loss gap of every arm."""
    runs = {_arm(name): found for name, found in grouped(records).items()}
    rows = []
    for name, found in runs.items():
        gaps = values(found, "gap")
        cells = [plus_minus(values(found, what), 1) for what in ("pretext", "linear", "knn")]
        gap = f"{max(gaps):.1e}" if gaps else "-"
        rows.append((name, *cells, gap, f"{cpu_seconds(found):.0f}"))
    header = ("pretraining", "pretext accuracy %", "linear probe %", "k-NN probe %", "largest loss gap", "CPU-s")
    note = (
        f"{setting.seeds} seed(s), mean ± sample standard deviation; {SHARED['model']} with {SHARED['width']} fields. "
        f"Probes of {LABELS} labels, tested on {TESTED:,} images. Chance is 25 % for quadrants, 10 % for probes."
    )
    series = {name: found for name, found in series_of(runs, _MEASURED).items() if found}
    return PartReport([Table(header, rows, "Pretext tasks and probes", (note,))], series)


_MEASURED = ("pretext", "linear", "knn", "gap")


def _arm(key: str) -> str:
    return next(arm for arm in ARMS if arm.replace(" ", "-") == key)


EXPERIMENT = Experiment(
    "Self-supervision for equivariant networks",
    "Mukuta & Harada, Self-Supervised Learning for Group Equivariant Neural Networks, 2023, arXiv 2303.04427",
    {PART: Part("Digits turned by quarter turns", requests, run, report, datasets, CONDITIONS, mnist=True)},
)
