"""What is measured between the steps of a training: the distance of the weights to the equivariant networks."""

from collections.abc import Callable
from typing import Any

from torch import nn

from zoo.measure.distance import equivariant_distance
from zoo.training.config import TrainConfig


class Monitor:
    """Writes a line into metrics.jsonl before the first step, and after every `--monitor-every` steps of the run.

    Its `distance` is |K - P K| of all filters, and `distance NAME` that of one layer.

    Example:
        >>> import zoo
        >>> from zoo.training import TrainConfig
        >>> config = TrainConfig(data="letters", model="p4cnn_12", relax="free", monitor="distance", monitor_every=2)
        >>> lines = []
        >>> monitor = Monitor(config, lines.append)
        >>> for step in range(5):
        ...     monitor(zoo.create("p4cnn_12", width=2, relax="free"), 1, step)
        >>> [(line["step"], line["distance"]) for line in lines]
        [(0, 0.0), (2, 0.0), (4, 0.0)]
    """

    def __init__(self, config: TrainConfig, add: Callable[[dict[str, Any]], None]) -> None:
        self.is_on, self.every, self.add = config.monitor == "distance", config.monitor_every, add

    def __call__(self, model: nn.Module, epoch: int, step: int) -> None:
        """Measure after so many steps of the run, if it is time."""
        if self.is_on and step % self.every == 0:
            found = equivariant_distance(model)
            each = {f"distance {name}": value for name, value in found.layers.items()}
            self.add({"epoch": epoch, "step": step, "distance": found.total, **each})

    def metrics(self, model: nn.Module) -> dict[str, float]:
        """The distance at the end of an epoch, for its line."""
        return {"distance": equivariant_distance(model).total} if self.is_on else {}
