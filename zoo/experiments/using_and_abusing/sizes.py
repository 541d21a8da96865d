"""Which input sizes are exact: predicted before training, measured on every architecture, beside the published rule."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from symdata.display import Table
from zoo.exactness.audits import exact_sizes
from zoo.experiments.harness.experiment import Part, PartReport, Requests
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing import depth
from zoo.experiments.using_and_abusing.claims import CONDITIONS
from zoo.experiments.using_and_abusing.exactness import errors, measured_elements, narrow, noise
from zoo.experiments.using_and_abusing.published import EXACT as RULES
from zoo.experiments.using_and_abusing.published import SIZES
from zoo.experiments.using_and_abusing.published import exact_sizes as published_sizes
from zoo.measure.feature_error import BROKEN_ERROR as BROKEN
from zoo.measure.feature_error import EXACT_ERROR as EXACT
from zoo.models.names import LATTICE_WORDS, ModelName, known_prefixes
from zoo.models.spec import NetworkSpec

KINDS = ("cnn", "cnn2", "cwcnn", "resnet44", "resnet18", "pcamresnet44", "knight")
"""Architectures on lattice groups, in the order of the tables."""
IMAGES = 2
"""Of noise, for each size and element."""
SHOWN = (27, 28, 29, 32, 33, 96, 97, 224, 225)
"""Sizes of the literature, whose misalignment is tabled."""


def requests(setting: Setting) -> Requests:
    """A run for each of the questions of `depth`, and one for each network at all sizes."""
    for key, (request, _) in depth.QUESTIONS.items():
        yield key, request
    for head, kind in networks().items():
        yield f"exact-{head}", {"network": head, "architecture": kind, "sizes": list(SIZES)}


def networks() -> dict[str, str]:
    """Name without size -> architecture: every network of the registry on a lattice group, and torchvision's stem."""
    known = [(*named, head) for head, named in known_prefixes().items()]
    found = {
        head: kind
        for group, varied, kind in product(LATTICE_WORDS, (False, True), KINDS)
        for variant, word, architecture, head in known
        if (word, bool(variant), architecture) == (group, varied, kind) and head == f"{variant}{word}{kind}"
    }
    return found | {"torchvision": "torchvision resnet18"}


def run(job: Job, setting: Setting) -> dict[str, Any]:
    """Answer a question, or measure a network."""
    if job.key in depth.QUESTIONS:
        return depth.QUESTIONS[job.key][1]()
    return measure(**job.request)


def measure(network: str, architecture: str, sizes: list[int]) -> dict[str, Any]:
    """Predicted exact sizes, and the largest error over elements at every size."""
    name = network if network == "torchvision" else f"{network}_{ModelName.parse(f'{network}_1').family.sizes[0]}"
    model = narrow(name, 33)
    can = [size for size in sizes if size >= getattr(model, "minimum", 1)]
    elements, channels = measured_elements(model), int(model.in_chans)  # type: ignore[arg-type]
    found = {size: max(errors(model, noise(IMAGES, channels, (size, size)), elements)) for size in can}
    return {
        "predicted": list(exact_sizes(model, can)),
        "errors": {str(size): float(f"{error:.2g}") for size, error in found.items()},
        "elements": [str(e) for e in elements],
        "too small": [size for size in sizes if size not in can],
    }


def wrong_sizes(record: RunRecord) -> list[int]:
    """Sizes at which prediction, measurement and published rule are not all the same, or the error lies in between."""
    rule, predicted = set(published_sizes(record.request["architecture"])), set(record.result["predicted"])
    wrong = []
    for text, error in record.result["errors"].items():
        size = int(text)
        measured = True if error < EXACT else False if error > BROKEN else None
        if not measured == (size in predicted) == (size in rule):
            wrong.append(size)
    return wrong


def report(records: list[RunRecord], setting: Setting) -> PartReport:
    """The table of exact sizes and their misalignment; layers, coset pooling, rectangles, parameters."""
    sized = [record for record in records if record.key not in depth.QUESTIONS]
    answers = {record.key: record.result for record in records if record.key in depth.QUESTIONS}
    wrong = {record.request["network"]: wrong_sizes(record) for record in sized}
    series = {"B1 wrong": [float(sum(map(len, wrong.values())))], **depth.series(answers)}
    tables = (_exact(sized, wrong), _misalignment(), *depth.tables(answers))
    return PartReport(tables, series, summary={"wrong sizes": {name: found for name, found in wrong.items() if found}})


def _exact(records: list[RunRecord], wrong: Mapping[str, list[int]]) -> Table:
    rows = []
    for kind, (modulus, remainder) in RULES.items():
        found = [r for r in records if r.request["architecture"] == kind]
        pairs = [(int(size), error) for r in found for size, error in r.result["errors"].items()]
        sizes = {size for size, _ in pairs}
        fine = [error for _, error in pairs if error <= EXACT]
        bad = [error for _, error in pairs if error > EXACT]
        rows.append(
            (
                kind,
                f"{remainder} mod {modulus}",
                _abridged([size for size in published_sizes(kind) if size >= min(sizes)]),
                f"{len(found)} x {len(sizes)}",
                str(sum(len(wrong[r.request["network"]]) for r in found)),
                f"{max(fine):.0e}" if fine else "-",
                f"{min(bad):.0e}" if bad else "-",
            )
        )
    sides = ("exact, at most", "else, at least")
    header = ("architecture", "published rule", "exact sizes", "networks x sizes", "wrong", *sides)
    notes = (
        f"Sizes {SIZES[0]} to 100, {SIZES[-2]} and {SIZES[-1]}. Wrong: sizes at which rule, prediction and "
        "measurement are not all the same. Last two columns: relative errors of the last feature map in float64.",
        "Every network of the registry on c1, c2, c4, d1, d2 and d4, and its separable variants, at full depth and "
        f"with one field in its first layer; {IMAGES} images of noise under the elements r90, r180 and m of its group. "
        "Plain networks (c1, and torchvision's strides without the blocks) have their filters averaged over d4.",
    )
    return Table(header, rows, "Predicted and measured exact sizes", notes)


def _abridged(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes)) if len(sizes) <= 6 else ", ".join(map(str, [*sizes[:3], "...", *sizes[-3:]]))


def _misalignment() -> Table:
    rows = []
    for kind in KINDS:
        phis = [str(NetworkSpec.of(f"p4{kind}_{size}").phi) for size in SHOWN]
        rows.append((kind, *phis, str(RULES[kind][0] - 1)))
    header = ("architecture", *(f"{size} px" for size in SHOWN), "at most")
    note = (
        "Misalignment phi in input pixels; 0 is exact. One pixel changes it, and 224 is the worst size for a ResNet18."
    )
    return Table(header, rows, "Misalignment", (note,))


PART = Part("Exact input sizes", requests, run, report, conditions=CONDITIONS["sizes"])
