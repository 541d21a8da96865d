"""The generators of affine motions of the plane: one table, with one name and one unit for each.

A generator is a velocity field V that is affine in the position. Its flow exp(t V) is a one-parameter group of motions:
Lie derivatives follow it for an instant (`zoo.measure`), learned augmentations draw t from a range (`AffineRange`).

Convention:
    A position (x, y) is in pixels from the centre ((W - 1)/2, (H - 1)/2) of the image, y down. An image moved for a
    time t shows at p what was at exp(-t V) p.

    name              velocity of (x, y)   effect                                                     unit of t
    rotation          (y, -x)              turns counter-clockwise as displayed                       radian
    translate_x       (1, 0)               shifts to the right                                        pixel
    translate_y       (0, 1)               shifts down                                                pixel
    scale             (x, y)               enlarges by exp(t)                                         log-scale
    stretch           (x, -y)              widens by exp(t), flattens by exp(-t)                      log-scale
    diagonal_stretch  (y, x)               the same, along the diagonals                              log-scale
    shear             (-y, 0)              moves the upper half to the right, the lower to the left   shear factor

    A mirror has no generator: it cannot be reached continuously from the identity.
"""

import math
from dataclasses import dataclass

FACTOR = "log of a factor"
"""Unit of the half-widths of scale and stretches."""


@dataclass(frozen=True)
class Generator:
    """A velocity field that is affine in the position.

    Example:
        >>> GENERATORS["translate_x"].unit, GENERATORS["translate_x"].per_half_image((20, 28))
        ('pixel', 14.0)
    """

    name: str
    unit: str
    """Of t."""
    velocity: tuple[tuple[float, float, float], tuple[float, float, float]]
    """V: (x, y, 1), pixels from the centre, to the velocity of x and y, in pixels per unit of t."""
    half_image: tuple[int, int] = (0, 0)
    """Powers of (H/2, W/2) in t, where the sides of the image are 2: t = half an image is one for a translation."""
    largest: float | None = None
    """Largest half-width of a learned range, in t; of a translation in half sides of the image. None: not learned."""
    shown_unit: str = FACTOR
    """Unit in which the half-width of a learned range is reported."""
    shown_per_t: float = 1.0
    """How many of that unit are t = 1."""

    @property
    def is_translation(self) -> bool:
        """Whether it moves every pixel alike."""
        return not any(value for row in self.velocity for value in row[:2])

    def per_half_image(self, size: tuple[int, int]) -> float:
        """What t = 1 is in its own unit, once coordinates go from -1 to 1 over an image of `size` (H, W)."""
        h, w = self.half_image
        return float((size[0] / 2) ** h * (size[1] / 2) ** w)

    def fastest(self, size: tuple[int, int]) -> float:
        """The largest velocity in an image of `size` (H, W), in pixels per unit of t."""
        x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
        corners = ((x, y), (x, -y))
        return max(math.hypot(*(a * u + b * v + c for a, b, c in self.velocity)) for u, v in corners)


GENERATORS = {
    generator.name: generator
    for generator in (
        Generator("rotation", "radian", ((0, 1, 0), (-1, 0, 0)), (0, 0), math.pi, "degrees", 180 / math.pi),
        Generator("translate_x", "pixel", ((0, 0, 1), (0, 0, 0)), (0, 1), 0.5, "pixels"),
        Generator("translate_y", "pixel", ((0, 0, 0), (0, 0, 1)), (1, 0), 0.5, "pixels"),
        Generator("scale", "log-scale", ((1, 0, 0), (0, 1, 0)), largest=1.0),
        Generator("stretch", "log-scale", ((1, 0, 0), (0, -1, 0)), largest=1.0),
        Generator("diagonal_stretch", "log-scale", ((0, 1, 0), (1, 0, 0)), largest=1.0),
        Generator("shear", "shear factor", ((0, -1, 0), (0, 0, 0)), (-1, 1)),
    )
}

MOTIONS = ("rotation", "translate_x", "translate_y", "scale", "shear")
"""Those that are measured unless others are named."""

LEARNABLE = {name: generator for name, generator in GENERATORS.items() if generator.largest is not None}
"""Those whose range can be learned."""


def half_width_unit(name: str) -> str:
    """The unit in which the half-width of a generator is reported."""
    known = LEARNABLE.get(current_name(name, learned=True))
    return FACTOR if known is None else known.shown_unit


def current_name(name: str, *, learned: bool = False) -> str:
    """The name in the table for one as it was spelled earlier, in a file or by a user; unknown names stay as they are.

    `translate-x` is now `translate_x`. `shear` named two maps: among learned ranges it was the diagonal stretch, which
    it still is there, since the range of a shear is not learned.

    Example:
        >>> current_name("translate-x"), current_name("shear"), current_name("shear", learned=True)
        ('translate_x', 'shear', 'diagonal_stretch')
    """
    return "diagonal_stretch" if learned and name == "shear" else name.replace("-", "_")
