"""A classifier and everything that is known about it, as one value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from symdata.symmetry import Symmetry
from zoo.errors import ModelError
from zoo.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False, repr=False)
class OpenedModel:
    """A classifier and what is known about it; `zoo.open_model` opens one, and your own network becomes one.

    Example:
        >>> import torch
        >>> from zoo import OpenedModel, Preprocessing
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> OpenedModel(net, Preprocessing(8, (0.5,), (0.5,)), classes=("cat", "dog"), name="mine")
        OpenedModel('mine', 130 parameters, 8x8 pixels, 2 classes)
    """

    model: nn.Module
    """Images (B, C, H, W) to logits (B, classes)."""
    preprocessing: Preprocessing | None = None
    """None where it is not known how images become its input."""
    classes: tuple[str, ...] | None = None
    """A name for every logit, where they are known."""
    name: str = ""
    """For tables and pictures; by default the name of the model's class."""
    config: dict[str, Any] = field(default_factory=dict)
    """Content of config.json; empty for a model that has none."""
    seen: Symmetry | str | Sequence[Symmetry | str] | None = None
    """Symmetries that training showed, in the order in which they acted: the dataset's, then the augmentation's. By
    default those in `config`."""
    trained: bool = False
    """Whether its weights were read from a file."""
    size: int | None = None
    """Side in pixels of the images that it takes, where it is known."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or type(self.model).__name__)
        if self.preprocessing is not None:
            object.__setattr__(self, "size", self.preprocessing.size)

    @classmethod
    def of(cls, model: "OpenedModel | nn.Module") -> "OpenedModel":
        """From a module: with its attributes `preprocessing`, `classes` and `config`, where it has them."""
        if isinstance(model, OpenedModel):
            return model
        if not isinstance(model, nn.Module):
            raise ModelError(f"model is {type(model).__name__}, expected a torch module, an OpenedModel or a reference")
        preprocessing, classes, config = (getattr(model, name, None) for name in ("preprocessing", "classes", "config"))
        config = config if isinstance(config, dict) else {}
        return cls(
            model,
            preprocessing if isinstance(preprocessing, Preprocessing) else None,
            tuple(classes) if isinstance(classes, list | tuple) else None,
            str(config.get("name", "")),
            config,
        )

    def require_preprocessing(self) -> Preprocessing:
        """The preprocessing; `ModelError` if it is not known."""
        if self.preprocessing is None:
            size = "" if self.size is not None else "--size 28 "
            raise ModelError(
                f"{self.name!r} does not say how images become its input; say {size}--mean 0.5 --std 0.5 (in Python: "
                "preprocessing=zoo.Preprocessing(28, 0.5, 0.5)), the numbers that it was trained with"
            )
        return self.preprocessing

    def __repr__(self) -> str:
        facts = [repr(self.name), f"{sum(p.numel() for p in self.model.parameters()):,} parameters"]
        facts += [] if self.size is None else [f"{self.size}x{self.size} pixels"]
        facts += [] if self.classes is None else [f"{len(self.classes)} classes"]
        return f"OpenedModel({', '.join(facts)})"
