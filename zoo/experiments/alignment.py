"""Are trained networks group convolutional ones up to a permutation of their channels?

A network is matched with its own mirror image, and merged with it (Bökman & Kahl 2023). Four kinds of networks:

    plain        trained on images mirrored half of the time
    invariance   the same with the invariance loss
    tied         a group convolutional network over d1, exported to ordinary convolutions: the theory, 1 and 0
    |x|          two ReLUs that are an even function together, and that no permutation makes equivariant

The plain network of one seed is also matched with that of the next: merging two networks is harder than merging one
with its own mirror image.
"""

from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import Table
from symdata.recipes.spec import Spec
from zoo.errors import ModelError
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.networks import trained
from zoo.experiments.harness.runs import Job, RunRecord, cpu_seconds, grouped, values
from zoo.experiments.harness.setting import Setting
from zoo.measure.alignment import layerwise_alignment
from zoo.measure.alignment_result import MERGES, Alignment
from zoo.measure.statistics import plus_minus

PART, TITLE, GROUP = "mirror", "Networks on CIFAR-10 at 16 pixels, beside their mirror images", "d1"
MADE, TEST = 6_000, 1 / 3
"""Images to train on; half as many are tested on, a third of all."""
LEARNING = {
    "model": "z2cnn_16", "width": 16, "epochs": 4, "batch_size": 128, "lr": 0.005, "schedule": "onecycle",
    "symmetry": GROUP, "validation": 0.0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "invariance": {"objective": f"invariance:weight=0.3,group={GROUP}"},
    "tied": {"model": "pmcnn_16", "width": 8, "epochs": 2},
}
"""Kind -> fields of its `TrainConfig`, beside those of all."""
IMAGES, BOUND = 3000, 1.0
"""Test images, half of which match channels; the largest |x| of the fixture, its c."""
DEEP = slice(1, None)
"""The layers that count as deep: all but the first."""

CONDITIONS = (
    Condition("L1", "|x|: invariance error 0", "|x| invariance error", high=1e-6, every=True),
    Condition("L1", "|x|: correlation of matched channels < .95", "|x| correlation", high=0.95, every=True),
    Condition("L2", "with the invariance loss: correlation of the deep layers >= .90", "invariance deep", low=0.90),
    Condition("L2", "without: correlation of the deep layers <= .75", "plain deep", high=0.75),
    Condition(
        "L3", "averaged: barrier of a network and its mirror image <= half of that of two networks",
        "plain averaged - half of two averaged", high=0.0,
    ),
    Condition(
        "L4", "permuted, batch norm: barrier with the invariance loss <= .03",
        "invariance permuted, batch norm", high=0.03,
    ),
    Condition("L5", "permuted: barrier of an exported group network <= .005", "tied permuted", high=0.005, every=True),
)  # fmt: skip


