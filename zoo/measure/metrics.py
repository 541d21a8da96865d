"""The registry of the measures that `symdata measure` and `symdata report` show.

A measure is one function under `@metric`, in a module that `zoo.measure.summary` imports. It returns a `Result`, whose
parts are the text of `symdata measure` and whose `to_dict` adds its keys to the JSON. `columns` are its columns in the
table of a report, on the page and in Markdown:

    @metric("blur", columns={"blur": lambda kept: f"{kept.fields['blur']:.2g}"}, legend="blur: how much ...")
    def blur(model, inputs, request):
        return Blur(...)  # to_dict() is {"blur": ...}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

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


class Kept(Protocol):
    """What a report keeps of a result: a dataclass of the numbers that it shows, and that its JSON holds."""

    @classmethod
    def of(cls, found: Any) -> Self:
        """From the result."""


@dataclass(frozen=True)
class PlainData:
    """The result as plain data: what a report keeps unless a measure has a class for it."""

    fields: Mapping[str, Any]

    @classmethod
    def of(cls, found: Result) -> Self:
        """From the result."""
        return cls(found.to_dict())

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """From the JSON of a report."""
        return cls(fields)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return dict(self.fields)


@dataclass(frozen=True)
class Metric:
    """One measure: how it is computed, and how a report shows it."""

    measure: Callable[[nn.Module, Tensor, Request], Result]
    keys: tuple[str, ...]
    """Its keys in the JSON of a report."""
    kept: type[Kept]
    columns: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """Header -> the cell, from what is kept."""
    legend: str = ""
    """What the columns are."""
    passes: Callable[[Sequence[str], Sequence[str]], int] = lambda generators, split: 1
    """How many times it goes through all images, from the motions and those that are split."""


METRICS: dict[str, Metric] = {}
"""Name -> measure, in the order in which they are computed and shown."""

Measure = Callable[[nn.Module, Tensor, Request], Result]


def metric(*keys: str, kept: type[Kept] = PlainData, **options: Any) -> Callable[[Measure], Measure]:
    """Register a function (model, inputs, request) as a measure; options are fields of `Metric`."""

    def register(measure: Measure) -> Measure:
        assert measure.__name__ not in METRICS, f"there are two measures {measure.__name__}"
        METRICS[measure.__name__] = Metric(measure, keys, kept, **options)
        return measure

    return register
