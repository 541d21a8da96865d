"""What a training minimises: the cross-entropy, and the terms that a method adds to it."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from zoo.errors import ModelError

O = TypeVar("O", bound="type[Objective]")  # noqa: E741

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""The training images (b, C, H, W) as the model takes them, not augmented, with their labels (b,); all, in order."""

OBJECTIVES: dict[str, "type[Objective]"] = {}
"""Name -> class, as `register` fills it."""


def register(kind: O) -> O:
    """Add an objective to `OBJECTIVES`, under its name.

    Example:
        >>> from zoo.objectives import OBJECTIVES
        >>> OBJECTIVES["cross-entropy"] is Objective
        True
    """
    assert kind.name not in OBJECTIVES, kind.name
    OBJECTIVES[kind.name] = kind
    return kind


@register
@dataclass
class Objective:
    """The mean cross-entropy and nothing else; the base of all others.

    The fields of a subclass are its numbers and words, which the text `name:field=value,field=value` sets.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class SmallHead(Objective):
        ...     name = "small-head"
        ...     weight: float = 0.01
        ...
        ...     def penalty(self, model):
        ...         return self.weight * model.head.weight.square().sum()
        >>> str(SmallHead(0.5))
        'small-head:weight=0.5'
    """

    name: ClassVar[str] = "cross-entropy"
    shares_batches: ClassVar[bool] = True
    """Whether several processes may share a run."""
    acts_on: ClassVar[type[nn.Module]] = nn.Module
    """The modules that it regularises."""
    missing: ClassVar[str] = ""
    """What to say about a model without such modules."""

    def check(self, model: nn.Module) -> None:
        """Raise `ModelError` if `model` has nothing that this objective acts on."""
        if not self.modules(model):
            raise ModelError(self.missing.format(model=type(model).__name__))

    def modules(self, model: nn.Module) -> list[Any]:
        """The modules of `model` that this objective acts on, in their order; one that is shared counts once."""
        return [module for module in model.modules() if isinstance(module, self.acts_on)]

    def penalty(self, model: nn.Module) -> Tensor | None:
        """A term to add to the mean cross-entropy of every step: () with gradients, or None for nothing."""
        return None

    def per_image(self, logits_of: Callable[[Tensor], Tensor], images: Tensor, logits: Tensor) -> Tensor | None:
        """Terms to add to the cross-entropy of the images of a step: (b,) with gradients, or None for nothing.

        Args:
            logits_of: the model in training mode, (b, C, H, W) to (b, classes); to run it once more.
            images: (b, C, H, W), augmented.
            logits: (b, classes), of these images.
        """
        return None

    def groups(self, model: nn.Module, decay: float) -> list[dict[str, Any]]:
        """Parameter groups of the optimiser: `params`, `weight_decay`, and `lr_scale`, a factor of the rate."""
        return [{"params": list(model.parameters()), "weight_decay": decay}]

    def after_epoch(self, model: nn.Module, epoch: int, batches: Batches) -> dict[str, float]:
        """Do what is due after epoch 1, 2, ...; return numbers for its line of metrics.jsonl.

        The model is in eval mode. It may keep what it learns in the model, or in `state`.
        """
        return {}

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as tensors and plain data."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""

    def __str__(self) -> str:
        """The text that makes it: the name, and the numbers that are not the default."""
        parts = [
            f"{field.name}={written(value)}"
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"{self.name}:{','.join(parts)}" if parts else self.name


def split_groups(
    model: nn.Module, special: Sequence[nn.Parameter], decay: float, special_decay: float, lr_scale: float = 1.0
) -> list[dict[str, Any]]:
    """Two parameter groups: everything else under `decay`, and `special` under its own decay and rate."""
    chosen = {id(p) for p in special}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups: list[dict[str, Any]] = [{"params": rest, "weight_decay": decay}] if rest else []
    own = {"params": list(special), "weight_decay": special_decay, "lr_scale": lr_scale}
    return groups + ([own] if special else [])


def read_value(objective: str, name: str, text: str, default: float | str) -> float | str:
    """The value of a field: a word if its default is one, else a number, whole if its default is.

    Raises:
        ModelError: for anything that is no finite number from 0 on; words are checked by the objective itself.
    """
    if isinstance(default, str):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    whole = isinstance(default, int)
    if not math.isfinite(value) or value < 0 or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise ModelError(
            f"{name} of objective {objective!r} is {text[:40]!r}, expected a {kind} from 0 on: {name}={default:g}"
        )
    return int(value) if whole else value


def written(value: float | str) -> str:
    """A number as short text if that is the same number, else with all digits: the run uses what is read back."""
    if isinstance(value, str):
        return value
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
