"""`zoo.predict`: what any model says about a few images."""

from pathlib import Path
from typing import Any

from torch import nn

from zoo.inference.opened_model import OpenedModel
from zoo.inference.predictions import Predictions, classify_images
from zoo.models.code import Arch
from zoo.references.opening import as_opened


def predict(model: OpenedModel | nn.Module | str | Path, images: Any, *, arch: Arch | None = None) -> Predictions:
    """Classify one image or several: labels with names, and probabilities.

    What `zoo.load` returns has this as its method `predict`, also a network of your own.

    Args:
        model: a reference as for `zoo.open_model`, what that returns, or a module with the attribute `preprocessing`.
        images: the path of an image, a picture of Pillow, an array (H, W[, C]) or a tensor ([B,] C, H, W), uint8 or
            floats in [0, 1]; or a list of any of them, which may differ in size. They are resized and normalised as
            the model says.
        arch: the code of a network of your own, if `model` is its folder, as for `zoo.load`.

    Raises:
        ModelError: if there is no such model, its preprocessing is not known, or its outputs are not finite logits.
        ShapeError, SourceError: for images that do not fit, or cannot be read.

    Example:
        >>> import torch, zoo
        >>> found = zoo.predict("p4cnn_28.mnist-none", torch.zeros(2, 28, 28, 1, dtype=torch.uint8).numpy()[0])
        >>> len(found.labels), found.probabilities.shape
        (1, torch.Size([1, 10]))
    """
    return classify_images(as_opened(model, arch), images)
