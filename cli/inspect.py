"""`symdata inspect`: count, test and draw a dataset; audit the symmetry of any images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import json_option, print_json, table

if TYPE_CHECKING:
    from symdata.inspection.goodness import ChiSquare
    from symdata.inspection.report import InspectionReport, SplitReport

MAX_COLUMNS = 16
"""Elements that get a column each; more are summed up as identity, turned and mirrored."""
MAX_ROWS = 40
"""Classes that get a row each; of more, those that agree least with the spec."""


@click.command("inspect")
@click.argument("place", metavar="FOLDER_OR_SOURCE")
@click.option("--split", "splits", multiple=True, help="Only this split; may be given several times.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the pictures.  [NAME-inspect, here]"
)
@click.option("--audit", "audited", is_flag=True, help="Test the pixels too: how symmetric are they really?")
@click.option("--group", help="Of the audit: d4, c4, d2, c2 or d1.  [d4; d2 if images are not square]")
@click.option("--limit", type=click.IntRange(1), help="Most images that the audit looks at.  [2000]")
@json_option
def command(
    place: str,
    splits: tuple[str, ...],
    out: Path | None,
    audited: bool,
    group: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Count, test and draw a dataset; audit the symmetry of any images.

    For every split of a dataset folder: how often each element moved the images of each class, a chi-square test of
    that against the symmetry it was drawn from, and how well the element can be guessed from traces of resampling, as
    AUC. Writes contact-sheet.png and polar.png.

    With --audit, and for any other source (as `symdata make --source` takes it), the pixels alone are asked: can these
    images be told from the same images turned or mirrored, where does one see it, do labels survive it, and is
    augmenting safe? One split is audited, the first if none is named.

    \b
      symdata inspect glyphs-d4-partial_at_0p5
      symdata inspect data/mnist
      symdata inspect hub:user/name --group c4 --limit 5000
    """
    from symdata.store.manifest import MANIFEST

    ours = Path(place, MANIFEST).is_file()
    if ours and not audited and (group is not None or limit is not None):
        raise click.UsageError("--group and --limit are of the audit; add --audit.")
    if not ours and len(splits) > 1:
        raise click.UsageError(f"an audit is of one split, and {len(splits)} were named; run it once for each.")
    if not ours and out is not None:
        raise click.UsageError("--out is for the pictures of a dataset of ours, and an audit draws none; leave it out.")
    report = _dataset(place, splits, out, as_json) if ours else {}
    if audited or not ours:
        from cli.symmetry import audit_text
        from symdata.inspection.report import LIMIT, audit_source

        found = audit_source(place, splits[0] if splits else None, group, LIMIT if limit is None else limit)
        if not as_json:
            click.echo(("\n" if ours else "") + audit_text(found))
        report |= {"audit": found.to_dict()["audit"]} if ours else found.to_dict()
    if as_json:
        print_json(report)


def _dataset(folder: str, splits: tuple[str, ...], out: Path | None, as_json: bool) -> dict[str, Any]:
    """The report of a dataset folder: printed, unless it is JSON that is wanted, and its pictures drawn."""
    from symdata.inspection.report import inspect, pictures
    from symdata.pictures.contact_sheet import save

    place = Path(folder).resolve()
    out = Path(f"{place.name}-inspect") if out is None else out
    if out.resolve().is_relative_to(place):
        raise click.UsageError(
            f"--out {str(out)!r} is inside the dataset, whose files are hashed; name a folder beside it."
        )
    report = inspect(folder, splits or None)
    if not as_json:
        click.echo("\n\n".join([_head(report), *(_split(split, report.classes) for split in report.splits)]))
    drawn = pictures(folder, splits or None)
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        click.echo(f"wrote {save(picture, out / name)}", err=True)
    return report.to_dict()


def _head(report: "InspectionReport") -> str:
    c, h, w = report.shape
    return f"{report.name}: {len(report.classes)} classes, images {c} x {h} x {w} (channels, height, width)"


def _split(split: "SplitReport", classes: tuple[str, ...]) -> str:
    symmetry = f"symmetry {split.symmetry}, degree {split.degree:.3f}, elements in {split.group}"
    head = f"{split.split}: {split.count:,} images, {symmetry}"
    return "\n\n".join([head, _elements(split, classes), _verdict(split), _traces(split)])


def _elements(split: "SplitReport", classes: tuple[str, ...]) -> str:
    """Counts of elements: one row for each class, and their sum."""
    names, counts = list(split.histogram.names), split.histogram.counts
    if len(names) > MAX_COLUMNS:
        mirrored = [name.endswith("m") for name in names]
        first, last = counts[:, 0], counts[:, mirrored].sum(1)
        names = ["e", "turned", "mirrored"]
        columns = [first, counts.sum(1) - first - last, last]
    else:
        columns = list(counts.T)
    shown = sorted(range(len(classes)), key=lambda c: split.tests[c].p_value)[:MAX_ROWS]
    rows = [
        [classes[c], str(split.class_counts[c]), *(str(column[c]) for column in columns), _p(split.tests[c])]
        for c in sorted(shown)
    ]
    rows.append(["all", str(split.count), *(str(column.sum()) for column in columns), _p(split.overall)])
    text = table(rows, ["class", "images", *names, "p"])
    return text + (f"\n({len(classes)} classes; these agree least)" if len(classes) > MAX_ROWS else "")


def _p(test: "ChiSquare") -> str:
    return f"{test.p_value:.3g}" if test.dof or test.p_value == 0.0 else "-"


def _verdict(split: "SplitReport") -> str:
    t = split.overall
    numbers = f"chi-square {t.statistic:.1f} on {t.dof} degrees of freedom, p = {t.p_value:.3g}"
    if not t.dof and split.agrees:
        return "Every element is one that the symmetry gives."
    verdict = "agree" if split.agrees else "DISAGREE"
    return f"The elements {verdict} with the symmetry: {numbers}; worst class p = {split.worst:.3g}"


def _traces(split: "SplitReport") -> str:
    if not split.traces:
        return "Leakage: no class has both moved and unmoved images, so there is nothing to guess."
    rows = [[t.question, t.trace, f"{t.auc:.3f}", f"{t.error:.3f}", t.verdict] for t in split.traces]
    return "Leakage: the element guessed from traces of resampling alone\n" + table(
        rows, ["question", "trace", "AUC", "+-", "verdict"]
    )
