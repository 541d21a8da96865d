"""What the flows of generators do to the pixels of an image, and their derivatives at t = 0.

Under the flow of a generator for a time t an image shows at p what was at exp(-t V) p, V being the generator's velocity
field: a turn, a shift, a scaling, a shear. See `symdata.transforms.generators` for their table.

Between the pixels an image is an interpolation, and so is the derivative of a flow at t = 0:

    bicubic     the cubic spline through the pixels, as scipy's `order=3`. It is twice differentiable, so derivatives
                from the left, from the right and in the middle agree; a wave of w radians per pixel has the slope
                3 sin w / (2 + cos w), within 1 % of w up to w = 1. The cubic of `torch.nn.functional.grid_sample`
                (Keys 1981, a = -3/4) would give 1.5 sin w: half as much again as the slope of a smooth image.
    bilinear    has a kink at every pixel, which is where t = 0 is: its derivative is one-sided, and not that of
                central differences. It is here to show that, and to compare with measurements of others.

Convention:
    Pixel (column x, row y), y down, from the centre ((W - 1)/2, (H - 1)/2). `rotation` by t = pi/2 is
    `torch.rot90(x, 1, (-2, -1))`: counter-clockwise as displayed. `translate_x` moves what is seen to the right,
    `translate_y` down, `scale` enlarges it by exp(t), `shear` moves the upper half to the right and the lower to the
    left, by t pixels per pixel of height.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from symdata.errors import SymmetryError, one_of
from symdata.transforms.generators import GENERATORS, Generator, current_name

KERNELS = ("bicubic", "bilinear")
PADDINGS = {"reflection": None, "border": "replicate", "zeros": "constant"}
"""What lies outside of an image -> its name in torch. `reflection` mirrors it at its outer edge: c b a | a b c."""

MARGIN = 12
"""Pixels that `border` and `zeros` add on each side: a pixel's weight in the spline falls by 0.27 per pixel."""


def find_generator(generator: Generator | str) -> Generator:
    """The generator of that name, earlier spellings included; `SymmetryError` for others, such as mirrors."""
    if isinstance(generator, Generator):
        return generator
    if (name := current_name(str(generator))) in GENERATORS:
        return GENERATORS[name]
    if any(word in str(generator) for word in ("mirror", "reflect", "flip")):
        raise SymmetryError(
            f"{generator!r} has no generator: a mirror cannot be done by degrees; measure its orbit instead, "
            "as in invariance_error(model, inputs, 'd1')"
        )
    raise SymmetryError(f"{generator!r} is no generator; expected one of {', '.join(GENERATORS)}")


