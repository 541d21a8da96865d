"""Autoencoders on a torus: one that separates what from where, and a plain one of the same size.

Both are trained on upright digits in one place, and tested on other digits: in that place, and after random circular
shifts and quarter turns that training never showed (Xu, Kim, Rainforth & Teh 2021, section 5).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, grouped, series_of, values
from zoo.experiments.harness.setting import Setting
from zoo.experiments.subsampling.torus import TEST_SEED, TURNS, digits, each_moved, fit, in_parts, moved, random_moves
from zoo.layers.subsampling.indexing import GroupIndex
from zoo.measure.statistics import plus_minus
from zoo.models.autoencoder import GroupEquivariantAutoencoder
from zoo.models.registry import seeded

SIZE, LATENT = 16, 32
RECIPE = {"images": 3000, "epochs": 10, "batch": 64, "lr": 0.004}
TESTED, COMPARED = 1000, 100
KINDS = {"equivariant": 5, "plain": 8}
"""Fields of the first layer: as many as make the two nearly the same size."""

_CHANGE, _GAP = "equivariant change", "equivariant moved - equivariant upright"
_ADVANTAGE = "plain moved - equivariant moved"
CONDITIONS = (
    Condition("S5", "equivariant: the reconstruction moves with the image, to 1e-9", _CHANGE, 0.0, 1e-9, every=True),
    Condition("S5", "equivariant: moved digits are rebuilt as well as upright ones", _GAP, -0.5, 0.5, every=True),
    Condition("S6", "plain - equivariant on moved digits: >= 10 points", _ADVANTAGE, 10.0, 1e9, every=True),
)


class PlainAutoencoder(GroupEquivariantAutoencoder):
    """The same layers over the trivial group, on fixed lattices: an ordinary convolutional autoencoder."""

    def locate(self, features: Tensor) -> GroupIndex:
        zero = torch.zeros(len(features), dtype=torch.int64, device=features.device)
        return GroupIndex(torch.stack([zero, zero], 1), zero, zero == 0)


def autoencoder(kind: str) -> GroupEquivariantAutoencoder:
    """The autoencoder; the equivariant one has three whole numbers beside its latents, the plain one three latents more
    instead."""
    if kind == "equivariant":
        return GroupEquivariantAutoencoder("c4", LATENT, size=SIZE, fields=KINDS[kind])
    return PlainAutoencoder("c1", LATENT + 3, size=SIZE, fields=KINDS[kind])


def requests(setting: Setting) -> Requests:
    """Both, with every seed."""
    recipe = RECIPE | {"size": SIZE, "latent": LATENT, "tested": TESTED, "compared": COMPARED}
    for seed in range(setting.seeds):
        for kind, fields in KINDS.items():
            yield f"{kind}-seed{seed}", {"kind": kind, "fields": fields, "seed": seed, **recipe}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one autoencoder and measure it."""
    q, folder = job.request, str(setting.data)
    images, _ = digits(folder, "train", q["images"], q["seed"], q["size"])
    with seeded(q["seed"]):
        model = autoencoder(q["kind"]).to(setting.device)
    loss = fit(model, images.to(setting.device), lambda x, _: F.mse_loss(model(x), x), q, q["seed"])
    tests, _ = digits(folder, "test", q["tested"], TEST_SEED, q["size"])
    model = model.cpu()
    errors = {"upright": unexplained(model, tests), "moved": unexplained(model, each_moved(tests))}
    count = sum(p.numel() for p in model.parameters())
    return {"loss": loss, "parameters": count, **errors, "change": change(model, tests[: q["compared"]])}


def unexplained(model: nn.Module, images: Tensor) -> float:
    """Squared error of the reconstruction, in percent of the variance of the pixels."""
    rest = (in_parts(model, images) - images).square().mean() / images.var()
    return 100 * rest.item()


def change(model: nn.Module, images: Tensor) -> float:
    """Largest |decode(encode(g x)) - g decode(encode(x))| over images and moves, relative to the norm; float64."""
    model, images = model.double(), images.double()
    before, worst = in_parts(model, images), 0.0
    for how in random_moves(2 * len(TURNS), images.shape[-1], turn=True, shift=True):
        expected = moved(before, how)
        gap = (in_parts(model, moved(images, how)) - expected).flatten(1).norm(dim=1)
        worst = max(worst, (gap / expected.flatten(1).norm(dim=1)).max().item())
    return worst


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """The error of reconstruction, in the place of training and elsewhere."""
    runs, rows = grouped(records), []
    for kind, found in runs.items():
        errors, largest = (plus_minus(values(found, name)) for name in ("upright", "moved")), values(found, "change")
        rows.append((kind, f"{found[0].result['parameters']:,}", *errors, f"{max(largest):.2g}"))
    header = ("autoencoder", "parameters", "same place", "shifted and turned", "largest change")
    note = (
        f"Squared error of {TESTED:,} test digits in percent of the variance of their pixels, mean ± sample standard "
        f"deviation over seeds; trained on {RECIPE['images']:,} upright digits in one "
        "place. Largest change: of the reconstruction of "
        f"a moved digit from the moved reconstruction, in parts of its norm, {COMPARED} digits in float64."
    )
    table = Table(header, rows, "Error of reconstruction", (note,))
    return PartReport([table], series_of(runs, ("parameters", "upright", "moved", "change")))


PART = Part("What and where: autoencoders on a torus", requests, run, report, conditions=CONDITIONS, mnist=True)
