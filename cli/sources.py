"""`symdata sources`: the kinds of source."""

import click

from cli.options.basic import json_option, print_json


@click.command("sources")
@json_option
def command(as_json: bool) -> None:
    """List the sources of upright images."""
    from symdata.display import Table
    from symdata.sources import list_sources

    listed = list_sources()
    if as_json:
        print_json([{"scheme": kind.scheme, "reads": kind.reads, "example": kind.example} for kind in listed])
        return
    rows = [(kind.scheme, kind.example, kind.reads) for kind in listed]
    click.echo(Table(("source", "for example", "reads"), rows))
