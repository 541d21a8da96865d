"""What a report shows of one model: an evaluation, measures in float64, and a few images as they turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.groups import Group
from zoo.evaluation import Report
from zoo.exactness.by_size import phi_by_size
from zoo.exactness.model_groups import tied_group
from zoo.inference.sweep import spread, sweep
from zoo.measure.estimates import Rate
from zoo.preprocessing import Preprocessing
from zoo.report.measures import PASSES, Measures, measure
from zoo.report.rotation_strips import RotationStrip, film, picked

FILMS = 4
"""Images that turn."""
COMPARED = 1000
"""Images on which predictions under different elements are compared, at most."""
MEASURED = 32
"""Images on which errors are measured in float64."""


@dataclass(frozen=True)
class ModelEntry:
    """One model on the page."""

    report: Report
    agreement: tuple[tuple[float, ...], ...]
    """The share of images to which the model gives the same class under the one element and under the other, in [0, 1];
    rows and columns in the order of `report.elements`."""
    always_right: Rate
    """Images that are put into the right class under every element."""
    always_same: Rate
    """Images whose class no element changes."""
    films: tuple[RotationStrip, ...]
    sizes: Mapping[int, float] | None
    """Input size in pixels -> predicted misalignment in input pixels, 0 is exact; None if no group ties the network."""
    group: str | None
    """The lattice group of the network, such as `c4`; None for a network that no group ties."""
    parameters: int
    measures: Measures | None = None
    """None if they were not asked for."""

    @property
    def name(self) -> str:
        """Of the model."""
        return self.report.name

    @property
    def compared(self) -> int:
        """Images behind `agreement`."""
        return self.always_same.count

    @property
    def orbit(self) -> float:
        """Accuracy over all elements and images, in [0, 1]."""
        return sum(score.rate.value for score in self.report.elements) / len(self.report.elements)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "evaluation": self.report.to_dict(),
            "agreement": [list(row) for row in self.agreement],
            "always_right": self.always_right.to_dict(),
            "always_same": self.always_same.to_dict(),
            "sizes": None if self.sizes is None else {str(size): phi for size, phi in self.sizes.items()},
            "group": self.group,
            "parameters": self.parameters,
            "measures": None if self.measures is None else self.measures.to_dict(),
            "films": [film.to_dict() for film in self.films],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ModelEntry":
        """The inverse of `to_dict`.

        Raises:
            ModelError, KeyError, TypeError, ValueError: for anything else.
        """
        sizes, measures, group = (fields[name] for name in ("sizes", "measures", "group"))
        right, same = (
            Rate(int(fields[name]["correct"]), int(fields[name]["count"])) for name in ("always_right", "always_same")
        )
        return cls(
            Report.from_dict(fields["evaluation"]),
            tuple(tuple(map(float, row)) for row in fields["agreement"]),
            right,
            same,
            tuple(map(RotationStrip.from_dict, fields["films"])),
            None if sizes is None else {int(size): float(phi) for size, phi in sizes.items()},
            None if group is None else str(group),
            int(fields["parameters"]),
            None if measures is None else Measures.from_dict(measures),
        )


def collect(
    model: nn.Module,
    images: Tensor,
    labels: Sequence[int],
    preprocessing: Preprocessing,
    report: Report,
    *,
    films: int = FILMS,
    measured: int = MEASURED,
    progress: Callable[[int], None] = lambda images: None,
) -> ModelEntry:
    """Everything that the page shows of a model.

    Args:
        model: images (B, C, H, W) to logits (B, classes).
        images: uint8 (n, C, H, W), those of the report.
        labels: n class indices.
        preprocessing: of the model.
        report: of `zoo.evaluate`.
        films: how many images turn, of different classes as far as there are.
        measured: on how many images errors are measured in float64; 0 leaves that out.
        progress: called with the number of images that went through the model since the last call.

    Raises:
        ModelError: if the model cannot run on these images.
    """
    elements = Group.parse(report.group)
    rows = spread(len(images), COMPARED)
    swept = sweep(model, images[rows], preprocessing, elements.elements, progress=progress)
    predicted = torch.cat([logits.argmax(2) for _, logits in swept], 1)  # (elements, n)
    right = predicted == torch.as_tensor(labels)[rows].to(predicted)
    group = tied_group(model)
    sizes = None if group is None else phi_by_size(model, preprocessing.size, channels=preprocessing.channels)
    measures = None
    if measured:
        measures = measure(model, preprocessing(images[spread(len(images), measured)]), elements, progress)
    return ModelEntry(
        report,
        tuple(map(tuple, (predicted[:, None] == predicted[None]).double().mean(2).tolist())),
        Rate.of(right.all(0)),
        Rate.of((predicted == predicted[0]).all(0)),
        tuple(
            film(model, images[i : i + 1], int(labels[i]), preprocessing, report.fill) for i in picked(labels, films)
        ),
        sizes,
        None if group is None else str(group),
        sum(p.numel() for p in model.parameters()),
        measures,
    )


def forwards(count: int, group: Group, measured: int = MEASURED) -> int:
    """What the progress of `collect` adds up to, of `count` images."""
    return min(count, COMPARED) * len(group.elements) + PASSES * min(count, measured)
