"""The random jitter of glyph images, and the rendering of strokes under it.

A pixel at u is ramp(F(p(u)) + w), with F a signed distance field (atlas.py), p a random smooth map, w a random weight,
and a ramp one pixel wide. Every step commutes with d4, in distribution and with its roundings; source.py says why:

- the draws are odd multiples of 2^-24 in (-1, 1), a set that is symmetric about 0, independent, and identically
  distributed in both axes;
- a mirror or a rotation of the jitter only permutes the coefficients of p and changes their signs;
- p is rounded to 2^-10 of a cell, so that both weights of every bilinear look-up are exact;
- sums are ordered such that a rotated jitter is summed in the rotated order.

Pixels are computed by elementwise additions, multiplications and roundings alone, which IEEE 754 defines exactly: the
bytes do not depend on the batch or on the device.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from symdata.keys import uniforms
from symdata.sources.glyphs import atlas

_WEIGHT = (-0.010, 0.030)
"""Smallest and largest stroke weight: the width added on each side of a stroke, in half image sides."""
_SCALE = 0.10
_TILT = 0.14
"""Tangent of the largest tilt, 8 degrees."""
_STRETCH = 0.09
_SHIFT = 0.05
_BEND = {2: 0.040, 3: 0.022}
"""Degree of a term of the displacement -> its largest coefficient, in half image sides."""
_DEGREE = 3
_BENDS = tuple((j, k) for j in range(_DEGREE + 1) for k in range(_DEGREE + 1) if 2 <= j + k <= _DEGREE)
_DRAWS = 7 + 2 * len(_BENDS)

_SNAP = 1024.0
"""Positions are multiples of 1 / _SNAP of a cell."""


@dataclass(frozen=True, eq=False)
class Jitter:
    """The random parameters of n images, drawn on the CPU in float64 and used in float32.

    Convention:
        Positions are (right, down) from the centre of the image, in half image sides for `u` and in cells of the field
        for `p`.
    """

    warp: np.ndarray
    """(n, 2, 4, 4) float32: C[component, j, k], the coefficient of T_j(right) T_k(down)."""
    weight: np.ndarray
    """(n,) float32: added to the distance, in cells."""
    scale: np.ndarray
    """(n,) float32: half image sides of the field per half image side of the image."""
    face: np.ndarray
    """(n,) float64 in [0, 1): the face, as a fraction of the number of faces, which differs by class."""

    @classmethod
    def draw(cls, keys: np.ndarray) -> "Jitter":
        """Draw the jitter of keys (n,) int64."""
        face, *rest = uniforms(keys, 1 + _DRAWS)
        return cls.of(np.stack([symmetric(u) for u in rest], axis=1), face)

    @classmethod
    def of(cls, draws: np.ndarray, face: np.ndarray) -> "Jitter":
        """The jitter of draws (n, 21) in (-1, 1): weight, scale, tilt, stretch, shear, shift, displacement."""
        weight, scale, tilt, stretch, shear = draws[:, :5].T
        scale = 1 + _SCALE * scale
        tilt, stretch, shear = scale * (_TILT * tilt), _STRETCH * stretch, _STRETCH * shear
        warp = np.zeros((len(draws), 2, _DEGREE + 1, _DEGREE + 1))
        warp[:, :, 0, 0] = _SHIFT * draws[:, 5:7]
        warp[:, 0, 1, 0], warp[:, 1, 0, 1] = scale + stretch, scale - stretch
        warp[:, 1, 1, 0], warp[:, 0, 0, 1] = shear - tilt, shear + tilt
        for term, (j, k) in enumerate(_BENDS):
            warp[:, :, j, k] = _BEND[j + k] * draws[:, 7 + 2 * term : 9 + 2 * term]
        low, high = _WEIGHT
        pull = (low + high) / 2 + (high - low) / 2 * weight
        return cls(
            (atlas.CELLS * warp).astype(np.float32),
            (atlas.CELLS * pull).astype(np.float32),
            scale.astype(np.float32),
            face,
        )

    def __len__(self) -> int:
        return len(self.warp)

    def __getitem__(self, part: slice) -> "Jitter":
        return Jitter(self.warp[part], self.weight[part], self.scale[part], self.face[part])


def symmetric(uniform: np.ndarray) -> np.ndarray:
    """Map numbers in [0, 1) to odd multiples of 2^-24 in (-1, 1), a set that is symmetric about 0."""
    return (2 * np.floor(uniform * 2.0**24) + 1) * 2.0**-24 - 1


def render(fields: torch.Tensor, which: torch.Tensor, jitter: Jitter, size: int) -> torch.Tensor:
    """Render fields under a jitter.

    Args:
        fields: (m, SIDE, SIDE) float32, in cells.
        which: (n,) int64, index of the field of each image, on the device of `fields`.
        jitter: of length n.
        size: pixels per side.

    Returns:
        (n, 1, size, size) uint8 on the device of `fields`: white strokes on black, each edge one pixel wide.
    """
    gain = np.float32(255 * size / (2 * atlas.CELLS)) / jitter.scale  # grey levels per cell
    offset = jitter.weight * gain + np.float32(128)  # 0.5 of coverage, and 0.5 to round
    warp, slope, level = (torch.from_numpy(array).to(fields.device) for array in (jitter.warp, gain, offset))
    right, down = _positions(warp, _chebyshev(size, fields.device))  # (n, size, size) each
    distance = _bilinear(fields, which, right, down)
    levels = (distance * slope[:, None, None] + level[:, None, None]).clamp_(0.5, 255.5)
    return levels.to(torch.uint8).unsqueeze(1)


@lru_cache(maxsize=8)
def _chebyshev(size: int, device: torch.device) -> torch.Tensor:
    """(4, size) float32: T_0 .. T_3 at the pixel centres, exactly even or odd."""
    u = (2 * np.arange(size) + 1 - size) / size
    basis = np.stack([np.ones(size), u, 2 * u * u - 1, (4 * u * u - 3) * u])
    return torch.from_numpy(basis.astype(np.float32)).to(device)


def _positions(warp: torch.Tensor, basis: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two components of p at every pixel, in cells: (n, size, size) each.

    Each component is summed along its own axis first: a quarter turn swaps components and axes, hence the roundings.
    """
    along_right = _series(warp[:, 0, :, :, None].unbind(1), basis)  # (n, k, size): sum over j of C_jk T_j(right)
    along_down = _series(warp[:, 1, :, :, None].unbind(2), basis)  # (n, j, size): sum over k of C_jk T_k(down)
    right = _series(along_right[:, :, None, :].unbind(1), basis[:, :, None])
    down = _series(along_down[:, :, :, None].unbind(1), basis)
    return right, down


