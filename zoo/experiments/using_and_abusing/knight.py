"""The smallest demonstration: one strided convolution tells a picture from its own quarter turn, or cannot.

The network (14 parameters) maps an image to one field over c4, takes the mean over space and the maximum over the
group, and classifies. The batch is a picture, label 0, and its quarter turn, label 1. Where the stride leaves nothing
over, both have the same logits whatever the weights are, and the loss stays at ln 2 or above. Where it does not, the
two are seen through different pixels, and training finds the difference.

The authors' picture is not ours to give away. Ours is drawn below, with values of the same range: theirs were the
indices 0 to 43 of a palette, used as they are. How fast the loss falls depends on the picture: on how much the means of
its odd and even rows and columns differ, in the units of the pixels. A palette's indices jump from pixel to pixel, and
so does a fence of one-pixel pales; a smooth picture learns the same, but not within 800 epochs, and `PICTURES` shows
both.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Drawing, Line, Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import summarise
from zoo.experiments.harness.tables import joined
from zoo.experiments.using_and_abusing.claims import verdicts
from zoo.experiments.using_and_abusing.published import KNIGHT, KNIGHT_LOG, KnightRow
from zoo.models.families.knight import Knight
from zoo.models.registry import seeded

EPOCHS, LEARNING_RATE, MOMENTUM = 800, 1e-3, 0.9
EVERY = 10
"""Epochs between two losses that are kept."""
LEAST_SEEDS = 5
"""A run takes half a second, so there are never fewer."""

DRAWING = """
................................
................................
................................
................................
................................
................................
..............##................
..........##..+#+...............
..........##+.+#+...............
...........######...............
..........########..............
.........+#+#####+#.............
|.|.|.|.|#+.######+#|.|.|.|.|.|.
|.|.|.|.+##########++.|.|.|.|.|.
|.|.|.|.+##########+#.|.|.|.|.|.
|.|.|.|.+###########+#|.|.|.|.|.
|.|.|.|.+###########++|.|.|.|.|.
|.|.|.|.#############.#.|.|.|.|.
|.|.|.|.#######+#####+#.|.|.|.|.
|.|.|.|+#.####+######+++|.|.|.|.
|.|.|.|+#####.########++|.|.|.|.
|.|.|.|.|++++#########|#|.|.|.|.
|.|.|.|.|.|+##########|#|.|.|.|.
|.|.|.|.|.|###########|#|.|.|.|.
|.|.|.|.|.+###########|#+.|.|.|.
|.|.|.|.|.############+++.|.|.|.
|.|.|.|.|.############+#+.|.|.|.
|.|.|.|.|.|+++++++++++++|.|.|.|.
|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.
|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.
|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.
|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.
"""
"""A knight before a fence, 32 x 32."""

SHADES = {"fence": {".": 0, "|": 24, "+": 20, "#": 43}, "plain": {".": 0, "|": 0, "+": 20, "#": 43}}

FIRST = "knight before a fence"
PICTURES = {
    FIRST: ("fence", 1.0),
    "the same, values divided by 43": ("fence", 1 / 43),
    "knight without the fence": ("plain", 1.0),
}
"""Title -> (shades, factor of the values)."""


def picture(shades: str = "fence", factor: float = 1.0) -> Tensor:
    """The drawing as float32 (32, 32), values 0 to 43 times `factor`."""
    rows = [[SHADES[shades][mark] for mark in line] for line in DRAWING.split()]
    return torch.tensor(rows, dtype=torch.float32) * factor


def fitted(image: Tensor, size: int) -> Tensor:
    """The picture padded by zeros, or cropped, at the bottom and on the right."""
    grow = size - image.shape[-1]
    return F.pad(image, (0, grow, 0, grow))


def contrast(image: Tensor) -> float:
    """What there is to learn, in the units of the pixels: the largest difference between what the nine weights of a 3x3
    filter (stride 2, padding 1) see on average in the picture and in its quarter turn, turned back."""
    upright, turned = (
        F.unfold(F.pad(x, (1, 1, 1, 1))[None, None], 3, stride=2).mean(-1).view(3, 3)
        for x in (image, torch.rot90(image, 1))
    )
    return float((torch.rot90(turned, -1) - upright).abs().max())


def jobs(setting: Setting) -> list[Job]:
    """Every row of the published table, then the other pictures at 32 px; each with all its seeds."""
    seeds = max(LEAST_SEEDS, setting.seeds)
    rows = [(row, FIRST) for row in KNIGHT]
    rows += [(KNIGHT[0], title) for title in PICTURES if title != FIRST]
    return [_job(row, title, seeds) for row, title in rows]


def _job(row: KnightRow, title: str, seeds: int) -> Job:
    shades, factor = PICTURES[title]
    request = {
        "name": name_of(row),
        "size": row.size,
        "kernel": row.kernel,
        "stride": row.stride,
        "padding": row.padding,
        "shades": shades,
        "factor": factor,
        "seeds": seeds,
        "epochs": EPOCHS,
        "lr": LEARNING_RATE,
        "momentum": MOMENTUM,
    }
    place = f"{row.size}-k{row.kernel}s{row.stride}p{row.padding}-{shades}{'' if factor == 1 else '-unit'}"
    return Job("knight", place, request, run)


def name_of(row: KnightRow) -> str:
    """`32 px, 3x3 s2 p1`."""
    return f"{row.size} px, {row.kernel}x{row.kernel} s{row.stride} p{row.padding}"


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train a network for each seed on the picture and its quarter turn."""
    q = job.request
    image = fitted(picture(q["shades"], q["factor"]), q["size"])
    images = torch.stack([image, torch.rot90(image, 1)])[:, None]  # (2, 1, size, size)
    curves, hits = [], []
    for seed in range(q["seeds"]):
        with seeded(seed):
            model = Knight(kernel=q["kernel"], stride=q["stride"], padding=q["padding"])
        losses, accuracy = learn(model, images, q["epochs"], q["lr"], q["momentum"])
        curves.append([round(loss, 6) for loss in losses[::EVERY]])
        hits.append(accuracy)
    return {"curves": curves, "losses": [curve[-1] for curve in curves], "accuracies": hits}


