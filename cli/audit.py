"""`symdata audit`: is a network exactly equivariant at an input size, and if not, what mends it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.options.basic import json_option, print_json, table

if TYPE_CHECKING:
    from torch import nn

    from zoo.exactness.arithmetic import Subsampling
    from zoo.exactness.audits import Audit
    from zoo.measure.feature_error import FeatureError

MAX_SIZE = 4096
"""Pixels; larger inputs are asked for by mistake."""
MAX_LAYERS = 60
"""Rows of the table; of more layers, the broken ones come first."""


class SizeType(click.ParamType[tuple[int, int]]):
    """`32`, or `28x20` for height and width."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{1,9})(x(\d{1,9}))?", value)
        sides = (int(match[1]), int(match[3] or match[1])) if match else (0, 0)
        if not all(1 <= side <= MAX_SIZE for side in sides):
            self.fail(f"{value!r} is no size; expected pixels from 1 to {MAX_SIZE}, as in 32, or 28x20.", param, ctx)
        return sides


class RangeType(click.ParamType[range]):
    """`20..100`, both ends included."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        match = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", value)
        if not match or not 1 <= int(match[1]) <= int(match[2]) <= MAX_SIZE:
            self.fail(f"{value!r} is no range of sizes; expected from 1 to {MAX_SIZE}, as in 20..100.", param, ctx)
        return range(int(match[1]), int(match[2]) + 1)


@click.command("audit")
@click.argument("model")
@click.option("--size", type=SizeType(), help="Input in pixels, 32 or 28x20 (height x width).  [the model's own]")
@click.option("--sizes", type=RangeType(), help="List the exact sizes of a range, as in 20..100.")
@click.option("--group", help="Subgroup of d4 to hold it against.  [that of its layers, else d4]")
@click.option("--channels", type=click.IntRange(1, 4096), help="Of the input.  [those of the first convolution]")
@click.option("--measure", is_flag=True, help="Measure the feature maps in float64 beside the prediction.")
@click.option("--check", is_flag=True, help="Exit with 1 if it is not exact.")
@json_option
def command(
    model: str,
    size: tuple[int, int] | None,
    sizes: range | None,
    group: str | None,
    channels: int | None,
    measure: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Say whether a network is exactly equivariant at an input size, and what mends it.

    MODEL is a name of `symdata models`, a folder, user/repo of the Hub, or package.module:callable for a network of
    your own. What is said follows from the layers' sizes and strides alone: no image and no training is needed.

    Two columns of its table, with two numbers where height and width differ:

    \b
      r    pixels left over by the layer's window; 0 is exact
      phi  misalignment of the grid after the layer, in input pixels; 0 is exact

    \b
      symdata audit p4resnet44_32
      symdata audit mynet:build --size 224 --measure
      symdata audit torchvision.models:resnet18 --sizes 200..260
    """
    from zoo.references.opening import foreign, open_model

    opened = open_model(model)
    size = size or (None if opened.size is None or (sizes and not measure and not check) else 2 * (opened.size,))
    if size is None and sizes is not None and check:
        raise click.UsageError("--check needs one size and --sizes gives many; add --size 32, or leave --check out.")
    if size is None and (sizes is None or measure):
        raise click.UsageError(f"{model} does not say its input size; add it, as in --size 32.")
    with foreign(f"{model!r} cannot be audited", "give a network that takes one image batch (B, C, H, W)"):
        found = _found(opened.model, size, sizes, group, channels, measure)
    if as_json:
        print_json({"name": opened.name} | found.to_dict())
    else:
        click.echo("\n\n".join(_parts(model, found)))
    if check and found.report is not None and not found.holds:
        click.echo(f"symdata: {model} is not exact at {_by(found.report.size)}", err=True)
        raise click.exceptions.Exit(1)


class Findings(NamedTuple):
    """What was asked for; None where it was not."""

    report: "Audit | None"
    measured: "FeatureError | None"
    sizes: range | None
    exact: tuple[int, ...] | None
    tied: bool
    """Whether a group ties the weights."""
    typed: bool
    """Whether layers are those of escnn."""

    @property
    def holds(self) -> bool:
        """Whether the network is predicted to be exact, and measured so if it was measured."""
        predicted = self.report is not None and self.report.exact
        return predicted and (self.measured is None or self.report is None or _agrees(self.report, self.measured))

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        found: dict[str, Any] = {"tied": self.tied} | (self.report.to_dict() if self.report else {})
        if self.report and self.measured:
            agrees = _agrees(self.report, self.measured)
            found["measured"] = self.measured.to_dict() | {"by_element": self.measured.by_element, "agrees": agrees}
        return found if self.exact is None else found | {"exact_sizes": list(self.exact)}


def _found(
    network: "nn.Module",
    size: tuple[int, int] | None,
    sizes: range | None,
    group: str | None,
    channels: int | None,
    measure: bool,
) -> Findings:
    from zoo.exactness.audits import audit, exact_sizes, lattice_part
    from zoo.measure.feature_error import feature_error
    from zoo.measure.maps import hands_on_types

    report = None if size is None else audit(network, size, group, channels)
    exact = None if sizes is None else exact_sizes(network, sizes, group, channels)
    measured = feature_error(network, size, group, in_chans=channels) if measure and size is not None else None
    return Findings(report, measured, sizes, exact, lattice_part(network) is not None, hands_on_types(network))


