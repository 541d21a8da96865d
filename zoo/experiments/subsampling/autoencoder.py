"""Autoencoders on a torus: one that separates what from where, and a plain one of the same size.

Both are trained on digits in one place, upright, and tested on other digits: in that place, and after random circular
shifts and quarter turns that training never showed (Xu, Kim, Rainforth & Teh 2021, section 5).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Table
from zoo.experiments.harness.bands import Condition, judge
from zoo.experiments.harness.mnist import mnist_folder
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import summarise
from zoo.experiments.harness.tables import plus_minus
from zoo.experiments.subsampling.torus import TEST_SEED, TURNS, digits, each_moved, fit, in_parts, moved, random_moves
from zoo.layers.subsampling.indexing import GroupIndex
from zoo.models.autoencoder import GroupEquivariantAutoencoder
from zoo.models.registry import seeded

SIZE, LATENT = 16, 32
RECIPE = {"images": 3000, "epochs": 10, "batch": 64, "lr": 0.004}
TESTED, COMPARED = 1000, 100
KINDS = {"equivariant": 5, "plain": 8}
"""Fields of the first layer: as many as make the two nearly the same size."""


class PlainAutoencoder(GroupEquivariantAutoencoder):
    """The same layers over the trivial group, on fixed lattices: an ordinary convolutional autoencoder."""

    def locate(self, features: Tensor) -> GroupIndex:
        zero = torch.zeros(len(features), dtype=torch.int64, device=features.device)
        return GroupIndex(torch.stack([zero, zero], 1), zero, zero == 0)


def autoencoder(kind: str) -> GroupEquivariantAutoencoder:
    """The equivariant one keeps three whole numbers beside its latents, so the plain one has three latents more."""
    if kind == "equivariant":
        return GroupEquivariantAutoencoder("c4", LATENT, size=SIZE, fields=KINDS[kind])
    return PlainAutoencoder("c1", LATENT + 3, size=SIZE, fields=KINDS[kind])


def jobs(setting: Setting) -> list[Job]:
    """Both, with every seed."""
    recipe = RECIPE | {"size": SIZE, "latent": LATENT, "tested": TESTED, "compared": COMPARED}
    return [
        Job("autoencoder", f"{kind}-seed{seed}", {"kind": kind, "fields": KINDS[kind], "seed": seed, **recipe}, run)
        for seed in range(setting.seeds)
        for kind in KINDS
    ]


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Train one autoencoder and measure it."""
    q, folder = job.request, mnist_folder(setting.data, ["autoencoder"])
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
    """Largest |decode(encode(g x)) - g decode(encode(x))| over images and moves, in parts of the norm; float64."""
    model, images = model.double(), images.double()
    before, worst = in_parts(model, images), 0.0
    for how in random_moves(2 * len(TURNS), images.shape[-1], turn=True, shift=True):
        expected = moved(before, how)
        gap = (in_parts(model, moved(images, how)) - expected).flatten(1).norm(dim=1)
        worst = max(worst, (gap / expected.flatten(1).norm(dim=1)).max().item())
    return worst


def report(records: list[RunRecord], setting: Setting) -> Section:
    """The error of reconstruction, in the place of training and elsewhere."""
    series = {
        f"{kind} {name}": [r.result[name] for r in records if r.request["kind"] == kind]
        for kind in KINDS
        for name in ("parameters", "upright", "moved", "change")
    }
    rows = tuple(
        (
            kind,
            f"{series[f'{kind} parameters'][0]:,}",
            plus_minus(summarise(series[f"{kind} upright"])),
            plus_minus(summarise(series[f"{kind} moved"])),
            f"{max(series[f'{kind} change']):.2g}",
        )
        for kind in KINDS
    )
    header = ("autoencoder", "parameters", "same place", "shifted and turned", "largest change")
    note = (
        f"Squared error of {TESTED:,} test digits in percent of the variance of their pixels, mean and spread over "
        f"seeds; trained on {RECIPE['images']:,} upright digits in one place. Largest change: of the reconstruction of "
        f"a moved digit from the moved reconstruction, in parts of its norm, {COMPARED} digits in float64."
    )
    table = Table(header, rows, "Error of reconstruction", (note,))
    judged = tuple(judge("autoencoder", series, setting.budget.name, conditions()))
    summary = {name: summarise(values)._asdict() for name, values in series.items()}
    return Section("autoencoder", "What and where: autoencoders on a torus", tuple(records), (table,), judged,
                   summary=summary)  # fmt: skip


def conditions() -> list[Condition]:
    """What has to come out, for every seed."""
    gap = {"equivariant moved": 1.0, "equivariant upright": -1.0}
    better = {"plain moved": 1.0, "equivariant moved": -1.0}
    found = [
        ("S5", "equivariant: the reconstruction moves with the image, to 1e-9", {"equivariant change": 1.0}, 0.0, 1e-9),
        ("S5", "equivariant: moved digits are rebuilt as well as upright ones", gap, -0.5, 0.5),
        ("S6", "plain - equivariant on moved digits: >= 10 points", better, 10.0, 1e9),
    ]
    return [Condition(b, "autoencoder", text, terms, low, high, every=True) for b, text, terms, low, high in found]
