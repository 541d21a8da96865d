"""A trial: the options of the commands that evaluate a model, and the way from a model and images to a report."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import progress_bar
from cli.options.model import GroupType

if TYPE_CHECKING:
    from zoo.evaluation import Report
    from zoo.evaluation.images import ImageSet
    from zoo.references.opening import Opened

CPU_ANGLES = 2000
"""Images of the curve on a CPU: 36 angles of them take as long as the 8 elements of d4 on 9,000."""

TRIAL_OPTIONS = (
    click.option("--data", required=True, help="Dataset folder, or any source: data/mnist, hub:user/name."),
    click.option("--split", default="test", show_default=True, help="Of the data."),
    click.option(
        "--elements", type=GroupType(), default="d4", show_default=True, help="Finite group: an accuracy each."
    ),
    click.option("--angles", type=click.IntRange(0, 360), default=36, show_default=True, help="Of the curve; 0: none."),
    click.option(
        "--fill",
        type=click.Choice(["background", "zero"]),
        default="background",
        show_default=True,
        help="Outside of a turned image: its border pixels, or 0 after normalisation as in published curves.",
    ),
    click.option("--limit", type=click.IntRange(1), help="Use so many images, spread over the split.  [all]"),
    click.option("--angle-limit", type=click.IntRange(1), help=f"So many for the curve.  [{CPU_ANGLES} on a CPU]"),
    click.option("--batch-size", type=click.IntRange(1), help="Images per forward.  [what fits the cache]"),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps."),
)
"""What is looked at, and how closely."""


def trial_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `run_evaluation` reads, in this order."""
    for option in reversed(TRIAL_OPTIONS):
        command = option(command)
    return command


def open_images(opened: "Opened", data: str, given: dict[str, Any]) -> "ImageSet":
    """The images that a model is tried on, after a check that their classes are its own."""
    from zoo.evaluation.images import check_classes, open_trial

    assert opened.preprocessing is not None  # `open_subject` refuses a model without
    trial = open_trial(data, given["split"], opened.preprocessing, given["limit"])
    check_classes(opened.classes, trial.classes)
    return trial


def run_evaluation(opened: "Opened", trial: "ImageSet", given: dict[str, Any]) -> "Report":
    """What the model does on them."""
    from zoo.evaluation.images import POSED
    from zoo.evaluation.run import evaluate, forwards
    from zoo.evaluation.training_support import TrainingSupport
    from zoo.references.opening import foreign

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
            seen=None if trial.posed else TrainingSupport.from_config(opened.config),
            drawn=trial.drawn,
            split=trial.split,
            manifest_sha256=trial.manifest_sha256,
            batch_size=given["batch_size"],
            progress=bar.update,
        )
