"""The optimiser, and the learning rate as a function of the step, so that no state of a schedule is stored."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from zoo.training.config import TrainConfig

WARM = 0.3
"""Share of the steps of a one-cycle schedule in which lr rises."""
START, END = 1 / 25, 1e-4
"""Its first lr as a share of the highest, and its last as a share of the first."""
MOMENTA = (0.95, 0.85)
"""Its momentum (adam: first beta) where lr is lowest and highest."""


def make_optimizer(
    config: TrainConfig, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD with momentum, for parameters or groups of them."""
    lr, decay = config.lr, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=config.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=lr, weight_decay=decay)


def set_rate(optimizer: Any, config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Set the lr of `step` (from 0), times the `lr_scale` of a group, and the momentum if the schedule moves it; return
    the lr."""
    lr = learning_rate(config, step, steps_per_epoch)
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
        if config.schedule == "onecycle":
            m = _one_cycle(step, config.epochs * steps_per_epoch, MOMENTA[0], MOMENTA[1], MOMENTA[0])
            group.update({"momentum": m} if "momentum" in group else {"betas": (m, group["betas"][1])})
    return lr


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The lr of `step`, counted from 0 over the whole run of config.epochs x steps_per_epoch."""
    total = config.epochs * steps_per_epoch
    match config.schedule:
        case "onecycle":
            return _one_cycle(step, total, config.lr * START, config.lr, config.lr * START * END)
        case "cosine":
            return _cosine(config.lr, 0.0, step / total)
        case "step":
            return config.lr * config.gamma ** (step // steps_per_epoch // config.step_epochs)
        case _:
            return config.lr


def _one_cycle(step: int, total: int, first: float, middle: float, last: float) -> float:
    """From first to middle to last along half cosines, as `torch.optim.lr_scheduler.OneCycleLR` (Smith 2017)."""
    top = WARM * total - 1
    if step <= top:
        return _cosine(first, middle, step / top)
    return _cosine(middle, last, (step - top) / max(total - 1 - top, 1e-9))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
