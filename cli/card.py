"""`symdata card`: the card of a model folder, rendered again."""

from pathlib import Path

import click

from cli.options.basic import folder_argument


@click.command("card")
@folder_argument
@click.option("--print", "only_print", is_flag=True, help="Print the card to stdout and write nothing.")
def command(folder: str, only_print: bool) -> None:
    """Render the card of a model again.

    Writes README.md and polar.png from config.json and evaluation.json, as this version of symdata does. An evaluation
    of other weights is left out.

    \b
      symdata card runs/mine
      symdata card runs/mine --print
    """
    from zoo.checkpoint.card import render_card
    from zoo.checkpoint.folder import read_evaluation, refresh_card
    from zoo.checkpoint.manifest import read_config
    from zoo.errors import ModelError
    from zoo.files import DATASET, PICTURE

    place = Path(folder)
    if (place / DATASET).is_file():
        raise ModelError(f"{folder!r} is a dataset, whose card `symdata make` writes; give the folder of a model")
    if only_print:
        config = read_config(place)
        click.echo(render_card(config, read_evaluation(place, config)), nl=False)
        return
    click.echo(f"wrote {refresh_card(place)}", err=True)
    if (place / PICTURE).is_file():
        click.echo(f"wrote {place / PICTURE}", err=True)
