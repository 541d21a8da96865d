"""Everything that decides a training run, as one value: validated, written beside the weights, read back."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from reprlib import repr as short
from typing import Any

from symdata.sources.fit import RESIZES
from symdata.symmetry import Symmetry
from zoo.errors import ModelError
from zoo.objectives import AUTO, parse_objective

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("onecycle", "step", "cosine", "constant")
PRECISIONS = ("no", "bf16", "fp16")
TRACKERS = ("tensorboard", "trackio")
DOWNSAMPLINGS = ("stride", "max", "avg", "blur", "aps", "equivariant")
RELAXATIONS = ("none", "likelihood", "residual", "banks", "bias", "partial")

CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augment_per": ("image", "batch"),
    "fill": ("background", "zero"),
    "resample": ("auto", "exact", "spline", "bilinear", "bicubic", "nearest"),
    "resize": RESIZES,
    "keep": ("last", "best"),
    "downsample": DOWNSAMPLINGS,
    "relax": RELAXATIONS,
    "precision": PRECISIONS,
    "tracker": TRACKERS,
}
"""Field -> the words that it may hold."""

WHOLE: dict[str, tuple[int, int]] = {
    "epochs": (1, 100_000),
    "batch_size": (1, 1 << 20),
    "step_epochs": (1, 100_000),
    "channels": (1, 3),
    "copies": (1, 64),
    "width": (1, 4096),
    "seed": (0, (1 << 63) - 1),
    "limit": (1, 10**9),
    "checkpoint_every": (1, 100_000),
    "log_every": (1, 10**9),
}
"""Field -> smallest and largest whole number."""

REAL: dict[str, tuple[float, float]] = {
    "lr": (1e-12, 1e4),
    "weight_decay": (0.0, 1e3),
    "momentum": (0.0, 0.9999),
    "gamma": (1e-6, 1.0),
    "dropout": (0.0, 0.99),
    "validation": (0.0, 0.9),
    "label_smoothing": (0.0, 0.99),
}
"""Field -> smallest and largest number."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run: the same config on the same dataset gives the same model.

    Numbers may come as text (YAML reads `1e-5` as such), and `no` may come as false; the config holds the real thing.

        >>> TrainConfig(data="mnist-none", model="p4cnn_28", lr="1e-3").lr
        0.001
    """

    data: str
    """A dataset folder, as `symdata make` writes it; its test split is never opened."""
    model: str
    """Name in the zoo; the input size in pixels is part of it, as in `p4cnn_28`."""
    out: str | None = None
    """The model folder; None: named after the model and the dataset, in the current directory."""
    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 64
    """Images per step, all processes together."""
    optimizer: str = "adam"
    """`adam`, `adamw` or `sgd`."""
    lr: float = 0.01
    """Learning rate; the highest that the schedule reaches."""
    weight_decay: float = 1e-5
    """Coupled for adam and sgd (added to the gradient), decoupled for adamw."""
    momentum: float = 0.9
    """Of sgd; `onecycle` moves it, and adam's first beta, from 0.95 to 0.85 and back."""
    schedule: str = "onecycle"
    """`onecycle` and `cosine` change lr at every step, `step` after every `step_epochs`, `constant` never."""
    step_epochs: int = 10
    """Epochs between two steps of `schedule: step`."""
    gamma: float = 0.5
    """Factor of lr at each of these."""
    symmetry: str = "none"
    """Augmentation, in the grammar of symmetries: drawn anew in every epoch, on top of what the dataset has."""
    augment_per: str = "image"
    """Draw an element for each `image`, or one for a whole `batch`."""
    fill: str = "background"
    """What a turned image has outside: its `background` (border pixels), or `zero` after normalisation (mid-grey)."""
    resample: str = "auto"
    """Of the augmentation: `auto` (exact on the lattice, else spline), `bilinear`, `bicubic` ..."""
    channels: int | None = None
    """Input channels of the model, 1 or 3; None: those of the dataset. 3 repeats a grey channel."""
    width: int | tuple[int, ...] | None = None
    """Fields of the first layer, or of every stage of a ResNet; None: as published for the architecture."""
    coset_pool: bool = True
    """Pool over the group before the classifier; without, logits are not invariant."""
    dropout: float = 0.0
    """Probability of dropping a channel, where the architecture has dropout."""
    downsample: str | None = None
    """What halves feature maps: stride, max, avg, blur, aps or equivariant; None: as the architecture has it."""
    relax: str = "none"
    """What lets the convolutions leave their group: likelihood, residual, banks, bias or partial."""
    average: str | None = None
    """Generators of the augmentations over which predictions are averaged and which are learned: `rotation`,
    `rotation,translate_x`; None: no average."""
    copies: int = 4
    """Images in such an average, in evaluation."""
    path: str | None = None
    """Of a pathcnn: conv, dense, factored, residual or residual-factored."""
    objective: str = "auto"
    """What is minimised besides the cross-entropy: `augerino:reg=0.05`, `likelihood:align=1,kl=0.1`, ...; `auto`: what
    belongs to `average`, or without one to `relax`."""
    mean: tuple[float, ...] | None = None
    """Per channel, of values in [0, 1]; one number serves all channels; None: measured on the training images."""
    std: tuple[float, ...] | None = None
    """As `mean`."""
    resize: str = "bilinear"
    """How images of another size are brought to the model's: bilinear, area, bicubic or pad."""
    seed: int = 0
    """Of initial weights, order of images, augmentation and dropout."""
    limit: int | None = None
    """Use only so many images of the train split, the first of a shuffle by `seed`; None: all."""
    validation: float = 0.1
    """Share of these held out, where the dataset has no validation split; 0: none."""
    keep: str = "last"
    """The weights of the `last` epoch, or of the one with the `best` validation accuracy."""
    label_smoothing: float = 0.0
    """Probability mass spread over all classes."""
    precision: str = "no"
    """Mixed precision: `no` (float32), `bf16`, `fp16` (accelerators only)."""
    channels_last: bool = False
    """Keep images with the channel as the fastest axis in memory."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    checkpoint_every: int = 1
    """Epochs between two states from which a stopped run resumes."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl; every epoch has one of its own."""
    tracker: str | None = None
    """`tensorboard` or `trackio`, besides metrics.jsonl."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field.name, getattr(self, field.name), field.default))
        if self.batch_size == 1:
            raise ModelError("batch_size is 1, and batch norm needs at least 2 images; use 2 or more")
        if (self.mean is None) != (self.std is None):
            raise ModelError(f"mean is {self.mean} and std is {self.std}; give both, or neither to have them measured")
        if self.keep == "best" and self.validation == 0.0:
            raise ModelError("keep is 'best' and validation is 0; hold some images out, as in validation 0.1")

    def choices(self) -> dict[str, Any]:
        """Those of `zoo.create` about symmetry that differ from its defaults."""
        names = ("downsample", "average", "path")
        found = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        found |= {"copies": self.copies} if self.average is not None else {}
        return found | ({"relax": self.relax} if self.relax != "none" else {})

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON and YAML."""
        fields = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`; fields that are left out have their defaults, and others do not exist."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in names:
                close = get_close_matches(str(name), names, n=1, cutoff=0.5)
                mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
                raise ModelError(f"a training run has no field {short(name)}; {mend}")
        for name in ("data", "model"):
            if fields.get(name) is None:
                example = "mnist-none, a folder made by `symdata make`" if name == "data" else "p4cnn_28"
                raise ModelError(f"the training run does not say its {name}; name it, for example {example}")
        return cls(**fields)


def _checked(name: str, value: Any, default: Any) -> Any:
    """The value of a field in its own type; `ModelError` for anything that the field cannot hold."""
    if value is None or (value == "none" and default is None):
        if default is None:
            return None
        raise ModelError(f"{name} is empty; leave it out for {default!r}")
    if name in CHOICES:
        return _word(name, "no" if value is False else value)
    if name in WHOLE:
        several = name == "width" and isinstance(value, list | tuple) and 0 < len(value) <= 8
        return tuple(_whole(name, v) for v in value) if several else _whole(name, value)
    if name in REAL:
        return _real(name, value, *REAL[name])
    if name in ("mean", "std"):
        return _numbers(name, value)
    if isinstance(default, bool):
        return _flag(name, value)
    return _text(name, value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, PurePath):
        value = str(value)
    if not isinstance(value, str) or not value or "\0" in value:
        raise ModelError(f"{name} is {short(value)}, expected a text")
    if name == "objective" and value != AUTO:
        return str(parse_objective(value))
    return str(Symmetry.parse(value)) if name == "symmetry" else value


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in CHOICES[name]:
        raise ModelError(f"{name} is {short(value)}, expected one of {', '.join(CHOICES[name])}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f"{name} is {short(value)}, expected true or false")
    return value


def _whole(name: str, value: Any) -> int:
    low, high = WHOLE[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ModelError(f"{name} is {short(value)}, expected a whole number from {low} to {high}")
    if not low <= value <= high or (name == "channels" and value == 2):
        expected = "1 or 3" if name == "channels" else f"a whole number from {low} to {high}"
        raise ModelError(f"{name} is {short(value)}, expected {expected}")
    return value


def _real(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high:
        raise ModelError(f"{name} is {short(value)}, expected a number from {low:g} to {high:g}")
    return number


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) not in (1, 3):
        raise ModelError(f"{name} is {short(value)}, expected one number, or one for each of 3 channels")
    return tuple(_real(name, v, 1e-6 if name == "std" else -1e3, 1e3) for v in values)
