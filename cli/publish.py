"""`symdata publish`: upload a dataset or model folder to the Hub."""

from pathlib import Path
from typing import Any

import click

from cli.options.basic import folder_argument, json_option, show
from cli.options.model import code_option


@click.command("publish")
@folder_argument
@click.argument("repo_id", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="If the repository is created now.")
@click.option("--tag", help="Name the uploaded revision, such as v1.")
@click.option("--dataset", metavar="USER/NAME", help="Of a model: the repository of the dataset it was trained on.")
@click.option("--license", help="Of a model's weights, such as mit.  [that of its data, or unknown]")
@code_option
@click.option("--dry-run", is_flag=True, help="Check the folder and list what would be sent; send nothing.")
@json_option
def command(
    folder: str,
    repo_id: str,
    dataset: str | None,
    license: str | None,
    arch: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Upload a dataset or a model with its card to the Hub, in one commit.

    FOLDER is what `symdata make` or `symdata train` wrote. It is checked first: hashes, and of a model also its golden
    logits. Log in with `hf auth login`. Files that are there already are not sent again, and nothing new is no commit;
    an upload that broke off is finished by the same command.

    \b
      symdata publish glyphs-d4-partial_at_0p5 me/glyphs-d4-partial --tag v1
      symdata publish p4cnn_28.glyphs me/p4cnn_28.glyphs --dataset me/glyphs-d4-partial@v1 --tag v1
    """
    from symdata.errors import HubError, StoreError
    from symdata.hub import publish

    if (Path(folder) / "symdata.json").is_file():
        for option, value in (("--dataset", dataset), ("--license", license), ("--arch", arch)):
            if value is not None:
                raise HubError(f"{folder!r} is a dataset, whose card says that itself; leave {option} {value} out")
        show(publish(folder, repo_id, **options), as_json)
    elif (Path(folder) / "config.json").is_file():
        from zoo.hub.repository import push

        show(push(folder, repo_id, dataset=dataset, license=license, arch=arch, **options), as_json)
    else:
        raise StoreError(
            f"{folder!r} is neither a dataset (symdata.json) nor a model (config.json); "
            "give a folder that `symdata make` or `symdata train` wrote"
        )
