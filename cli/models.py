"""`symdata models`: the networks that can be created, and those that come trained."""

import click

from cli.options.basic import json_option, print_json


@click.command("models")
@click.argument("pattern", default="*")
@click.option("--group", help="Only networks on this group, such as c4.")
@click.option("--exact/--approximate", "exact", default=None, help="Only those that are, or are not.")
@click.option("--pretrained", is_flag=True, help="Only those that come with weights.")
@click.option("--cost", "costs", is_flag=True, help="Multiply-adds and activations too; some seconds for all.")
@click.option("--hub", "namespace", metavar="USER", help="Those that USER has published on the Hub.")
@json_option
def command(
    pattern: str,
    group: str | None,
    exact: bool | None,
    pretrained: bool,
    costs: bool,
    namespace: str | None,
    as_json: bool,
) -> None:
    """List the networks by name, and which come trained.

    PATTERN is one of the shell, such as '*cnn*'. The size in a name is the input in pixels; others can be asked for, as
    in p4cnn_64. Exact means: at this size every element of the group moves the feature maps as it moves the image; phi
    is by how many input pixels the deepest grid misses that; relaxed: its weights miss it. A name with a dataset after
    a dot has weights: zoo.load("p4cnn_28.mnist-none").

    \b
      symdata models
      symdata models 'p4m*' --exact --json
      symdata models --pretrained
      symdata models 'p4*_28' --cost
      symdata models --hub user
    """
    from zoo.errors import ModelError
    from zoo.references.listing import list_rows

    if costs and namespace is not None:
        raise click.UsageError("--cost counts networks that are here; leave it out with --hub, or audit one of them.")
    found = list_rows(pattern, group=group, exact=exact, pretrained=pretrained, namespace=namespace, costs=costs)
    if as_json:
        print_json(found.rows)
    elif found.rows:
        click.echo(str(found))
    else:
        raise ModelError(str(found))
