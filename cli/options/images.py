"""The options of the commands that evaluate a model on images, and the evaluation itself."""

from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import add_options, progress_bar
from cli.options.model import GROUP

if TYPE_CHECKING:
    from zoo.evaluation import ImageSet, Report
    from zoo.inference.opened_model import OpenedModel

CPU_ANGLES = 2000
"""Images of the curve on a CPU: at 36 angles they take as long as 9,000 images under the 8 elements of d4."""

LOGITS = "give a network that takes images (B, C, H, W) and returns logits (B, classes)"
"""What to do if a network fails on images."""

SKIP_BAD = click.option(
    "--skip-bad",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Leave out up to so many images of a source that cannot be used.",
)

IMAGE_OPTIONS = (
    click.option("--data", required=True, help="Dataset folder, or any source: data/mnist, hub:user/name."),
    click.option("--split", default="test", show_default=True, help="Of the data."),
    click.option("--elements", type=GROUP, default="d4", show_default=True, help="Finite group: an accuracy each."),
    click.option("--angles", type=click.IntRange(0, 360), default=36, show_default=True, help="Of the curve; 0: none."),
    click.option(
        "--fill",
        type=click.Choice(["background", "zero"]),
        default="background",
        show_default=True,
        help="Outside of a turned image: its border pixels, or 0 after normalisation as in published curves.",
    ),
    click.option("--limit", type=click.IntRange(1), help="Use so many images, spread over the split.  [all]"),
    SKIP_BAD,
    click.option("--angle-limit", type=click.IntRange(1), help=f"So many for the curve.  [{CPU_ANGLES} on a CPU]"),
    click.option("--batch-size", type=click.IntRange(1), help="Images per forward.  [what fits the cache]"),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps."),
)
"""Which images, and how they are moved."""


image_options = add_options(IMAGE_OPTIONS)
"""Adds the options that `open_images` and `evaluate_given` read."""


def open_images(opened: "OpenedModel", data: str, given: dict[str, Any]) -> "ImageSet":
    """Open the images for a model, after a check that their classes are its own."""
    from zoo.evaluation.images import check_classes
    from zoo.references.evaluating import images_for

    found = images_for(opened, data, **{name: given[name] for name in ("split", "limit", "skip_bad")})
    check_classes(opened.classes, found.classes)
    return found


def evaluate_given(opened: "OpenedModel", images: "ImageSet", given: dict[str, Any]) -> "Report":
    """Evaluate the model on the images with the options of the command and a progress bar."""
    from zoo import evaluate
    from zoo.evaluation.run import forwards
    from zoo.references.opening import foreign

    fields = evaluation_words(given)
    total = forwards(len(images), *(fields[name] for name in ("elements", "angles", "angle_limit")))
    with progress_bar(total, opened.name) as bar, foreign(f"{opened.name!r} cannot be evaluated", LOGITS):
        return evaluate(opened, images, progress=bar.update, **fields)


def evaluation_words(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `zoo.evaluate` in the options of a command."""
    fields = {name: given[name] for name in ("elements", "angles", "fill", "batch_size")}
    return fields | {"angle_limit": given["angle_limit"] or (CPU_ANGLES if given["device"] == "cpu" else None)}
