"""`symdata models`: the networks that can be created, and those that come trained."""

from collections.abc import Mapping
from typing import Any

import click

from cli.options.basic import json_option, print_json, table


@click.command("models")
@click.argument("pattern", default="*")
@click.option("--group", help="Only networks on this group, such as c4.")
@click.option("--exact/--approximate", "exact", default=None, help="Only those that are, or are not.")
@click.option("--pretrained", is_flag=True, help="Only those that come with weights.")
@click.option("--hub", "namespace", metavar="USER", help="Those that USER has published on the Hub.")
@json_option
def command(
    pattern: str, group: str | None, exact: bool | None, pretrained: bool, namespace: str | None, as_json: bool
) -> None:
    """List the networks by name, and which come trained.

    PATTERN is one of the shell, such as '*cnn*'. The size in a name is the input in pixels; others can be asked for, as
    in p4cnn_64. Exact means: at this size every element of the group moves the feature maps as it moves the image; phi
    is by how many input pixels the deepest grid misses that; relaxed: its weights miss it. A name with a dataset behind
    a dot has weights: zoo.load("p4cnn_28.mnist-none").

    \b
      symdata models
      symdata models 'p4m*' --exact --json
      symdata models --pretrained
      symdata models --hub user
    """
    from zoo.errors import ModelError
    from zoo.references.listing import chosen, trained, untrained

    found = trained(pattern, namespace)
    if not pretrained and namespace is None:
        found += untrained(pattern)
    rows = list(chosen(found, group, exact))
    if as_json:
        print_json(rows)
        return
    if not rows:
        raise ModelError(_no_match(pattern, pretrained, namespace, filtered=bool(found)))
    header = ["model", "group", "parameters", "channels", "pixels", "at this size", "weights"]
    click.echo(table([_cells(row) for row in rows], header))


def _cells(row: Mapping[str, Any]) -> list[str]:
    count = "" if row["parameters"] is None else f"{row['parameters']:,}"
    numbers = [count.rjust(10), str(row["channels"]), str(row["size"])]
    return [row["name"], row["group"], *numbers, _said(row), row["weights"] or ""]


def _said(row: Mapping[str, Any]) -> str:
    """Whether it is exact; for a network without a group that is no question, and one whose grids are exact left it."""
    if row["group"] == "c1":
        return "plain"
    if row["exact"] is None:
        return ""
    return "exact" if row["exact"] else f"phi = {row['phi']:g}" if row["phi"] else "relaxed"


def _no_match(pattern: str, pretrained: bool, namespace: str | None, *, filtered: bool) -> str:
    from difflib import get_close_matches

    from zoo.files import bundled
    from zoo.models.registry import list_models

    if namespace is not None and pattern == "*" and not filtered:
        return f"{namespace!r} has published no model of symdata on the Hub that you may read; check the name"
    if filtered:
        return f"no model that matches {pattern!r} is of that group and exactness; leave --group or --exact out"
    known = bundled() if pretrained else (*bundled(), *list_models())
    near = [] if namespace else get_close_matches(pattern.strip("*"), known, 3, 0.5)
    mend = f"did you mean {' or '.join(near)}?" if near else "leave it out to see all, or write it as in '*cnn*'"
    return f"no {'trained ' if pretrained else ''}model matches {pattern!r}; {mend}"
