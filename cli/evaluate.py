"""`symdata evaluate`: what a model does on images, upright and moved."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.evaluation_text import MAX_ROWS, text
from cli.options import json_option, print_json, progress_bar

if TYPE_CHECKING:
    from torch import nn

    from symdata.groups import Group
    from zoo.evaluation import Report
    from zoo.evaluation.images import Trial
    from zoo.preprocessing import Preprocessing
    from zoo.reference import Opened

CPU_ANGLES = 2000
"""Images of the curve on a CPU: 36 angles of them take as long as the 8 elements of d4 on 9,000."""


class NumbersType(click.ParamType[tuple[float, ...]]):
    """`0.13`, or a number for each channel: `0.48,0.45,0.40`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no number; expected one, or one per channel, as in 0.48,0.45,0.40.", param, ctx)


class GroupType(click.ParamType["Group"]):
    """A finite group by name."""

    name = "group"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Group":
        from symdata.errors import SymmetryError
        from symdata.groups import Group

        try:
            group = Group.parse(value)
        except SymmetryError as error:
            self.fail(f"{error}.", param, ctx)
        if not group.is_finite:
            finer = "d8" if group.flips else "c8"
            self.fail(f"{value!r} has infinitely many elements; expected a finite group such as {finer}.", param, ctx)
        return group


@click.command("evaluate")
@click.argument("model", required=False)
@click.option("--data", required=True, help="Dataset folder, or any source: data/mnist, hub:user/name.")
@click.option("--split", default="test", show_default=True, help="Of the data.")
@click.option("--elements", type=GroupType(), default="d4", show_default=True, help="Finite group: an accuracy each.")
@click.option("--angles", type=click.IntRange(0, 360), default=36, show_default=True, help="Of the curve; 0 for none.")
@click.option(
    "--fill",
    type=click.Choice(["background", "zero"]),
    default="background",
    show_default=True,
    help="Outside of a turned image: its border pixels, or 0 after normalisation as in published curves.",
)
@click.option("--limit", type=click.IntRange(1), help="Use so many images, spread over the split.  [all]")
@click.option("--angle-limit", type=click.IntRange(1), help=f"So many of these for the curve.  [{CPU_ANGLES} on a CPU]")
@click.option("--weights", type=click.Path(path_type=Path, dir_okay=False), help="Your own, as safetensors.")
@click.option("--arch", help="The network of --weights: package.module:callable, or a name of `symdata models`.")
@click.option("--size", type=click.IntRange(1, 4096), help="Side of its input in pixels.  [the model's own]")
@click.option("--mean", type=NumbersType(), help="Of its input, of values in [0, 1].  [the model's own]")
@click.option("--std", type=NumbersType(), help="As --mean.  [the model's own]")
@click.option("--classes", help="Names of its outputs in order, as in cat,dog.  [those of model or data]")
@click.option("--allow-untrained", is_flag=True, help="Evaluate a network with random weights.")
@click.option("--batch-size", type=click.IntRange(1), help="Images per forward.  [what fits the cache]")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Another evaluation.json whose curve is drawn too; may be given several times.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [NAME-evaluation, here]")
@click.option("--save", is_flag=True, help="Put the result into the model folder and on its card, too.")
@json_option
def command(model: str | None, data: str, out: Path | None, save: bool, as_json: bool, **given: Any) -> None:
    """Measure what a model does on images, upright and moved.

    MODEL is a bundled name, a folder, user/repo of the Hub, or package.module:callable for a network of your own, whose
    weights may come from --weights. Writes evaluation.json and polar.png.

    \b
      symdata evaluate p4cnn_28.mnist-none --data data/mnist
      symdata evaluate runs/mine --data mnist-none --elements d8 --save
      symdata evaluate --weights mine.safetensors --arch mynet:build --size 28 --mean 0.13 --std 0.31 --data data/mnist
    """
    from symdata.draw import save as save_picture
    from zoo.evaluation.images import check_classes, open_trial

    _check_places(model, data, out, save, given["weights"])
    others = [_other(path) for path in given["beside"]]
    opened = _opened(model, given)
    assert opened.preprocessing is not None  # `_opened` refuses a model without
    trial = open_trial(data, given["split"], opened.preprocessing, given["limit"])
    check_classes(opened.classes, trial.classes)
    report = _report(opened, trial, given)
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(text(report))
    own = Path(model).resolve().name if model is not None and Path(model, "config.json").is_file() else opened.name
    slug = re.sub(r"[^\w.-]+", "-", own)
    folder = Path(f"{slug}-evaluation") if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    click.echo(f"wrote {folder / 'evaluation.json'}", err=True)
    if report.curve is not None:
        click.echo(f"wrote {save_picture(picture([report, *others]), folder / 'polar.png')}", err=True)
    else:
        (folder / "polar.png").unlink(missing_ok=True)  # of an earlier evaluation, which these numbers are not
    if save:
        from zoo.checkpoint import write_evaluation

        click.echo(f"wrote {write_evaluation(str(model), report.to_dict())}", err=True)


