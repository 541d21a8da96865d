"""`symdata train`: a network of the zoo, a dataset folder: a model folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import SYMMETRY, json_option, print_json, progress_bar

if TYPE_CHECKING:
    from zoo.training import TrainConfig, TrainingPlan


class Numbers(click.ParamType[list[float]]):
    """`0.5`, or `0.49,0.48,0.45` for three channels."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        try:
            return value if isinstance(value, list) else [float(word) for word in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not one number per channel; write 0.5, or 0.49,0.48,0.45", param, ctx)


class Widths(click.ParamType[int | list[int]]):
    """`10`, or `16,32,64` for the stages of a ResNet."""

    name = "width"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | list[int]:
        try:
            words = [int(word) for word in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a width; write 10, or 16,32,64 for every stage", param, ctx)
        return words[0] if len(words) == 1 else words


@click.command("train")
@click.argument("data", required=False)
@click.option("--model", help="Name in the zoo, with the input size: p4cnn_28. `symdata models` lists them.")
@click.option(
    "--config", "recipe", type=click.Path(exists=True, dir_okay=False), help="YAML; options here override it."
)
@click.option("--out", type=click.Path(), help="The model folder.  [named after model and dataset, here]")
@click.option("--epochs", type=int, help="Passes over the training images.  [10]")
@click.option("--batch-size", type=int, help="Images per step, all processes together.  [64]")
@click.option("--optimizer", type=click.Choice(["adam", "adamw", "sgd"]), help="[adam]")
@click.option("--lr", type=float, help="Learning rate, the highest of the schedule.  [0.01]")
@click.option("--weight-decay", type=float, help="[1e-5]")
@click.option("--momentum", type=float, help="Of sgd.  [0.9]")
@click.option("--schedule", type=click.Choice(["onecycle", "step", "cosine", "constant"]), help="[onecycle]")
@click.option("--step-epochs", type=int, help="With --schedule step: epochs between two steps.  [10]")
@click.option("--gamma", type=float, help="With --schedule step: factor of each.  [0.5]")
@click.option("--symmetry", type=SYMMETRY, help="Augmentation: d4, so2@-45..45, 0-4:d4,rest:none ...  [none]")
@click.option("--augment-per", type=click.Choice(["image", "batch"]), help="One element for each.  [image]")
@click.option("--fill", type=click.Choice(["background", "zero"]), help="Outside of a turned image.  [background]")
@click.option(
    "--resample",
    type=click.Choice(["auto", "exact", "spline", "bilinear", "bicubic", "nearest"]),
    help="Of the augmentation.  [auto: exact if possible, else spline]",
)
@click.option("--channels", type=int, help="Of the model, 1 or 3.  [those of the dataset]")
@click.option("--width", type=Widths(), help="Fields of the first layer, or of every stage.  [as published]")
@click.option("--coset-pool/--no-coset-pool", default=None, help="Pool over the group before the classifier.  [yes]")
@click.option("--dropout", type=float, help="[0]")
@click.option(
    "--downsample",
    type=click.Choice(["stride", "max", "avg", "blur", "aps", "equivariant"]),
    help="What halves feature maps.  [as published]",
)
@click.option(
    "--relax",
    type=click.Choice(["none", "likelihood", "residual", "banks", "bias", "partial"]),
    help="Let the convolutions learn how far they keep their group.  [none]",
)
@click.option("--average", help="Learn how far predictions are averaged over rotation,translate_x,...  [no average]")
@click.option("--copies", type=int, help="Of --average, in evaluation.  [4]")
@click.option("--path", help="Of a pathcnn: conv, dense, factored, residual, residual-factored.  [conv]")
@click.option(
    "--objective", help="Besides cross-entropy: augerino:reg=0.05, ...  [auto: that of --average, else of --relax]"
)
@click.option("--mean", type=Numbers(), help="Of values in [0, 1], per channel.  [measured]")
@click.option("--std", type=Numbers(), help="As --mean.")
@click.option("--resize", type=click.Choice(["bilinear", "area", "bicubic", "pad"]), help="[bilinear]")
@click.option("--seed", type=int, help="The same seed gives the same weights.  [0]")
@click.option("--limit", type=int, help="Use only so many images of the train split.  [all]")
@click.option("--validation", type=float, help="Share held out, if there is no validation split.  [0.1]")
@click.option("--keep", type=click.Choice(["last", "best"]), help="Last epoch, or best on validation.  [last]")
@click.option("--label-smoothing", type=float, help="[0]")
@click.option("--precision", type=click.Choice(["no", "bf16", "fp16"]), help="Mixed precision.  [no]")
@click.option("--channels-last/--no-channels-last", default=None, help="Memory format of images.  [no]")
@click.option("--device", help="auto, cpu, cuda, cuda:1, mps.  [auto]")
@click.option("--checkpoint-every", type=int, help="Epochs between states to resume from.  [1]")
@click.option("--log-every", type=int, help="Steps between lines of metrics.jsonl.  [50]")
@click.option("--tracker", type=click.Choice(["tensorboard", "trackio"]), help="Besides metrics.jsonl.")
@click.option("--overwrite", is_flag=True, help="Replace a model that stands there.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped; --out is enough.")
@click.option(
    "--dry-run", is_flag=True, help="Check data, network and --out, and say what would be done; write nothing."
)
@json_option
def command(recipe: str | None, overwrite: bool, resume: bool, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train a network on a dataset folder.

    Says before training whether the network is exactly equivariant at its size. Never opens the test split. Several
    processes share a run with `torchrun --nproc_per_node 2 -m symdata train ...`.

    \b
      symdata train mnist-none --model p4cnn_28
      symdata train mnist-none --model p4cnn_27 --symmetry so2@45~20 --augment-per batch --epochs 50
      symdata train mnist-none --config p4cnn_28.mnist-none/recipe.yaml --seed 1
      symdata train --resume --out p4cnn_28.mnist-none
    """
    from zoo.training import TrainConfig, prepare, read_recipe
    from zoo.training.run_folder import check_folder

    given = {name: value for name, value in options.items() if value is not None}
    fields = (read_recipe(recipe) if recipe is not None else {}) | given
    if resume and recipe is None and "out" in given and not {"data", "model"} <= given.keys():
        fields = _recorded(given)
    for name, mend in (("data", "symdata train DATA"), ("model", "--model p4cnn_28")):
        if fields.get(name) is None:
            more = ", or --out FOLDER of the run to go on with" if resume and "out" not in given else ""
            raise click.UsageError(f"what to train{' on' if name == 'data' else ''} is missing: {mend}{more}")
    plan = prepare(TrainConfig.from_dict(fields))
    speaks = os.environ.get("RANK", "0") == "0"  # torchrun starts this command several times
    if speaks:
        click.echo(_head(plan), err=as_json)
    if dry_run:
        check_folder(plan.folder, resume=resume, overwrite=overwrite)
        if speaks:
            print_json(_plan_fields(plan)) if as_json else click.echo(f"would be written to {plan.folder}")
        return
    folder = _train(plan, resume, overwrite, speaks)
    if speaks:
        _say_result(folder, plan, as_json)


def _recorded(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of the run in --out, with what was given in their place."""
    from zoo.errors import ModelError
    from zoo.training.run_folder import recorded

    out = given["out"]
    fields: dict[str, Any] = recorded(Path(out)) | given
    data = fields.get("data")
    if "data" not in given and isinstance(data, str) and not Path(data).exists():
        mend = f"symdata train DATA --resume --out {out}"
        raise ModelError(f"the run in {out!r} was on the dataset {data!r}, which is not there; say where it is: {mend}")
    return fields


def _train(plan: "TrainingPlan", resume: bool, overwrite: bool, speaks: bool) -> Path:
    """The run itself, with a bar on a terminal and a line per epoch on stderr."""
    from tqdm import tqdm

    from zoo.training import train

    def report(line: dict[str, Any]) -> None:
        if speaks:
            with tqdm.external_write_mode():
                click.echo(_epoch(line, plan.config), err=True)

    with progress_bar(plan.images if speaks else 0, plan.name) as bar:
        try:
            return train(
                plan, resume=resume, overwrite=overwrite, progress=bar.update if speaks else _ignore, report=report
            )
        except KeyboardInterrupt:
            click.echo("\nstopped; the same command with --resume goes on from here", err=True)
            raise


def _ignore(images: int) -> None:
    """No bar."""


def _head(plan: "TrainingPlan") -> str:
    """What is about to happen, and the verdict of the audit, before the first step."""
    train, held = plan.data.train, plan.data.validation
    c, h, w = train.dataset.shape
    images = f"{len(train):,} images {h}x{w}x{c}" + (f", {len(held):,} held out" if held is not None else "")
    free = "; its convolutions may leave the group as they learn" if plan.config.relax != "none" else ""
    return f"{plan.name}: {plan.parameters:,} parameters, {images}\n{plan.audit.verdict}{free}"


def _epoch(line: dict[str, Any], config: "TrainConfig") -> str:
    held = f"  validation {line['validation_accuracy']:.2%}" if "validation_accuracy" in line else ""
    return (
        f"epoch {line['epoch']}/{config.epochs}  loss {line['loss']:.4f}  accuracy {line['accuracy']:.2%}{held}  "
        f"lr {line['lr']:.3g}  {line['seconds']:.1f} s"
    )


def _say_result(folder: Path, plan: "TrainingPlan", as_json: bool) -> None:
    from zoo.checkpoint.manifest import read_config

    config = read_config(folder)
    if as_json:
        print_json({"folder": str(folder), "config": config})
        return
    rows = [("model", str(folder)), ("parameters", f"{plan.parameters:,}")]
    if "validation_accuracy" in config["training"]:
        rows.append(("validation", f"{config['training']['validation_accuracy']:.2%}"))
    rows += [("equivariant", config["exactness"]["verdict"])]
    rows += [("next", f"symdata evaluate {folder} --data {plan.config.data}")]
    click.echo("\n".join(f"{key:<11}  {value}" for key, value in rows))


def _plan_fields(plan: "TrainingPlan") -> dict[str, Any]:
    return {
        "folder": str(plan.folder),
        "name": plan.name,
        "parameters": plan.parameters,
        "images": len(plan.data.train),
        "held_out": 0 if plan.data.validation is None else len(plan.data.validation),
        "steps": plan.steps_per_epoch * plan.config.epochs,
        "preprocessing": plan.preprocessing.to_dict(),
        "exactness": plan.audit.verdict,
        "config": plan.config.to_dict(),
    }
