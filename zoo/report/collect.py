"""Everything that a report shows of one model: an evaluation, measures in float64, and a few images as they turn."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from symdata.display import Result, Table, plain, plain_fields
from symdata.groups import Group
from zoo.evaluation.images import ImageSet
from zoo.evaluation.report import Report, percent
from zoo.evaluation.seeds import SeededRun, over_elements
from zoo.exactness.by_size import phi_by_size
from zoo.exactness.model_groups import tied_group
from zoo.inference.opened_model import OpenedModel
from zoo.inference.sweep import predictions, spread
from zoo.measure.alignment import layerwise_alignment
from zoo.measure.alignment_result import Alignment
from zoo.measure.estimates import Rate
from zoo.measure.plain_data import read_fields
from zoo.report.measures import PASSES, Measures, measure
from zoo.report.rotation_strips import RotationStrip, one_of_each_class, rotation_strip

STRIPS = 4
"""Images that turn."""
COMPARED = 1000
"""Images, at most, whose predictions under different elements are compared."""
MEASURED = 32
"""Images on which errors are measured in float64."""


@dataclass(frozen=True)
class ModelEntry(Result):
    """One model on the page; the result of `collect`.

    Example:
        >>> import torch
        >>> from zoo import ImageSet, OpenedModel, Preprocessing, evaluate
        >>> from zoo.report import collect
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> model = OpenedModel(net, Preprocessing(8, 0.5, 0.5), name="mine")
        >>> images = ImageSet(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), [0, 1, 0, 1], name="black")
        >>> report = evaluate(model, images, angles=4, probe=0)
        >>> entry = collect(model, images, report, measured=0, strips=1)
        >>> entry.orbit == report.upright.value, ModelEntry.from_dict(entry.to_dict()) == entry
        (True, True)
    """

    report: Report
    agreement: tuple[tuple[float, ...], ...]
    """The share of images that get the same class under the one element and under the other, in [0, 1]; rows and
    columns in the order of `report.elements`."""
    always_right: Rate
    """Images that are put into the right class under every element."""
    always_same: Rate
    """Images whose class no element changes."""
    sizes: Mapping[int, float] | None
    """Input size in pixels -> predicted misalignment in input pixels, 0 is exact; None if no group ties the network."""
    group: str | None
    """The lattice group of the network, such as `c4`; None for a network that no group ties."""
    parameters: int
    measures: Measures | None
    """None if they were not asked for."""
    strips: tuple[RotationStrip, ...]
    alignment: Alignment | None = None
    """Its layers beside the same layers moved; None if that was not asked for."""
    trained: SeededRun | None = None
    """The seed and the recipe of its training, if its config.json says them."""

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
        return over_elements(self.report)

    @property
    def summary(self) -> dict[str, Any]:
        """The main numbers as plain data; accuracies are in [0, 1]."""
        report, scores = self.report, self.report.scores
        numbers = {"model": self.name, "parameters": self.parameters, "group": self.group, "size": report.size}
        numbers |= {"images": report.count, "upright": report.upright.value, "orbit": self.orbit}
        numbers |= {name: getattr(scores, name, None) for name in ("balanced_accuracy", "macro_f1", "auc")}
        numbers["all_angles"] = None if report.curve is None else report.curve.mean
        return numbers | {"always_right": self.always_right.value, "always_same": self.always_same.value}

    def parts(self) -> Iterator[str | Table]:
        """The evaluation, and a line about whole orbits."""
        yield from self.report.parts()
        yield (
            f"Over whole orbits under {self.report.group}: {percent(self.always_right.value)} of {self.compared:,} "
            f"images are always right, and the class of {percent(self.always_same.value)} never changes."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        names = ("agreement", "always_right", "always_same", "sizes", "group", "parameters", "measures")
        later = {name: getattr(self, name) for name in ("alignment", "trained")}  # older reports do not have them
        return {
            "evaluation": self.report.to_dict(),
            **plain_fields(self, *names),
            **{name: plain(value) for name, value in later.items() if value is not None},
            "films": plain(self.strips),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ModelEntry":
        """The inverse of `to_dict`.

        Raises:
            ModelError, KeyError, TypeError, ValueError: for anything else.
        """
        return read_fields(cls, {**fields, "report": fields["evaluation"], "strips": fields["films"]})


def collect(
    opened: OpenedModel,
    images: ImageSet,
    report: Report,
    *,
    strips: int = STRIPS,
    measured: int = MEASURED,
    aligned: int = 0,
    predicted: Tensor | None = None,
    progress: Callable[[int], None] = lambda images: None,
) -> ModelEntry:
    """Measure everything that the page shows of a model.

    Args:
        opened: the model.
        images: those of the report.
        report: of `zoo.evaluate`.
        strips: how many images turn, of different classes as far as there are.
        measured: on how many images errors are measured in float64; 0 leaves that out.
        aligned: on how many images its layers are matched with the same layers moved; 0 leaves that out.
        predicted: the predicted class of every image under every element, (E, n), where the evaluation has kept it; by
            default the model is asked again.
        progress: called with the number of images that went through the model since the last call.

    Raises:
        ModelError: if the model cannot run on these images.

    Example:
        >>> import torch
        >>> from zoo import ImageSet, OpenedModel, Preprocessing, evaluate
        >>> from zoo.report import collect
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> model = OpenedModel(net, Preprocessing(8, 0.5, 0.5), name="mine")
        >>> images = ImageSet(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), [0, 1, 0, 1], name="black")
        >>> report = evaluate(model, images, angles=4, probe=0)
        >>> entry = collect(model, images, report, measured=0)
        >>> entry.always_same.value  # of a black image, which looks the same under every element
        1.0
    """
    model, preprocessing, group = opened.model, images.preprocessing(opened), Group.parse(report.group)
    some = images.limited(COMPARED)
    if predicted is None:
        predicted = predictions(model, some.images, some.labels, preprocessing, group.elements, progress=progress)
    elif len(some) < len(images):
        predicted = predicted[:, spread(len(images), COMPARED)]
    tied = tied_group(model)
    sizes = None if tied is None else phi_by_size(model, preprocessing.size, in_chans=preprocessing.channels)
    measures = None
    if measured:
        measures = measure(model, preprocessing(images.limited(measured).images), group, progress)
    alignment = None
    if aligned:
        matched = images.limited(aligned)
        alignment = layerwise_alignment(model, preprocessing(matched.images), matched.labels, group)
    return ModelEntry(
        report=report,
        agreement=tuple(map(tuple, (predicted[:, None] == predicted[None]).double().mean(2).tolist())),
        always_right=Rate.of((predicted == some.labels).all(0)),
        always_same=Rate.of((predicted == predicted[0]).all(0)),
        sizes=sizes,
        group=None if tied is None else str(tied),
        parameters=sum(p.numel() for p in model.parameters()),
        measures=measures,
        strips=tuple(
            rotation_strip(model, images.images[i : i + 1], int(images.labels[i]), preprocessing, report.fill)
            for i in one_of_each_class(images.labels.tolist(), strips)
        ),
        alignment=alignment,
        trained=SeededRun.of(opened.config),
    )


def forwards(count: int, measured: int = MEASURED) -> int:
    """The sum of what `collect` calls its progress with, for `count` images whose predictions are known."""
    return PASSES * min(count, measured)
