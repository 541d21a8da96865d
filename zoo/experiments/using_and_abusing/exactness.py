"""Where networks are exact: measured on feature maps in float64, element by element, narrow networks of full depth.

Random logits look invariant when they are not, and dead ReLUs look equivariant when nothing else is. So the last
feature map is compared, and every norm first takes the statistics of a batch, as in a trained network.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.exactness.arithmetic import D4
from zoo.layers import GroupBatchNorm2d
from zoo.layers.regular import act_on_features, move
from zoo.measure.isotropic import isotropise
from zoo.models.registry import create

GENERATORS = (Element(90.0), Element(180.0), Element(0.0, True))
"""Those of them that are in a group generate it, and reverse each axis alone or both."""


class TorchvisionStem(nn.Sequential):
    """The subsampling of torchvision's ResNet18 alone: 7x7 with stride 2, 3x3 max pool with stride 2, three strides."""

    in_chans = 3

    def __init__(self, width: int = 4) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, width, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        for _ in range(3):
            layers += [nn.Conv2d(width, width, 3, 2, 1), nn.BatchNorm2d(width)]
        super().__init__(*layers)


def noise(images: int, channels: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """White noise, float64 (images, channels, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, *size, generator=generator, dtype=torch.float64)


def calibrated(model: nn.Module, size: int) -> nn.Module:
    """The model in float64 and eval mode, its norms set to the statistics of a batch of noise; plain filters are
    averaged over d4, so that only the grid can break equivariance."""
    model = model.double()
    if len(group_of(model).elements) == 1:
        isotropise(model)
    for module in model.modules():
        if isinstance(module, GroupBatchNorm2d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(noise(8, int(model.in_chans), (size, size), seed=1))  # type: ignore[arg-type]
    return model.eval()


def group_of(model: nn.Module) -> Group:
    """The group of its layers; c1 for plain ones."""
    found = getattr(model, "group", None)
    return found if isinstance(found, Group) else Group(1)


def narrow(name: str, size: int) -> nn.Module:
    """The network of that name with one field in its first layer, calibrated."""
    return calibrated(TorchvisionStem() if name == "torchvision" else create(name, width=1, seed=0), size)


def measured_elements(model: nn.Module) -> tuple[Element, ...]:
    """The generators that are in the model's group, or in d4 for a plain model."""
    group = group_of(model)
    return tuple(e for e in GENERATORS if e in (group if len(group.elements) > 1 else D4))


def errors(model: nn.Module, images: Tensor, elements: Sequence[Element]) -> list[float]:
    """|F(g x) - g F(x)| / |F(x)| of the last feature map for every g; 1 if not even its size is the same."""
    features, group = getattr(model, "features", model), group_of(model)
    with torch.no_grad():
        before = features(images)
        return [relative_error(acted(before, e, group), features(move(images, e)), before) for e in elements]


def acted(features: Tensor, e: Element, group: Group) -> Tensor:
    """A feature map moved by `e`; without a group, every channel like an image."""
    return move(features, e) if len(group.elements) == 1 else act_on_features(features, e, group)


def relative_error(expected: Tensor, got: Tensor, before: Tensor) -> float:
    """|expected - got| / |before|; 1 for maps of different sizes."""
    if expected.shape != got.shape:
        return 1.0
    return float((expected - got).norm() / before.norm())
