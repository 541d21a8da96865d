"""Everything that decides a training run, as one value: validated, written beside the weights, read back."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from reprlib import repr as short
from typing import Any

from symdata.display import PlainData
from symdata.errors import suggest
from symdata.fields import FLAG, Rule, declare, one_of, read, real, several, text, whole
from symdata.sources.fit import RESIZES
from symdata.symmetry import Symmetry
from symdata.transforms.resampling import KERNELS
from zoo.errors import ModelError

ORBITS = ("c2", "c4", "d1", "d2", "d4")
"""Symmetries whose elements permute pixels, all with the same probability."""


def _downsamplings() -> Sequence[str]:
    from zoo.layers.subsampling.downsampling import KINDS

    return tuple(KINDS)


def _relaxations() -> Sequence[str]:
    from zoo.layers.relaxed import RELAXATIONS

    return ("none", *RELAXATIONS)


def _symmetry(words: str) -> str:
    return str(Symmetry.parse(words))


def _objective(words: str) -> str:
    from zoo.objectives import AUTO, parse_objective

    return words if words == AUTO else str(parse_objective(words))


def _class_weights() -> Rule:
    """`none`, `balanced`, or a positive number for each class: a list, or text with commas."""
    numbers = several(real(1e-6, 1e6), range(2, 100_001), "", listed=True)

    def read(value: Any) -> Any:
        if isinstance(value, str) and value in ("none", "balanced"):
            return value
        return numbers.read(value.split(",") if isinstance(value, str) else value)

    return Rule("text", read, "none, balanced, or a number from 1e-06 to 1e+06 for each class, as in 1,1,2.5")


def _per_channel(low: float) -> Rule:
    return several(real(low, 1e3), (1, 3), "one for each of 3 channels", listed=True)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(PlainData):
    """A training run: the same config on the same dataset gives the same model.

    Every field is declared once, with its default, what it may hold and what it means: `symdata train` makes an option
    of each. Numbers may come as text (YAML reads `1e-5` as such), and `no` may come as false; the config holds the
    real thing.

    Example:
        >>> TrainConfig(data="mnist-none", model="p4cnn_28", lr="1e-3").lr
        0.001
    """

    kind = "train"
    """The command that makes such a run; a `pretrain` needs no labels."""

    data: str = declare(MISSING, text(), "A dataset folder by `symdata make`; its test split is never opened.")
    model: str = declare(
        MISSING,
        text(),
        "Name with the input size in pixels: p4cnn_28; `symdata models` lists them. Or your own network: "
        "package.module:callable.",
    )
    size: int | None = declare(
        None,
        whole(1, 4096),
        "Side of the input in pixels, of a network of your own.",
        none="that in the name, or of the dataset",
    )
    init: str | None = declare(
        None,
        text(),
        "A trained model to begin with: a name, folder or user/repo; another classifier is new.",
        none="random",
    )
    start_from: str | None = declare(
        None,
        text(),
        "An equivariant model to begin with, as --init, but unconstrained: every filter of every orientation is free.",
        none="--init",
    )
    freeze: str = declare(
        "none", one_of("none", "body"), "With --init: keep these weights as they are; body: all but the classifier."
    )
    out: str | None = declare(None, text(), "The model folder.", none="named after model and dataset, here")
    epochs: int = declare(10, whole(1, 100_000), "Passes over the training images.")
    batch_size: int = declare(64, whole(1, 1 << 20), "Images per step, all processes together.")
    optimizer: str = declare("adam", one_of("adam", "adamw", "sgd"), "How gradients become steps.")
    lr: float = declare(0.01, real(1e-12, 1e4), "Learning rate, the highest of the schedule.")
    weight_decay: float = declare(1e-5, real(0, 1e3), "In the gradient for adam and sgd, decoupled for adamw.")
    momentum: float = declare(
        0.9, real(0, 0.9999), "Momentum of sgd; onecycle moves it, and adam's first beta, from 0.95 to 0.85 and back."
    )
    schedule: str = declare(
        "onecycle",
        one_of("onecycle", "step", "cosine", "constant"),
        "When lr changes: onecycle and cosine at every step, step after every --step-epochs, constant never.",
    )
    step_epochs: int = declare(10, whole(1, 100_000), "Epochs between two steps of --schedule step.")
    gamma: float = declare(0.5, real(1e-6, 1), "Factor of lr at each of them.")
    symmetry: str = declare(
        "none", text(_symmetry), "Augmentation, drawn anew in every epoch: d4, so2@-45..45, 0-4:d4,rest:none ..."
    )
    augment: str = declare(
        "random",
        one_of("random", "orbit"),
        "How --symmetry moves images: random draws an element for each; orbit makes a batch of all elements of each.",
    )
    augment_per: str = declare("image", one_of("image", "batch"), "Draw one element for each.")
    fill: str = declare(
        "background",
        one_of("background", "zero"),
        "Outside of a turned image: its border pixels, or 0 after normalisation (mid-grey).",
    )
    resample: str = declare(
        "auto",
        one_of("auto", "exact", *KERNELS),
        "Interpolation of the augmentation; auto: exact if possible, otherwise halves.",
    )
    shift: int = declare(
        0,
        whole(0, 4096),
        "Move images by up to so many pixels each way, drawn anew in every epoch (a random crop after padding).",
    )
    channels: int | None = declare(
        None, whole(1, 3), "Input channels of the model, 1 or 3; 3 repeats a grey one.", none="those of the dataset"
    )
    width: int | tuple[int, ...] | None = declare(
        None,
        several(whole(1, 4096), range(1, 9), "up to 8 of them"),
        "Fields of the first layer, or of every stage of a ResNet.",
        none="as published",
    )
    coset_pool: bool = declare(True, FLAG, "Pool over the group before the classifier, so that logits are invariant.")
    dropout: float = declare(0.0, real(0, 0.99), "Probability of dropping a channel, if the architecture has dropout.")
    downsample: str | None = declare(
        None, one_of(source=_downsamplings), "What halves feature maps.", none="as published"
    )
    relax: str = declare("none", one_of(source=_relaxations), "How the convolutions may learn to leave their group.")
    average: str | None = declare(
        None, text(), "Learn how far to average predictions over rotation,translate_x,...", none="no average"
    )
    copies: int = declare(4, whole(1, 64), "Images in the average, in evaluation.")
    path: str | None = declare(
        None, text(), "Path of a pathcnn: conv, dense, factored, residual, residual-factored.", none="conv"
    )
    objective: str = declare(
        "auto",
        text(_objective),
        "What is minimised besides the cross-entropy: augerino:reg=0.05, likelihood:align=1,kl=0.1, ...; auto: that of "
        "--average, or without it that of --relax.",
    )
    mean: tuple[float, ...] | None = declare(
        None,
        _per_channel(-1e3),
        "Mean of values in [0, 1], per channel; one number serves all.",
        none="measured",
    )
    std: tuple[float, ...] | None = declare(None, _per_channel(1e-6), "Their standard deviation, as --mean.")
    resize: str = declare("bilinear", one_of(*RESIZES), "How images of another size get the model's.")
    seed: int = declare(0, whole(0, (1 << 63) - 1), "Seed of initial weights, order of images, augmentation, dropout.")
    limit: int | None = declare(
        None, whole(1, 10**9), "Use only so many images of the train split, the first of a shuffle.", none="all"
    )
    validation: float = declare(0.1, real(0, 0.9), "Share of these to hold out, without a validation split; 0: none.")
    keep: str = declare("last", one_of("last", "best"), "Keep the last weights, or those of best validation accuracy.")
    patience: int | None = declare(
        None,
        whole(1, 100_000),
        "Stop after so many epochs without a higher validation accuracy; see --keep best.",
        none="run all epochs",
    )
    label_smoothing: float = declare(0.0, real(0, 0.99), "Probability mass spread over all classes.")
    class_weights: str | tuple[float, ...] = declare(
        "none",
        _class_weights(),
        "Weight of each class in the loss: balanced (by 1 / images of the class), or numbers, 1,1,2.5.",
    )
    precision: str = declare("no", one_of("no", "bf16", "fp16"), "Mixed precision; fp16 needs an accelerator.")
    channels_last: bool = declare(False, FLAG, "Make the channel the fastest axis of images in memory.")
    device: str = declare("auto", text(), "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    checkpoint_every: int = declare(1, whole(1, 100_000), "Epochs between two states from which a run resumes.")
    log_every: int = declare(50, whole(1, 10**9), "Steps between two lines of metrics.jsonl; an epoch has its own.")
    monitor: str = declare(
        "none",
        one_of("none", "distance"),
        "Also log how far the filters of each layer are from equivariant ones; see --start-from.",
    )
    monitor_every: int = declare(50, whole(1, 10**9), "Steps between two such lines of metrics.jsonl.")
    tracker: str | None = declare(
        None,
        one_of("tensorboard", "trackio", "wandb", "mlflow"),
        "Also send metrics.jsonl there. tensorboard writes into the folder; the others read WANDB_MODE, "
        "MLFLOW_TRACKING_URI, TRACKIO_DIR.",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, read(field, getattr(self, field.name), ModelError))
        if self.channels == 2:
            raise ModelError("channels is 2, expected 1 or 3")
        if self.batch_size == 1:
            raise ModelError("batch_size is 1, and batch norm needs at least 2 images; use 2 or more")
        if (self.mean is None) != (self.std is None):
            raise ModelError(f"mean is {self.mean} and std is {self.std}; give both, or neither to have them measured")
        if self.freeze != "none" and self.init is None:
            raise ModelError(
                f"freeze is {self.freeze!r} and the weights are random; name a trained model: --init MODEL"
            )
        if self.keep == "best" and self.validation == 0.0:
            raise ModelError("keep is 'best' and validation is 0; hold some images out, as in validation 0.1")
        if self.patience is not None:
            self._check_patience()
        self._check_start_and_orbits()

    def _check_patience(self) -> None:
        if self.validation == 0.0:
            raise ModelError(
                f"patience is {self.patience} and validation is 0; hold some images out, as in validation 0.1"
            )
        if self.schedule == "onecycle":
            raise ModelError(
                f"patience is {self.patience} and schedule is 'onecycle', whose rate comes down only if all "
                f"{self.epochs} epochs run; use schedule step or constant, or leave patience out"
            )

    def _check_start_and_orbits(self) -> None:
        if self.start_from is not None and self.init is not None:
            raise ModelError(f"init is {self.init!r} and start_from is {self.start_from!r}; a run begins with one")
        if self.start_from is not None and self.relax not in ("none", "free"):
            raise ModelError(
                f"relax is {self.relax!r} and the filters of --start-from are free; leave --relax out, or use --init"
            )
        if self.augment == "orbit" and self.symmetry not in ORBITS:
            raise ModelError(
                f"augment is 'orbit' and symmetry is {self.symmetry!r}, whose elements cannot all be made of each "
                f"image; use --symmetry {', '.join(ORBITS[:-1])} or {ORBITS[-1]}"
            )

    def choices(self) -> dict[str, Any]:
        """Those of `zoo.create` about symmetry that differ from its defaults."""
        names = ("downsample", "average", "path")
        found = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        found |= {"copies": self.copies} if self.average is not None else {}
        return found | ({"relax": self.relaxation} if self.relaxation != "none" else {})

    @property
    def relaxation(self) -> str:
        """How the convolutions may leave their group: `relax`, or `free` with `start_from`."""
        return self.relax if self.start_from is None else "free"

    def defaults(self) -> dict[str, Any]:
        """As `to_dict`, of a run on the same data and model in which nothing else is chosen."""
        return type(self)(data=self.data, model=self.model).to_dict()

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`; a field that is left out has its default.

        Raises:
            ModelError: for a field that does not exist, with the nearest one, and without data or model.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in names:
                raise ModelError(f"a training run has no field {short(name)}; {suggest(name, names)}")
        for name, example in (("data", "mnist-none, a folder made by `symdata make`"), ("model", "p4cnn_28")):
            if fields.get(name) is None:
                raise ModelError(f"the training run does not say its {name}; name it, for example {example}")
        return cls(**fields)
