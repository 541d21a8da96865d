"""What a command is asked to look at: the options that name a model and a group, and the way from them to a model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import nn

    from symdata.groups import Group
    from zoo.preprocessing import Preprocessing
    from zoo.references.opening import Opened


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


MODEL_OPTIONS = (
    click.option("--weights", type=click.Path(path_type=Path, dir_okay=False), help="Your own, as safetensors."),
    click.option("--arch", help="The network of --weights: package.module:callable, or a name of `symdata models`."),
    click.option("--size", type=click.IntRange(1, 4096), help="Side of its input in pixels.  [the model's own]"),
    click.option("--mean", type=NumbersType(), help="Of its input, of values in [0, 1].  [the model's own]"),
    click.option("--std", type=NumbersType(), help="As --mean.  [the model's own]"),
    click.option("--classes", help="Names of its outputs in order, as in cat,dog.  [those of model or data]"),
    click.option("--allow-untrained", is_flag=True, help="Take a network with random weights, too."),
)
"""Of a model that does not say everything itself."""


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options from which `open_given_model` opens a model, but for --device, in this order."""
    for option in reversed(MODEL_OPTIONS):
        command = option(command)
    return command


def open_given_model(model: str | None, given: dict[str, Any]) -> "Opened":
    """The model, after a check that it was trained and that it is known how images become its input."""
    from zoo.devices import on_device
    from zoo.errors import ModelError
    from zoo.references.opening import open_model

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
    from zoo.exactness.tracer import input_channels

    try:
        channels = input_channels(model)
    except ModelError:  # it has no convolution to ask
        return preprocessing
    if (preprocessing.channels, channels) != (1, 3):
        return preprocessing
    return replace(preprocessing, mean=3 * preprocessing.mean, std=3 * preprocessing.std)
