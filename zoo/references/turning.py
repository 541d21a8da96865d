"""`zoo.orbit`: one image under many elements, and what one or several models say about each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from symdata.errors import ShapeError, SymmetryError
from zoo.errors import ModelError
from zoo.inference.image_orbit import ImageOrbit, displayed, shares
from zoo.inference.opened_model import OpenedModel
from zoo.inference.predictions import opened_image
from zoo.inference.sweep import Moves, listed
from zoo.inference.views import turns
from zoo.models.code import Arch
from zoo.preprocessing import GRAY, as_images
from zoo.references.opening import as_opened_with

Turned = OpenedModel | nn.Module | str | Path
"""A reference as for `zoo.open_model`, what that returns, or a module that knows its preprocessing."""


def orbit(
    models: Turned | Sequence[Turned],
    image: Any,
    elements: Moves | int = 36,
    *,
    label: str | None = None,
    fill: str = "background",
    arch: Arch | None = None,
) -> ImageOrbit:
    """Turn one image, and ask every model at every position.

    Args:
        models: one or several: references, what `zoo.open_model` returns, or modules as `zoo.load` returns them. They
            have the same classes.
        image: the path of an image, a picture of Pillow, an array (H, W[, C]) or a tensor ([1,] C, H, W), uint8 or
            floats in [0, 1].
        elements: a number of angles at equal distances, a finite group or its name, or elements.
        label: the true class, if it is known.
        fill: what is seen beyond the border of a turned image: `background` or `zero`.
        arch: the code of those models that are folders of networks of your own, as for `zoo.load`.

    Returns:
        The image and the answers; in a notebook a slider that turns it, `.save("r.gif")`, `.webp` or `.html` a file.

    Raises:
        ModelError: if there is no such model, its preprocessing is not known, or the models have different classes.
        ShapeError, SourceError: for an image that does not fit, or cannot be read, and for more than one.
        SymmetryError: for a group that is not finite, and for no elements.

    Example:
        >>> import torch, zoo
        >>> bar = torch.zeros(1, 28, 28, dtype=torch.uint8)
        >>> bar[:, 4:24, 13:15] = 255
        >>> found = zoo.orbit(["p4cnn_28.mnist-none", "z2cnn_28.mnist-none"], bar, elements="c4", label="1")
        >>> len(set(found.labels["p4cnn_28.mnist-none"])), found.views
        (1, ('0°', '90°', '180°', '270°'))
    """
    several = [models] if isinstance(models, Turned) else list(models)
    opened = [as_opened_with(model, arch) for model in several]
    if not opened:
        raise ModelError("there is no model to ask; give one, as in zoo.orbit('p4cnn_28.mnist-none', image)")
    moves = turns(elements) if isinstance(elements, int) else listed(elements)
    if not moves:
        raise SymmetryError("there are no elements to turn the image by; give a number of angles, such as 36, or 'd4'")
    images = as_images(opened_image(image))
    if len(images) != 1:
        raise ShapeError(f"{len(images)} images came, expected one; turn each by a call of its own")
    found = {
        name: shares(one.model, images, one.require_preprocessing(), moves, fill=fill)[:, 0]
        for name, one in zip(_names(several, opened), opened, strict=True)
    }
    first = opened[0].require_preprocessing()
    classes = _classes(opened, found[next(iter(found))].shape[1])
    if label is not None and label not in classes:
        raise ModelError(f"label is {label!r}, and the classes are {', '.join(classes)}; give one of them, or none")
    gray = images.shape[1] == 1 and any(one.require_preprocessing().channels == 3 for one in opened)
    pictures = displayed(images, first, moves, fill)[:, 0]
    return ImageOrbit(tuple(moves), pictures, classes, found, label, (GRAY,) if gray else ())


def _names(models: Sequence[Turned], opened: Sequence[OpenedModel]) -> list[str]:
    """The names of the models, as they were given; a number is added to one that came before."""
    given = zip(models, opened, strict=True)
    names = [str(model) if isinstance(model, str | Path) else one.name for model, one in given]
    again = [names[: k + 1].count(name) for k, name in enumerate(names)]
    return [name if k == 1 else f"{name} ({k})" for name, k in zip(names, again, strict=True)]


def _classes(opened: Sequence[OpenedModel], width: int) -> tuple[str, ...]:
    """The classes of all models."""
    known = {one.name: tuple(one.classes) for one in opened if one.classes is not None}
    classes = next(iter(known.values()), tuple(map(str, range(width))))
    for name, own in known.items():
        if own != classes:
            raise ModelError(
                f"{name!r} has the classes {', '.join(own)}, and {next(iter(known))!r} has {', '.join(classes)}; "
                "compare models of the same classes"
            )
    return classes
