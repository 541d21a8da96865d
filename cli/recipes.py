"""`symdata recipes`: the datasets of the literature."""

import click

from cli.options.basic import json_option, print_json


@click.command("recipes")
@json_option
def command(as_json: bool) -> None:
    """List the datasets of the literature by name.

    \b
      symdata recipes
      symdata make mnist6-180 --source data/mnist
    """
    from symdata.display import Table
    from symdata.recipes.catalog import list_recipes

    listed = list_recipes()
    if as_json:
        fields = ("name", "about", "paper", "source", "symmetry", "canvas")
        print_json([{field: getattr(recipe, field) for field in fields} for recipe in listed])
        return
    click.echo(Table(("recipe", "source", "what"), [(r.name, r.source, r.about) for r in listed]))
