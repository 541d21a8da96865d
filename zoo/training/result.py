"""A finished model, as a person reads about it."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import nn

from symdata.display import Result
from symdata.store import read_manifest, splits
from symdata.store.manifest import is_dataset
from symdata.store.remake import make_with_test
from zoo.checkpoint.manifest import read_config
from zoo.models.code import Arch
from zoo.models.own import is_own
from zoo.references.loading import load
from zoo.training.history import TrainingHistory
from zoo.training.plan import TrainingPlan

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TrainedModel(Result):
    """What a training made; a path of the model folder, too, for whatever takes one.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig, train
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=16), "letters")
        >>> config = TrainConfig(data="letters", model="p4cnn_12", epochs=1, width=2, batch_size=8, out="model")
        >>> print(TrainedModel(train(config), "letters"))
        model       model
        parameters  1,048
        validation  ...%
        audit       exact: at 12x12 its feature maps move with the image under c4
        next        symdata evaluate model --data letters
    """

    folder: Path
    data: str
    """The dataset, as the next command names it."""
    arch: Arch | None = field(default=None, repr=False)
    """The code of a network of one's own, as it was given to the training."""

    @classmethod
    def of(cls, plan: TrainingPlan, arch: Arch | None = None) -> Self:
        """What the run of a plan has made; `arch` as for `zoo.training.prepare`."""
        return cls(plan.folder, plan.config.data, None if plan.own is None else arch or plan.config.model)

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def code(self) -> str | None:
        """What `--arch` names to load a network of one's own; empty if it has no name, None for one of the zoo."""
        architecture = self.config["architecture"]
        return (architecture["code"] or "") if is_own(architecture) else None

    @property
    def config(self) -> dict[str, Any]:
        """The model's config.json."""
        return read_config(self.folder)

    def load(self, device: str = "cpu") -> nn.Module:
        """The trained model, read from the folder as `zoo.load` does it: in eval mode, with its `preprocessing`."""
        return load(self.folder, arch=self.arch, device=device)

    @cached_property
    def model(self) -> nn.Module:
        """The trained model, loaded once; the module that was given to the training is not changed."""
        return self.load()

    @cached_property
    def metrics(self) -> TrainingHistory:
        """Losses and accuracies of every epoch."""
        return TrainingHistory.read(self.folder)

    def plot(self) -> "Figure":
        """Loss and accuracy over the epochs; see `TrainingHistory.plot`."""
        return self.metrics.plot()

    def parts(self) -> Iterable[str]:
        """The model, its accuracy on images that were held out, and what to do next, a line each."""
        config = self.config
        training = config["training"]
        rows = {"model": str(self.folder), "parameters": f"{training['parameters']:,}"}
        if "validation_accuracy" in training:
            rows["validation"] = f"{training['validation_accuracy']:.2%}"
        if "stopped" in training:
            rows["stopped"] = _stop(training)
        rows |= {"audit": config["exactness"]["verdict"]}
        rows |= {"next": self._next()}
        yield "\n".join(f"{name:<11}  {value}" for name, value in rows.items())

    def _next(self) -> str:
        """The command that evaluates the model on images that it has not seen, or the one that makes such images."""
        unseen = unseen_images(self.data)
        if unseen is None:
            return make_with_test(self.data, read_manifest(self.data))
        if self.code == "":
            of = ", split='validation'" if "--split validation" in unseen else ""
            return f"zoo.evaluate(result.model, {self.data!r}{of})"
        arch = f" --arch {self.code}" if self.code else ""
        return f"symdata evaluate {shlex.quote(str(self.folder))} {unseen}{arch}"

    def to_dict(self) -> dict[str, Any]:
        """The folder and the model's config.json."""
        return {"folder": str(self.folder), "config": self.config}


def unseen_images(data: str) -> str | None:
    """The options of a command that name images which no training has seen; None if the dataset has none."""
    found = splits(data) if is_dataset(data) else ["test"]
    if "test" not in found and "validation" not in found:
        return None
    return f"--data {shlex.quote(data)}" + ("" if "test" in found else " --split validation")


def _stop(training: Mapping[str, Any]) -> str:
    """Where and why a run ended before its last epoch, and at what learning rate."""
    stopped = training["stopped"]
    still = ", which had not come down yet" if training["schedule"] in ("onecycle", "cosine") else ""
    where = f"after epoch {stopped['epoch']} of {training['epochs']}"
    return f"{where}: {stopped['reason']}; lr was {stopped['lr']:.3g} of {training['lr']:g}{still}"
