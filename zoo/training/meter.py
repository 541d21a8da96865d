"""Loss and hits of an epoch; they stay on the device until they are read, so that no step waits for a number."""

import math
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ModelError
from zoo.training.batches import Batch


class DivergedError(ModelError):
    """The loss or a weight is not a finite number any more.

    Example:
        >>> error = DivergedError(epoch=2, step=9, lr=0.1)
        >>> error.step, "--resume and a smaller --lr" in str(error)
        (9, True)
    """

    def __init__(self, epoch: int, step: int, lr: float) -> None:
        super().__init__(
            f"the loss or a weight is not finite in epoch {epoch}, step {step}, at lr {lr:.3g}; the last good state is "
            "kept: go on with --resume and a smaller --lr (or --precision no), or begin again with --overwrite"
        )
        self.epoch, self.step, self.lr = epoch, step, lr


class Meter:
    """Sums over the batches of one epoch, of all processes together."""

    def __init__(self, accelerator: Any, epoch: int, step: int) -> None:
        """Begin with the first batch of `epoch` (from 1), after `step` steps of the run."""
        self.accelerator, self.epoch, self.step = accelerator, epoch, step
        self.loss, self.hits, self.images, self.weight = 0.0, 0, 0, 0.0
        self._window = (0.0, 0.0)
        self._waiting: list[tuple[Tensor, int, float, float]] = []

    def add(self, loss: Tensor, logits: Tensor, batch: Batch, lr: float) -> None:
        """Add a step: the summed loss of this process's part of the batch, its logits (b, classes), and the learning
        rate."""
        hits = (logits.argmax(1) == batch.labels).sum()
        self._waiting.append((torch.stack([loss.detach(), hits.to(loss.dtype)]), batch.size, batch.weight, lr))

    def read(self) -> None:
        """Sum up the steps that were added; `DivergedError`, in every process, for a loss that is not finite."""
        if not self._waiting:
            return
        values = self.accelerator.reduce(torch.stack([pair for pair, *_ in self._waiting]), "sum").tolist()
        for (loss, hits), (_, size, weight, lr) in zip(values, self._waiting, strict=True):
            self.step += 1
            if not math.isfinite(loss):
                raise DivergedError(self.epoch, self.step, lr)
            self.loss, self.hits, self.images = self.loss + loss, self.hits + int(hits), self.images + size
            self.weight += weight
            self._window = (self._window[0] + loss, self._window[1] + weight)
        self._waiting = []

    def window(self) -> float:
        """Mean loss of the steps that were read since the last call."""
        loss, weight = self._window
        self._window = (0.0, 0.0)
        return loss / weight

    def metrics(self) -> dict[str, float]:
        """Mean loss and accuracy of the epoch so far, while the weights moved."""
        return {"loss": self.loss / self.weight, "accuracy": self.hits / self.images}
