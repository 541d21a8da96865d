"""What a reproduction is asked to do: which parts, how many seeds, how much computing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ModelError
from zoo.experiments.harness.catalog import CATALOG, check_part


@dataclass(frozen=True)
class Budget:
    """How much a network is trained and tested."""

    name: str
    train: Mapping[str, Any]
    """Fields of a `zoo.TrainConfig`: epochs, batch size, schedule, number of images."""
    lattice: int
    """Test images (T1) that are turned by 0, 90, 180 and 270 degrees."""
    curve: int
    """Test images (T2), the first of those, that are turned by 36 angles, once for each fill."""


SMALL = Budget(
    "small",
    {"limit": 6000, "epochs": 10, "batch_size": 64, "schedule": "onecycle"},
    lattice=10_000,
    curve=2_000,
)
"""About four CPU-minutes a network, its test included."""

PAPER = Budget(
    "paper",
    {"epochs": 50, "batch_size": 256, "schedule": "step", "step_epochs": 10, "gamma": 0.5},
    lattice=60_000,
    curve=60_000,
)
"""As published: 8,000 images, 50 epochs, all 60,000 test images at all angles."""

LONG = Budget("long", PAPER.train, lattice=10_000, curve=2_000)
"""Trained as published, tested on fewer images: what of a difference is the training's."""

BUDGETS = {budget.name: budget for budget in (SMALL, LONG, PAPER)}


@dataclass(frozen=True)
class Setting:
    """One call of `reproduce`."""

    out: Path
    """Where runs and data go; what is there already is not done again."""
    record: Path | None = None
    """Where tables and pictures go; None: to `out`."""
    experiment: str = "using-and-abusing"
    """A name of `zoo.experiments.harness.catalog.CATALOG`."""
    parts: tuple[str, ...] = ()
    """Of the experiment; none: those that it runs by default."""
    seeds: int = 3
    """0, 1, ... of every network."""
    budget: Budget = SMALL
    data: Path | None = None
    """MNIST as idx files; of the parts that train on it."""
    cifar: str | None = None
    """A source of CIFAR-10 images, as for `symdata make`."""
    device: str = "cpu"
    workers: int = 1
    """Processes; each runs one network at a time."""
    full_test: bool = False
    """Turn all 60,000 test images by 0, 90, 180 and 270 degrees, whatever the budget."""
    width: int | None = None
    """Fields of the first layer of the CIFAR networks; None: as published."""

    def __post_init__(self) -> None:
        entry = CATALOG[self.experiment]
        wanted = {check_part(part, self.experiment) for part in self.parts} or set(entry.default)
        object.__setattr__(self, "parts", tuple(part for part in entry.parts if part in wanted))
        for name in ("seeds", "workers"):
            if not 1 <= getattr(self, name) <= 1000:
                raise ModelError(f"{name} is {getattr(self, name)}, expected a number from 1 to 1000")

    @property
    def lattice(self) -> int:
        """Test images that are turned by multiples of 90 degrees."""
        return PAPER.lattice if self.full_test else self.budget.lattice

    @property
    def command(self) -> str:
        """The command line that asks for this, with the names of folders only."""
        words = [f"symdata reproduce {self.experiment}", *(f"--part {part}" for part in self.parts)]
        words += [f"--seeds {self.seeds}"]
        words += [f"--budget {self.budget.name}"] if CATALOG[self.experiment].budgets else []
        words += [f"--data {self.data.name}"] if self.data is not None else []
        words += [f"--cifar {Path(self.cifar).name}"] if self.cifar is not None else []
        words += [f"--width {self.width}"] if self.width is not None else []
        words += ["--full-test"] if self.full_test else []
        words += [f"--device {self.device}"] if self.device != "cpu" else []
        return " ".join([*words, f"--out {self.out.name}"])
