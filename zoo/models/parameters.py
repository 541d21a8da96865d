"""How many parameters a network has, by arithmetic: known before anything is allocated."""

from itertools import pairwise

from zoo.layers.regular import order
from zoo.models.cnn import LAST_KERNEL, LAYERS
from zoo.models.designs import ARCHITECTURES
from zoo.models.names import RESNETS, ModelName


def count(name: ModelName, widths: tuple[int, ...], channels: int, classes: int, coset_pool: bool) -> int:
    """Parameters of the network of that name with these fields per stage."""
    inputs = widths[-1] * (1 if coset_pool else order(name.group))
    head = (inputs + 1) * classes
    if name.architecture in RESNETS:
        return _resnet(name, widths, channels) + head
    lifting = (9 * channels + 1) * widths[0]
    return lifting + head + (0 if name.architecture == "knight" else _behind_lifting(name, widths[0]))


def _convolution(name: ModelName, before: int, after: int, kernel: int = 3) -> int:
    """Of a hidden convolution without bias: what the variant factors out is shared by the input orientations."""
    size, area = order(name.group), kernel * kernel
    if name.variant == "g":
        return after * before * (area + size)
    if name.variant == "gc":
        return after * (before * size + area)
    return after * before * size * area


def _behind_lifting(name: ModelName, width: int) -> int:
    """Of a CNN: all layers but the first convolution, with their biases, and all norms."""
    hidden = (LAYERS - 2) * _convolution(name, width, width) + _convolution(name, width, width, LAST_KERNEL)
    return hidden + (LAYERS - 1) * width + LAYERS * 2 * width


def _resnet(name: ModelName, widths: tuple[int, ...], channels: int) -> int:
    total = 9 * channels * widths[0] + 2 * widths[-1]
    for before, width in zip((widths[0], *widths), widths, strict=False):
        plain = 4 * width + 2 * _convolution(name, width, width)
        first = 2 * before + 2 * width + _convolution(name, before, width) + _convolution(name, width, width)
        total += first + (ARCHITECTURES[name.architecture].blocks - 1) * plain
    shortcuts = pairwise(widths)  # strided 1x1 convolutions that are full in every variant
    return total + sum(order(name.group) * a * b + 2 * b for a, b in shortcuts)
