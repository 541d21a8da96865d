"""`symdata sources`: where upright images come from."""

import click

from cli.options.basic import json_option, print_json, table


@click.command("sources")
@json_option
def command(as_json: bool) -> None:
    """List where upright images come from."""
    from symdata.sources import list_sources

    listed = list_sources()
    if as_json:
        print_json([row._asdict() for row in listed])
        return
    click.echo(table([[row.scheme, row.example, row.reads] for row in listed], ["source", "for example", "reads"]))
