"""Default widths of networks on lattice groups, chosen so that the groups are comparable."""

import math
from collections.abc import Callable, Mapping

from zoo.layers.regular import order
from zoo.models.names import ModelName

PublishedWidths = Mapping[tuple[str, int], int]
"""(variant, |G|) -> fields."""


def comparable(
    base: int | tuple[int, ...], published: PublishedWidths | None = None
) -> Callable[[ModelName], int | tuple[int, ...]]:
    """As many fields as keep the weights of a pair of 3x3 layers at those of the z2 network.

    A convolution has 9 |G| weights per pair of fields, 9 + |G| if g-separable and |G| if gc-separable (the k k of its
    one filter per output field aside), so fields scale with one over the root of that.

    Args:
        base: fields of the z2 network.
        published: fields where the authors chose another number.
    """

    def width(name: ModelName) -> int | tuple[int, ...]:
        size = order(name.group)
        if published and (name.variant, size) in published:
            return published[name.variant, size]
        scale = 3 / math.sqrt({"": 9 * size, "g": 9 + size, "gc": size}[name.variant])
        return round(base * scale) if isinstance(base, int) else tuple(round(w * scale) for w in base)

    return width