def flow(
    images: Tensor,
    generator: Generator | str,
    t: float,
    *,
    kernel: str = "bicubic",
    padding: str = "reflection",
    pixel: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Images (B, C, H, W) of floats after a time t, in the unit of the generator.

    Args:
        images: floats; a feature map too.
        generator: one of `GENERATORS`, by value or name.
        t: any number, of either sign.
        kernel: `bicubic` or `bilinear`.
        padding: what lies outside: `reflection`, `border` or `zeros`.
        pixel: how many pixels of the input, (high, wide), a pixel of this grid is: it shortens translations.

    Example:
        >>> import math
        >>> x = torch.rand(1, 1, 9, 9, dtype=torch.float64)
        >>> torch.allclose(flow(x, "rotation", math.pi / 2), torch.rot90(x, 1, (-2, -1)))
        True
    """
    widened, margin = _widened(images, kernel, padding)
    b, c, h, w = widened.shape
    where, weight = _taps(find_generator(generator), float(t), tuple(images.shape[-2:]), margin, kernel, pixel)
    coefficients = _inverse(h, kernel).to(images) @ widened @ _inverse(w, kernel).to(images).T
    table = coefficients.reshape(b * c, h * w).T.contiguous()
    # A weighted sum of rows of the table: a tenth of the time of gathering tap by tap
    index, share = where.to(images.device), weight.to(images)
    read: Tensor = F.embedding_bag(index, table, per_sample_weights=share, mode="sum")  # (H W, B C)
    return read.T.reshape(images.shape)


def tangent(
    images: Tensor,
    generator: Generator | str,
    *,
    kernel: str = "bicubic",
    padding: str = "reflection",
    pixel: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """The derivative of `flow` by t at t = 0, (B, C, H, W): minus the velocity times the slope of the image.

    Arguments are those of `flow`. Where the slope jumps, as at every pixel with `bilinear`, it is that towards larger x
    and y.

    Example:
        >>> ramp = torch.arange(16.0).expand(1, 1, 16, 16)  # to the right, every pixel gets what was 1 darker
        >>> round(float(tangent(ramp, "translate_x")[0, 0, 8, 8]), 3)
        -1.0
    """
    widened, margin = _widened(images, kernel, padding)
    h, w = images.shape[-2:]
    inner = slice(margin, margin + h), slice(margin, margin + w)
    slope_x = (widened @ _slope(w + 2 * margin, kernel).to(images).T)[..., inner[0], inner[1]]
    slope_y = (_slope(h + 2 * margin, kernel).to(images) @ widened)[..., inner[0], inner[1]]
    velocity = _velocity(find_generator(generator), (h, w), pixel).to(images)
    return -(velocity[0] * slope_x + velocity[1] * slope_y)


def _positions(size: tuple[int, int]) -> Tensor:
    """(x, y, 1) of every pixel from the centre, (3, H W) float64."""
    y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size)
    return torch.stack([x.repeat(size[0]), y.repeat_interleave(size[1]), torch.ones(size[0] * size[1])])


def _matrix(generator: Generator, pixel: tuple[float, float]) -> Tensor:
    """V as a matrix (2, 3), float64, for a grid whose pixel is so many pixels (high, wide) of the image."""
    to_image = torch.tensor([pixel[1], pixel[0], 1.0], dtype=torch.float64)
    return torch.tensor(generator.velocity, dtype=torch.float64) * to_image / to_image[:2, None]


@lru_cache(maxsize=64)
def _velocity(generator: Generator, size: tuple[int, int], pixel: tuple[float, float]) -> Tensor:
    """Of x and y at every pixel, (2, H, W) float64, in pixels per unit of t."""
    return (_matrix(generator, pixel) @ _positions(size)).view(2, *size)


def _widened(images: Tensor, kernel: str, padding: str) -> tuple[Tensor, int]:
    """Images with a margin where the padding is not reflection, and how wide it is."""
    one_of("kernel", kernel, KERNELS, SymmetryError)
    mode = PADDINGS[one_of("padding", padding, PADDINGS, SymmetryError)]
    return (images, 0) if mode is None else (F.pad(images, (MARGIN,) * 4, mode=mode), MARGIN)


@lru_cache(maxsize=64)
def _taps(
    generator: Generator, t: float, size: tuple[int, int], margin: int, kernel: str, pixel: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """For every pixel after a time t, indices into the widened image and their weights, (H W, taps)."""
    affine = torch.zeros(3, 3, dtype=torch.float64)
    affine[:2] = -t * _matrix(generator, pixel)
    source = torch.linalg.matrix_exp(affine)[:2] @ _positions(size)  # (2, H W), pixels from the centre
    h, w = (n + 2 * margin for n in size)
    column, row = source[0] + (w - 1) / 2, source[1] + (h - 1) / 2
    if margin:  # beyond the margin every pixel is that of its edge
        column, row = column.clamp(0, w - 1), row.clamp(0, h - 1)
    left, top = column.floor(), row.floor()
    across, down = _weights(column - left, kernel), _weights(row - top, kernel)  # (taps, H W)
    tap = torch.arange(len(across))[:, None] + FIRST_TAP[kernel]
    columns, rows = _reflected(left.long() + tap, w), _reflected(top.long() + tap, h)
    where = (rows[:, None] * w + columns).flatten(0, 1)
    weight = (down[:, None] * across).flatten(0, 1)
    return where.T.contiguous(), weight.T.contiguous()


FIRST_TAP = {"bicubic": -1, "bilinear": 0}


def _weights(t: Tensor, kernel: str) -> Tensor:
    """Weight of every tap at offsets t (P,) in [0, 1) from the pixel before: (taps, P)."""
    if kernel == "bilinear":
        return torch.stack([1 - t, t])
    cubic = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    return torch.stack(cubic) / 6


_SLOPES = {"bicubic": (-0.5, 0.0, 0.5, 0.0), "bilinear": (-1.0, 1.0)}
"""Derivatives of the weights at t = 0."""


@lru_cache(maxsize=64)
def _inverse(n: int, kernel: str) -> Tensor:
    """(n, n) float64: pixels of an axis to the coefficients of the spline through them."""
    at_pixels = _weights(torch.zeros(1, dtype=torch.float64), kernel)[:, 0].tolist()
    inverse: Tensor = torch.linalg.inv(_on_axis(n, kernel, at_pixels))
    return inverse


@lru_cache(maxsize=64)
def _slope(n: int, kernel: str) -> Tensor:
    """(n, n) float64: pixels of an axis to the slope at each."""
    return _on_axis(n, kernel, list(_SLOPES[kernel])) @ _inverse(n, kernel)


def _on_axis(n: int, kernel: str, weights: list[float]) -> Tensor:
    """(n, n): at every pixel the sum of its taps with these weights."""
    matrix = torch.zeros(n, n, dtype=torch.float64)
    rows = torch.arange(n)
    for tap, weight in enumerate(weights):
        columns = _reflected(rows + FIRST_TAP[kernel] + tap, n)
        matrix.index_put_((rows, columns), torch.tensor(weight, dtype=torch.float64), accumulate=True)
    return matrix


def _reflected(index: Tensor, n: int) -> Tensor:
    """Indices outside of 0..n-1 mirrored at the outer edges of the first and the last pixel."""
    folded = index % (2 * n)
    return torch.where(folded < n, folded, 2 * n - 1 - folded)
