"""Subsampling that breaks no symmetry (Xu, Kim, Rainforth & Teh 2021, arXiv 2106.05886): what it keeps, and its price.

Networks over p4, all with circular padding, differ in how they lower their resolution. Each is trained on digits in
one place on a 32 x 32 torus. A network all of whose layers are equivariant gives the same logits for an image and for
that image after any circular shift and quarter turn; one whose lattice of pixels is fixed does not.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.harness.bands import Condition, judge
from zoo.experiments.harness.experiment import Experiment, Part
from zoo.experiments.harness.mnist import mnist_folder
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import summarise
from zoo.experiments.harness.tables import plus_minus
from zoo.experiments.subsampling.autoencoder import jobs as autoencoder_jobs
from zoo.experiments.subsampling.autoencoder import report as autoencoder_report
from zoo.experiments.subsampling.torus import TEST_SEED, Move, digits, each_moved, fit, in_parts, moved, random_moves
from zoo.layers.subsampling.downsampling import KINDS
from zoo.models.families.cnn import CNN
from zoo.models.registry import seeded

SIZE, WIDTH, POOLS = 32, 5, 2
RECIPE = {"images": 6000, "epochs": 3, "batch": 64, "lr": 0.01}
TESTED, COMPARED = 2000, 300
"""Test images for accuracy, in float32, and those whose logits are compared in float64."""

MOVES: dict[str, list[Move]] = {
    "shift": random_moves(4, SIZE, turn=False, shift=True),
    "turn": [(turns, (0, 0)) for turns in (1, 2, 3)],
    "both": random_moves(6, SIZE, turn=True, shift=True),
}
EXACT = 1e-9
"""A relative change below this is rounding in float64."""


def jobs(setting: Setting) -> list[Job]:
    """Every way to downsample, with every seed; seeds go round first."""
    recipe = RECIPE | {"size": SIZE, "width": WIDTH, "pools": POOLS, "tested": TESTED, "compared": COMPARED}
    return [
        Job("networks", f"{kind}-seed{seed}", {"kind": kind, "seed": seed, **recipe}, run)
        for seed in range(setting.seeds)
        for kind in KINDS
    ]


def run(job: Job, setting: Setting) -> dict[str, object]:
    """Train one network and measure it."""
    q, folder = job.request, mnist_folder(setting.data, ["networks"])
    images, labels = digits(folder, "train", q["images"], q["seed"], q["size"])
    with seeded(q["seed"]):
        model = network(q["kind"], q["width"], q["pools"]).to(setting.device)
    images, labels = images.to(setting.device), labels.to(setting.device)
    loss = fit(model, images, lambda x, rows: F.cross_entropy(model(x), labels[rows]), q, q["seed"])
    tests, answers = digits(folder, "test", q["tested"], TEST_SEED, q["size"])
    return {"loss": loss, **accuracies(model.cpu(), tests, answers), **changes(model, tests[: q["compared"]])}


def network(kind: str, width: int = WIDTH, pools: int = POOLS) -> CNN:
    """The p4 network with circular padding that downsamples in that way."""
    return CNN("c4", width, in_chans=1, pools=pools, downsample=kind, padding_mode="circular")


def accuracies(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """In percent, in float32: as the images are, each moved at random, and how many predictions stay the same."""
    upright, after = (in_parts(model, x).argmax(1) for x in (images, each_moved(images)))
    hits = {"accuracy": upright == labels, "moved": after == labels, "same": upright == after}
    return {name: 100 * hit.double().mean().item() for name, hit in hits.items()}


def changes(model: nn.Module, images: Tensor) -> dict[str, float]:
    """|f(g x) - f(x)| / |f(x)| of logits in float64, median and maximum over images and moves of each kind."""
    model, images = model.double(), images.double()
    logits = in_parts(model, images)
    found: dict[str, float] = {}
    for name, moves in MOVES.items():
        ratio = torch.stack(
            [(in_parts(model, moved(images, how)) - logits).norm(dim=1) / logits.norm(dim=1) for how in moves]
        )
        found |= {f"{name} median": ratio.median().item(), f"{name} max": ratio.max().item()}
    return found


def report(records: list[RunRecord], setting: Setting) -> Section:
    """Accuracies and changes of logits, a row for each way to downsample."""
    by_kind = {kind: [r.result for r in records if r.request["kind"] == kind] for kind in KINDS}
    series = {
        f"{kind} {name}": [result[name] for result in results]
        for kind, results in by_kind.items()
        for name in (results[0] if results else ())
    }
    judged = tuple(judge("networks", series, setting.budget.name, conditions()))
    tables = (_accuracies(series), _changes(series))
    summary = {name: summarise(values)._asdict() for name, values in series.items()}
    return Section("networks", "Ways to downsample on a torus, p4", tuple(records), tables, judged, summary=summary)


def _accuracies(series: dict[str, list[float]]) -> Table:
    rows = tuple(
        (kind, *(plus_minus(summarise(series[f"{kind} {name}"])) for name in ("accuracy", "moved", "same")))
        for kind in KINDS
    )
    header = ("down-sampling", "accuracy", "shifted and turned", "same predictions")
    note = (
        f"Percent, mean and spread over seeds, {TESTED:,} test digits, float32; trained on {RECIPE['images']:,} digits "
        f"in one place for {RECIPE['epochs']} epochs. Shifted and turned: each image by a random circular shift and a "
        "random quarter turn. What is invariant cannot tell what turning makes alike, a 6 and a 9."
    )
    return Table(header, rows, "Accuracy", (note,))


def _changes(series: dict[str, list[float]]) -> Table:
    def cell(kind: str, name: str) -> str:
        median, largest = (series[f"{kind} {name} {what}"] for what in ("median", "max"))
        return f"{summarise(median).mean:.2g} / {max(largest):.2g}"

    rows = tuple((kind, *(cell(kind, name) for name in MOVES)) for kind in KINDS)
    header = ("down-sampling", "circular shifts", "quarter turns", "both")
    note = (
        f"|f(g x) - f(x)| / |f(x)| of the logits of {COMPARED} test digits in float64: median (mean over seeds) / "
        f"maximum over all. Shifts are by odd numbers of pixels. Below {EXACT:g} is rounding."
    )
    return Table(header, rows, "Relative change of logits, median / maximum", (note,))


def conditions() -> list[Condition]:
    """What has to come out: for every seed, but for the control."""
    found = []
    for kind in ("aps", "equivariant"):
        for name in MOVES:
            terms = {f"{kind} {name} max": 1.0}
            found.append(_condition("S1", f"{kind}: largest change under {name} <= 1e-9", terms, high=EXACT))
        gap = {f"{kind} moved": 1.0, f"{kind} accuracy": -1.0}
        found.append(_condition("S2", f"{kind}: accuracy of moved digits is that of upright ones", gap, -0.1, 0.1))
        found.append(_condition("S2", f"{kind}: >= 99.9 % of predictions stay", {f"{kind} same": 1.0}, low=99.9))
    for name in ("shift", "both"):
        text = f"stride: median change under {name} >= 0.1, mean of the seeds"
        found.append(Condition("S3", "networks", text, {f"stride {name} median": 1.0}, low=0.1))
    for kind in ("max", "avg", "blur"):
        text = f"{kind}: exact under turns of an even size"
        found.append(_condition("S4", text, {f"{kind} turn max": 1.0}, high=EXACT))
        text = f"{kind}: median change under shifts >= 0.001"
        found.append(_condition("S4", text, {f"{kind} shift median": 1.0}, low=1e-3))
    return found


def _condition(band: str, text: str, terms: dict[str, float], low: float = -1e9, high: float = 1e9) -> Condition:
    return Condition(band, "networks", text, terms, low, high, every=True)


def _check(setting: Setting) -> None:
    mnist_folder(setting.data, list(setting.parts))


EXPERIMENT = Experiment(
    "subsampling",
    "Subsampling that breaks no symmetry",
    "Group Equivariant Subsampling (Xu, Kim, Rainforth & Teh 2021)",
    {
        "networks": Part(jobs, report, check=_check),
        "autoencoder": Part(autoencoder_jobs, autoencoder_report, check=_check),
    },
)
