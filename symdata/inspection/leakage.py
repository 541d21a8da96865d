"""Can the element be guessed from traces of resampling alone, without the content of the image?

Interpolation blurs, and corners are filled. If the symmetry differs by class, such a trace reveals the label. A trace
is one number per image. How well it separates moved from unmoved images is its AUC, the probability that a moved image
has the larger value (Hanley and McNeil 1982): 0.5 reveals nothing, 1 everything.

Every trace but `spectrum` is invariant under d4, bit for bit: it sums integers over sets of pixels that d4 preserves.
So exact moves leave none, whatever the images show, and what a classifier should see (a 7 on its side) does not count
as a trace. `spectrum` is the score of a discriminant that is trained on some source images and tested on others
(`symdata.inspection.radial_power`); it is invariant up to rounding. AUCs compare images of one class only, because
classes differ in sharpness.

No test can say that there is no trace, only how strong the strongest is of those that were looked for.

Convention:
    Images are (B, C, H, W) uint8; the inscribed disk is that of the mask, with radius min(H, W) / 2 about the centre.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.errors import ShapeError
from symdata.groups import Elements
from symdata.inspection.radial_power import discriminate, radial_power
from symdata.keys import permutation
from symdata.laws import is_identity
from symdata.store import ImageDataset

BAR = 0.65
"""AUC from which a trace is a leak."""
FAINT = 0.55
"""A trace whose AUC is below this is faint, even if it is significant."""
SIGMAS = 3.0
"""Standard errors above 0.5 from which an AUC is not chance; so many, because several traces are tested."""
Z95 = 1.959964
"""Half-width of a 95 % interval, in standard errors."""
MOST = 10_000
"""Images of a split that are examined: the standard error of an AUC is then about 0.006."""
NEAR_DEG, FAR_DEG = 15.0, 30.0
"""Angles close to and far from a quarter turn, for symmetries that are never on the lattice."""

_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class Trace:
    """How well one trace answers one question about the element."""

    question: str
    """`moved`: not the identity; `off-lattice`: not a permutation of pixels; `askew`: off the lattice, and far from a
    quarter turn instead of close to one."""
    trace: str
    """`sharpness`, `detail`, `corner-mean`, `corner-zeros`, `corner-sharpness` or `spectrum`."""
    auc: float
    """In [0.5, 1]: the larger of AUC and 1 - AUC; of `spectrum`, which was trained, the AUC itself."""
    error: float
    """Its standard error."""
    yes: int
    """Images with the answer yes, in classes that have both answers."""
    no: int
    p_value: float | None = None
    """Of `spectrum`: share of discriminants trained and tested on permuted answers that do as well."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the AUC."""
        return max(0.0, self.auc - Z95 * self.error), min(1.0, self.auc + Z95 * self.error)

    @property
    def verdict(self) -> str:
        """`LEAK`, `weak` or `faint` if the AUC is significant, `chance` if not; or `too few images` to see a leak."""
        if self.auc - SIGMAS * self.error <= 0.5:
            return "too few images" if 0.5 + SIGMAS * self.error > BAR else "chance"
        return "LEAK" if self.auc >= BAR else "weak" if self.auc >= FAINT else "faint"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"interval": list(self.interval), "verdict": self.verdict}


