"""The text of an audit."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from symdata.display import Table
from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.mends import Mend, shown, where
from zoo.exactness.sites import Loss

if TYPE_CHECKING:
    from zoo.exactness.audits import Audit

MAX_LAYERS = 60
"""Rows of the table; of more layers, the broken ones come first."""
MEASURED = "Error of the feature maps in float64, |F(g x) - g F(x)| / |F(x)|:"
AGREE = "The two agree."
DISAGREE = "The two DISAGREE. Something other than subsampling distinguishes positions or orientations."


def verdict(report: "Audit") -> str:
    """One sentence: what is exact, the function or its grids alone; or where it breaks and what is left."""
    at, group = f"at {shown(report.size)}", report.group
    if report.outcome == "exact":
        if report.scope == "function":
            return f"exact: {at} its feature maps move with the image under {group}"
        return f"exact: {at} its sampling grids move with the image under {group}; this is about the grids alone"
    if (first := report.first_loss) is None:
        many = f"{len(report.relaxed)} layers are" if len(report.relaxed) > 1 else "1 layer is"
        kept = f"{many} relaxed, and keep it up to degree {report.degree:.2g}"
        return f"approximate: {at} the grids are exact under {group}; {kept}"
    alive = [str(e) for e in report.survivors]
    left = f"of {group} only {', '.join(alive)} survive{'s' if len(alive) == 1 else ''}"
    if report.outcome == "unknown":
        return f"unknown: {at} {place(first)} {first.note}; of {group} only {', '.join(alive)} {_are(alive)} proven"
    if (broken := report.first_broken) is not None and broken.order <= first.order:
        return f"approximate: {at} {where(broken)}: {_cause(broken)}; {left}"
    return f"approximate: {at} {place(first)} {first.note}; {left}"


def place(loss: Loss) -> str:
    """`stem (add):`."""
    return f"{loss.name or 'the forward'} ({loss.operation}):"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _cause(layer: Subsampling) -> str:
    """Why a layer breaks."""
    size, r = shown(layer.size), max(layer.residue)
    if not r:
        return f"its input is {size}, and it treats height and width differently"
    if layer.note:
        return f"its input is {size}, and its grid is r = {r:g} out of centre ({layer.note})"
    return f"its input is {size}, which leaves r = {r:g} pixel{'s' if r > 1 else ''} over"


def parts(report: "Audit") -> Iterator[str | Table]:
    """Verdict, table of layers, survivors, and what mends it."""
    yield f"{report.name or report.model}: {report.verdict}."
    if report.scope == "grids" and report.typed:
        yield "Its layers are those of escnn, whose fields are not analysed: this is about the sampling grids alone."
    elif report.scope == "grids" and not report.tied:
        yield "No layer ties its weights by a group: this is about the sampling grids alone."
    if report.layers:
        yield _table(report)
    yield _summary(report)
    if report.exact:
        if report.weighs_orientations:
            yield "Its logits weigh orientations, so that they are not invariant; `symdata evaluate` measures how far."
        yield "This is about the feature maps; `symdata evaluate` measures what the network makes of the last one."
    yield from _mends(report.mends)
    if report.measured is not None:
        rows = [(str(e), standing(report, str(e)), f"{error:.2e}") for e, error in report.errors.items()]
        notes = [AGREE if report.agrees else DISAGREE]
        if report.undecided:
            notes.append(f"Measured, not proven: {report.settled}.")
        yield Table(("element", "predicted", "measured"), rows, MEASURED, notes)


def standing(report: "Audit", element: str) -> str:
    """`exact`, `broken` or `unknown`."""
    if element in map(str, report.survivors):
        return "exact"
    return "unknown" if element in map(str, report.undecided) else "broken"


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
        lines.append(f"exact sizes   {f'{near} are the nearest' if near else f'none within {report.reach} pixels'}")
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
