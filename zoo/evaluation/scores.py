"""Accuracy: under one element, under several, over angles. Experiments are made of these."""

from typing import Any

from torch import nn

from symdata.errors import ShapeError
from symdata.groups import Element
from zoo.inference.sweep import Moves, checked, listed, predictions
from zoo.inference.views import Angles, turns
from zoo.preprocessing import Preprocessing

UPRIGHT = Element()


def accuracy(
    model: nn.Module, images: Any, labels: Any, preprocessing: Preprocessing, element: Element = UPRIGHT, **options: Any
) -> float:
    """The share of images that `model` puts into the right class once `element` has moved them, in [0, 1].

    Convention:
        An element mirrors left-right first, then turns by degrees counter-clockwise as displayed.

    Args:
        model: images (B, C, H, W) to logits (B, classes).
        images: uint8 (n, C, H, W), tensor or array.
        labels: (n,) class indices.
        preprocessing: of the model.
        element: moves the images.
        options: fill, batch_size, device and progress, as for `zoo.inference.sweep.sweep`.

    Raises:
        ModelError: if the model cannot run on these images, or has no output for a label.

    Example:
        >>> import torch
        >>> from symdata import Element
        >>> from zoo import Preprocessing, accuracy
        >>> images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
        >>> images[1, 0, 0, 0] = 255  # the second image has a bright corner, top left
        >>> corner = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2, bias=False))
        >>> corner[1].weight.data = torch.eye(2, 64).flip(0)  # it predicts class 1 where that pixel is bright
        >>> as_it_is = Preprocessing(8, (0.0,), (1.0,))
        >>> [accuracy(corner, images, [0, 1], as_it_is, Element(angle)) for angle in (0, 90)]
        [1.0, 0.5]
    """
    return accuracies(model, images, labels, preprocessing, [element], **options)[0]


def accuracies(
    model: nn.Module, images: Any, labels: Any, preprocessing: Preprocessing, elements: Moves = "d4", **options: Any
) -> list[float]:
    """`accuracy` under each of several elements, or of a finite group, in order; images are prepared once for all.

    Example:
        >>> from symdata import open_source
        >>> from zoo import load
        >>> model, digits = load("p4cnn_28.mnist-none"), open_source("glyphs:digits")
        >>> rows = range(20)
        >>> found = accuracies(model, digits.read("test", rows), digits.labels("test")[:20], model.preprocessing, "c4")
        >>> len(set(found))  # the model is exactly equivariant under c4
        1
    """
    images, labels = checked(images, labels)
    if not (asked := listed(elements)):
        raise ShapeError("there are no elements or angles to evaluate under; name some, for example 'd4'")
    right = predictions(model, images, labels, preprocessing, asked, **options) == labels
    return [int(row.sum()) / len(row) for row in right]


def angle_curve(
    model: nn.Module, images: Any, labels: Any, preprocessing: Preprocessing, angles: Angles = 36, **options: Any
) -> list[float]:
    """Accuracy over angle: `angles` of them at equal distances from 0 on, or the given degrees, counter-clockwise.

    Images are interpolated bilinearly, as for published curves; multiples of 90 degrees permute pixels. `options` are
    those of `accuracy`.

    Example:
        >>> from symdata import open_source
        >>> from zoo import angle_curve, load
        >>> model, digits = load("p4cnn_28.mnist-none"), open_source("glyphs:digits")
        >>> images, labels = digits.read("test", range(20)), digits.labels("test")[:20]
        >>> curve = angle_curve(model, images, labels, model.preprocessing, [0, 45, 90])
        >>> curve[0] == curve[2]
        True
    """
    return accuracies(model, images, labels, preprocessing, turns(angles), **options)
