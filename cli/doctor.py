"""`symdata doctor`: examine the installation."""

import click

from cli.options.basic import show
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
    show(diagnosis, as_json)
    ctx.exit(0 if diagnosis.healthy else 1)
