"""The page: one HTML file with its drawings, pictures and styles inside, which asks no network for anything."""

import base64
import io
from collections.abc import Sequence
from importlib import resources

import jinja2
from markupsafe import Markup
from torch import Tensor

from symdata import __version__
from zoo.errors import ModelError
from zoo.features import EXACT_ERROR
from zoo.report import charts
from zoo.report.collect import Entry
from zoo.report.table import HEADER, ranked, row, verdict

MOST = 8
"""Models on one page: as many as there are colours."""
SCALE = 3
"""How many times the pixels of a frame are enlarged, without smoothing."""


def page(entries: Sequence[Entry], *, title: str = "", command: str = "") -> str:
    """The HTML of a report.

    Args:
        entries: one to eight models, evaluated on the same images.
        title: of the page; by default the name of the data.
        command: the command line that made it.

    Raises:
        ModelError: for no model, too many, or models on different images.
    """
    if not 1 <= len(entries) <= MOST:
        raise ModelError(f"{len(entries)} models for one report, expected 1 to {MOST}; write several reports")
    data = {(entry.report.data, entry.report.count) for entry in entries}
    if len(data) > 1:
        named = " and ".join(f"{name} ({count:,})" for name, count in sorted(data))
        raise ModelError(f"the models were evaluated on different images, {named}; evaluate them on the same")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    template = environment.from_string((resources.files("cards") / "report.html.j2").read_text(encoding="utf-8"))
    first = entries[0].report
    order = {entry.name: k for k, entry in enumerate(entries)}
    return template.render(
        title=title or first.data,
        report=first,
        header=HEADER,
        rows=[(order[entry.name], row(entry)) for entry in ranked(entries)],
        models=[_model(entry, k) for k, entry in enumerate(entries)],
        dial=_dial(entries),
        command=command,
        version=__version__,
    )


def _dial(entries: Sequence[Entry]) -> Markup | None:
    curves = {e.name: (e.report.curve.angles, e.report.curve.accuracies) for e in entries if e.report.curve is not None}
    return Markup(charts.polar(curves, _chance(entries[0]))) if curves else None


def _chance(entry: Entry) -> float:
    return 1 / len(entry.report.classes)


def _model(entry: Entry, k: int) -> dict[str, object]:
    report, structure = entry.report, entry.report.structure
    names = [score.element for score in report.elements]
    rates = [(s.element, s.rate.value, *s.rate.interval) for s in report.elements]
    layers = None
    if structure is not None and structure.layers:
        layers = Markup(charts.errors(structure.layers, structure.elements, EXACT_ERROR, k))
    return {
        "k": k,
        "name": entry.name,
        "verdict": verdict(entry),
        "structure": structure,
        "sizes": None
        if entry.sizes is None
        else [(s, phi, s == report.size) for s, phi in sorted(entry.sizes.items())],
        "group": entry.group,
        "elements": Markup(charts.bars(rates, _chance(entry), k)),
        "agreement": Markup(charts.heat(entry.agreement, names)),
        "compared": entry.compared,
        "layers": layers,
        "films": [
            {
                "label": report.classes[film.label],
                "frames": [
                    {
                        "angle": f"{frame.angle:g}",
                        "image": _png(frame.pixels),
                        "said": report.classes[frame.predicted],
                        "right": frame.predicted == film.label,
                        "share": frame.confidence,
                    }
                    for frame in film.frames
                ],
            }
            for film in entry.films
        ],
    }


def _png(pixels: Tensor) -> str:
    """uint8 (C, H, W) as the address of a PNG that holds it."""
    from PIL import Image

    array = pixels.permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array[:, :, :3]).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
