"""How many parameters a network has, by arithmetic: known before anything is allocated."""

from itertools import pairwise

from zoo.layers.regular import order
from zoo.layers.relaxed.filter_mixtures import BANKS
from zoo.models.architecture_facts import ARCHITECTURES
from zoo.models.cnn import LAST_KERNEL, LAYERS
from zoo.models.names import RESNETS, ModelName


def count(
    name: ModelName, widths: tuple[int, ...], channels: int, classes: int, coset_pool: bool, relax: str = "none"
) -> int:
    """Parameters of the network of that name with these fields per stage."""
    inputs = widths[-1] * (1 if coset_pool else order(name.group))
    head = (inputs + 1) * classes
    if name.architecture in RESNETS:
        return _resnet(name, widths, channels, relax) + head
    lifting = _full(order(name.group), channels, widths[0], 3, relax, lifting=True) + widths[0]
    return lifting + head + (0 if name.architecture == "knight" else _behind_lifting(name, widths[0], relax))


def _full(size: int, before: int, after: int, kernel: int, relax: str, *, lifting: bool = False) -> int:
    """Of a lifting or group convolution over |G| = `size` elements, without bias, and of what relaxes it."""
    area = kernel * kernel
    tied = after * before * area * (1 if lifting else size)
    return {
        "none": tied,
        "likelihood": size * tied + size - 1,
        "residual": tied + size * tied,
        "banks": BANKS * (tied + size),
        "bias": tied + size * area,
        "partial": tied + (0 if lifting else size - 1),
    }[relax]


def _convolution(name: ModelName, before: int, after: int, kernel: int, relax: str) -> int:
    """Of a hidden convolution without bias: what the variant factors out is shared by the input orientations."""
    size, area = order(name.group), kernel * kernel
    if name.variant == "g":
        return after * before * (area + size)
    if name.variant == "gc":
        return after * (before * size + area)
    return _full(size, before, after, kernel, relax)


def _behind_lifting(name: ModelName, width: int, relax: str) -> int:
    """Of a CNN: all layers but the first convolution, with their biases, and all norms."""
    hidden = (LAYERS - 2) * _convolution(name, width, width, 3, relax)
    hidden += _convolution(name, width, width, LAST_KERNEL, relax)
    return hidden + (LAYERS - 1) * width + LAYERS * 2 * width


def _resnet(name: ModelName, widths: tuple[int, ...], channels: int, relax: str) -> int:
    size = order(name.group)
    total = _full(size, channels, widths[0], 3, relax, lifting=True) + 2 * widths[-1]
    for before, width in zip((widths[0], *widths), widths, strict=False):
        second = _convolution(name, width, width, 3, relax)
        first = 2 * before + 2 * width + _convolution(name, before, width, 3, relax) + second
        total += first + (ARCHITECTURES[name.architecture].blocks - 1) * (4 * width + 2 * second)
    shortcuts = pairwise(widths)  # strided 1x1 convolutions that are full in every variant
    return total + sum(_full(size, a, b, 1, relax) + 2 * b for a, b in shortcuts)
