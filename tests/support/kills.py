"""Work that is killed on the way, by SIGKILL at a moment that is named; to be run by `processes.start`."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from symdata.recipes.plan import DatasetPlan
from symdata.recipes.spec import Spec
from symdata.store import make
from tests.support.training import config
from zoo.training import run_folder, train


def kill(*arguments: Any, **keywords: Any) -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def build(fields: dict[str, Any], folder: Path, rows: int) -> None:
    """Make a dataset of four shards a split until `rows` rows are done."""
    done = 0

    def progress(n: int) -> None:
        nonlocal done
        done += n
        if done >= rows:
            kill()

    make(Spec(**fields), folder, num_shards=4, progress=progress)


class DyingPlan(DatasetPlan):
    """A plan whose test split ends the process that works at it."""

    def batch(self, split: str, *arguments: Any) -> Any:
        """The samples of any other split."""
        if split == "test":
            os._exit(9)
        return super().batch(split, *arguments)


def train_until(data: Path, changes: dict[str, Any], where: str, count: int) -> None:
    """Train, or go on, until the moment that `where` and `count` say; to the end if they say none."""
    seen = 0

    def progress(images: int) -> None:
        nonlocal seen
        seen += images
        if where == "step" and seen >= count:
            kill()

    if where == "torn":  # half of a state is on disk
        run_folder.torch.save = _torn(count)  # type: ignore[attr-defined]
    if where == "published":  # the model is whole, and its state still there
        run_folder.end = lambda folder: kill()
    if where == "log":  # the lines of an epoch are written, its state is not
        run_folder.MetricsLog.add = _logged(count)  # type: ignore[method-assign]
    train(config(data, **changes), progress=progress, resume=True)


def train_and_say(data: Path, changes: dict[str, Any], begun: Connection) -> None:
    """Train, or go on, after telling the other end of the pipe that it begins."""
    begun.send(True)
    train_until(data, changes, "nowhere", 0)


def _torn(count: int) -> Any:
    real = torch.save

    def torn(state: dict[str, Any], file: Any) -> None:
        real(state, file)
        if state["epochs"] == count:
            file.truncate(file.tell() // 2)
            file.flush()
            kill()

    return torn


def _logged(count: int) -> Any:
    real = run_folder.MetricsLog.add

    def add(self: Any, line: dict[str, Any]) -> None:
        real(self, line)
        if line["step"] == count:
            kill()

    return add
