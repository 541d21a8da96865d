"""Does the degree that an audit finds in the pixels hold what was put in? Coverage of its bounds, over many seeds.

    mnist, cifar10   images of which a share p = 0, 0.3, 0.7 or 1 was moved by a random element of d4, as in a build
                     with d4-partial@p. Other images of the set, as they came, are the upright ones to compare with.

Per seed: which images, which of them moved by what, and which halves. Three intervals at 95 % are asked whether they
hold p: by shapes and by all views together, from the images alone (0 to `upper`), and by shapes beside upright images
(`compare`). MNIST and CIFAR-10 need not be upright themselves: an upper bound of the degree is at least p all the same.
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from symdata.display import Table
from symdata.groups import Group
from symdata.inspection.asymmetry.degree import Degree, estimate
from symdata.inspection.asymmetry.reference import compare
from symdata.inspection.asymmetry.views import fields, join, orbits
from symdata.keys import permutation, split_keys, uniforms
from symdata.sources import open_source
from zoo.errors import ModelError
from zoo.experiments.harness.bands import Condition
from zoo.experiments.harness.experiment import Experiment, Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord, values
from zoo.experiments.harness.setting import Setting
from zoo.measure.statistics import plus_minus

DEGREES = (0.0, 0.3, 0.7, 1.0)
LEAST_SEEDS, BLOCK = 100, 20
"""Seeds of every degree, and those of one run."""
BASE, IMAGES, SPLITS = 4000, 600, 4
"""Images of a set from which each seed draws; images that are moved, and as many upright ones; ways to halve them."""
TOGETHER = 5
"""The first seeds of a run, for which the views are audited together: they take seconds each."""
TOGETHER_RUNS = {"mnist": 2, "cifar10": 1}
"""Part -> runs of each degree, the first ones, in which that is done."""
KINDS = ("shapes", "together", "compared")
_BATCH = 500

CONDITIONS = tuple(
    Condition("V1", f"p = {p:g}, {kind}: held in at least 90 % of the seeds", f"{p:g} {kind}", low=90.0)
    for p in DEGREES
    for kind in KINDS
)
"""At 95 % coverage, 100 seeds hold fewer than 90 with probability 0.01."""


@cache
def versions_of(source: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Kind -> (BASE, 8, d) versions of images of a source's first split, and their classes.

    An element permutes the versions of an image, so that no image need be moved (`moved`).
    """
    images = open_source(source)
    split = next(iter(images.splits))
    rows = np.sort(permutation(0, split, "coverage", len(images.labels(split)))[:BASE])
    views = join([fields(images.read(split, part)) for part in np.split(rows, range(_BATCH, len(rows), _BATCH))])
    found = {view: orbits(parts, list(range(8))) for view, parts in views.items()}
    together = np.concatenate(list(found.values()), axis=2)
    return {"shapes": found["gray"], "compared": found["gray"], "together": together}, images.labels(split)[rows]


def moved(versions: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """The versions, (n, 8, d), of images that were moved by elements of d4, (n,) indices: version e of g x is e g x."""
    group = Group(4, flips=True)
    table = np.array([[group.product(e, g) for e in range(8)] for g in range(8)])
    return np.take_along_axis(versions, table[elements][:, :, None], axis=1)


def drawn(seed: int, degree: float, n: int) -> np.ndarray:
    """(n,) elements of d4: uniform for a share of the images, the identity for the others."""
    coin, which = uniforms(split_keys(seed, "train", f"coverage of {degree}", np.arange(n)), 2)
    return np.where(coin < degree, np.floor(8.0 * which).astype(np.int64), 0)


def intervals(source: str, degree: float, seed: int, images: int, kinds: Sequence[str]) -> dict[str, Degree]:
    """The degrees that are found in images of which a share was moved."""
    views, labels = versions_of(source)
    order = permutation(seed, "train", "coverage images", len(labels))
    rows, others = order[:images], order[images : 2 * images]
    found = {}
    halves = [permutation(seed, "train", f"coverage halves {i}", images) for i in range(SPLITS)]
    splits = [(half[: images // 2], half[images // 2 :]) for half in halves]
    elements = drawn(seed, degree, images)
    for kind in kinds:
        versions = moved(views[kind][rows], elements)
        if kind == "compared":
            found[kind] = compare(versions, labels[rows], views[kind][others], labels[others], splits)
        else:
            found[kind], _ = estimate(versions, labels[rows], int(labels.max()) + 1, splits)
    return found


def requests(part: str, setting: Setting) -> Requests:
    """Blocks of seeds of every degree."""
    seeds = max(LEAST_SEEDS, setting.seeds)
    for first in range(0, seeds, BLOCK):
        for degree in DEGREES:
            wanted = {"degree": degree, "first": first, "seeds": min(BLOCK, seeds - first), "images": IMAGES}
            together = TOGETHER if first < BLOCK * TOGETHER_RUNS[part] else 0
            yield f"{degree:g}-from{first}", wanted | {"together": together}


def run(source: str, job: Job, setting: Setting) -> dict[str, Any]:
    """The intervals of a block of seeds: for every kind, rows of lower, upper and bound."""
    q = job.request
    place = str(setting.data) if source == "mnist" else str(setting.cifar)
    rows: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for k in range(q["seeds"]):
        kinds = KINDS if k < q["together"] else tuple(kind for kind in KINDS if kind != "together")
        for kind, found in intervals(place, q["degree"], q["first"] + k, q["images"], kinds).items():
            rows[kind].append([round(end, 4) for end in (found.lower, found.upper, found.bound)])
    return rows


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """How often each interval holds the degree, and how wide it is."""
    series: dict[str, list[float]] = {}
    rows = []
    for degree in DEGREES:
        runs = [record for record in records if record.request["degree"] == degree]
        for kind in KINDS:
            found = np.array([row for block in values(runs, kind) for row in block])  # (seeds, 3)
            held = (found[:, 0] <= degree + 1e-9) & (degree <= found[:, 1] + 1e-9)
            series[f"{degree:g} {kind}"] = [100.0 * float(held.mean())]
            ends = (f"{np.median(found[:, k]):.2f}" for k in (0, 1))
            rows.append((f"{degree:g}", kind, f"{held.sum()} of {len(held)}", *ends, plus_minus(found[:, 2].tolist())))
    note = (
        f"95 % intervals for {IMAGES} images. Shapes and together: from the images alone, 0 to an upper end; compared: "
        f"by shapes, beside {IMAGES} upright images. Bound: mean ± sample standard deviation over seeds; for compared "
        "it estimates the degree, for the others it lies above it by what the score does not see."
    )
    header = ("degree", "interval", "held", "median lower end", "median upper end", "bound")
    return PartReport([Table(header, rows, "Coverage", (note,))], series)


def check(setting: Setting) -> None:
    """Raise `ModelError` if there is no CIFAR-10."""
    if setting.cifar is None:
        raise ModelError("cifar10 audits CIFAR-10: name a source of its images with --cifar, as for `symdata make`")


def _part(name: str, title: str, **needs: Any) -> Part:
    return Part(title, partial(requests, name), partial(run, name), report, conditions=CONDITIONS, **needs)


EXPERIMENT = Experiment(
    "Coverage of the degree that is found in the pixels",
    "after Blanchard, Lee & Scott 2010, Semi-Supervised Novelty Detection, JMLR 11",
    {
        "mnist": _part("mnist", "MNIST", mnist=True),
        "cifar10": _part("cifar10", "CIFAR-10", check=check),
    },
)
