"""A trained test for traces of resampling: a linear discriminant on the radial power spectrum.

Resampling changes how much power an image has at which frequency. The features of an image are the logarithm of its
power in 14 rings of the frequency plane, whose radii grow geometrically from one period per image to the Nyquist
frequency, and their squares. A ridge regression of the answer on them, within classes, is fitted to some source images
and tested on others.

The features do not depend on orientation, and what a classifier should see must not count as a trace. Two things would
break that. A square window is another one after a turn, so the window is radial, and no frequency beyond the Nyquist
radius is used. And a ring holds few points of the discrete spectrum: an upright stroke has its power on some of them,
a diagonal one between them. (A sum over points finds MNIST digits turned by 45 degrees at an AUC of 0.8 even if no
resampling error is left.) So the average over angles is computed exactly, from the autocorrelation a of the windowed
image: the mean of |F|^2 over the circle of radius r is the sum over lags d of a(d) J0(2 pi r |d|).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np
import torch
from torch import Tensor

from symdata.keys import permutation

RINGS = 14
"""Rings of the frequency plane; with their squares, twice as many features."""
FOLDS = 5
"""Parts of the source images; each is tested by the discriminant that the others trained."""
SHUFFLES = 199
"""Random relabellings behind a p-value, whose smallest value is then 1/200."""
RIDGE = 3.0
"""Penalty on standardised weights, in images."""
LARGEST = 96
"""Side of the central part that is examined of a larger image."""

_FLOOR = 1e-3
"""Power added to every ring, gray levels squared per pixel: far below that of rounding to whole levels, 1/12."""
_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Discriminant:
    """Scores of a trained discriminant for images that it was not trained on."""

    scores: np.ndarray
    """(n,) float64; those of different folds are not comparable."""
    folds: np.ndarray
    """(n,) int64: the fold in which an image was tested."""
    shuffled: np.ndarray
    """(SHUFFLES,) AUCs for answers permuted within classes."""

    def p_value(self, area: float) -> float:
        """Share of the shuffled AUCs that are at least `area`, which counts as one of them."""
        return (1.0 + float((self.shuffled >= area).sum())) / (1.0 + len(self.shuffled))


def radial_power(images: Tensor) -> np.ndarray:
    """Logarithm of the power of each image in `RINGS` rings, (B, RINGS) float64.

    Invariant under d4 up to float64 rounding, and independent of orientation otherwise.

    Args:
        images: (B, C, H, W) uint8 or floating point.

    Example:
        >>> import torch
        >>> from symdata.inspection.radial_power import radial_power
        >>> image = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
        >>> bool(abs(radial_power(image) - radial_power(image.rot90(1, (-2, -1)))).max() < 1e-9)
        True
    """
    top, left = (max(0, (n - LARGEST + n % 2) // 2) for n in images.shape[-2:])
    images = images[..., top : images.shape[-2] - top, left : images.shape[-1] - left]
    h, w = images.shape[-2:]
    window, weights = _window(h, w), _ring_weights(h, w)
    step = max(1, _CHUNK_BYTES // (64 * images[:1].numel()))
    out = []
    for part in torch.split(images, step):
        x = part.double()
        x = (x - (x * window).sum((-2, -1), keepdim=True) / window.sum()) * window
        power = torch.fft.rfft2(x, s=(2 * h, 2 * w)).abs().square().sum(1).flatten(1)  # (B, 2h (w + 1))
        out.append(power @ weights)
    rings = torch.cat(out) / window.square().sum()
    return np.asarray(torch.log(rings.clamp_min(0.0) + _FLOOR).numpy())


@lru_cache(maxsize=8)
def _window(h: int, w: int) -> Tensor:
    """(H, W): Hann's window of the distance from the centre, 0 from the inscribed circle on."""
    y, x = torch.arange(h).double() - (h - 1) / 2, torch.arange(w).double() - (w - 1) / 2
    radius = (x**2 + y[:, None] ** 2).sqrt() / (min(h, w) / 2)
    return torch.where(radius < 1.0, 0.5 + 0.5 * torch.cos(pi * radius), 0.0)


