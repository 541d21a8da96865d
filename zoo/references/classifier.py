"""The classifier of any network: the layer that makes logits of features, which other classes need anew."""

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.exactness.tracer import duplicate
from zoo.layers import GroupLinear

LINEAR = (nn.Linear, GroupLinear, nn.modules.conv._ConvNd)
"""Layers that a classifier may be."""


def named_classifier(model: nn.Module) -> str | None:
    """The name of the layer that `model.get_classifier()` returns, as in timm; None if there is no such method.

    Example:
        >>> from zoo.models.registry import create
        >>> named_classifier(create("p4cnn_28"))
        'head'
    """
    getter = getattr(model, "get_classifier", None)
    layer = getter() if callable(getter) else None
    return next((name for name, module in model.named_modules() if module is layer and name), None)


def classifier_name(model: nn.Module, images: Tensor) -> str:
    """The name of the classifier: what `get_classifier` returns, else the layer with weights that runs last.

    Args:
        model: images to logits (B, num_classes); it is copied, and left as it is.
        images: that it is tried with, (B, C, H, W).

    Raises:
        ModelError: if that layer is not linear, or its output is not as many numbers as there are logits.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
        >>> classifier_name(net, torch.zeros(1, 1, 8, 8))
        '3'
    """
    if (named := named_classifier(model)) is not None:
        return named
    twin, ran = duplicate(model), []
    for name, module in twin.named_modules():
        if name and any(True for _ in module.parameters(recurse=False)):
            module.register_forward_hook(lambda layer, _, out, name=name: ran.append((name, layer, out)))
    with torch.no_grad():
        logits = twin(images)
    name, layer, out = ran[-1] if ran else ("", model, logits)
    what = f"{name!r}, a {type(layer).__name__}" if name else f"{type(model).__name__} itself"
    if name and isinstance(layer, LINEAR) and out.numel() == logits.numel():
        return name
    why = "is not linear" if not isinstance(layer, LINEAR) else f"gives {tuple(out.shape)} for {tuple(logits.shape)}"
    raise ModelError(
        f"which layer of {type(model).__name__} is its classifier is not clear: with weights, {what} runs last, and it "
        f"{why if name else 'is no layer of a network'}; name it by a method of your network: "
        "def get_classifier(self): return self.head"
    )