def _check_places(model: str | None, data: str, out: Path | None, save: bool, weights: Path | None) -> None:
    """Before anything is loaded: where the results go must not be in the way of anything."""
    own_folder = model is not None and (Path(model) / "config.json").is_file()
    if save and (not own_folder or weights is not None):
        raise click.UsageError("--save needs a model folder, as `symdata train` writes it; leave it out and use --out.")
    if out is None:
        return
    if own_folder and out.resolve() == Path(str(model)).resolve():
        raise click.UsageError(f"--out {str(out)!r} is the model folder; use --save to put the result there.")
    if (Path(data) / "symdata.json").is_file() and out.resolve().is_relative_to(Path(data).resolve()):
        raise click.UsageError(
            f"--out {str(out)!r} is inside the dataset, whose files are hashed; name a folder beside it."
        )


def _other(path: Path) -> "Report":
    from zoo.errors import ModelError
    from zoo.evaluation import Report

    try:
        return Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ModelError) as error:
        raise click.UsageError(f"--beside {str(path)!r} is no evaluation.json: {error}.") from None


def _opened(model: str | None, given: dict[str, Any]) -> "Opened":
    """The model, after a check that it was trained and that it is known how images become its input."""
    from zoo.errors import ModelError
    from zoo.loading import on_device
    from zoo.reference import open_model

    classes = tuple(given["classes"].split(",")) if given["classes"] else None
    fields = {name: given[name] for name in ("weights", "arch", "size", "mean", "std")}
    opened = open_model(model, classes=classes, **fields)
    if not opened.trained and ":" not in opened.name and not given["allow_untrained"]:
        raise ModelError(
            f"{opened.name!r} has random weights; train it with `symdata train`, name a trained model, "
            "or say --allow-untrained"
        )
    if opened.preprocessing is None:
        size = "" if opened.size is not None else "--size 28 "
        raise ModelError(
            f"{opened.name!r} does not say how images become its input; say {size}--mean 0.5 --std 0.5, "
            "the numbers that it was trained with"
        )
    on_device(opened.model, given["device"])
    return replace(opened, preprocessing=_for_all_channels(opened.model, opened.preprocessing))


def _for_all_channels(model: "nn.Module", preprocessing: "Preprocessing") -> "Preprocessing":
    """One mean and one deviation serve a network of three channels."""
    from zoo.errors import ModelError
    from zoo.tracing import input_channels

    try:
        channels = input_channels(model)
    except ModelError:  # it has no convolution to ask
        return preprocessing
    if (preprocessing.channels, channels) != (1, 3):
        return preprocessing
    return replace(preprocessing, mean=3 * preprocessing.mean, std=3 * preprocessing.std)


def _report(opened: "Opened", trial: "Trial", given: dict[str, Any]) -> "Report":
    from zoo.evaluation.images import POSED
    from zoo.evaluation.run import evaluate, forwards
    from zoo.evaluation.seen import Seen
    from zoo.reference import foreign

    angle_limit = given["angle_limit"] or (CPU_ANGLES if given["device"] == "cpu" else None)
    total = forwards(len(trial.images), given["elements"], given["angles"], None, angle_limit)
    mend = "give a network that takes images (B, C, H, W) and returns logits (B, classes)"
    with progress_bar(total, opened.name) as bar, foreign(f"{opened.name!r} cannot be evaluated", mend):
        return evaluate(
            opened.model,
            trial.images,
            trial.labels,
            opened.preprocessing,  # type: ignore[arg-type]
            name=opened.name,
            data=trial.name,
            note=POSED if trial.posed else "",
            classes=trial.classes,
            elements=given["elements"],
            angles=given["angles"],
            fill=given["fill"],
            angle_limit=angle_limit,
            seen=None if trial.posed else Seen.from_config(opened.config),
            drawn=trial.drawn,
            batch_size=given["batch_size"],
            progress=bar.update,
        )


def picture(reports: "list[Report]") -> Any:
    """The curves of all reports on one dial; of the first, alone, the elements too."""
    from symdata.curves import PolarCurve, accuracy_curves
    from symdata.groups import Group

    first, curves = reports[0], []
    for report in reports:
        elements = Group.parse(report.group).elements
        points = [(e, score.rate.value) for e, score in zip(elements, report.elements, strict=True)]
        if report.curve is not None:
            shown = points if len(reports) == 1 and len(points) <= MAX_ROWS else []
            curves.append(PolarCurve(report.name, report.curve.angles, report.curve.accuracies, shown))
    title = f"{first.name} on {first.data}" if len(reports) == 1 else first.data
    return accuracy_curves(curves, chance=1 / len(first.classes), title=title)
