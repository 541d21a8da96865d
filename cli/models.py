"""`symdata models`: the networks that can be created, and those that come trained."""

from typing import Any

import click

from cli.options import json_option, print_json, table


@click.command("models")
@click.argument("pattern", default="*")
@click.option("--pretrained", is_flag=True, help="Only those that come with weights.")
@json_option
def command(pattern: str, pretrained: bool, as_json: bool) -> None:
    """List the networks by name, and which come trained.

    PATTERN is one of the shell, such as '*cnn*'. The size in a name is the input in pixels; others can be asked for, as
    in p4cnn_64. A name with a dataset behind a dot has weights: zoo.load("p4cnn_28.mnist-none").

    \b
      symdata models
      symdata models 'p4m*' --json
      symdata models --pretrained
    """
    from zoo.errors import ModelError

    rows = _trained(pattern) + ([] if pretrained else _untrained(pattern))
    if as_json:
        print_json(rows)
        return
    if not rows:
        raise ModelError(_no_match(pattern, pretrained))
    header = ["model", "group", "parameters", "pixels", "at this size", "weights"]
    click.echo(table([_cells(row) for row in rows], header))


def _untrained(pattern: str) -> list[dict[str, Any]]:
    from zoo.models.registry import describe, list_models

    found = [describe(name).to_dict() for name in list_models(pattern) or _asked_for(pattern)]
    return [row | {"exact": None if row["phi"] is None else row["phi"] == 0, "bundled": False} for row in found]


def _asked_for(name: str) -> list[str]:
    """A network of another size than those that are listed, if this is the name of one."""
    from zoo.errors import ModelError
    from zoo.models.names import ModelName

    try:
        return [name] if ModelName.parse(name).data is None else []
    except ModelError:
        return []


def _trained(pattern: str) -> list[dict[str, Any]]:
    from fnmatch import fnmatchcase

    from zoo.loading import bundled, bundled_folder, info

    rows = []
    for config in (info(bundled_folder(name)) for name in bundled() if fnmatchcase(name, pattern)):
        architecture, exactness = config["architecture"], config["exactness"]
        rows.append(
            {
                "name": config["name"],
                "group": config["group"],
                "size": config["input_size"][0],
                "phi": max(exactness["phi"]),
                "classes": len(config["classes"]),
                "channels": len(config["preprocessing"]["mean"]),
                "width": architecture.get("width"),
                "parameters": config["weights"]["parameters"],
                "exact": exactness["exact"],
                "bundled": True,
            }
        )
    return rows


def _cells(row: dict[str, Any]) -> list[str]:
    count = "" if row["parameters"] is None else f"{row['parameters']:,}"
    weights = "bundled" if row["bundled"] else ""
    return [row["name"], row["group"], count.rjust(10), str(row["size"]), _said(row), weights]


def _said(row: dict[str, Any]) -> str:
    """Whether it is exact; for a network without a group that is no question."""
    if row["group"] == "c1":
        return "plain"
    if row["exact"] is None:
        return ""
    return "exact" if row["exact"] else f"phi = {row['phi']:g}"


def _no_match(pattern: str, pretrained: bool) -> str:
    from difflib import get_close_matches

    from zoo.loading import bundled
    from zoo.models.registry import list_models

    known = bundled() if pretrained else (*bundled(), *list_models())
    near = get_close_matches(pattern.strip("*"), known, 3, 0.5)
    mend = f"did you mean {' or '.join(near)}?" if near else "leave it out to see all, or write it as in '*cnn*'"
    return f"no {'trained ' if pretrained else ''}model matches {pattern!r}; {mend}"
