"""`symdata inspect`: count, test and draw a dataset; audit the symmetry of any images."""

from pathlib import Path

import click

from cli.options.basic import FOLDER, check_outside, json_option, show


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
@json_option
def command(
    place: str,
    splits: tuple[str, ...],
    out: Path | None,
    audited: bool,
    group: str | None,
    limit: int | None,
    upright: str | None,
    as_json: bool,
) -> None:
    """Count, test and draw a dataset; audit the symmetry of any images.

    For every split of a dataset folder: how often each element moved the images of each class, a chi-square test of
    that against the symmetry it was drawn from, and how well the element can be guessed from traces of resampling, as
    AUC. Writes contact-sheet.png and polar.png.

    With --audit, and for any other source (as `symdata make --source` takes it), only the pixels are tested: do these
    images differ from the same images turned or mirrored, where is the difference, do labels survive, and is augmenting
    safe? One split is audited, the first if none is named.

    \b
      symdata inspect glyphs-d4-partial_at_0p5
      symdata inspect data/mnist
      symdata inspect hub:user/name --group c4 --limit 5000
      symdata inspect data/mixed --upright data/mnist
    """
    from symdata.inspection.any_images import inspect
    from symdata.store.manifest import is_dataset

    ours = is_dataset(place)
    if ours and not audited and any(option is not None for option in (group, limit, upright)):
        raise click.UsageError("--group, --limit and --upright are of the audit; add --audit.")
    if not ours and len(splits) > 1:
        raise click.UsageError(f"an audit is of one split, and {len(splits)} were named; run it once for each.")
    if not ours and out is not None:
        raise click.UsageError("--out is for the pictures of a dataset folder, and an audit draws none; leave it out.")
    out = Path(f"{Path(place).resolve().name}-inspect") if out is None else out
    if ours:
        check_outside(out, place)
    found = inspect(place, splits or None, audit=audited and ours, group=group, limit=limit, upright=upright)
    show(found, as_json)
    if ours:
        _draw(place, splits, out)


def _draw(folder: str, splits: tuple[str, ...], out: Path) -> None:
    """Save the pictures of a dataset folder."""
    from symdata.inspection.drawing import pictures
    from symdata.pictures.contact_sheet import save

    drawn = pictures(folder, splits or None)
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        click.echo(f"wrote {save(picture, out / name)}", err=True)
