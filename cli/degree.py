"""`symdata degree`: how much of its symmetry a model has kept, layer by layer, beside what its data has."""

from pathlib import Path
from typing import Any

import click

from cli.options.basic import FILE, json_option, show
from cli.options.model import code_option


@click.command("degree")
@click.argument("model")
@click.option("--data", help="A dataset folder to compare it with.  [the law that the model was trained on]")
@click.option("--split", default="train", show_default=True, help="Of --data.")
@click.option("--plot", type=FILE, help="Draw it into this PNG file.")
@code_option
@json_option
def command(model: str, data: str | None, split: str, plot: Path | None, arch: str | None, as_json: bool) -> None:
    """Say how much of its symmetry a model has kept, beside what its data has.

    MODEL is a name of `symdata models`, a folder, user/repo of the Hub, or package.module:callable. The degree of a
    layer is read off its filters: 1 where they are equivariant, 0 where they are like any others; that of the model is
    the smallest. A network with learned augmentations shows their half-widths. The same scale tells how full the
    symmetry of a dataset is: 1 for all elements alike, 0 for upright images.

    \b
      symdata degree p4cnn_28.mnist-none
      symdata degree p4cnn_28.mine --data mnist-c4-partial --plot degree.png
    """
    from symdata.pictures.figure import as_picture, png_bytes
    from symdata.store.files import write_together
    from zoo.measure.learned import learned_degree
    from zoo.references.opening import open_model

    if plot is not None and plot.suffix.lower() != ".png":
        raise click.UsageError(f"--plot {str(plot)!r} is no picture; name it {str(plot.with_suffix('.png'))!r}.")
    opened = open_model(model, arch=arch)
    law, classes = _of_data(data, split) if data is not None else (_of_config(opened.config), opened.classes)
    found = learned_degree(opened.model, opened.name, law, classes, _grids(opened.config))
    if plot is not None:
        write_together({plot: png_bytes(as_picture(found.plot()))})
    show(found, as_json)
    if not as_json and data is None and _posed(opened.config):
        click.echo("but the labels of this dataset depend on the pose of an image, which its law does not include")
    if plot is not None:
        click.echo(f"wrote {plot}", err=True)


def _of_data(data: str, split: str) -> tuple[str, tuple[str, ...]]:
    from symdata.store import load

    dataset = load(data, split)
    return str(dataset.manifest["splits"][split]["symmetry"]), dataset.classes


def _of_config(config: dict[str, Any] | None) -> str | None:
    """The law of the train split in the model's own record."""
    law = (config or {}).get("dataset", {}).get("symmetry", {})
    found = law.get("train") if isinstance(law, dict) else None
    return found if isinstance(found, str) else None


def _posed(config: dict[str, Any] | None) -> bool:
    """Whether the model was trained on a dataset of the literature whose labels depend on the pose."""
    from symdata.recipes.catalog import find_recipe, is_recipe

    name = str((config or {}).get("dataset", {}).get("name"))
    return is_recipe(name) and bool(find_recipe(name).poses)


def _grids(config: dict[str, Any] | None) -> str:
    """The verdict on grids that are not exact at the model's size; empty if they are, or there is no record."""
    record = (config or {}).get("exactness", {})
    return str(record.get("verdict")) if any(record.get("phi", ())) else ""
