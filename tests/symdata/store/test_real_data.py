"""Datasets from real images, each image held against its source."""

import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from symdata.sources import open_source
from symdata.store import load, splits
from tests.conftest import ROOT
from tests.support.folders import D4_PARTIAL, build, by_numpy, derived, p_value

datasets.disable_progress_bars()

REAL = {"mnist": 3000, "cifar10": 2000, "histology": 800, "blood_cells": 150, "radio_galaxies": 60}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("symmetry", ["d4-partial", "c8"])
def test_real_images_are_what_is_recorded(data, name, symmetry, tmp_path):
    count = REAL[name] if symmetry == "d4-partial" else REAL[name] // 3
    check_real(data / name, symmetry, tmp_path, count=count)


@pytest.mark.slow
def test_the_whole_of_mnist(data, tmp_path):
    sizes = check_real(data / "mnist", "d4-partial", tmp_path)
    assert sizes == {"train": 60_000, "test": 10_000}


def check_real(place: Path, symmetry: str, tmp_path: Path, **fields) -> dict[str, int]:
    """Build, let `datasets` open it, and hold every image against the source; the sizes of the splits."""
    made = build(tmp_path / "d", source=str(place), symmetry=symmetry, **fields)
    loaded = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "cache"))
    source = open_source(str(place))
    for split in splits(made.folder):
        dataset = load(made.folder, split)
        images = dataset.images()
        assert torch.equal(images, derived(dataset, source))
        assert np.array_equal(dataset.labels, source.labels(split)[dataset.index])
        some = range(0, len(dataset), max(1, len(dataset) // 50))
        part = loaded[split].select(some)
        pixels = np.stack([np.asarray(image) for image in part["image"]])
        pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
        assert np.array_equal(pixels, images[list(some)])
        if symmetry == "d4-partial":
            assert np.array_equal(images, by_numpy(source.read(split, dataset.index), dataset.elements))
            assert p_value(np.bincount(dataset.element_index, minlength=8), D4_PARTIAL) > 0.001
        else:
            assert p_value(np.bincount(dataset.element_index, minlength=8), np.full(8, 1 / 8)) > 0.001
    return {split: len(loaded[split]) for split in loaded}


PEAK = """
import re, sys
from pathlib import Path
from cli.main import main
main(sys.argv[1:], standalone_mode=False)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of its memory from /proc")
def test_a_million_images_in_less_than_a_gigabyte(data, tmp_path):
    options = ["--symmetry", "d4-partial", "--count", "1000000", "--out", str(tmp_path / "d")]
    command = [sys.executable, "-c", PEAK, "make", str(data / "mnist"), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "d").glob("train-*.parquet")) == 1_000_000
    assert int(done.stderr.split()[-1]) < 1_000_000, "kB"