@lru_cache(maxsize=8)
def _ring_weights(h: int, w: int) -> Tensor:
    """(2h (w + 1), RINGS): weight of each point of the padded half spectrum in the exact mean over a ring.

    The integral of J0(2 pi r |d|) over a disk of radius q is q J1(2 pi q |d|) / |d|. Its transform turns a sum over
    lags into one over frequencies; a point of the half spectrum stands for itself and its mirror image.
    """
    y, x = (torch.fft.fftfreq(2 * n).double() * (2 * n) for n in (h, w))
    lag = (x**2 + y[:, None] ** 2).sqrt()
    edges = torch.logspace(np.log10(1.0 / min(h, w)), np.log10(0.5), RINGS + 1, dtype=torch.float64)
    safe = lag.clamp_min(0.5)
    disks = [torch.where(lag > 0, q * torch.special.bessel_j1(2 * pi * q * safe) / safe, pi * q * q) for q in edges]
    rings = torch.stack(
        [(b - a) / (pi * (r**2 - q**2)) for a, b, q, r in zip(disks, disks[1:], edges, edges[1:], strict=False)]
    )
    half = torch.fft.fft2(rings).real[..., : w + 1] / (4 * h * w)
    half[..., 1:w] *= 2.0
    weights: Tensor = half.flatten(1).T.contiguous()
    return weights


def discriminate(
    power: np.ndarray, answer: np.ndarray, labels: np.ndarray, source: np.ndarray, seed: int = 0
) -> Discriminant:
    """Train on the log power (n, RINGS) of some source images, and score the others.

    Args:
        power: as `radial_power` gives it.
        answer: (n,) bool.
        labels: (n,) classes; the discriminant compares images of one class only.
        source: (n,) source image of each sample; all samples of one are in the same fold.
        seed: of the folds and the shuffles.
    """
    x = _standard(power)
    x = np.concatenate([x, _standard(x**2)], 1)
    images, place = np.unique(source, return_inverse=True)
    folds = permutation(seed, "inspect", "folds", len(images))[place] % FOLDS
    columns = np.stack([answer, *(_shuffled(answer, labels, seed, k) for k in range(SHUFFLES))], 1)  # (n, 1 + SHUFFLES)
    scores = np.zeros(columns.shape)
    for k in range(FOLDS):
        train, test = folds != k, folds == k
        if train.any() and test.any():
            scores[test] = x[test] @ _ridge(x[train], columns[train].astype(np.float64), labels[train])
    return Discriminant(scores[:, 0], folds, _areas(scores, columns, labels, folds)[1:])


def _standard(x: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1; one that hardly varies holds rounding errors and becomes 0."""
    spread = x.std(0)
    out: np.ndarray = (x - x.mean(0)) * (spread > 1e-6) / np.maximum(spread, 1e-6)
    return out


def _shuffled(answer: np.ndarray, labels: np.ndarray, seed: int, k: int) -> np.ndarray:
    """The answers permuted within each class."""
    order = np.argsort(labels, kind="stable")
    drawn = permutation(seed, "inspect", f"shuffle {k}", len(answer))
    out = np.empty_like(answer)
    out[order] = answer[drawn[np.argsort(labels[drawn], kind="stable")]]
    return out


def _ridge(x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights (d, columns) of a ridge regression of y on x, both about their means in each class."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    x, y = (v - _class_sums(v, place, len(counts))[place] / counts[place, None] for v in (x, y))
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y))


def _class_sums(v: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros((n, v.shape[1]))
    np.add.at(out, place, v)
    return out


def _areas(scores: np.ndarray, answers: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """AUC of each column within classes and folds, weighted by pairs; 0.5 where there is no pair."""
    hits, pairs = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    _, group = np.unique(np.stack([labels, folds]), axis=1, return_inverse=True)
    for rows in np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group.ravel()))[:-1]):
        order = np.argsort(scores[rows], axis=0, kind="stable")
        yes = np.take_along_axis(answers[rows], order, 0)
        count = yes.sum(0)
        hits += (yes * np.arange(1, len(rows) + 1)[:, None]).sum(0) - count * (count + 1) / 2.0
        pairs += count * (len(rows) - count)
    return np.where(pairs > 0, hits / np.maximum(pairs, 1.0), 0.5)
