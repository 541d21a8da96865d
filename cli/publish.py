"""`symdata publish`: a dataset folder to the Hub."""

import click

from cli.options import folder_argument, json_option, print_json


@click.command("publish")
@folder_argument
@click.argument("repo_id", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="If the repository is created now.")
@click.option("--tag", help="Name the uploaded revision, such as v1.")
@json_option
def command(folder: str, repo_id: str, private: bool, tag: str | None, as_json: bool) -> None:
    """Upload a dataset with its card to the Hub.

    Log in first with `hf auth login`. Files that are there already are not sent again.

    \b
      symdata publish glyphs-d4-partial_at_0p5 me/glyphs-d4-partial --tag v1
    """
    from symdata.hub import publish

    published = publish(folder, repo_id, private=private, tag=tag)
    if as_json:
        print_json(published.to_dict())
        return
    click.echo(f"{published.url} at {published.commit}{' tagged ' + published.tag if published.tag else ''}")
