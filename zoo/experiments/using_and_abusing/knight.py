"""The smallest demonstration: one strided convolution distinguishes a picture from its quarter turn, or cannot.

The network (14 parameters) maps an image to one field over c4, takes the mean over space and the maximum over the
group, and classifies. The batch is a picture, label 0, and its quarter turn, label 1. Where the stride leaves no pixel
over, both have the same logits whatever the weights are, and the loss stays at ln 2 or above. Where it leaves some, the
two are sampled at different pixels, and training finds the difference.

The authors' picture may not be redistributed. Ours is knight.txt, a knight before a fence, with values of the same
range: theirs were the indices 0 to 43 of a palette, used as they are. How fast the loss falls depends on how much the
means of the picture's odd and even rows and columns differ, in the units of the pixels. A palette's indices jump from
pixel to pixel, and so does a fence of one-pixel pales; with a smooth picture the loss falls too, but not within 800
epochs. `PICTURES` has both.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Drawing, Line
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing.claims import CONDITIONS
from zoo.experiments.using_and_abusing.published import KNIGHT, KNIGHT_LOG, KnightRow
from zoo.models.families.knight import Knight
from zoo.models.registry import seeded

RECIPE = {"epochs": 800, "lr": 1e-3, "momentum": 0.9}
EVERY = 10
"""Epochs between two losses that are kept."""
LEAST_SEEDS = 5
"""A run takes half a second, so there are never fewer."""

DRAWING = Path(__file__).with_suffix(".txt")
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
    rows = [[SHADES[shades][mark] for mark in line] for line in DRAWING.read_text(encoding="utf-8").split()]
    return torch.tensor(rows, dtype=torch.float32) * factor


def fitted(image: Tensor, size: int) -> Tensor:
    """The picture padded by zeros, or cropped, at the bottom and on the right."""
    grow = size - image.shape[-1]
    return F.pad(image, (0, grow, 0, grow))


def contrast(image: Tensor) -> float:
    """What there is to learn, in the units of the pixels: the largest difference between the mean inputs of the nine
    weights of a 3x3 filter (stride 2, padding 1) on the picture and on its quarter turn, turned back."""
    upright, turned = (
        F.unfold(F.pad(x, (1, 1, 1, 1))[None, None], 3, stride=2).mean(-1).view(3, 3)
        for x in (image, torch.rot90(image, 1))
    )
    return float((torch.rot90(turned, -1) - upright).abs().max())


def requests(setting: Setting) -> Requests:
    """Every row of the published table, then the other pictures at 32 px; each with all its seeds."""
    seeds = max(LEAST_SEEDS, setting.seeds)
    for row in KNIGHT:
        yield request(row, FIRST, seeds)
    for title in PICTURES:
        if title != FIRST:
            yield request(KNIGHT[0], title, seeds)


def request(row: KnightRow, title: str, seeds: int) -> tuple[str, dict[str, Any]]:
    """The key and the request of one run."""
    shades, factor = PICTURES[title]
    key = f"{row.size}-k{row.kernel}s{row.stride}p{row.padding}-{shades}{'' if factor == 1 else '-unit'}"
    layer = {name: getattr(row, name) for name in ("name", "size", "kernel", "stride", "padding")}
    return key, layer | {"shades": shades, "factor": factor, "seeds": seeds} | RECIPE


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


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """The published rows beside ours, and how the picture matters."""
    found = {record.key: record.result for record in records}
    rows = {row: found[request(row, FIRST, 0)[0]] for row in KNIGHT}
    pictures = {title: found[request(KNIGHT[0], title, 0)[0]] for title in PICTURES}
    series = {f"{row.name} loss": result["losses"] for row, result in rows.items()}
    series |= {f"{row.name} accuracy": result["accuracies"] for row, result in rows.items()}
    tables = (_losses(rows), _pictures(pictures), _log(pictures[FIRST]["curves"]))
    return PartReport(tables, series, _drawing(rows))


def _joined(values: Iterable[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _losses(results: Mapping[KnightRow, Any]) -> Table:
    rows = []
    for row, result in results.items():
        hits, verdict = result["accuracies"], "exact" if row.residue == 0 else "approximate"
        losses = _joined(result["losses"])
        rows.append((row.name, str(row.residue), verdict, losses, f"{sum(hits) / len(hits):.0%}"))
    header = ("network", "r", "", f"our picture, {len(hits)} seeds", "our accuracy")
    note = (
        f"Loss after {RECIPE['epochs']} epochs; ln 2 = {math.log(2):.5f}. Exact: both images have the same logits, to "
        "rounding, so that one of them is right on average."
    )
    return Table(header, rows, "Loss of the knight network", (note,))


def _pictures(results: Mapping[str, Any]) -> Table:
    rows = [
        (title, f"{contrast(picture(*how)):.3f}", _joined(results[title]["losses"])) for title, how in PICTURES.items()
    ]
    note = (
        "Contrast: the largest difference between what the nine weights see on average in the picture and in its "
        f"quarter turn, in units of pixels. It sets the speed: after {RECIPE['epochs']} epochs a low one has hardly "
        "begun."
    )
    return Table(("picture", "contrast", "losses"), rows, "What the picture has to do with it, 32 px", (note,))


def _log(curves: Sequence[Sequence[float]]) -> Table:
    rows = [
        (str(epoch), f"{loss:.4f}", _joined(curve[epoch // EVERY] for curve in curves))
        for epoch, loss in KNIGHT_LOG.items()
    ]
    return Table(("epoch", "published, 1 run", f"ours, {len(curves)} seeds"), rows, "Loss over epochs, 32 px")


def _drawing(results: Mapping[KnightRow, Any]) -> Drawing:
    lines = []
    for row in KNIGHT[:3]:
        losses = zip(*results[row]["curves"], strict=True)
        mean = tuple(sum(values) / len(values) for values in losses)
        lines.append(Line(f"{row.size} px", tuple(float(EVERY * k) for k in range(len(mean))), mean))
    log = tuple(map(float, KNIGHT_LOG)), tuple(KNIGHT_LOG.values())
    lines.append(Line("32 px, published", *log, published=True))
    return Drawing("Loss of the knight network", tuple(lines), x_label="epoch", y_label="loss")


PART = Part("A network that learns its own rotation (knight)", requests, run, report, conditions=CONDITIONS["knight"])
