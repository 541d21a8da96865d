"""`symdata inspect`: count, test and draw a dataset; audit the symmetry of any images."""

from pathlib import Path
from typing import Any

import click

from cli.options.basic import FOLDER, check_outside, json_option, show
from symdata.recipes.spec import MAX_SIZE
from symdata.sources.fit import RESIZES


@click.command("inspect")
@click.argument("place", metavar="FOLDER_OR_SOURCE")
@click.option("--split", "splits", multiple=True, help="Only this split; may be given several times.")
@click.option("--out", type=FOLDER, help="Folder of the pictures.  [NAME-inspect, here]")
@click.option("--audit", "audited", is_flag=True, help="Test the pixels too: how symmetric are they really?")
@click.option("--group", help="Of the audit: d4, c4, d2, c2 or d1.  [d4; d2 if images are not square]")
@click.option("--limit", type=click.IntRange(1), help="Most images that the audit examines.  [2000]")
@click.option(
    "--upright", metavar="FOLDER_OR_SOURCE", help="Upright images of the same kind: the degree gets two ends."
)
@click.option(
    "--size", type=click.IntRange(2, MAX_SIZE), help="Of the audit: side to resize images to.  [as they come]"
)
@click.option("--resize", type=click.Choice(RESIZES), help="How --size is reached.  [bilinear]")
@click.option(
    "--skip-bad", type=click.IntRange(0), help="Leave out up to so many images of a source that cannot be used."
)
@json_option
def command(
    place: str,
    splits: tuple[str, ...],
    out: Path | None,
    audited: bool,
    group: str | None,
    limit: int | None,
    upright: str | None,
    size: int | None,
    resize: str | None,
    skip_bad: int | None,
    as_json: bool,
) -> None:
    """Count, test and draw a dataset; audit the symmetry of any images.

    For every split of a dataset folder: how often each element moved the images of each class, a chi-square test of
    that against the symmetry it was drawn from, and how well the element can be guessed from traces of resampling, as
    AUC. Writes contact-sheet.png and polar.png.

    With --audit, and for any other source (as `symdata make --source` takes it), only the pixels are tested: do these
    images differ from the same images turned or mirrored, where is the difference, do labels survive, and is augmenting
    safe? One split is audited, the first if none is named. Images of several sizes are resized to the median of their
    sides, unless --size says another; images that are not square are then audited under d2, unless --group does.

    \b
      symdata inspect glyphs-d4-partial_at_0p5
      symdata inspect data/mnist
      symdata inspect hub:user/name --group c4 --limit 5000
      symdata inspect data/mixed --upright data/mnist
    """
    from symdata.inspection.any_images import inspect
    from symdata.store.manifest import is_dataset

    ours = is_dataset(place)
    asked: dict[str, Any] = {"group": group, "limit": limit, "upright": upright, "size": size, "resize": resize}
    asked["skip_bad"] = skip_bad
    if ours and not audited and (given := [name for name, value in asked.items() if value is not None]):
        raise click.UsageError(f"--{given[0].replace('_', '-')} is of the audit; add --audit.")
    if resize is not None and size is None:
        raise click.UsageError("--resize says how --size is reached; add a size, as in --size 64.")
    if not ours and len(splits) > 1:
        raise click.UsageError(f"an audit is of one split, and {len(splits)} were named; run it once for each.")
    if not ours and out is not None:
        raise click.UsageError("--out is for the pictures of a dataset folder, and an audit draws none; leave it out.")
    out = Path(f"{Path(place).resolve().name}-inspect") if out is None else out
    if ours:
        check_outside(out, place)
    found = inspect(place, splits or None, audit=audited and ours, **asked)
    show(found, as_json)
    if ours:
        _draw(place, splits, out)


def _draw(folder: str, splits: tuple[str, ...], out: Path) -> None:
    """Save the pictures of a dataset folder."""
    from symdata.inspection.drawing import pictures
    from symdata.pictures.figure import png_bytes
    from symdata.store.files import write_together

    drawn = pictures(folder, splits or None)
    for path in write_together({out / name: png_bytes(picture) for name, picture in drawn.items()}):
        click.echo(f"wrote {path}", err=True)