def _parts(model: str, found: Findings) -> Iterator[str]:
    if found.report is not None:
        yield from _report(model, found.report, found.tied, found.typed)
    if found.report is not None and found.measured is not None:
        yield _measured(found.report, found.measured)
    if found.sizes is not None and found.exact is not None:
        listed = ", ".join(map(str, found.exact)) or "none"
        count = f"{len(found.exact)} of {len(found.sizes)}"
        yield f"Exact sizes from {found.sizes[0]} to {found.sizes[-1]}, {count}: {listed}"


def _report(model: str, report: "Audit", tied: bool, typed: bool) -> Iterator[str]:
    yield f"{model}: {report.verdict}."
    if typed:
        yield "Its layers are those of escnn and are not looked into: this speaks of the sampling grids alone."
    elif not tied:
        yield "No layer ties its weights by a group: this speaks of the sampling grids alone."
    if report.layers:
        yield _table(report)
    yield _summary(report)
    if report.exact:
        yield "This is about the feature maps. What the network makes of the last one, `symdata evaluate` measures."
    if report.mends:
        yield from _mends(report)


def _summary(report: "Audit") -> str:
    lines = [f"survivors     {', '.join(str(e) for e in report.survivors)} of {report.group}"]
    if report.first_broken is not None:
        near = ", ".join(_by(size) for size in report.nearest)
        lines.append(f"first broken  {_name(report.first_broken)}")
        lines.append(f"exact sizes   {near or 'none within 64 pixels'}{' are the nearest' if near else ''}")
    return "\n".join(lines)


def _table(report: "Audit") -> str:
    """One row for each layer that changes the grid, in the order in which they run."""
    shown = report.layers
    if len(shown) > MAX_LAYERS:
        shown = tuple(layer for layer in shown if len(layer.survivors(report.group)) < len(report.group.elements))
        shown = (shown or report.layers)[:MAX_LAYERS]
    header = ["layer", "what", "in", "out", "r", "phi", f"left of {report.group}"]
    text = table([_row(layer, report) for layer in shown], header)
    more = len(report.layers) - len(shown)
    return f"{text}\n({more} more layers)" if more else text


def _row(layer: "Subsampling", report: "Audit") -> list[str]:
    alive = layer.survivors(report.group)
    left = "all" if len(alive) == len(report.group.elements) else ", ".join(str(e) for e in alive)
    what = layer.window + (f" ({layer.note})" if layer.note else "")
    return [_name(layer), what, _by(layer.size), _out(layer), _pair(layer.residue), _pair(layer.phi), left]


def _out(layer: "Subsampling") -> str:
    """Pixels after a layer of windows; the trace does not hold those of other layers."""
    if layer.kind.startswith("global"):
        return "1x1"
    if layer.kind not in ("conv", "max pool", "avg pool"):
        return ""
    axes = zip(layer.size, layer.padding, layer.kernel, layer.stride, strict=True)
    return _by(tuple((i + 2 * p - k) // s + 1 for i, p, k, s in axes))


def _measured(report: "Audit", measured: "FeatureError") -> str:
    alive = {str(e) for e in report.survivors}
    rows = [
        [name, "exact" if name in alive else "broken", f"{error:.2e}"] for name, error in measured.by_element.items()
    ]
    verdict = "agree" if _agrees(report, measured) else "DISAGREE"
    text = table(rows, ["element", "predicted", "measured"])
    more = "" if verdict == "agree" else " Something else than subsampling tells positions or orientations apart."
    return f"Error of the feature maps in float64, |F(g x) - g F(x)| / |F(x)|:\n{text}\nThe two {verdict}.{more}"


def _agrees(report: "Audit", measured: "FeatureError") -> bool:
    """Whether each element is at rounding if it survives, and far above it if not."""
    from zoo.measure.feature_error import BROKEN_ERROR, EXACT_ERROR

    alive = {str(e) for e in report.survivors}
    return all(
        error < EXACT_ERROR if name in alive else error > BROKEN_ERROR for name, error in measured.by_element.items()
    )


def _name(layer: "Subsampling") -> str:
    return layer.name or "(forward)"


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _pair(values: tuple[float, float]) -> str:
    """One number if both axes agree."""
    h, w = values
    return f"{h:g}" if h == w else f"{h:g}, {w:g}"


def _mends(report: "Audit") -> Iterator[str]:
    """Another input size mends everything at once; layers have to be mended one and all."""
    inputs = [mend for mend in report.mends if mend.layer is None]
    layers = [mend for mend in report.mends if mend.layer is not None]
    whole = len(inputs) + bool(layers) > 1
    if inputs:
        yield "\n".join(["To mend it, one of:" if whole else "To mend it:", *(f"  - {m.sentence}" for m in inputs)])
    if layers:
        head = "or" if inputs else "To mend it"
        head += ", all of these together:" if len(layers) > 1 else ":"
        yield "\n".join([head, *(f"  - {mend.sentence}" for mend in layers)])
