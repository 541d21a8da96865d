"""`symdata doctor`: what is installed, what is at odds, and the line that mends it."""

import json
from dataclasses import asdict

import click

from symdata.installation.doctor import Finding, diagnose, healthy


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, what is at odds, and the line that mends it.

    Imports each package in a child process, which takes some seconds. Exit code 0 if everything that symdata needs
    works, 1 otherwise; what is optional changes nothing.
    """
    findings = diagnose()
    fine = healthy(findings)
    if as_json:
        click.echo(json.dumps({"healthy": fine, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        click.echo("\n".join([*map(_row, findings), "", *_mends(findings), _verdict(fine)]))
    ctx.exit(0 if fine else 1)


def _row(finding: Finding) -> str:
    return f"{finding.status:8} {finding.name:16} {finding.version or '-':14} {finding.detail}".rstrip()


def _mends(findings: list[Finding]) -> list[str]:
    """One line to paste per thing that can be mended; optional ones say what for."""
    lines = []
    for finding in findings:
        if finding.mend:
            why = finding.status if finding.needed else f"{finding.status}, optional"
            lines += [f"{finding.name} ({why}):", f"  {finding.mend}", ""]
    return lines


def _verdict(fine: bool) -> str:
    return "Everything that symdata needs works." if fine else "symdata does not work until the lines above are run."
