"""The text of an audit."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from symdata.display import Table
from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.mends import Mend, shown

if TYPE_CHECKING:
    from zoo.exactness.audits import Audit

MAX_LAYERS = 60
"""Rows of the table; of more layers, the broken ones come first."""
MEASURED = "Error of the feature maps in float64, |F(g x) - g F(x)| / |F(x)|:"
AGREE = "The two agree."
DISAGREE = "The two DISAGREE. Something other than subsampling distinguishes positions or orientations."


def parts(report: "Audit") -> Iterator[str | Table]:
    """Verdict, table of layers, survivors, and what mends it."""
    yield f"{report.name or report.model}: {report.verdict}."
    if report.typed:
        yield "Its layers are those of escnn, which are not analysed: this is about the sampling grids alone."
    elif not report.tied:
        yield "No layer ties its weights by a group: this is about the sampling grids alone."
    if report.layers:
        yield _table(report)
    yield _summary(report)
    if report.exact:
        yield "This is about the feature maps; `symdata evaluate` measures what the network makes of the last one."
    yield from _mends(report.mends)
    if report.measured is not None:
        alive, errors = set(map(str, report.survivors)), report.measured.by_element.items()
        rows = [(name, "exact" if name in alive else "broken", f"{error:.2e}") for name, error in errors]
        yield Table(("element", "predicted", "measured"), rows, MEASURED, [AGREE if report.agrees else DISAGREE])


def _table(report: "Audit") -> Table:
    """One row for each layer that changes the grid, in the order in which they run."""
    rows = report.layers
    if len(rows) > MAX_LAYERS:
        rows = (tuple(layer for layer in rows if layer.breaks(report.group)) or rows)[:MAX_LAYERS]
    more = len(report.layers) - len(rows)
    header = ("layer", "what", "in", "out", "r", "phi", f"left of {report.group}")
    return Table(header, [_row(layer, report) for layer in rows], notes=[f"({more} more layers)"] if more else [])


def _row(layer: Subsampling, report: "Audit") -> list[str]:
    left = ", ".join(map(str, layer.survivors(report.group))) if layer.breaks(report.group) else "all"
    what = layer.window + (f" ({layer.note})" if layer.note else "")
    return [_name(layer), what, shown(layer.size), _out(layer), _pair(layer.residue), _pair(layer.phi), left]


def _out(layer: Subsampling) -> str:
    """Pixels after a layer of windows; other layers do not record theirs."""
    if layer.kind.startswith("global"):
        return "1x1"
    if layer.kind not in ("conv", "max pool", "avg pool"):
        return ""
    axes = zip(layer.size, layer.padding, layer.kernel, layer.stride, strict=True)
    return shown([(i + 2 * p - k) // s + 1 for i, p, k, s in axes])


def _summary(report: "Audit") -> str:
    lines = [f"survivors     {', '.join(map(str, report.survivors))} of {report.group}"]
    if report.first_broken is not None:
        near = ", ".join(map(shown, report.nearest))
        lines.append(f"first broken  {_name(report.first_broken)}")
        lines.append(f"exact sizes   {f'{near} are the nearest' if near else 'none within 64 pixels'}")
    return "\n".join(lines)


def _mends(mends: tuple[Mend, ...]) -> Iterator[str]:
    """Another input size mends everything at once; layers have to be mended one and all."""
    inputs = [f"  - {mend.sentence}" for mend in mends if mend.layer is None]
    layers = [f"  - {mend.sentence}" for mend in mends if mend.layer is not None]
    if inputs:
        several = len(inputs) + bool(layers) > 1
        yield "\n".join(["To mend it, one of:" if several else "To mend it:", *inputs])
    if layers:
        together = ", all of these together:" if len(layers) > 1 else ":"
        yield "\n".join([("or" if inputs else "To mend it") + together, *layers])


def _name(layer: Subsampling) -> str:
    return layer.name or "(forward)"


def _pair(values: tuple[float, float]) -> str:
    """One number if both axes agree."""
    h, w = values
    return f"{h:g}" if h == w else f"{h:g}, {w:g}"
