"""MNIST as the experiments ask for it."""

from collections.abc import Sequence
from pathlib import Path

from symdata.sources import open_source
from symdata.sources.idx import find_idx
from zoo.errors import ModelError


def mnist_folder(folder: Path | None, parts: Sequence[str]) -> Path:
    """The folder of idx files, if it holds MNIST.

    Args:
        folder: as `--data` names it.
        parts: the parts of the experiment that need it.

    Raises:
        ModelError: for any other folder, with the names of the files.
    """
    wanted = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte"
    if folder is None:
        which = " and ".join(parts)
        raise ModelError(f"{which} train on MNIST: name the folder of {wanted} (or .gz) with --data")
    found = find_idx(folder).get("", {}) if folder.is_dir() else {}
    lacking = [split for split in ("train", "test") if set(found.get(split, ())) != {"images", "labels"}]
    if lacking:
        raise ModelError(f"{str(folder)!r} does not hold MNIST's {' and '.join(lacking)} split; it needs {wanted}")
    counts = dict(open_source(str(folder)).splits)
    if counts != {"train": 60_000, "test": 10_000}:
        raise ModelError(f"{str(folder)!r} holds {counts} images, expected MNIST's 60,000 and 10,000; fetch it again")
    return folder
