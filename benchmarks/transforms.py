"""Moving images by elements of O(2): symdata against Pillow, OpenCV, scipy, numpy, torch and kornia.

Every peer gets its own favourite layout, prepared outside the clock: Pillow, OpenCV and scipy (n, H, W[, C]) arrays.
"""

from benchmarks.harness import Bench, Case  # isort: skip  (sets the number of threads)

import kornia
import numpy as np
import torch
from kornia.augmentation import RandomRotation90

from benchmarks import peers
from benchmarks.data import mnist, photos
from benchmarks.peers import channels_last, cv2, each, size
from symdata import Elements, Group, act

SLOW = 200
"""Images for peers that take long, and the batch of kornia (measured best at 28x28)."""


def bench_d4(bench: Bench, images: torch.Tensor, target: float) -> None:
    """Random elements of d4; every way must give the same bytes, kornia apart."""
    index = torch.from_numpy(np.random.default_rng(0).integers(0, 8, len(images)))
    elements, listed, arrays = Group.parse("d4").take(index), index.tolist(), channels_last(images)
    warp, floats = RandomRotation90((0, 3), p=1.0), images[:SLOW].float()
    cases = [
        Case("Pillow transpose, loop", lambda: each(arrays, listed, peers.pil_d4)),
        Case("symdata act", lambda: act(images, elements), target=target),
        Case("numpy rot90 by groups", lambda: peers.numpy_grouped(images.numpy(), index.numpy())),
        Case("torch.where, three generators", lambda: peers.torch_where(images, index)),
        Case("torch.gather, chunks of 64", lambda: peers.torch_gather(images, index)),
        Case("kornia RandomRotation90, float, not exact", lambda: warp(floats), count=len(floats)),
    ]
    wanted = cases[0].run()
    if cv2 is not None:
        cases.append(Case("OpenCV rotate/flip/transpose, loop", lambda: each(arrays, listed, peers.cv2_d4)))
        assert np.array_equal(cases[-1].run(), wanted)
    for case in cases[1:5]:
        moved = case.run()
        assert np.array_equal(channels_last(torch.as_tensor(moved)), wanted), f"{case.name} is not bit-exact"
    bench.compare(f"d4, {size(images)}, bit-exact", len(images), cases)


def bench_angles(bench: Bench, images: torch.Tensor, target: float, default: float) -> None:
    """A random angle for each image; targets for plain bilinear and for the default path."""
    angle = torch.from_numpy(np.random.default_rng(1).uniform(0, 360, len(images)))
    elements, listed, arrays = (
        Elements(angle, torch.zeros(len(images), dtype=torch.bool)),
        angle.tolist(),
        channels_last(images),
    )
    floats, few = images[:SLOW].float(), angle[:SLOW].float()
    cases = [
        Case("Pillow rotate bilinear, loop", lambda: each(arrays, listed, peers.pil_rotate)),
        Case("symdata act, bilinear", lambda: act(images, elements, resample="bilinear", mask="none"), target=target),
        Case("symdata act, default (halves, disk)", lambda: act(images, elements), target=default),
        Case("symdata act, thirds", lambda: act(images, elements, resample="thirds")),
        Case("symdata act, spline", lambda: act(images, elements, resample="spline")),
        Case("kornia.geometry.rotate, float batch", lambda: kornia.geometry.rotate(floats, few), count=len(floats)),
        Case(
            "scipy rotate order 1, loop",
            lambda: each(arrays[:SLOW], listed[:SLOW], peers.scipy_rotate),
            count=len(floats),
        ),
    ]
    if cv2 is not None:
        cases.append(Case("OpenCV warpAffine linear, loop", lambda: each(arrays, listed, peers.cv2_rotate)))
    middle = np.s_[:, images.shape[-1] // 4 : -images.shape[-1] // 4, images.shape[-1] // 4 : -images.shape[-1] // 4]
    gap = channels_last(cases[1].run())[middle].astype(float) - cases[0].run()[middle]
    assert np.abs(gap).mean() < 1.0, "not the same rotation as Pillow's"  # Pillow truncates, which costs half a level
    bench.compare(f"any angle, {size(images)}", len(images), cases)


def bench_finite(bench: Bench, images: torch.Tensor, target: float | None) -> None:
    """Sixteen angles, each for many images."""
    index = torch.from_numpy(np.random.default_rng(2).integers(0, 16, len(images)))
    elements, arrays = Group.parse("c16").take(index), channels_last(images)
    cases = [
        Case("Pillow rotate bilinear, loop", lambda: each(arrays, elements.angle.tolist(), peers.pil_rotate)),
        Case("symdata act, bilinear", lambda: act(images, elements, resample="bilinear", mask="none"), target=target),
        Case("symdata act, default (halves, disk)", lambda: act(images, elements)),
    ]
    bench.compare(f"c16, {size(images)}", len(images), cases)


def bench_supersampled(bench: Bench, images: torch.Tensor, target: float) -> None:
    """The RotMNIST way."""
    angle = torch.from_numpy(np.random.default_rng(3).uniform(0, 360, len(images)))
    elements, arrays = Elements(angle, torch.zeros(len(images), dtype=torch.bool)), channels_last(images)
    ours = lambda: act(images, elements, resample="bilinear", mask="none", supersample=3)  # noqa: E731
    cases = [
        Case("Pillow resize x3, rotate, resize", lambda: each(arrays, angle.tolist(), peers.pil_supersampled)),
        Case("symdata act, bilinear, supersample=3", ours, target=target),
    ]
    if cv2 is not None:
        cases.append(
            Case("OpenCV resize x3, warpAffine, area", lambda: each(arrays, angle.tolist(), peers.cv2_supersampled))
        )
    bench.compare(f"supersampled x3, {size(images)}", len(images), cases)


def main() -> None:
    """Every table."""
    bench = Bench("Moving images: symdata and its peers, one thread")
    scale = 10 if bench.quick else 1
    digits, pictures = mnist(10_000 // scale), photos(1_000 // scale)
    bench_d4(bench, digits, 25.0)
    bench_d4(bench, pictures, 4.0)
    bench_d4(bench, pictures[:256], 4.0)  # a batch: what a training step or a block of the builder moves at a time
    bench_angles(bench, digits[: 2_000 // scale], 4.0, 3.0)
    bench_angles(bench, pictures[: 200 // scale], 1.9, 1.0)
    bench_finite(bench, digits[: 4_000 // scale], 8.0)
    bench_finite(bench, pictures[: 400 // scale], None)
    bench_supersampled(bench, digits[: 1_000 // scale], 1.9)
    bench_supersampled(bench, pictures[: 100 // scale], 1.9)
    bench.finish()


if __name__ == "__main__":
    main()
