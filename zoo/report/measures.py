"""What a report keeps of the measures of one model, in float64: a few numbers of each, and what the table shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from symdata.display import plain
from symdata.groups import Group
from zoo.measure.metrics import METRICS
from zoo.measure.motions.along_motions import MotionError, Split
from zoo.measure.plain_data import read
from zoo.measure.summary import measure_all, passes

SPLIT = ("rotation", "translate_x")
"""Motions that are split among the layers."""
PASSES = passes(split=SPLIT)
"""Times that `measure` goes through all images."""


@dataclass(frozen=True)
class Measures:
    """How far one model is from a symmetry."""

    images: int
    """That were measured on."""
    kept: Mapping[str, Any]
    """By name of the measure; a record from before it existed has none."""
    note: str
    """What the numbers do not say."""

    @property
    def motions(self) -> tuple[MotionError, ...]:
        """The local equivariance errors along motions, for the chart."""
        return getattr(self.kept.get("local_errors"), "motions", ())

    @property
    def splits(self) -> tuple[Split, ...]:
        """The same along some, split among the layers."""
        return getattr(self.kept.get("layer_errors"), "splits", ())

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table, in the order of `columns`."""
        each = ((self.kept.get(name), metric.columns.values()) for name, metric in METRICS.items())
        return tuple("-" if kept is None else cell(kept) for kept, cells in each for cell in cells)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        fields: dict[str, Any] = {"images": self.images}
        for kept in self.kept.values():
            fields |= plain(kept)
        return fields | {"note": self.note}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Measures":
        """The inverse of `to_dict`."""
        known = {name: metric for name, metric in METRICS.items() if set(metric.keys) <= fields.keys()}
        kept = {n: read(metric.kept, {key: fields[key] for key in metric.keys}) for n, metric in known.items()}
        return cls(int(fields["images"]), kept, str(fields["note"]))


def measure(
    model: nn.Module, inputs: Tensor, group: Group, progress: Callable[[int], None] = lambda images: None
) -> Measures:
    """Measure one model.

    Args:
        model: images (B, C, H, W) to logits (B, classes); it is copied, never changed.
        inputs: normalised images (n, C, H, W), as the model takes them.
        group: finite; its elements move the images.
        progress: called with the number of images after every pass through all of them.

    Raises:
        ModelError: if the model cannot run in float64.
    """
    found = measure_all(model, inputs, group, split=SPLIT, lenient=True, progress=progress)
    kinds = {name: metric.kept for name, metric in METRICS.items()}
    kept = {n: result.to_dict() if kinds[n] is None else kinds[n].of(result) for n, result in found.found.items()}
    return Measures(found.images, kept, found.note)


def columns() -> tuple[str, ...]:
    """The headers of the table's columns."""
    return tuple(header for metric in METRICS.values() for header in metric.columns)


def legend() -> str:
    """What the columns are, as one list."""
    *first, last = (metric.legend for metric in METRICS.values() if metric.legend)
    return f"{'; '.join(first)}; and {last}" if first else last