def leakage(dataset: ImageDataset, most: int = MOST) -> tuple[Trace, ...]:
    """Measure every trace for every question about a split; empty if no class has elements of both answers.

    Args:
        dataset: a split.
        most: how many images to examine, drawn at random but always the same ones.
    """
    n = len(dataset)
    rows = np.sort(permutation(0, dataset.split, "leakage", n)[:most])
    labels = np.asarray(dataset.labels)[rows]
    asked = questions(dataset.drawn.cpu()[rows], labels)
    if not asked:
        return ()
    step = max(16, _CHUNK_BYTES // max(1, dataset.images(rows[:1]).nbytes))
    found, power = [], []
    for part in np.split(rows, range(step, len(rows), step)):
        images = dataset.images(part)
        found.append(traces(images))
        power.append(radial_power(images))
    values = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    spectrum, source, out = np.concatenate(power), np.asarray(dataset.index)[rows], []
    for question, (answer, among) in asked.items():
        said, classes = answer[among], labels[among]
        out += [measure_trace(question, name, value[among], said, classes) for name, value in values.items()]
        out.append(measure_spectrum(question, spectrum[among], said, classes, source[among]))
    return tuple(out)


def strongest(found: Sequence[Trace]) -> Trace:
    """The trace whose interval has the largest lower end."""
    return max(found, key=lambda trace: trace.interval[0])


def questions(elements: Elements, labels: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Question -> answers, and the images it is about, (n,) bool each; only questions with both answers in some class.

    A question with the same answers as an earlier one is left out.
    """
    everything = np.ones(len(labels), dtype=bool)
    off = elements.lattice_index() < 0
    skew = np.abs((elements.angle + 45.0) % 90.0 - 45.0)  # degrees to the nearest quarter turn
    asked = {
        "moved": (~is_identity(elements), everything),
        "off-lattice": (off, everything),
        "askew": (skew > FAR_DEG, off & ((skew < NEAR_DEG) | (skew > FAR_DEG))),
    }
    kept: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for question, (answer, among) in asked.items():
        both = among & np.isin(labels, np.intersect1d(labels[among & answer], labels[among & ~answer]))
        if both.any() and not any(np.array_equal(answer, a) and np.array_equal(both, b) for a, b in kept.values()):
            kept[question] = (answer, both)
    return kept


def traces(images: Tensor) -> dict[str, np.ndarray]:
    """Traces of each image: name -> (B,) float64.

    - `sharpness`: energy of the Laplacian over energy of the image about its mean, inside the disk;
    - `detail`: energy of the Laplacian over energy of the gradient, inside the disk (more sensitive to blur);
    - `corner-mean`, `corner-zeros`: mean, and share of pixels that are exactly zero, outside the disk;
    - `corner-sharpness`: energy of the Laplacian well outside the disk, over the same plus that inside.

    Args:
        images: (B, C, H, W) uint8, at least 3x3.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or min(images.shape[-2:]) < 3:
        raise ShapeError(f"images are {tuple(images.shape)} {images.dtype}, expected (B, C, H, W) uint8, at least 3x3")
    h, w = images.shape[-2:]
    radius = min(h, w) / 2
    outer = ~_within(h, w, radius)
    # Two pixels away from the rim, the edge of a mask has no influence.
    inner, far = _within(h, w, max(1.5, radius - 2.0)), ~_within(h, w, radius + 2.0)
    laplacian, gradient = _energies(images.short())
    sharp, rest = _total(laplacian, inner), _total(laplacian, far)
    corner = images[..., outer].flatten(2)  # (B, C, m)
    empty = np.zeros(len(images))
    return {
        "sharpness": _ratio(sharp, _spread(images[..., inner])),
        "detail": _ratio(sharp, _total(gradient, inner)),
        "corner-mean": corner.double().mean((1, 2)).numpy() if corner.numel() else empty,
        "corner-zeros": (corner == 0).all(1).double().mean(1).numpy() if corner.numel() else empty,
        "corner-sharpness": _ratio(rest, sharp + rest),
    }


def _within(h: int, w: int, radius: float) -> Tensor:
    """(H, W) bool: pixels within `radius` of the centre."""
    y, x = torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2
    return x[None] ** 2 + y[:, None] ** 2 <= radius**2


def _energies(x: Tensor) -> tuple[Tensor, Tensor]:
    """Squared Laplacian and squared gradient of each pixel, up to factors, (B, C, H, W) int32, zero on the rim.

    Six times the isotropic nine-point Laplacian, 1 4 1 / 4 -20 4 / 1 4 1: for the usual five-point stencil, diagonal
    strokes are sharper than upright ones, which is orientation and no trace of resampling. |values| <= 10200 fit int16.
    """
    up, down, mid = x[..., :-2, :], x[..., 2:, :], x[..., 1:-1, :]
    column = up + down  # (B, C, H - 2, W)
    cross = column[..., 1:-1] + mid[..., :-2] + mid[..., 2:]
    laplacian = 4 * cross + column[..., :-2] + column[..., 2:] - 20 * mid[..., 1:-1]
    across, along = (down - up)[..., 1:-1].int(), (mid[..., 2:] - mid[..., :-2]).int()
    energy = torch.zeros((2, *x.shape), dtype=torch.int32)
    energy[0, ..., 1:-1, 1:-1] = laplacian.int() ** 2
    energy[1, ..., 1:-1, 1:-1] = across**2 + along**2
    return energy[0], energy[1]


def _total(energy: Tensor, where: Tensor) -> Tensor:
    """(B,) int64: sum over channels and the pixels of `where`; of integers, so that their order does not matter."""
    return (energy * where).sum((1, 2, 3), dtype=torch.int64)


def _spread(pixels: Tensor) -> Tensor:
    """(B,) int64: m times the energy about the mean, summed over channels: m sum x^2 - (sum x)^2; pixels (B, C, m)."""
    x = pixels.long()
    return (x.shape[-1] * (x * x).sum(-1) - x.sum(-1) ** 2).sum(1)


def _ratio(above: Tensor, below: Tensor) -> np.ndarray:
    """Quotients, and 0 for an image in which nothing varies."""
    return np.asarray((above.double() / below.double().clamp_min(1.0)).numpy())


def measure_trace(
    question: str, trace: str, values: np.ndarray, answer: np.ndarray, labels: np.ndarray, fold: bool = True
) -> Trace:
    """The AUC of `values` for `answer` within classes: their mean, each class weighted by its number of pairs.

    With `fold`, the larger of the AUC and 1 - AUC, because it is not known beforehand which answer has larger values.

    The standard error is that of Hanley and McNeil with the common AUC in every class. With its own AUC, which is 0 or
    1, a class of two images would have no error.
    """
    classes = [labels == c for c in np.unique(labels)]
    counts = np.array([(answer[c].sum(), (~answer[c]).sum()) for c in classes], dtype=np.float64)  # (classes, 2)
    pairs = counts.prod(1)
    weights = pairs / pairs.sum()
    both = [auc(values[c], answer[c]) if w > 0.0 else 0.5 for c, w in zip(classes, weights, strict=True)]
    common = float(weights @ np.array(both))
    used = weights > 0.0
    error = math.sqrt(sum(w**2 * _variance(common, *n) for w, n in zip(weights[used], counts[used], strict=True)))
    yes, no = counts[used].sum(0).astype(int).tolist()
    return Trace(question, trace, max(common, 1.0 - common) if fold else common, error, yes, no)


def measure_spectrum(
    question: str, power: np.ndarray, answer: np.ndarray, labels: np.ndarray, source: np.ndarray
) -> Trace:
    """The AUC of the discriminant on images it was not trained on, within classes and folds."""
    trained = discriminate(power, answer, labels, source)
    _, group = np.unique(np.stack([labels, trained.folds]), axis=1, return_inverse=True)
    group = group.ravel()
    if not np.isin(group[answer], group[~answer]).any():
        return Trace(question, "spectrum", 0.5, 0.5, int(answer.sum()), int((~answer).sum()), 1.0)
    found = measure_trace(question, "spectrum", trained.scores, answer, group, fold=False)
    return replace(found, p_value=trained.p_value(found.auc))


def auc(values: np.ndarray, answer: np.ndarray) -> float:
    """P(value of a yes > value of a no) + half of P(equal), from ranks (Mann and Whitney 1947); both answers occur."""
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(ties) - (ties - 1) / 2.0)[place]  # from 1; equal values share the mean of their ranks
    yes = int(answer.sum())
    no = len(answer) - yes
    return float((rank[answer].sum() - yes * (yes + 1) / 2.0) / (yes * no))


def _variance(a: float, yes: float, no: float) -> float:
    """Variance of an AUC of `a` from so many images, Hanley and McNeil (1982), equation 1."""
    a = max(a, 1.0 - a)
    q1, q2 = a / (2.0 - a), 2.0 * a * a / (1.0 + a)
    return (a * (1.0 - a) + (yes - 1.0) * (q1 - a * a) + (no - 1.0) * (q2 - a * a)) / (yes * no)
