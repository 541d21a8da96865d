"""`symdata train`: a network of the zoo or of one's own, a dataset folder: a model folder."""

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import SYMMETRY, json_option, print_json, resumable, show
from cli.options.fields import field_options
from cli.options.runs import epoch_line, recorded_fields
from zoo.training.config import TrainConfig

if TYPE_CHECKING:
    from zoo.training import TrainedModel, TrainedSeeds, TrainingPlan


OPTIONS = tuple(field.name for field in fields(TrainConfig) if field.name != "data")
"""All but the argument."""


@click.command("train")
@click.argument("data", required=False)
@click.option(
    "--config", "recipe", type=click.Path(exists=True, dir_okay=False), help="YAML; options here override it."
)
@field_options(TrainConfig, {"out": click.Path(), "symmetry": SYMMETRY}, OPTIONS)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), help="Train so many times, from --seed on, into OUT-s0, OUT-s1, ...  [1]"
)
@click.option("--overwrite", is_flag=True, help="Replace a model in the folder.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped; --out is enough.")
@click.option("--dry-run", is_flag=True, help="Check data, network and --out, and print the plan; write nothing.")
@json_option
def command(
    recipe: str | None,
    seeds: int | None,
    overwrite: bool,
    resume: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on a dataset folder: one of the zoo by its name, or your own as package.module:callable.

    Says before training whether the network is exactly equivariant at its size. Never opens the test split. Several
    processes share a run with `torchrun --nproc_per_node 2 -m symdata train ...`.

    \b
      symdata train mnist-none --model p4cnn_28
      symdata train mnist-none --model p4cnn_27 --symmetry so2@45~20 --augment-per batch --epochs 50
      symdata train mnist-none --model mynet:build
      symdata train mnist-none --model p4cnn_28 --seeds 5
      symdata train mnist-none --config p4cnn_28.mnist-none/recipe.yaml --seed 1
      symdata train --resume --out p4cnn_28.mnist-none
    """
    from zoo.training import prepare, read_recipe
    from zoo.training.loop import is_done
    from zoo.training.seeds import list_seeds, seed_plan

    given = {name: value for name, value in options.items() if value is not None}
    fields = (read_recipe(recipe, given.get("model")) if recipe is not None else {}) | given
    if resume and recipe is None and "out" in given and not {"data", "model"} <= given.keys():
        fields = recorded_fields(given, seeds)
    for name, mend in (("data", "symdata train DATA"), ("model", "--model p4cnn_28")):
        if fields.get(name) is None:
            more = ", or --out FOLDER of the run to go on with" if resume and "out" not in given else ""
            raise click.UsageError(f"what to train{' on' if name == 'data' else ''} is missing: {mend}{more}")
    config = TrainConfig.from_dict(fields)
    plan = prepare(config)
    is_first = os.environ.get("RANK", "0") == "0"  # torchrun starts this command several times
    if is_first:
        click.echo(plan, err=as_json)
    if dry_run:
        plans = [plan] if seeds is None else [seed_plan(plan, seed) for seed in list_seeds(config, seeds)]
        for one in plans:
            is_done(one, resume=resume, overwrite=overwrite)
        if is_first:
            folders = ", ".join(str(one.folder) for one in plans)
            print_json(plan.to_dict()) if as_json else click.echo(f"would be written to {folders}")
        return
    result = _train(plan, seeds, resume, overwrite, is_first)
    if is_first:
        show(result, as_json)


def _train(
    plan: "TrainingPlan", seeds: int | None, resume: bool, overwrite: bool, is_first: bool
) -> "TrainedModel | TrainedSeeds":
    """The run itself, or one for each seed, with a bar on a terminal and a line per epoch on stderr."""
    from tqdm import tqdm

    from zoo.training.one_call import train

    def report(line: dict[str, Any]) -> None:
        if is_first:
            with tqdm.external_write_mode():
                click.echo(epoch_line(line, plan.config), err=True)

    total = plan.images * (seeds or 1)
    with resumable(total if is_first else 0, plan.name) as bar:
        options: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "progress": bar.update, "report": report}
        return train(plan, **options) if seeds is None else train(plan, seeds=seeds, **options)
