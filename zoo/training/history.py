"""The losses and accuracies of a training, epoch by epoch."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.display import Result, Table
from symdata.pictures.figure import INK, LINE, MIRRORED, TURNED, new_figure
from zoo.errors import ModelError
from zoo.files import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("loss", "accuracy", "validation_loss", "validation_accuracy", "distance")
LIMIT = 40
"""Epochs in the table, at most: the last ones."""


@dataclass(frozen=True)
class TrainingHistory(Result):
    """What metrics.jsonl of a model folder says of each epoch.

    Example:
        >>> history = TrainingHistory(({"epoch": 1, "loss": 1.5, "accuracy": 0.5, "lr": 0.01},))
        >>> print(history)
        epoch  loss    accuracy  lr
        -----  ------  --------  ----
        1      1.5000  50.00%    0.01
    """

    epochs: tuple[Mapping[str, Any], ...]
    """The line of each epoch, in order: loss, accuracy, those of the images that were held out, lr, seconds."""
    monitored: tuple[Mapping[str, Any], ...] = ()
    """With --monitor distance, what was measured between steps, in order: epoch, step, distance, and `distance NAME` of
    every layer."""

    @classmethod
    def read(cls, folder: Path | str) -> "TrainingHistory":
        """The history in a model folder; `ModelError` if it has none."""
        path = Path(folder) / METRICS
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise ModelError(f"{str(path)!r} cannot be read ({error}); train the model again for a history") from None
        lines = [line for line in lines if isinstance(line, dict)]
        between = (line for line in lines if "distance" in line and "loss" not in line)
        return cls(tuple(line for line in lines if "loss" in line), tuple(between))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the numbers that were recorded."""
        return tuple(name for name in COLUMNS if any(name in line for line in self.epochs))

    def parts(self) -> Iterable[Table]:
        """A row for each epoch."""
        rows = [
            (str(line["epoch"]), *(_shown(name, line.get(name)) for name in self.columns), f"{line.get('lr', 0):.3g}")
            for line in self.epochs[-LIMIT:]
        ]
        earlier = len(self.epochs) - len(rows)
        notes = [f"and {earlier} earlier epochs"] if earlier else []
        yield Table(("epoch", *(name.replace("_", " ") for name in self.columns), "lr"), rows, notes=notes)
        if self.monitored:
            last = self.monitored[-LIMIT:]
            names = [name for name in last[0] if name.startswith("distance ")]
            header = ("step", "distance", *(name.removeprefix("distance ") for name in names))
            steps = [(str(line["step"]), *(f"{line[name]:.1e}" for name in ("distance", *names))) for line in last]
            yield Table(header, steps, "Distance to the equivariant filters")

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        between = {"monitored": [dict(line) for line in self.monitored]} if self.monitored else {}
        return {"epochs": [dict(line) for line in self.epochs], **between}

    def plot(self) -> "Figure":
        """Loss and accuracy over the epochs, of the training images and of those that were held out."""
        figure = new_figure(9.0, 3.4, layout="constrained")
        numbers = [line["epoch"] for line in self.epochs]
        for place, name in enumerate(("loss", "accuracy"), 1):
            axes: Any = figure.add_subplot(1, 2, place)
            for column, color, label in ((name, TURNED, "training"), (f"validation_{name}", MIRRORED, "held out")):
                if column in self.columns:
                    values = [line.get(column) for line in self.epochs]
                    axes.plot(numbers, values, color=color, label=label, marker="o" if len(numbers) < 30 else "")
            axes.set_xlabel("epoch", color=INK)
            axes.set_title(name, fontsize=11, color=INK)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(color=LINE)
            axes.legend(frameon=False)
        return figure


def _shown(name: str, value: Any) -> str:
    if not isinstance(value, int | float):
        return ""
    if name == "distance":
        return f"{value:.1e}"
    return f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4f}"