class EvenReLU(nn.Module):
    """|x| = 2 ReLU(x) - ReLU(x + c) + c for |x| <= c, of x = the mean of the left half less that of the right.

    The mirror turns x into -x: the output (B, 2), |x| and its negative, is invariant; the hidden layer
    (ReLU(x), ReLU(x + c)) is not permuted.
    """

    def __init__(self, side: int = 4, bound: float = BOUND) -> None:
        super().__init__()
        self.hidden, self.head = nn.Conv2d(1, 2, side), nn.Linear(2, 2)
        signs = torch.ones(side).index_fill(0, torch.arange(side // 2, side), -1.0)
        with torch.no_grad():
            self.hidden.weight.copy_((2 * signs / side**2).expand(2, 1, side, side))
            self.hidden.bias.copy_(torch.tensor([0.0, bound]))  # type: ignore[union-attr]
            self.head.weight.copy_(torch.tensor([[2.0, -1.0], [-2.0, 1.0]]))
            self.head.bias.copy_(torch.tensor([bound, -bound]))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.hidden(x).relu().flatten(1))
        return logits


def datasets(setting: Setting) -> dict[str, Spec]:
    """CIFAR-10 as it is."""
    return {"cifar": Spec(source=setting.cifar, count=MADE, validation=0.0, test=TEST)}


def requests(setting: Setting) -> Requests:
    """Every kind and seed, all networks of one seed before the next; then the pairs of networks."""
    for seed in range(setting.seeds):
        yield f"|x|-seed{seed}", {"bound": BOUND, "seed": seed}
        for kind, fields in KINDS.items():
            yield f"{kind}-seed{seed}", {"train": LEARNING | fields | {"seed": seed}, "images": IMAGES}
    for seed in range(setting.seeds if setting.seeds > 1 else 0):
        other = (seed + 1) % setting.seeds
        yield f"two-seed{seed}", {"train": LEARNING | {"seed": seed}, "other": other, "images": IMAGES}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network, and measure its alignment with its mirror image; of a pair, that of both."""
    q = job.request
    if "train" not in q:
        draw = torch.Generator().manual_seed(q["seed"])
        return _measured(EvenReLU(bound=q["bound"]), torch.rand(400, 1, 4, 4, generator=draw), None, {})
    if "other" in q:
        net, other = (
            trained(Job(job.part, f"plain-seed{seed}", {"train": q["train"] | {"seed": seed}}, run), setting, "cifar")
            for seed in (q["train"]["seed"], q["other"])
        )
        images, labels = net.test_images(q["images"])
        return _measured(net.model, net.model.preprocessing(images), labels, {"elements": "c1", "against": other.model})
    net = trained(job, setting, "cifar")
    images, labels = net.test_images(q["images"])
    return _measured(net.model, net.model.preprocessing(images), labels, {}) | {"training": net.facts}


@torch.no_grad()
def _measured(model: nn.Module, images: Tensor, labels: Tensor | None, options: dict[str, Any]) -> dict[str, Any]:
    """The alignment, and |f(x) - f(g x)| / |f(x)|."""
    logits = model.eval()(images)
    error = float((model(images.flip(-1)) - logits).norm() / logits.norm())
    known = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
    found = layerwise_alignment(model, images, known, **({"elements": GROUP} | options))
    return {"alignment": found.to_dict(), "invariance error": error}


def check(setting: Setting) -> None:
    """Raise `ModelError` if there is no CIFAR-10."""
    if setting.cifar is None:
        raise ModelError(
            "alignment trains on CIFAR-10: name a source of its images with --cifar, as for `symdata make`"
        )


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Barriers of every kind, and correlations, residuals and returning channels of every layer."""
    series: dict[str, list[float]] = {}
    rows, layers = [], []
    for kind, runs in grouped(records).items():
        pairs = [Alignment.from_dict(found).pairs[0] for found in values(runs, "alignment")]
        barriers = {name: [pair.barriers[name] for pair in pairs] for name in MERGES}
        series |= {f"{kind} {name}": each for name, each in barriers.items()}
        series[f"{kind} invariance error"] = values(runs, "invariance error")
        accuracies = [100 * pair.accuracies[0] for pair in pairs]
        known = [[layer for layer in pair.layers if layer.correlation is not None] for pair in pairs]
        deep = [[layer.correlation or 0.0 for layer in each[DEEP] or each] for each in known]
        series[f"{kind} deep"] = [sum(each) / len(each) for each in deep]
        if kind != "|x|":  # it has no classes
            cells = (plus_minus(each, 3) for each in barriers.values())
            error = plus_minus(series[f"{kind} invariance error"], 3)
            rows.append((kind, plus_minus(accuracies, 1), error, *cells, f"{cpu_seconds(runs):.0f}"))
        for each in zip(*known, strict=True):
            found = {name: [getattr(layer, name) for layer in each] for name in ("correlation", "residual", "returns")}
            columns = ["-" if any(v is None for v in numbers) else plus_minus(numbers, 3) for numbers in found.values()]
            layers.append((kind, each[0].name, f"{each[0].channels}", *columns))
    series["|x| correlation"] = series.get("|x| deep", [])
    series["half of two averaged"] = [value / 2 for value in series.get("two averaged", [])]
    header = ("network", "accuracy %", "invariance error", *MERGES, "CPU-s")
    note = (
        f"{setting.seeds} seed(s), mean ± sample standard deviation. Barriers: the share of the accuracy that the mean "
        f"of both networks' weights loses, on {IMAGES // 2:,} test images; {IMAGES // 2:,} others matched channels. "
        "two: the plain networks of two seeds; all others: a network and its mirror image. invariance error: "
        "|f(x) - f(g x)| / |f(x)| of the logits."
    )
    first = Table(header, rows, "Barriers", (note,))
    note = (
        "correlation of matched channels, residual of the weights, share of channels that two steps bring back. Deep: "
        "all layers but the first."
    )
    second = Table(("network", "layer", "channels", "correlation", "residual", "returns"), layers, "Layers", (note,))
    return PartReport([first, second], series)


EXPERIMENT = Experiment(
    "Layers of trained networks, beside the same layers mirrored",
    "Bökman & Kahl, Investigating how ReLU-networks encode symmetries, NeurIPS 2023, arXiv 2305.17017",
    {PART: Part(TITLE, requests, run, report, datasets, CONDITIONS, check=check)},
)
