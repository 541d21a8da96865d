"""`symdata doctor`: examine the installation."""

import click

from cli.options.basic import print_json
from symdata.installation.doctor import diagnose


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, what is in conflict, and the line that repairs it.

    Imports each package in a child process, which takes some seconds. Exit code 0 if everything that symdata needs
    works, 1 otherwise; optional packages do not matter.
    """
    diagnosis = diagnose()
    if as_json:
        print_json(diagnosis.to_dict())
    else:
        click.echo(diagnosis)
    ctx.exit(0 if diagnosis.healthy else 1)
