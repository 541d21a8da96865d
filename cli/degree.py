"""`symdata degree`: how much of its symmetry a model has kept, layer by layer, beside what its data has."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import json_option, print_json, table

if TYPE_CHECKING:
    from zoo.measure.learned_degree import Learned


LEGEND = (
    "Under each element g: |g K - K| / |K| of the filters K, 0 if they are equivariant; of a law, its probability.\n"
    "The network has no more than its least equivariant layer; product: of all degrees, if layers break independently."
)


@click.command("degree")
@click.argument("model")
@click.option("--data", help="A dataset folder to hold it against.  [the law that the model was trained on]")
@click.option("--split", default="train", show_default=True, help="Of --data.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into this PNG file.")
@json_option
def command(model: str, data: str | None, split: str, plot: Path | None, as_json: bool) -> None:
    """Say how much of its symmetry a model has kept, beside what its data has.

    MODEL is a name of `symdata models`, a folder, user/repo of the Hub, or package.module:callable. The degree of a
    layer is read off its filters: 1 where they are equivariant, 0 where they are like any others; that of the model is
    the smallest. A network with learned augmentations shows their half-widths. The same scale tells how full the
    symmetry of a dataset is: 1 for all elements alike, 0 for upright images.

    \b
      symdata degree p4cnn_28.mnist-none
      symdata degree p4cnn_28.mine --data mnist-c4-partial --plot degree.png
    """
    from zoo.measure.learned_degree import learned
    from zoo.references.opening import open_model

    if plot is not None and plot.suffix.lower() != ".png":
        raise click.UsageError(f"--plot {str(plot)!r} is no picture; name it {str(plot.with_suffix('.png'))!r}.")
    opened = open_model(model)
    law, classes = _of_data(data, split) if data is not None else (_of_config(opened.config), opened.classes)
    found = learned(opened.model, opened.name, law, classes)
    if plot is not None:
        from zoo.report.degree_picture import draw

        draw(found).save(plot)
    print_json(found.to_dict()) if as_json else click.echo(text(found, _grids(opened.config)))
    if not as_json and data is None and _posed(opened.config):
        click.echo("but the labels of this dataset speak of how an image stands, which its law does not say")
    if plot is not None:
        click.echo(f"wrote {plot}", err=True)


def _of_data(data: str, split: str) -> tuple[str, tuple[str, ...]]:
    from symdata.store import load

    dataset = load(data, split)
    return str(dataset.manifest["splits"][split]["symmetry"]), dataset.classes


def _of_config(config: dict[str, Any] | None) -> str | None:
    """The law of the train split, as the model's own record has it."""
    law = (config or {}).get("dataset", {}).get("symmetry", {})
    found = law.get("train") if isinstance(law, dict) else None
    return found if isinstance(found, str) else None


def _posed(config: dict[str, Any] | None) -> bool:
    """Whether the model was trained on a dataset of the literature whose labels speak of poses."""
    from symdata.recipes.catalog import find_recipe, is_recipe

    name = str((config or {}).get("dataset", {}).get("name"))
    return is_recipe(name) and bool(find_recipe(name).poses)


def _grids(config: dict[str, Any] | None) -> str | None:
    """The verdict on grids that are out of step at the model's size; None if they are not, or nobody has looked."""
    said = (config or {}).get("exactness", {})
    return str(said.get("verdict")) if any(said.get("phi", ())) else None


def text(found: "Learned", grids: str | None = None) -> str:
    """For a terminal; `grids` is the verdict on a model whose grids are not exact."""
    from symdata.transforms.generators import half_width_unit

    parts = [f"{found.model}: {_claim(found)}"]
    if found.half_widths:
        widths = [[name, f"{width:.3g}", half_width_unit(name)] for name, width in found.half_widths.items()]
        parts.append(table(widths, ["generator", "half-width", ""]))
    if found.layers:
        parts.append(_layers(found))
        parts.append(LEGEND)
    if grids is not None:
        parts.append(f"This is said of filters alone; its grids are {grids}")
    if found.truth is not None:
        where = "" if found.truth.by_class is None else ", the mean over classes"
        parts.append(f"data: {found.truth.symmetry}, degree {found.truth.degree:.3f} in {found.truth.group}{where}")
    return "\n\n".join(parts)


def _claim(found: "Learned") -> str:
    if found.half_widths is not None:
        if found.degree is None:
            return "no degree: the augmentations that it learned turn nothing"
        return f"degree {found.degree:.3f}, its half-width of rotation over 180 degrees"
    if found.degree is None:
        return "no degree: its weights are not tied by a group"
    return (
        f"degree {found.degree:.3f} in {found.group}, that of its least equivariant layer; product {found.product:.3f}"
    )


def _layers(found: "Learned") -> str:
    """A row for each layer: its degree, and per element how far its filters move; at the end, the law of the data."""
    names = list(max(found.layers, key=lambda layer: len(layer.deviation)).deviation)
    rows = []
    for layer in found.layers:
        rows.append([layer.name, layer.kind, f"{layer.degree:.3f}", *_row(layer.deviation, names)])
        if layer.likelihood is not None:
            rows.append(["  its law", "", f"{layer.likelihood_degree:.3f}", *_row(layer.likelihood, names)])
        if layer.kept is not None:
            rows.append(["  keeps", "", "", *("yes" if name in layer.kept else "no" for name in names)])
    if found.truth is not None and found.truth.elements is not None:
        rows.append(["law of the data", "", f"{found.truth.degree:.3f}", *_row(found.truth.elements, names)])
    return table(rows, ["layer", "", "degree", *names])


def _row(numbers: dict[str, float], names: list[str]) -> list[str]:
    """One for each element, as far as the layer or the law has it."""
    return [f"{numbers[name]:.3f}" if name in numbers else "-" for name in names]
