"""How often each element is drawn: chi-square tests of symdata and of kornia's RandomRotation90."""

from benchmarks.harness import Bench  # isort: skip  (sets the number of threads)

import numpy as np
import scipy.stats
import torch
from kornia.augmentation import RandomRotation90

from symdata import RandomSymmetry

P_VALUE = 0.001


def symdata_counts(name: str, draws: int) -> np.ndarray:
    """Counts of the elements of a finite group, drawn as the augmentation draws them."""
    augment = RandomSymmetry(name)
    parameters = augment.generate_parameters((draws, 1, 4, 4))
    group = augment.symmetry.group
    index = torch.round(parameters["angle"] * group.rotations / 360.0).long() % group.rotations
    return np.bincount((index + group.rotations * parameters["flip"]).numpy(), minlength=int(group.order))


def kornia_counts(draws: int) -> np.ndarray:
    """Counts of the quarter turns, read off the images."""
    marked = torch.zeros(draws, 1, 4, 4)
    marked[:, :, 0, 0] = 1.0
    turned = RandomRotation90((0, 3), p=1.0)(marked)
    corners = torch.stack(
        [turned[:, 0, y, x] for y, x in ((0, 0), (-1, 0), (-1, -1), (0, -1))], -1
    )  # counter-clockwise
    return np.bincount(corners.argmax(-1).numpy(), minlength=4)


def main() -> None:
    """p-values; below one in a thousand, a sampler is not uniform."""
    bench = Bench("Sampling group elements: chi-square against the uniform law")
    draws = 2_000 if bench.quick else 20_000
    torch.manual_seed(0)
    counted = {f"symdata {name}": symdata_counts(name, draws) for name in ("c4", "d4", "c8", "c16")}
    for name, counts in (counted | {"kornia RandomRotation90(times=(0, 3))": kornia_counts(draws)}).items():
        if not bench.as_json:
            print(f"\n{name}: {np.array2string(counts / draws, precision=3)}")
        target = P_VALUE if name.startswith("symdata") else None
        bench.fact(
            "sampling", f"{name}, chi-square", float(scipy.stats.chisquare(counts).pvalue), "p", target, at_least=True
        )
    bench.finish()


if __name__ == "__main__":
    main()
