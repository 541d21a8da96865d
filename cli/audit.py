"""`symdata audit`: is a network exactly equivariant at an input size, and if not, what mends it."""

import re

import click

from cli.options.basic import Parsed, json_option, print_json
from cli.options.model import code_option
from symdata.errors import ShapeError

MAX_SIZE = 4096
"""Pixels; larger inputs are asked for by mistake."""
UNKNOWN = 3
"""The exit code of --check where it is not known whether the network is exact."""


def _size(text: str) -> tuple[int, int]:
    """`32`, or `28x20` for height and width."""
    match = re.fullmatch(r"(\d{1,9})(x(\d{1,9}))?", text)
    sides = (int(match[1]), int(match[3] or match[1])) if match else (0, 0)
    if not all(1 <= side <= MAX_SIZE for side in sides):
        raise ShapeError(f"{text!r} is no size; expected pixels from 1 to {MAX_SIZE}, as in 32, or 28x20")
    return sides


def _sizes(text: str) -> range:
    """`20..100`, both ends included."""
    match = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]) <= MAX_SIZE:
        raise ShapeError(f"{text!r} is no range of sizes; expected from 1 to {MAX_SIZE}, as in 20..100")
    return range(int(match[1]), int(match[2]) + 1)


@click.command("audit")
@click.argument("model")
@click.option(
    "--size", type=Parsed("size", _size), help="Input in pixels, 32 or 28x20 (height x width).  [the model's own]"
)
@click.option("--sizes", type=Parsed("sizes", _sizes), help="List the exact sizes of a range, as in 20..100.")
@click.option("--group", help="Subgroup of d4 to analyse.  [that of its layers, else d4]")
@click.option("--channels", type=click.IntRange(1, 4096), help="Of the input.  [those of the first convolution]")
@code_option
@click.option("--measure", is_flag=True, help="Measure the feature maps in float64 beside the prediction.")
@click.option("--check", is_flag=True, help="Exit with 1 if it is not exact, with 3 if that is unknown.")
@json_option
def command(
    model: str,
    size: tuple[int, int] | None,
    sizes: range | None,
    group: str | None,
    channels: int | None,
    arch: str | None,
    measure: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Say whether a network is exactly equivariant at an input size, and what mends it.

    MODEL is a name of `symdata models`, a folder, user/repo of the Hub, or package.module:callable for a network of
    your own. The audit runs the network once on a blank image, and follows how the entries of every tensor move with
    the image. Exact is what is proven; where an operation is not known, the verdict is unknown. It needs no training.

    Two columns of its table, with two numbers where height and width differ:

    \b
      r    pixels left over by the layer's window; 0 is exact
      phi  misalignment of the grid after the layer, in input pixels; 0 is exact

    \b
      symdata audit p4resnet44_32
      symdata audit mynet:build --size 224 --measure
      symdata audit torchvision.models:resnet18 --sizes 200..260
    """
    from zoo.exactness.audits import audit, exact_sizes
    from zoo.exactness.mends import shown
    from zoo.exactness.model_groups import tied_group
    from zoo.measure.feature_error import checked_audit
    from zoo.references.cost import cost_if_known
    from zoo.references.opening import foreign, open_model

    opened = open_model(model, arch=arch, pretrained=measure, in_chans=channels)
    size = size or (None if opened.size is None or (sizes and not measure and not check) else 2 * (opened.size,))
    if size is None and sizes is not None and check:
        raise click.UsageError("--check needs one size and --sizes gives many; add --size 32, or leave --check out.")
    if size is None and (sizes is None or measure):
        raise click.UsageError(f"{model} does not say its input size; add it, as in --size 32.")
    with foreign(f"{model!r} cannot be audited", "give a network that takes one image batch (B, C, H, W)"):
        inspect = checked_audit if measure else audit
        report = None if size is None else inspect(opened.model, size, group, channels, name=model)
        exact = None if sizes is None else exact_sizes(opened.model, sizes, group, channels)
    price = None if size is None else cost_if_known(opened, size, channels)
    if as_json:
        found = {"tied": tied_group(opened.model) is not None} if report is None else report.to_dict()
        found |= {} if price is None else {"cost": price.to_dict()}
        print_json({"name": opened.name, **found, **({} if exact is None else {"exact_sizes": list(exact)})})
    else:
        parts = [str(part) for part in (report, price) if part is not None]
        if sizes is not None and exact is not None:
            count, listed = f"{len(exact)} of {len(sizes)}", ", ".join(map(str, exact)) or "none"
            parts.append(f"Exact sizes from {sizes[0]} to {sizes[-1]}, {count}: {listed}")
        click.echo("\n\n".join(parts))
    if report is not None and report.agrees is False:
        click.echo(f"symdata: {model}: measured and predicted disagree at {shown(report.size)}", err=True)
        raise click.exceptions.Exit(1)
    if check and report is not None and report.settled != "exact":
        word = "not known to be exact" if report.settled == "unknown" else "not exact"
        click.echo(f"symdata: {model} is {word} at {shown(report.size)}", err=True)
        raise click.exceptions.Exit(UNKNOWN if report.settled == "unknown" else 1)
