"""A model with its preprocessing inside, as one module."""

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.inference.opened_model import OpenedModel
from zoo.models.code import Arch
from zoo.preprocessing import as_images
from zoo.references.opening import as_opened


class Pipeline(nn.Module):
    """Images as they are stored to logits: uint8 (B, C, H, W), or floats in [0, 1], to (B, num_classes).

    Args:
        model: a classifier whose preprocessing is known.

    Raises:
        ModelError: if its preprocessing is not known.
        ShapeError: in a forward, for images that do not fit.

    Example:
        >>> import zoo
        >>> digits = zoo.pipeline("p4cnn_28.mnist-none")
        >>> images = torch.zeros(2, 1, 40, 40, dtype=torch.uint8)
        >>> digits(images).shape, digits.classes[:3]
        (torch.Size([2, 10]), ('0', '1', '2'))
    """

    def __init__(self, model: OpenedModel) -> None:
        super().__init__()
        self.preprocessing, self.classes = model.require_preprocessing(), model.classes
        self.name, self.network = model.name, model.model

    def forward(self, images: Tensor) -> Tensor:
        known = self.preprocessing
        if known.after_fit is not known:  # floats too go through the image processor of the model
            images = as_images(images)
        unit = known.unit(images) if images.dtype == torch.uint8 else images
        logits: Tensor = self.network(known.normalise(unit))
        return logits


def pipeline(model: OpenedModel | nn.Module | str | Path, *, arch: Arch | None = None) -> Pipeline:
    """A model with its preprocessing inside, in eval mode.

    Args:
        model: a reference as for `zoo.open_model`, what that returns, or a module with the attribute `preprocessing`,
            as `zoo.load` returns it; its weights are shared, not copied.
        arch: the code of a network of your own, if `model` is its folder, as for `zoo.load`.

    Example:
        >>> import zoo
        >>> zoo.pipeline(zoo.load("p4cnn_28.mnist-none"))(torch.rand(1, 1, 28, 28)).shape
        torch.Size([1, 10])
    """
    return Pipeline(as_opened(model, arch)).eval()
