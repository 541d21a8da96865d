"""What a training calls after every epoch: it sees the metrics and the model, and may end the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from zoo.errors import ModelError
from zoo.training.plan import TrainingPlan
from zoo.training.state import TrainingState


@dataclass(frozen=True, eq=False)
class EpochView:
    """A run at the end of an epoch, to be looked at.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig, train
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=16), "letters")
        >>> config = TrainConfig(data="letters", model="p4cnn_12", epochs=9, width=2, batch_size=8, out="model")
        >>> def watch(view):
        ...     print(view.epoch, sorted(view.metrics)[:3], type(view.model).__name__)
        ...     return view.epoch == 2
        >>> folder = train(config, callbacks=[watch])
        1 ['accuracy', 'epoch', 'loss'] CNN
        2 ['accuracy', 'epoch', 'loss'] CNN
    """

    epoch: int
    """The epoch that ended, from 1 on."""
    epochs: int
    """The last one, if nothing ends the run before."""
    metrics: Mapping[str, Any]
    """Its line of metrics.jsonl: loss, accuracy, lr; validation_loss, validation_accuracy if images are held out."""
    model: nn.Module
    """The network itself, in eval mode, on the device of the run; whoever changes its weights changes the run."""
    folder: Path
    """Of the run; the model is not in it yet."""
    is_main: bool
    """True in one of the processes that share a run: the one that prints and writes."""


class Callback(Protocol):
    """A function of an `EpochView`, or an object that can be called like one.

    Returned True ends the run after this epoch; the model is written as after the last one, and config.json says where
    and why it stopped. False and None go on. Every process calls it; if it returns True in one, all stop. Random
    numbers that it draws change nothing: every epoch has its own seed. An error in it stops the run like a kill:
    `resume=True` goes on from the last state. A resumed run has the same bits if it has the same callbacks.

    Example:
        >>> class Target:
        ...     def __init__(self, accuracy):
        ...         self.accuracy = accuracy
        ...
        ...     def __call__(self, view):
        ...         return view.metrics["validation_accuracy"] >= self.accuracy
        >>> callback: Callback = Target(0.95)
    """

    def __call__(self, view: EpochView, /) -> bool | None:
        """Look at the end of an epoch; True ends the run."""


def asked_to_stop(
    callbacks: Sequence[Callback], plan: TrainingPlan, state: TrainingState, metrics: Mapping[str, Any]
) -> bool:
    """Call every callback; whether one of them returned True, in any process.

    Raises:
        ModelError: for an answer that is neither True, False nor None.
    """
    asked = False
    for callback in callbacks:
        accelerator, epochs = state.accelerator, plan.config.epochs
        model, main = state.plain.eval(), accelerator.is_main_process
        answer = callback(EpochView(state.epochs, epochs, dict(metrics), model, plan.folder, main))
        if answer is not None and not isinstance(answer, bool):
            raise ModelError(
                f"the callback {callback!r} returned {answer!r} after epoch {state.epochs}, expected True to end the "
                "run, False or None; if it is a number or an array, return bool(...) of it"
            )
        asked |= answer is True
    if state.accelerator.num_processes == 1:
        return asked
    return bool(state.accelerator.reduce(torch.tensor(float(asked), device=state.accelerator.device), "sum") > 0)
