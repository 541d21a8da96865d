"""The options that name a model and a group, and opening the model that they name."""

from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import FILE, Parsed, add_options
from cli.options.fields import TYPES
from symdata.errors import SymmetryError

if TYPE_CHECKING:
    from symdata.groups import Group
    from zoo.inference.opened_model import OpenedModel


def _finite_group(text: str) -> "Group":
    from symdata.groups import Group

    group = Group.parse(text)
    if not group.is_finite:
        finer = "d8" if group.flips else "c8"
        raise SymmetryError(f"{text!r} has infinitely many elements; expected a finite group such as {finer}")
    return group


GROUP = Parsed("group", _finite_group)

MODEL_OPTIONS = (
    click.option("--weights", type=FILE, help="Your own, as safetensors, or their .safetensors.index.json."),
    click.option(
        "--arch",
        help="The network of --weights: package.module:callable, or a name of `symdata models`; or the code of MODEL, "
        "if that is the folder of a network of your own.",
    ),
    click.option("--size", type=click.IntRange(1, 4096), help="Side of its input in pixels.  [the model's own]"),
    click.option("--mean", type=TYPES["reals"], help="Of its input, of values in [0, 1].  [the model's own]"),
    click.option("--std", type=TYPES["reals"], help="As --mean.  [the model's own]"),
    click.option("--classes", help="Names of its outputs in order, as in cat,dog.  [those of model or data]"),
    click.option("--allow-untrained", is_flag=True, help="Take a network with random weights, too."),
)
"""What a model may not say about itself."""


code_option = click.option("--arch", help="The code of a network of your own: package.module:callable.")
"""For commands that take a model folder and no weights."""

model_options = add_options(MODEL_OPTIONS)
"""Adds the options that `open_given_model` reads, but for --device."""


def open_given_model(model: str | None, given: dict[str, Any]) -> "OpenedModel":
    """Open the model on the device of the command, after a check that it is trained and its preprocessing is known."""
    from zoo.devices import check_device, on_device
    from zoo.errors import ModelError
    from zoo.references.opening import open_model

    check_device(given["device"])
    classes = tuple(given["classes"].split(",")) if given["classes"] else None
    fields = {name: given[name] for name in ("weights", "arch", "size", "mean", "std")}
    opened = open_model(model, classes=classes, **fields)
    if not opened.trained and ":" not in opened.name and not given["allow_untrained"]:
        raise ModelError(
            f"{opened.name!r} has random weights; train it with `symdata train`, name a trained model, "
            "or say --allow-untrained"
        )
    opened.require_preprocessing()
    on_device(opened.model, given["device"])
    return opened
