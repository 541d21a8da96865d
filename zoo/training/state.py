"""What changes during a run: the weights, the optimiser, how far it has come, and the best so far."""

from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from symdata.errors import first_line
from zoo.errors import ModelError
from zoo.models.code import foreign
from zoo.objectives import Objective
from zoo.training.config import TrainConfig
from zoo.training.meter import DivergedError
from zoo.training.own_network import check_processes, is_own_model
from zoo.training.schedule import make_optimizer

StateDict = dict[str, Tensor]

HISTORY = ("epochs", "seconds", "metrics_bytes", "last", "best", "changes", "highest", "waited", "stopped")
"""The attributes of `TrainingState` that are saved as they are; states of earlier versions lack the last three."""


class TrainingState:
    """A network and its optimiser, ready to train on the accelerator's device, and the history of their run."""

    def __init__(self, accelerator: Any, config: TrainConfig, model: nn.Module, objective: Objective) -> None:
        self.accelerator, self.config, self.objective = accelerator, config, objective
        if is_own_model(config):
            check_processes(model, accelerator.num_processes, accelerator.device.type)
        model = model.train()
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            # Our own norms use the images of all processes; this is for escnn's, and torch has it for CUDA only.
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        groups = objective.groups(model, config.weight_decay)
        self.model, self.optimizer = accelerator.prepare(model, make_optimizer(config, groups))
        self.plain: nn.Module = accelerator.unwrap_model(self.model)
        self.epochs, self.seconds, self.metrics_bytes = 0, 0.0, 0
        self.last: dict[str, Any] = {}
        self.best: dict[str, Any] | None = None
        self.changes: list[dict[str, Any]] = []
        self.highest: float | None = None  # validation accuracy so far
        self.waited = 0  # epochs since then
        self.stopped: dict[str, Any] | None = None  # why the run ends before its last epoch

    def training(self) -> nn.Module:
        """The network in training mode; a frozen body is in eval mode, so that its norms keep their statistics."""
        model: nn.Module = self.model.train()
        if self.config.freeze == "body":
            self.plain.eval()
            for module in self.plain.modules():
                if any(p.requires_grad for p in module.parameters(recurse=False)):
                    module.train()
        return model

    def logits(self, model: nn.Module, images: Tensor) -> Tensor:
        """What the network says to a batch; whatever a network of one's own raises becomes a `ModelError`."""
        if not is_own_model(self.config):
            return cast(Tensor, model(images))
        what = f"{self.config.model!r} failed on a batch {tuple(images.shape)} after {self.epochs} epochs"
        with foreign(what, "mend it, and go on with --resume"):
            return cast(Tensor, model(images))

    def restore(self, saved: dict[str, Any] | None, changes: dict[str, Any]) -> None:
        """Go back to what `saved()` returned; `changes` are the fields that are different from now on."""
        if saved is None:
            return
        try:
            self.plain.load_state_dict(saved["model"])
        except RuntimeError as error:
            reason = first_line(error)
            raise ModelError(
                f"the run that was stopped trained another network than {self.config.model!r} is now ({reason}); "
                "go on with the code that began it, or begin again with --overwrite"
            ) from None
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.accelerator.scaler is not None and saved["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        for name in HISTORY:
            setattr(self, name, saved.get(name, getattr(self, name)))
        self.objective.restore(saved.get("objective", {}))
        if changes:
            self.changes = [*self.changes, {"after_epoch": self.epochs, **changes}]

    def saved(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as tensors and plain data."""
        scaler = self.accelerator.scaler
        return {
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            **{name: getattr(self, name) for name in HISTORY},
            "objective": self.objective.state(),
        }

    def weights(self) -> StateDict:
        """A copy of the weights on the CPU."""
        self.plain.train()  # in eval mode networks of escnn hold expanded filters as well
        return {key: value.detach().to("cpu", copy=True) for key, value in self.plain.state_dict().items()}

    def kept(self) -> StateDict:
        """The weights that the finished model has: the last, or the best."""
        return self.weights() if self.best is None else cast(StateDict, self.best["model"])

    def end_epoch(self, metrics: dict[str, Any], metrics_bytes: int) -> None:
        """Add the results of an epoch to the history."""
        self.epochs += 1
        self.seconds += metrics["seconds"]
        self.metrics_bytes, self.last = metrics_bytes, deepcopy(metrics)
        accuracy = metrics.get("validation_accuracy")
        if self.config.keep == "best" and (self.best is None or accuracy > self.best["validation_accuracy"]):
            self.best = {"epoch": self.epochs, "validation_accuracy": accuracy, "model": self.weights()}
        if accuracy is not None:
            higher = self.highest is None or accuracy > self.highest
            self.highest, self.waited = (accuracy, 0) if higher else (self.highest, self.waited + 1)

    def stop_early(self, asked: bool) -> None:
        """Note why the run ends after this epoch, if it does before the last: a callback `asked`, or patience ended."""
        patience = self.config.patience
        if self.epochs == self.config.epochs:
            return
        if asked:
            why = "a callback asked for it"
        elif patience is not None and self.waited >= patience:
            why = f"no higher validation accuracy for {patience} epoch{'s' * (patience > 1)}"
        else:
            return
        self.stopped = {"epoch": self.epochs, "reason": why, "lr": self.last["lr"]}

    def check_finite(self, metrics: dict[str, Any]) -> None:
        """Raise `DivergedError` if a weight is not finite: no loss of an epoch shows what its last step did."""
        with torch.no_grad():
            tensors = [v for v in self.plain.state_dict().values() if v.is_floating_point()]
            finite = torch.stack([v.isfinite().all() for v in tensors]).all()
        if not bool(finite):
            raise DivergedError(metrics["epoch"], metrics["step"], metrics["lr"])
