"""What each kernel gives away: AUCs of the strongest traces under c8, for real images and isotropic noise.

    points     a linear discriminant on the power in 14 rings, each the mean over the points of the discrete spectrum
               that fall in it, and their squares; as anyone would write it
    spectrum   the same with the exact mean over angles, as `symdata inspect` has it
    detail     one number per image, energy of the Laplacian over energy of the gradient

The question is always whether an image was moved off the lattice (by 45, 135, 225 or 315 degrees) or on it.
Discriminants are trained and tested on different source images. `ideal` is the limit that the sampling theorem sets:
the image is blurred by a Gaussian of 0.4375 pixel^2, as much as the default kernel blurs, and read between its pixels
by the Fourier series of its extension. What `points` see under `ideal` is the content's orientation, no resampling.

    python -m benchmarks.leakage > leakage.txt          # 3,000 images of each set
"""

from benchmarks.harness import machine  # isort: skip  (sets the number of threads)

import argparse
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from benchmarks.data import folder
from symdata import Elements, act, split_keys
from symdata.display import Table
from symdata.inspection.leakage import Trace, measure_spectrum, measure_trace, traces
from symdata.inspection.radial_power import RINGS, radial_power
from symdata.sources import open_source
from symdata.symmetry import Symmetry
from symdata.transforms.warp import apply_mask

BLUR = 0.4375
"""Variance of the blur of `ideal`, pixel^2."""
KERNELS: dict[str, dict[str, object]] = {
    "halves": {},
    "thirds": {"resample": "thirds"},
    "spline": {"resample": "spline"},
    "bilinear": {"resample": "bilinear"},
    "bicubic": {"resample": "bicubic"},
    "bilinear x3": {"supersample": 3},
    "halves, no mask": {"mask": "none"},
    "halves, zeros, no mask": {"mask": "none", "padding": "zeros"},
    "ideal": {},
}
NOISE = ("white noise", "1/f noise", "1/f^2 noise", "smooth noise")


def sets(count: int) -> Iterator[tuple[str, Tensor, np.ndarray]]:
    """Name, images and classes of every set."""
    for name, split in (("mnist", "test"), ("cifar10", "train")):
        source, rows = open_source(str(folder(name))), np.arange(count)
        yield name, source.read(split, rows), source.labels(split)[rows]
    glyphs = open_source("glyphs").with_counts(train=count)
    yield "glyphs", glyphs.read("train", np.arange(count)), glyphs.labels("train")[:count]
    for name in NOISE:
        yield name, noise(name, count), np.zeros(count, dtype=np.int64)


def noise(name: str, count: int, size: int = 28) -> Tensor:
    """Isotropic Gaussian noise, cut out of larger fields; the smooth one is white noise blurred by 1.2 pixels."""
    n = 64
    f = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n))
    power = {"white noise": 0.0, "1/f noise": 1.0, "1/f^2 noise": 2.0}
    gain = np.exp(-2.0 * (np.pi * 1.2 * f) ** 2) if name == "smooth noise" else np.maximum(f, 1 / n) ** -power[name]
    gain[0, 0] *= name in ("white noise", "smooth noise")
    field = np.random.default_rng(1).normal(size=(count, 1, n, n))
    field = np.fft.irfft2(np.fft.rfft2(field) * gain, s=(n, n))[..., 18 : 18 + size, 18 : 18 + size]
    return torch.from_numpy(np.clip(np.round(field / field.std() * 40.0 + 128.0), 0, 255).astype(np.uint8))


def ideal(images: Tensor, elements: Elements) -> Tensor:
    """Images blurred by a Gaussian, and read at the moved positions by the Fourier series of their extension."""
    n = images.shape[-1]
    m, out = n // 2, torch.empty_like(images)
    size = n + 2 * m
    f = np.fft.fftfreq(size)
    gain = np.exp(-2.0 * np.pi**2 * BLUR * (f**2 + f[:, None] ** 2)) / size**2
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2).reshape(2, -1)
    for angle in np.unique(elements.angle):
        rows = np.flatnonzero(elements.angle == angle)
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        right, down = cos * x - sin * y + (n - 1) / 2 + m, sin * x + cos * y + (n - 1) / 2 + m
        waves = [np.exp(2j * np.pi * np.outer(at, f)) for at in (down, right)]
        basis = (waves[0][:, :, None] * waves[1][:, None, :]).reshape(n * n, -1)
        planes = np.pad(images[rows].double().numpy(), ((0, 0), (0, 0), (m, m), (m, m)), mode="edge")
        series = (np.fft.fft2(planes) * gain).reshape(-1, size * size)
        moved = (series.real @ basis.real.T - series.imag @ basis.imag.T).round().clip(0, 255)
        out[rows] = torch.from_numpy(moved.astype(np.uint8)).view(out[rows].shape)
    return apply_mask(out, "disk")


def by_points(images: Tensor) -> np.ndarray:
    """The log power in rings of points of the discrete spectrum, with a radial window; not blind to orientation."""
    n = images.shape[-1]
    place = torch.arange(n) - (n - 1) / 2
    radius = (place**2 + place[:, None] ** 2).sqrt() / (n / 2)
    window = torch.where(radius < 1, 0.5 + 0.5 * torch.cos(torch.pi * radius), 0.0).double()
    x = images.double()
    x = (x - (x * window).sum((-2, -1), keepdim=True) / window.sum()) * window
    power = torch.fft.fft2(x, s=(2 * n, 2 * n)).abs().square().sum(1)
    f = torch.fft.fftfreq(2 * n)
    radius = (f**2 + f[:, None] ** 2).sqrt()
    edges = np.geomspace(1 / n, 0.5, RINGS + 1)
    rings = [(radius >= low) & (radius < high) for low, high in pairwise(edges)]
    power = torch.stack([power[:, ring].sum(1) / max(1, int(ring.sum())) for ring in rings], 1)
    return np.asarray((power / window.square().sum()).add(1e-3).log().numpy())


def found(images: Tensor, labels: np.ndarray, elements: Elements) -> list[Trace]:
    """The AUCs of `points`, `spectrum` and `detail` of moved images."""
    off, source = elements.lattice_index() < 0, np.arange(len(labels))
    spectra = [measure_spectrum("off-lattice", f(images), off, labels, source) for f in (by_points, radial_power)]
    return [*spectra, measure_trace("off-lattice", "detail", traces(images)["detail"], off, labels)]


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3000, help="of each set  [3000]")
    parser.add_argument("--set", dest="only", help="only this set")
    options = parser.parse_args()
    print("\n".join(f"{key:9s} {value}" for key, value in machine().items() if key != "processor"))
    for name, images, labels in sets(options.images):
        if options.only not in (None, name):
            continue
        elements = Symmetry.parse("c8").sample(labels, split_keys(0, name, "symmetry", np.arange(len(labels))))
        rows = []
        for kernel, how in KERNELS.items():
            moved = ideal(images, elements) if kernel == "ideal" else act(images, elements, **how)
            points, spectrum, detail = found(moved, labels, elements)
            low, high = spectrum.interval
            rows.append(
                (kernel, f"{points.auc:.3f}", f"{spectrum.auc:.3f}", f"{low:.3f} to {high:.3f}", f"{detail.auc:.3f}")
            )
        header = ("kernel", "points", "spectrum", "95 % interval", "detail")
        print(f"\n{Table(header, rows, f'{name}, {len(labels):,} images')}", flush=True)


if __name__ == "__main__":
    main()
