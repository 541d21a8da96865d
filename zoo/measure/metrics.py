"""The registry of the measures that `symdata measure` and `symdata report` show.

A measure is one function under `@metric`, in a module that `zoo.measure.summary` imports. It returns a `Result`, whose
parts are the text of `symdata measure` and whose `to_dict` adds its keys to the JSON. `columns` are its columns in the
table of a report, on the page and in Markdown:

    @metric("blur", columns={"blur": lambda kept: f"{kept['blur']:.2g}"}, legend="blur: how much ...")
    def blur(model, inputs, request):
        return Blur(...)  # to_dict() is {"blur": ...}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from symdata.display import Result
from symdata.groups import Group
from symdata.transforms.generators import MOTIONS


@dataclass(frozen=True)
class Request:
    """What is asked of every measure."""

    elements: Group
    """A finite group, whose elements move the images."""
    generators: Sequence[str] = MOTIONS
    """Motions that get a Lie derivative each."""
    split: Sequence[str] = ()
    """Motions whose Lie derivative is split among the layers."""
    output: str = "logits"
    """`logits`, the model's output, or the `softmax` of that."""
    batch_size: int | None = None
    """Images per forward; by default as many as fit the cache."""
    lenient: bool = False
    """Whether a split that fails becomes a note instead of an error."""
    progress: Callable[[int], None] = lambda images: None
    """Called with the number of images after every pass through all of them."""

    @property
    def options(self) -> dict[str, Any]:
        """What every function of `zoo.measure` that runs the model takes."""
        return {"output": self.output, "batch_size": self.batch_size}


@dataclass(frozen=True)
class Metric:
    """One measure: how it is computed, and how a report shows it."""

    measure: Callable[[nn.Module, Tensor, Request], Result]
    keys: tuple[str, ...]
    """Its keys in the JSON of a report."""
    kept: Any = None
    """The dataclass of the numbers that a report keeps, made by its `of(result)`; None to keep `to_dict()` as it is."""
    columns: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """Header -> the cell, from what is kept."""
    legend: str = ""
    """What the columns are."""
    passes: Callable[[Sequence[str], Sequence[str]], int] = lambda generators, split: 1
    """How many times it goes through all images, from the motions and those that are split."""


METRICS: dict[str, Metric] = {}
"""Name -> measure, in the order in which they are computed and shown: those of `FIRST`, then the others by name."""
FIRST = ("element_errors", "local_errors", "layer_errors")

Measure = Callable[[nn.Module, Tensor, Request], Result]


def metric(*keys: str, **options: Any) -> Callable[[Measure], Measure]:
    """Register a function (model, inputs, request) as a measure; options are fields of `Metric`."""

    def register(measure: Measure) -> Measure:
        assert measure.__name__ not in METRICS, f"there are two measures {measure.__name__}"
        METRICS[measure.__name__] = Metric(measure, keys, **options)
        others = sorted(METRICS.keys() - set(FIRST))
        for name in [name for name in (*FIRST, *others) if name in METRICS]:  # whatever was imported first
            METRICS[name] = METRICS.pop(name)
        return measure

    return register