def _series(coefficients: tuple[torch.Tensor, ...], basis: torch.Tensor) -> torch.Tensor:
    """Sum over k of coefficients[k] basis[k], in increasing order of k; basis[0] is 1."""
    total = coefficients[0]
    for coefficient, values in zip(coefficients[1:], basis[1:], strict=True):
        total = total + coefficient * values
    return total


def _bilinear(fields: torch.Tensor, which: torch.Tensor, right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Read fields at positions in cells from their centre, (n, H, W) float32.

    The four products are added in diagonal pairs, which every element of d4 maps to diagonal pairs.
    """
    column, east = _cell(right)
    row, south = _cell(down)
    west, north = 1 - east, 1 - south  # exact: east and south are multiples of 1 / _SNAP
    start = (which * atlas.SIDE**2)[:, None, None]
    index = ((row * atlas.SIDE + column).to(torch.int64) + start).flatten()
    flat, shape = fields.flatten(), right.shape
    nw, ne, sw, se = (flat[shift:].index_select(0, index).view(shape) for shift in (0, 1, atlas.SIDE, atlas.SIDE + 1))
    return (nw * (north * west) + se * (south * east)) + (ne * (north * east) + sw * (south * west))


def _cell(position: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The cell before each position, counted from the edge of the field, and the distance from its centre."""
    half = (atlas.SIDE - 1) // 2
    snapped = (position * _SNAP).round_().mul_(1 / _SNAP).clamp_(0.5 - half, half - 0.5)
    cell = snapped.floor()
    return cell + half, snapped.sub_(cell)
