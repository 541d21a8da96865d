"""`symdata pretrain`: a network of the zoo, a dataset folder without its labels: a model folder to start from."""

from dataclasses import fields
from typing import Any

import click

from cli.options.basic import SYMMETRY, json_option, print_json, resumable, show
from cli.options.fields import field_options
from cli.options.runs import epoch_line, recorded_fields
from zoo.pretraining.config import OF_TRAININGS, PretrainConfig

OPTIONS = tuple(field.name for field in fields(PretrainConfig) if field.name not in ("data", *OF_TRAININGS))
"""All but the argument."""


@click.command("pretrain")
@click.argument("data", required=False)
@click.option(
    "--config", "recipe", type=click.Path(exists=True, dir_okay=False), help="YAML; options here override it."
)
@field_options(PretrainConfig, {"out": click.Path(), "symmetry": SYMMETRY}, OPTIONS)
@click.option("--overwrite", is_flag=True, help="Replace a model in the folder.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped; --out is enough.")
@click.option("--dry-run", is_flag=True, help="Check data, network and --out, and print the plan; write nothing.")
@json_option
def command(recipe: str | None, overwrite: bool, resume: bool, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train the body of a network without labels: from two views of an image, or by a pretext task.

    The labels of a pretext task move with the image, and so do the logits of its head. `symdata train --init` begins
    with the body; `symdata measure --probe linear` says what its features are good for.

    \b
      symdata pretrain mnist-so2 --model p4cnn_28
      symdata pretrain mnist-so2 --model p4cnn_28 --objective contrastive:over=mean --symmetry so2
      symdata pretrain mnist-so2 --model p4cnn_28 --objective erased-quadrant --out body
      symdata train mnist-so2 --model p4cnn_28 --init body --limit 300
    """
    from tqdm import tqdm

    from zoo.pretraining import prepare_pretraining, pretrain
    from zoo.training import read_recipe
    from zoo.training.loop import is_done

    given = {name: value for name, value in options.items() if value is not None}
    found = (read_recipe(recipe, given.get("model")) if recipe is not None else {}) | given
    if resume and recipe is None and "out" in given and not {"data", "model"} <= given.keys():
        found = recorded_fields(given, command="pretrain")
    for name, mend in (("data", "symdata pretrain DATA"), ("model", "--model p4cnn_28")):
        if found.get(name) is None:
            raise click.UsageError(f"what to train{' on' if name == 'data' else ''} is missing: {mend}")
    config = PretrainConfig.from_dict(found)
    assert isinstance(config, PretrainConfig)
    plan = prepare_pretraining(config)
    click.echo(plan, err=as_json)
    if dry_run:
        is_done(plan, resume=resume, overwrite=overwrite)
        print_json(plan.to_dict()) if as_json else click.echo(f"would be written to {plan.folder}")
        return
    with resumable(plan.images, plan.name) as bar:

        def report(line: dict[str, Any]) -> None:
            with tqdm.external_write_mode():
                click.echo(epoch_line(line, config), err=True)

        result = pretrain(plan, resume=resume, overwrite=overwrite, progress=bar.update, report=report)
    show(result, as_json)
