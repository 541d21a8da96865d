"""An independent implementation of resampling: numpy, float64, tap by tap, on a padded image."""

from math import comb

import numpy as np

PAD = {"border": "edge", "zeros": "constant", "reflection": "symmetric"}


def bilinear(t: np.ndarray) -> np.ndarray:
    """The tent."""
    return np.clip(1.0 - np.abs(t), 0.0, None)


def spline(t: np.ndarray) -> np.ndarray:
    """The quartic B-spline: five boxes convolved, as a sum of truncated powers."""
    return sum((-1) ** k * comb(5, k) * np.clip(t + 2.5 - k, 0.0, None) ** 4 for k in range(6)) / 24.0


def bicubic(t: np.ndarray) -> np.ndarray:
    """The cubic of Keys (1981), with torch's a = -3/4."""
    t, a = np.abs(t), -0.75
    near, far = (a + 2) * t**3 - (a + 3) * t**2 + 1, a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def fine(steps: int, samples: dict[int, dict[int, float]]):
    """A kernel that is linear between samples of an image at fractions of a pixel, as a function of position.

    Args:
        steps: samples per pixel.
        samples: fraction k / steps -> the weight of each pixel, relative to that before the sample.
    """
    knots = {k - steps * pixel: weight for k, weights in samples.items() for pixel, weight in weights.items()}
    places = np.arange(min(knots) - 1, max(knots) + 2)
    values = [knots.get(int(place), 0.0) for place in places]
    return lambda t: np.interp(t * steps, places, values)


_A, _C = 0.055, 0.2225
halves = fine(
    2,
    {0: {-1: _C, 0: 1 - 2 * _C, 1: _C}, 1: {-1: _A / 2, 0: 0.5 - _A / 2, 1: 0.5 - _A / 2, 2: _A / 2}},
)
_B = 0.053
_A, _C = _B + 1 / 18, _B + 1 / 27 + 1 / 8
_THIRD = {-1: 2 * _A / 3, 0: (2 - 4 * _A + _B) / 3, 1: (2 * _A + 1 - 2 * _B) / 3, 2: _B / 3}
thirds = fine(
    3,
    {0: {-1: _C, 0: 1 - 2 * _C, 1: _C}, 1: _THIRD, 2: {1 - pixel: weight for pixel, weight in _THIRD.items()}},
)


def nearest(t: np.ndarray) -> np.ndarray:
    """The box."""
    return (np.abs(t) <= 0.5).astype(float)


KERNELS = {
    "halves": halves,
    "thirds": thirds,
    "bilinear": bilinear,
    "spline": spline,
    "bicubic": bicubic,
    "nearest": nearest,
}


def read(image: np.ndarray, x: np.ndarray, y: np.ndarray, kernel: str, padding: str = "border") -> np.ndarray:
    """Read the image (H, W) at columns x and rows y, in pixels, with a separable kernel."""
    margin, weight = 2 * max(image.shape), KERNELS[kernel]
    padded = np.pad(image, margin, mode=PAD[padding])
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros(x.shape)
    for row in range(-2, 4):
        for column in range(-2, 4):
            share = weight(y - top - row) * weight(x - left - column)
            total += share * padded[top + row + margin, left + column + margin]
    return total


def moved(
    image: np.ndarray, angle: float, flip: bool, kernel: str, padding: str = "border", supersample: int = 1
) -> np.ndarray:
    """The image (H, W) moved by g: the value at p is that at g^-1 p, averaged over sub-pixels."""
    (h, w), s = image.shape, supersample
    offsets = (np.arange(s) + 0.5) / s - 0.5
    total = np.zeros((h, w))
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    for dy in offsets:
        for dx in offsets:
            y, x = np.mgrid[:h, :w].astype(float)
            right, up = x + dx - (w - 1) / 2, (h - 1) / 2 - y - dy  # y up, as in mathematics
            right, up = cos * right + sin * up, -sin * right + cos * up  # turned back, clockwise
            right = -right if flip else right  # and mirrored back
            total += read(image, right + (w - 1) / 2, (h - 1) / 2 - up, kernel, padding)
    return total / s**2
