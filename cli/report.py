"""`symdata report`: one page about one or several models, side by side."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import FILE, add_options, progress_bar
from cli.options.images import IMAGE_OPTIONS, evaluation_words, open_images
from cli.options.model import model_options, open_given_model

if TYPE_CHECKING:
    from zoo.report import ModelEntry, SavedReport

OWN = ("size", "mean", "std")
"""Options for networks that do not say themselves how images become their input."""


DATA = click.option("--data", help="Dataset folder, or any source: data/mnist, hub:user/name.")
"""As for `symdata evaluate`, but it may be left out to make a page again."""


@click.command("report")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@add_options((DATA, *IMAGE_OPTIONS[1:]))
@model_options
@click.option(
    "-o",
    "--out",
    type=FILE,
    default="report.html",
    show_default=True,
    help="The page; its numbers go beside it as JSON.",
)
@click.option(
    "--compare", is_flag=True, help="Print the comparison as Markdown; without MODEL, of all bundled ones for the data."
)
@click.option("--markdown", type=FILE, help="Write the comparison here, too.")
@click.option(
    "--measured",
    type=click.IntRange(0),
    default=32,
    show_default=True,
    help="Images of the errors in float64; 0: none.",
)
@click.option("--films", type=click.IntRange(0), default=4, show_default=True, help="Images that turn, of each model.")
@click.option(
    "--aligned",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Images on which layers are matched with the same layers moved; 0: none.",
)
@click.option("--title", default="", help="Of the page.  [the name of the data]")
def command(models: tuple[str, ...], out: Path, compare: bool, markdown: Path | None, **given: Any) -> None:
    """Write one page about one or several models: what they do when images turn, and why.

    The page has accuracy curves over all angles, the agreement of predictions between elements, the equivariance error
    of every layer, local equivariance errors along motions and which layers they arise in, exactness by input size, and
    images that turn with the predictions under them. It is one HTML file that needs no network, for light and dark,
    screen and paper; the numbers stand beside it as JSON.

    MODEL is what `symdata measure` takes: a bundled name, a folder, user/repo, hf:folder or hf:user/model, timm:name, a
    .safetensors file with --arch, or package.module:callable. --weights is for one model alone; of several models,
    --arch is the code of the folders that hold a network of your own. A MODEL that is the JSON of an earlier report is
    not measured again: so pages are made anew, and models of several runs put side by side. Of more than eight models
    the best eight are drawn. Models that differ by their seed alone are also compared as groups: mean and spread over
    seeds, and paired tests.

    \b
      symdata report p4cnn_28.mnist-none p4cnn_27.mnist-none --data data/mnist
      symdata report runs/a runs/b --data mnist-none -o ab.html
      symdata report --compare --data data/mnist -o leaderboard.html --markdown leaderboard.md
      symdata report leaderboard.json mine.json -o both.html
      symdata report a-s0 a-s1 a-s2 b-s0 b-s1 b-s2 --data mnist-none
    """
    from symdata.store.files import write_together
    from zoo.report import page

    asked = _asked(models, compare, given)
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"-o {str(out)!r} is no page; name it {str(out.with_suffix('.html'))!r}.")
    found = _saved_report(asked, given)
    text = page(found.entries, title=found.title, command=found.command, version=found.version)
    table = found.markdown
    written = {out.with_suffix(".json"): found.dumps(), out: text} | ({} if markdown is None else {markdown: table})
    write_together(written)
    if compare:
        click.echo(table, nl=False)
    elif (seeds := found.seeds) is not None:
        click.echo(seeds)
    click.echo("wrote " + ", ".join(map(str, written)), err=True)


def _asked(models: tuple[str, ...], compare: bool, given: dict[str, Any]) -> tuple[str | None, ...]:
    """The models for the page, after a check that nothing needed is missing; None is the network of --weights."""
    own = given["arch"] and len(models) > 1 and any(map(_is_own, models))
    if given["weights"] or (given["arch"] and not own):
        if len(models) > 1:
            raise click.UsageError(
                "--weights and --arch are for one model; write a report of each, and then symdata report a.json b.json."
            )
        asked: tuple[str | None, ...] = models or (None,)
    elif models or not compare:
        asked = models
    else:
        from zoo.references.listing import made_for

        asked = () if given["data"] is None else made_for(given["data"], given["split"])
        if given["data"] is not None and not asked:
            raise click.UsageError(f"no bundled network was trained on images of {given['data']!r}; name a MODEL.")
    if not asked and not compare:
        raise click.UsageError("name at least one MODEL, or --compare all bundled ones for the images.")
    if given["data"] is None and not all(_is_saved(model) for model in asked):
        raise click.UsageError("Missing option '--data': a dataset folder, or any source, as in --data data/mnist.")
    return asked


def _is_own(model: str) -> bool:
    """Whether a model folder holds a network of one's own."""
    from zoo.models.own import is_own
    from zoo.references.loading import info

    return Path(model, "config.json").is_file() and is_own(info(model)["architecture"])


def _is_saved(model: str | None) -> bool:
    return model is not None and model.endswith(".json") and not model.endswith(".safetensors.index.json")


def _saved_report(models: tuple[str | None, ...], given: dict[str, Any]) -> "SavedReport":
    """All models: those of earlier reports as they are, the others measured now."""
    from zoo.report import SavedReport, read_record
    from zoo.report.page import check_alike

    found = [read_record(str(model)) if _is_saved(model) else None for model in models]
    if len(found) == 1 and found[0] is not None:
        return replace(found[0], title=given["title"] or found[0].title)
    if earlier := [entry for saved in found if saved is not None for entry in saved.entries]:
        check_alike(earlier)  # before hours are spent on the others
    entries: list[ModelEntry] = []
    for model, saved in zip(models, found, strict=True):
        entries += saved.entries if saved is not None else (_entry(model, given, alone=len(models) == 1),)
    ours = Path(sys.argv[0]).stem in ("symdata", "__main__", "main")
    return SavedReport(tuple(entries), given["title"], "symdata " + shlex.join(sys.argv[1:]) if ours else "")


def _entry(model: str | None, given: dict[str, Any], alone: bool) -> "ModelEntry":
    from zoo.report.run import entry, forwards

    if not alone and not _is_bare(str(model)):
        given = given | dict.fromkeys(OWN)
    if not alone and not _is_own(str(model)):
        given = given | {"arch": None}
    opened = open_given_model(model, given)
    images = open_images(opened, given["data"], given)
    for note in images.notes:
        click.echo(f"{opened.name}: {note}", err=True)
    fields = evaluation_words(given)
    total = forwards(len(images), fields["elements"], fields["angles"], fields["angle_limit"], given["measured"])
    with progress_bar(total, opened.name) as bar:
        counts = {name: given[name] for name in ("measured", "films", "aligned")}
        return entry(opened, images, **counts, progress=bar.update, **fields)


def _is_bare(model: str) -> bool:
    """Whether it says nothing about its input: a function of the user, or an untrained name."""
    from zoo.references.adapters import is_adapted

    if Path(model).exists() or is_adapted(model) or "/" in model:
        return False
    return ":" in model or "." not in model
