"""`symdata pull`: fetch a dataset or model of the Hub into a folder."""

from pathlib import Path

import click

from cli.options.basic import json_option, print_json
from cli.options.model import code_option


@click.command("pull")
@click.argument("ref", metavar="USER/NAME[@REVISION]")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder.  [the NAME]")
@click.option("--type", "kind", type=click.Choice(["model", "dataset"]), help="If both have that name.  [the model]")
@code_option
@json_option
def command(ref: str, out: Path | None, kind: str | None, arch: str | None, as_json: bool) -> None:
    """Fetch a model or a dataset that symdata made, and check its files against their hashes.

    A revision is a branch, a tag or a commit. Files in the cache are not fetched again. A model need not be pulled to
    be used: every command that takes a folder takes user/name too.

    \b
      symdata pull me/p4cnn_28.glyphs@v1
      symdata pull me/glyphs-d4-partial --out glyphs
    """
    from symdata.errors import NotOnHubError
    from symdata.hub import Address
    from symdata.hub import pull as pull_dataset
    from zoo.hub.repository import pull as pull_model

    address = Address.parse(ref)
    place = out or Path(address.repo_id.split("/")[1])
    kind = kind or address.kind
    if kind == "dataset":
        if arch is not None:
            raise click.UsageError(f"--arch {arch} is for models, and a dataset has no network; leave it out.")
        folder = pull_dataset(ref, place)
    else:
        try:
            folder, kind = pull_model(ref, place, arch=arch), "model"
        except NotOnHubError:
            if kind == "model":
                raise
            try:
                folder, kind = pull_dataset(ref, place), "dataset"
            except NotOnHubError:
                raise NotOnHubError(
                    f"there is no model and no dataset {address.repo_id!r} on the Hub that you may read; check the "
                    "name, or log in with `hf auth login` if it is private"
                ) from None
    if as_json:
        print_json({"kind": kind, "folder": str(folder)})
        return
    click.echo(f"{kind} {folder}")
