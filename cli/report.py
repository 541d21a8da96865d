"""`symdata report`: one page about one or several models, side by side."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from cli.options import progress_bar
from cli.subject import NumbersType, open_subject
from cli.trial import open_images, trial_options, tried


@click.command("report")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@trial_options
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The page; its numbers go beside it as JSON.",
)
@click.option("--compare", is_flag=True, help="Print the comparison as Markdown; without MODEL, of all bundled ones.")
@click.option("--size", type=click.IntRange(1, 4096), help="Side of the input in pixels, of your own networks.")
@click.option("--mean", type=NumbersType(), help="Of the input of your own networks, of values in [0, 1].")
@click.option("--std", type=NumbersType(), help="As --mean.")
@click.option("--title", default="", help="Of the page.  [the name of the data]")
def command(models: tuple[str, ...], data: str, out: Path, compare: bool, title: str, **given: Any) -> None:
    """Write one page about up to eight models: what they do when images turn, and why.

    The page has accuracy curves over all angles, the agreement of predictions between elements, the equivariance error
    of every layer, exactness by input size, and images that turn with the predictions under them. It is one HTML file
    that needs no network, for light and dark, screen and paper; the numbers stand beside it as JSON.

    MODEL is what `symdata evaluate` takes: a bundled name, a folder, user/repo, or package.module:callable.

    \b
      symdata report p4cnn_28.mnist-none p4cnn_27.mnist-none --data data/mnist
      symdata report runs/a runs/b --data mnist-none -o ab.html
      symdata report --compare --data data/mnist
    """
    from zoo.report import compared, page

    if not models and not compare:
        raise click.UsageError("name at least one MODEL, or --compare all bundled ones.")
    if not models:
        from zoo.loading import bundled

        models = bundled()
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"-o {str(out)!r} is no page; name it {str(out.with_suffix('.html'))!r}.")
    entries = [_entry(model, data, given) for model in models]
    shown = "symdata " + shlex.join(sys.argv[1:]) if Path(sys.argv[0]).stem in ("symdata", "main") else ""
    text = page(entries, title=title, command=shown)
    out.parent.mkdir(parents=True, exist_ok=True)
    numbers = out.with_suffix(".json")
    numbers.write_text(json.dumps([entry.to_dict() for entry in entries], indent=1) + "\n", encoding="utf-8")
    out.write_text(text, encoding="utf-8")
    if compare:
        click.echo(compared(entries), nl=False)
    click.echo(f"wrote {out} and {numbers}", err=True)


def _entry(model: str, data: str, given: dict[str, Any]) -> Any:
    from zoo.report import collect

    own = {"weights": None, "arch": None, "classes": None, "allow_untrained": False}
    opened = open_subject(model, {**given, **own})
    assert opened.preprocessing is not None  # `open_subject` refuses a model without
    trial = open_images(opened, data, given)
    report = tried(opened, trial, given)
    with progress_bar(min(len(trial.images), 1000) * len(report.elements), f"{opened.name}, agreement") as bar:
        return collect(
            opened.model, trial.images, trial.labels.tolist(), opened.preprocessing, report, progress=bar.update
        )