def learn(model: nn.Module, images: Tensor, epochs: int, lr: float, momentum: float) -> tuple[list[float], float]:
    """Gradient descent on the whole batch: the loss before every epoch and after the last, and the share of hits."""
    labels = torch.tensor([0, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    losses = []
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        logits = model(images)
    losses.append(F.cross_entropy(logits, labels).item())
    return losses, (logits.argmax(1) == labels).double().mean().item()


def report(records: list[RunRecord], setting: Setting) -> Section:
    """The published rows beside ours, and what the picture has to do with it."""
    found = {(r.request["name"], r.request["shades"], r.request["factor"]): r.result for r in records}
    rows = {name_of(row): found[(name_of(row), *PICTURES[FIRST])] for row in KNIGHT}
    pictures = {title: found[(name_of(KNIGHT[0]), *how)] for title, how in PICTURES.items()}
    series = {f"{name} loss": result["losses"] for name, result in rows.items()}
    series |= {f"{name} accuracy": result["accuracies"] for name, result in rows.items()}
    judged = verdicts("knight", series, setting.budget.name)
    title = "A network that learns its own rotation (knight)"
    tables = (_losses(series), _pictures(pictures), _log(pictures[FIRST]["curves"]))
    summary = {name: summarise(values)._asdict() for name, values in series.items()}
    return Section("knight", title, tuple(records), tables, judged, (_drawing(rows),), summary)


def _losses(series: dict[str, list[float]]) -> Table:
    rows = []
    for row in KNIGHT:
        ours, hits = series[f"{name_of(row)} loss"], series[f"{name_of(row)} accuracy"]
        share = sum(hits) / len(hits)
        verdict = "exact" if row.residue == 0 else "approximate"
        rows.append((name_of(row), str(row.residue), verdict, joined(row.losses, 4), joined(ours, 4), f"{share:.0%}"))
    header = ("network", "r", "", "authors' picture, 3 seeds", f"our picture, {len(ours)} seeds", "our accuracy")
    note = (
        f"Loss after {EPOCHS} epochs; ln 2 = {math.log(2):.5f}. Exact: both images have the same logits, to rounding, "
        "so that one of them is right on average."
    )
    return Table(header, tuple(rows), "Loss of the knight network", (note,))


def _pictures(results: dict[str, Any]) -> Table:
    rows = []
    for title, how in PICTURES.items():
        rows.append((title, f"{contrast(picture(*how)):.3f}", joined(results[title]["losses"], 4)))
    note = (
        "Contrast: the largest difference between what the nine weights see on average in the picture and in its "
        f"quarter turn, in units of pixels. It sets the speed: after {EPOCHS} epochs a low one has hardly begun."
    )
    return Table(("picture", "contrast", "losses"), tuple(rows), "What the picture has to do with it, 32 px", (note,))


def _log(curves: list[list[float]]) -> Table:
    rows = [
        (str(epoch), f"{loss:.4f}", joined([curve[epoch // EVERY] for curve in curves], 4))
        for epoch, loss in KNIGHT_LOG.items()
    ]
    return Table(("epoch", "published, 1 run", f"ours, {len(curves)} seeds"), tuple(rows), "Loss over epochs, 32 px")


def _drawing(rows: dict[str, Any]) -> Drawing:
    curves = []
    for row in KNIGHT[:3]:
        runs = rows[name_of(row)]["curves"]
        mean = tuple(sum(values) / len(values) for values in zip(*runs, strict=True))
        curves.append(Line(f"{row.size} px", tuple(float(EVERY * k) for k in range(len(mean))), mean))
    log = tuple(map(float, KNIGHT_LOG)), tuple(KNIGHT_LOG.values())
    curves.append(Line("32 px, published", *log, published=True))
    return Drawing("knight", "Loss of the knight network", tuple(curves), x_label="epoch", y_label="loss")
