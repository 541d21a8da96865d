"""Subsampling that breaks no symmetry (Xu, Kim, Rainforth & Teh 2021, arXiv 2106.05886): what it keeps, and its price.

Networks over p4, all with circular padding, differ in how they lower their resolution. Each is trained on digits in
one place on a 32 x 32 torus. A network whose layers are all equivariant gives the same logits for an image and for
that image after any circular shift and quarter turn; one whose lattice of pixels is fixed does not.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, grouped, series_of, values
from zoo.experiments.harness.setting import Setting
from zoo.experiments.subsampling import autoencoder
from zoo.experiments.subsampling.torus import TEST_SEED, Move, digits, each_moved, fit, in_parts, moved, random_moves
from zoo.measure.statistics import plus_minus, summarise
from zoo.models.families.cnn import CNN
from zoo.models.registry import seeded

KINDS = ("stride", "max", "avg", "blur", "aps", "equivariant")
"""The ways to downsample of the record; one that is added to the layers later is not part of it."""

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


def requests(setting: Setting) -> Requests:
    """Every way to downsample, with every seed; all networks of one seed come before the next seed."""
    recipe = RECIPE | {"size": SIZE, "width": WIDTH, "pools": POOLS, "tested": TESTED, "compared": COMPARED}
    for seed in range(setting.seeds):
        for kind in KINDS:
            yield f"{kind}-seed{seed}", {"kind": kind, "seed": seed, **recipe}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one network and measure it."""
    q, folder = job.request, str(setting.data)
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


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """Accuracies and changes of logits, a row for each way to downsample."""
    runs, accuracies, changed = grouped(records), [], []
    for kind, found in runs.items():
        accuracies.append((kind, *(plus_minus(values(found, name)) for name in ("accuracy", "moved", "same"))))
        changed.append((kind, *(_median_and_maximum(found, move) for move in MOVES)))
    header = ("down-sampling", "accuracy", "shifted and turned", "same predictions")
    note = (
        f"Percent, mean ± sample standard deviation over seeds, {TESTED:,} test digits, float32; "
        f"trained on {RECIPE['images']:,} digits "
        f"in one place for {RECIPE['epochs']} epochs. Shifted and turned: each image by a random circular shift and a "
        "random quarter turn. What is invariant cannot tell what turning makes alike, a 6 and a 9."
    )
    first = Table(header, accuracies, "Accuracy", (note,))
    header = ("down-sampling", "circular shifts", "quarter turns", "both")
    note = (
        f"|f(g x) - f(x)| / |f(x)| of the logits of {COMPARED} test digits in float64: median (mean over seeds) / "
        f"maximum over all. Shifts are by odd numbers of pixels. Below {EXACT:g} is rounding."
    )
    second = Table(header, changed, "Relative change of logits, median / maximum", (note,))
    return PartReport([first, second], series_of(runs, records[0].result))


def _median_and_maximum(runs: Sequence[RunRecord], move: str) -> str:
    median = summarise(values(runs, f"{move} median")).mean
    return f"{median:.2g} / {max(values(runs, f'{move} max')):.2g}"


def _conditions() -> Iterator[Condition]:
    """S1, S2 and S4 for every seed; S3, the control, for the mean."""
    every = partial(Condition, low=-1e9, high=1e9, every=True)
    for kind in ("aps", "equivariant"):
        for move in MOVES:
            yield every("S1", f"{kind}: largest change under {move} <= 1e-9", f"{kind} {move} max", high=EXACT)
        text = f"{kind}: accuracy of moved digits is that of upright ones"
        yield every("S2", text, f"{kind} moved - {kind} accuracy", low=-0.1, high=0.1)
        yield every("S2", f"{kind}: >= 99.9 % of predictions stay", f"{kind} same", low=99.9)
    for move in ("shift", "both"):
        text = f"stride: median change under {move} >= 0.1, mean of the seeds"
        yield Condition("S3", text, f"stride {move} median", low=0.1)
    for kind in ("max", "avg", "blur"):
        yield every("S4", f"{kind}: exact under turns of an even size", f"{kind} turn max", high=EXACT)
        yield every("S4", f"{kind}: median change under shifts >= 0.001", f"{kind} shift median", low=1e-3)


NETWORKS = Part("Ways to downsample on a torus, p4", requests, run, report, conditions=tuple(_conditions()), mnist=True)
EXPERIMENT = Experiment(
    "Subsampling that breaks no symmetry",
    "Group Equivariant Subsampling (Xu, Kim, Rainforth & Teh 2021)",
    {"networks": NETWORKS, "autoencoder": autoencoder.PART},
)
