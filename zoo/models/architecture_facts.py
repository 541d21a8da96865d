"""What the literature fixes about each architecture on lattice groups, and the widths that make groups comparable."""

import math
from dataclasses import dataclass

from zoo.layers.regular import order
from zoo.models.names import ModelName


@dataclass(frozen=True)
class Architecture:
    """What the literature fixes about one architecture."""

    width: int | tuple[int, ...]
    """Fields of the z2 network, of the first stage (later ones double) or of every stage; other groups scale it."""
    num_classes: int = 10
    in_chans: int = 3
    stages: int = 1
    blocks: int = 0
    pools: int = 0
    """2x2 max pools."""
    padding: int = 1
    sizes: tuple[int, ...] = (28,)
    """Input sizes in pixels at which it is used, an exact one first."""

    @property
    def period(self) -> int:
        """Exact sizes repeat with this period: every subsampling halves."""
        return 1 << (self.pools or max(self.stages - 1, 1))

    def phi(self, size: int) -> int:
        """Misalignment in input pixels: size mod 2^n for n pools, (size - 1) mod 2^n for n strides; 0 is exact."""
        return (size if self.pools else size - 1) % self.period


ARCHITECTURES = {
    "cnn": Architecture(20, pools=1, sizes=(28, 27, 29)),
    "cnn2": Architecture(20, pools=2, sizes=(28, 27, 29)),
    "cwcnn": Architecture(20, in_chans=1, pools=1, padding=0, sizes=(28, 29)),
    "resnet44": Architecture(32, stages=3, blocks=7, sizes=(33, 32)),
    "resnet18": Architecture(64, stages=4, blocks=2, sizes=(225, 224)),
    "pcamresnet44": Architecture((8, 14, 28), num_classes=2, stages=3, blocks=7, sizes=(97, 96)),
    "knight": Architecture(1, num_classes=2, in_chans=1, sizes=(33, 32)),
}

PUBLISHED_WIDTHS = {
    ("", 8, "resnet44"): 12,
    ("gc", 4, "resnet44"): 47,
    ("gc", 8, "resnet44"): 35,
    ("gc", 4, "resnet18"): 90,
    ("gc", 8, "resnet18"): 64,
}
"""(variant, |G|, architecture) -> fields, where the authors chose another number than the rule of `default_width`."""


def default_width(name: ModelName) -> int | tuple[int, ...]:
    """As published, or as many fields as keep the weights of a pair of 3x3 layers at those of the z2 network.

    A convolution has 9 |G| weights per pair of fields, 9 + |G| if g-separable and |G| if gc-separable (the k k of its
    one filter per output field aside), so fields scale with one over the root of that.
    """
    size, base = order(name.group), ARCHITECTURES[name.architecture].width
    if name.architecture == "knight":
        return base
    if published := PUBLISHED_WIDTHS.get((name.variant, size, name.architecture)):
        return published
    scale = 3 / math.sqrt({"": 9 * size, "g": 9 + size, "gc": size}[name.variant])
    return round(base * scale) if isinstance(base, int) else tuple(round(w * scale) for w in base)
