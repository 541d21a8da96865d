"""The page: one HTML file with its drawings, pictures and styles inside, which needs no network."""

from collections.abc import Sequence
from math import ceil, floor, log10

from markupsafe import Markup

from symdata import __version__
from symdata.display import Table, template
from symdata.transforms.generators import current_name
from zoo.errors import ModelError
from zoo.evaluation.class_scores import MATRIX_CLASSES
from zoo.evaluation.report import Report
from zoo.evaluation.seeds import compare_seeds
from zoo.measure.feature_error import EXACT_ERROR
from zoo.measure.motions.along_motions import Split
from zoo.report import charts
from zoo.report.class_table import by_class
from zoo.report.collect import ModelEntry
from zoo.report.table import HEADER, legend, numbered, ranked, row, verdict

MOST = 8
"""Models that are drawn: as many as there are colours. Of more models the best are drawn."""
MOST_LAYERS = 24
"""Layers of a chart; of more layers those with the largest terms are drawn."""
NOTHING = 1e-9
"""A layer whose term is less than this share of the largest is not drawn."""
FAINTEST = 1e-12
"""Lower end of the scale of local errors; smaller ones are drawn there."""


def page(entries: Sequence[ModelEntry], *, title: str = "", command: str = "", version: str = __version__) -> str:
    """The HTML of a report.

    Args:
        entries: models that were evaluated on the same images.
        title: of the page; by default the name of the data.
        command: the command line that measured them.
        version: of symdata, when they were measured.

    Raises:
        ModelError: for no model, or models on different images.

    Example:
        >>> import torch
        >>> from zoo import ImageSet, OpenedModel, Preprocessing, evaluate
        >>> from zoo.report import collect, page
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> model = OpenedModel(net, Preprocessing(8, 0.5, 0.5), name="mine")
        >>> images = ImageSet(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), [0, 1, 0, 1], name="black")
        >>> entry = collect(model, images, evaluate(model, images, angles=4, probe=0), measured=0)
        >>> html = page([entry], title="Mine")
        >>> "<h1>Mine: " in html, "http" in html
        (True, False)
    """
    check_alike(entries)
    seeds = compare_seeds((entry.report, entry.trained) for entry in entries)
    entries = numbered(entries)
    drawn = entries if len(entries) <= MOST else ranked(entries)[:MOST]
    colour = {entry.name: k for k, entry in enumerate(drawn)}
    first = entries[0].report
    return template("report.html.j2", autoescape=True).render(
        title=title or first.data,
        report=first,
        header=HEADER,
        rows=[(colour.get(entry.name), row(entry)) for entry in ranked(entries)],
        legend=legend(entries),
        seeds=[] if seeds is None else list(seeds.parts()),
        by_class=by_class(ranked(entries)),
        models=[_model(entry, k) for k, entry in enumerate(drawn)],
        more=len(entries) - len(drawn),
        dial=_dial(drawn),
        motions=_motions(drawn),
        command=command,
        version=version,
    )


def check_alike(entries: Sequence[ModelEntry]) -> None:
    """`ModelError` unless the models were evaluated on the same images under the same elements."""
    if not entries:
        raise ModelError("0 models for one report, expected at least one; evaluate some")
    data = {(entry.report.data, entry.report.count, entry.report.group) for entry in entries}
    if len(data) > 1:
        named = " and ".join(f"{name} ({count:,}, {group})" for name, count, group in sorted(data))
        raise ModelError(f"the models were evaluated on different images, {named}; evaluate them on the same")


def _dial(entries: Sequence[ModelEntry]) -> Markup | None:
    curves = {e.name: (e.report.curve.angles, e.report.curve.accuracies) for e in entries if e.report.curve is not None}
    return Markup(charts.polar(curves, _chance(entries[0]))) if curves else None


def _motions(entries: Sequence[ModelEntry]) -> Markup | None:
    rows: dict[str, list[tuple[int, str, float, float]]] = {}
    for k, entry in enumerate(entries):
        for motion in entry.measures.motions if entry.measures is not None else ():
            error = motion.relative
            points = rows.setdefault(current_name(motion.generator), [])
            points.append((k, entry.name, error.value, error.standard_error or 0.0))
    if not rows:
        return None
    values = [max(value, FAINTEST) for row in rows.values() for *_, value, _ in row]
    low, top = floor(log10(min(values)) - 0.1), ceil(log10(max(values)) + 0.1)
    return Markup(charts.motions(rows, (low, top)))


def _chance(entry: ModelEntry) -> float:
    return 1 / len(entry.report.classes)


def _model(entry: ModelEntry, k: int) -> dict[str, object]:
    report, structure = entry.report, entry.report.structure
    names = [score.element for score in report.elements]
    rates = [(s.element, s.rate.value, *s.rate.interval) for s in report.elements]
    layers = None
    if structure is not None and structure.layers:
        layers = Markup(charts.errors(structure.layers, structure.elements, EXACT_ERROR, k))
    return {
        "k": k,
        "entry": entry,
        "verdict": verdict(entry),
        "structure": structure,
        "sizes": [(size, phi, size == report.size) for size, phi in sorted((entry.sizes or {}).items())],
        "elements": Markup(charts.bars(rates, _chance(entry), k)),
        "agreement": Markup(charts.agreement(entry.agreement, names)),
        "always_right": f"{100 * entry.always_right.value:.1f}",
        "always_same": f"{100 * entry.always_same.value:.1f}",
        "confusion": _confusion(report),
        "layers": layers,
        "alignment": [] if entry.alignment is None else [p for p in entry.alignment.parts() if isinstance(p, Table)],
        "splits": [_split(split, k) for split in entry.measures.splits] if entry.measures is not None else [],
    }


def _confusion(report: Report) -> Markup | None:
    """The confusion matrix, where it is not too large to be seen."""
    matrix = None if report.scores is None else report.scores.confusion
    return Markup(charts.confusion(matrix, report.classes)) if matrix and len(matrix) <= MATRIX_CLASSES else None


def _split(split: Split, k: int) -> dict[str, object]:
    """The chart of one motion, and how many layers it leaves out."""
    largest = max(layer.value.value for layer in split.layers)
    present = [layer for layer in split.layers if layer.value.value > NOTHING * largest]
    kept = sorted(present, key=lambda layer: -layer.value.value)[:MOST_LAYERS]
    rows = [
        (layer.name or "(output)", layer.kind, layer.share.value, layer.share.standard_error or 0.0)
        for layer in split.layers
        if layer in kept
    ]
    drawing = Markup(charts.shares(rows, k)) if rows else None
    return {"generator": current_name(split.generator), "drawing": drawing, "less": len(present) - len(rows)}
