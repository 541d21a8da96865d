"""The images of the benchmarks, from SYMDATA_TEST_DATA or ../shared/data beside the checkout."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image

from symdata.sources import open_source

SIDE = 96
TILES = 3


def folder(name: str) -> Path:
    """The folder of one collection; SystemExit with the mend where there is none."""
    root = os.environ.get("SYMDATA_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    place = Path(root) / name
    if not place.is_dir():
        raise SystemExit(f"no images at {place}; set SYMDATA_TEST_DATA to a folder with mnist/ and cifar10/")
    return place


def mnist(count: int) -> torch.Tensor:
    """Test digits, (n, 1, 28, 28) uint8."""
    return open_source(str(folder("mnist"))).read("test", np.arange(count))


def photos(count: int) -> torch.Tensor:
    """Crops of a photograph at its own resolution, (n, 3, 96, 96) uint8: the portrait that comes with matplotlib."""
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        portrait = np.asarray(image.convert("RGB"))
    rng = np.random.default_rng(0)
    corners = zip(
        rng.integers(0, portrait.shape[0] - SIDE, count), rng.integers(0, portrait.shape[1] - SIDE, count), strict=True
    )
    crops = np.stack([portrait[y : y + SIDE, x : x + SIDE] for y, x in corners])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()


def mosaics(count: int) -> torch.Tensor:
    """Nine CIFAR-10 photographs in a square, (n, 3, 96, 96) uint8: the hard case for compression, nearly noise."""
    tiles = open_source(str(folder("cifar10"))).read("train", np.arange(count * TILES**2))
    square = tiles.view(count, TILES, TILES, 3, 32, 32).permute(0, 3, 1, 4, 2, 5)  # (n, 3, row, 32, column, 32)
    return square.reshape(count, 3, SIDE, SIDE).contiguous()


def cells(count: int) -> torch.Tensor:
    """Blood cells under a microscope, 80x80 enlarged to (n, 3, 96, 96) uint8: smooth, the hard case for file size."""
    return open_source(str(folder("blood_cells")), size=SIDE).read("train", np.arange(count))


@dataclass(frozen=True, eq=False)
class Memory:
    """A source that holds its images in memory: a build from it times the build, not the reading."""

    images: torch.Tensor
    name: str = "memory"
    ref: str = "memory"
    license: str = "unknown"
    fingerprint: str = "sha256:0"
    revision: str | None = None
    classes: tuple[str, ...] = tuple("0123456789")
    splits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.splits["train"] = len(self.images)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    def labels(self, split: str) -> np.ndarray:
        """Labels that go round."""
        return np.arange(self.splits[split], dtype=np.int64) % len(self.classes)

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images at `indices`."""
        return torch.from_numpy(self.images.numpy()[indices])
