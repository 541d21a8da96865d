"""`symdata evaluate`: what a model does on images, upright and moved."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import FOLDER, check_outside, json_option, show
from cli.options.images import evaluate_given, image_options, open_images
from cli.options.model import model_options, open_given_model

if TYPE_CHECKING:
    from zoo.evaluation import Report


@click.command("evaluate")
@click.argument("model", required=False)
@image_options
@model_options
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Another evaluation.json whose curve is drawn too; may be given several times.",
)
@click.option("--out", type=FOLDER, help="Folder.  [NAME-evaluation, here]")
@click.option("--save", is_flag=True, help="Put the result into the model folder and on its card, too.")
@json_option
def command(model: str | None, data: str, out: Path | None, save: bool, as_json: bool, **given: Any) -> None:
    """Measure what a model does on images, upright and moved.

    MODEL is a bundled name, a folder, user/repo of the Hub, hf:folder or hf:user/model of transformers, timm:name, a
    .safetensors file with --arch, or package.module:callable for a network of your own, whose weights may come from
    --weights. Writes evaluation.json and polar.png.

    \b
      symdata evaluate p4cnn_28.mnist-none --data data/mnist
      symdata evaluate runs/mine --data mnist-none --elements d8 --save
      symdata evaluate --weights mine.safetensors --arch mynet:build --size 28 --mean 0.13 --std 0.31 --data data/mnist
    """
    from symdata.store.files import json_text, write_together
    from zoo.checkpoint.folder import write_evaluation
    from zoo.evaluation.picture import as_png

    own = Path(model) if model is not None and Path(model, "config.json").is_file() else None
    _check_places(own, data, out, save, given["weights"])
    others = [_other(path) for path in given["beside"]]
    opened = open_given_model(model, given)
    report = evaluate_given(opened, open_images(opened, data, given), given)
    show(report, as_json)
    name = re.sub(r"[^\w.-]+", "-", opened.name if own is None else own.resolve().name)
    folder = Path(f"{name}-evaluation") if out is None else out
    files: dict[Path, bytes | str] = {folder / "evaluation.json": json_text(report.to_dict())}
    if report.curve is not None:
        files[folder / "polar.png"] = as_png(report.plot(*others))
    written = write_together(files)
    if report.curve is None:
        (folder / "polar.png").unlink(missing_ok=True)  # of an earlier evaluation
    for path in written:
        click.echo(f"wrote {path}", err=True)
    if save:
        click.echo(f"wrote {write_evaluation(str(model), report.to_dict())}, and the card beside it", err=True)


def _check_places(own: Path | None, data: str, out: Path | None, save: bool, weights: Path | None) -> None:
    """Refuse, before anything is loaded, to write results where they do not belong; `own` is the model folder."""
    if save and (own is None or weights is not None):
        raise click.UsageError("--save needs a model folder, as `symdata train` writes it; leave it out and use --out.")
    if out is None:
        return
    if own is not None and out.resolve() == own.resolve():
        raise click.UsageError(f"--out {str(out)!r} is the model folder; use --save to put the result there.")
    if (Path(data) / "symdata.json").is_file():
        check_outside(out, data)


def _other(path: Path) -> "Report":
    from zoo.errors import ModelError
    from zoo.evaluation import Report

    try:
        return Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ModelError) as error:
        raise click.UsageError(f"--beside {str(path)!r} is no evaluation.json: {error}.") from None
