"""What a reproduction is asked to do: which parts, how many seeds, how much computing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symdata.errors import whole
from zoo.errors import ModelError
from zoo.experiments.harness.catalog import CATALOG, check_part


@dataclass(frozen=True)
class Budget:
    """How much a network is trained and tested."""

    name: str
    train: Mapping[str, Any]
    """Fields of a `zoo.TrainConfig`: epochs, batch size, schedule, number of images."""
    lattice: int
    """Test images that are turned by 0, 90, 180 and 270 degrees."""
    curve: int
    """Test images, the first of those, that are turned by 36 angles, once for each fill."""


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
"""Trained as published, tested on fewer images: it shows how much of a difference comes from the training."""

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
    """MNIST as idx files; for the parts that train on it."""
    cifar: str | None = None
    """A source of CIFAR-10 images, as for `symdata make`."""
    device: str = "cpu"
    workers: int = 1
    """Processes; each runs one network at a time."""
    full_test: bool = False
    """Turn all 60,000 test images by 0, 90, 180 and 270 degrees, whatever the budget."""
    again: int = 0
    """Runs of each part, drawn by lot, that are made again if the record does not have them from a clean tree."""
    width: int | None = None
    """Fields of the first layer of the CIFAR networks; None: as published."""

    def __post_init__(self) -> None:
        entry = CATALOG[self.experiment]
        wanted = {check_part(part, self.experiment) for part in self.parts} or set(entry.default)
        object.__setattr__(self, "parts", tuple(part for part in entry.parts if part in wanted))
        for name in ("seeds", "workers"):
            whole(name, getattr(self, name), 1, 1000, ModelError)
        whole("again", self.again, 0, 1_000_000, ModelError)

    @property
    def lattice(self) -> int:
        """Test images that are turned by multiples of 90 degrees."""
        return PAPER.lattice if self.full_test else self.budget.lattice

    @property
    def command(self) -> str:
        """The command line that asks for this, with the names of folders only."""
        options = {
            "seeds": self.seeds,
            "budget": self.budget.name if CATALOG[self.experiment].budgets else None,
            "data": self.data and self.data.name,
            "cifar": self.cifar and Path(self.cifar).name,
            "width": self.width,
            "again": self.again or None,
            "full-test": "" if self.full_test else None,
            "device": None if self.device == "cpu" else self.device,
            "out": self.out.name,
        }
        words = [f"--part {part}" for part in self.parts]
        words += [f"--{name} {value}".rstrip() for name, value in options.items() if value is not None]
        return " ".join([f"symdata reproduce {self.experiment}", *words])
