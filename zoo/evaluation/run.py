"""From one model and one set of images to one report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symdata.groups import Element, Elements, Group
from zoo.evaluation.class_scores import ClassScores, balanced_accuracy, confusion, macro_f1
from zoo.evaluation.images import ImageSet, check_classes
from zoo.evaluation.pose_mismatch import find_mismatch
from zoo.evaluation.report import AngleCurve, ClassGap, ElementScore, Gap, Report
from zoo.evaluation.structure import structure
from zoo.evaluation.training_support import TrainingSupport
from zoo.inference.opened_model import OpenedModel
from zoo.inference.sweep import check_width, predictions, spread, sweep
from zoo.inference.views import Views, turns
from zoo.measure.estimates import Estimate, Rate
from zoo.preprocessing import GRAY

KEPT = 8
"""Images whose upright logits a report keeps."""
PROBED = 8
"""Images on which equivariance is measured in float64."""
POSED = (
    "the labels of this dataset depend on the pose; a moved image keeps its label here, so the accuracies under "
    "elements say how far the model tells the poses apart"
)


def run_evaluation(
    opened: OpenedModel,
    data: ImageSet,
    group: Group,
    turned: Sequence[Element],
    *,
    angle_limit: int | None,
    probe: int,
    options: dict[str, Any],
) -> tuple[Report, Tensor]:
    """Measure what a classifier does on images, upright and moved; see `zoo.evaluate`.

    Args:
        opened: the model.
        data: the images, all of which are used.
        group: finite.
        turned: rotations of the accuracy curve; none for no curve.
        angle_limit: at most so many images for the curve.
        probe: images on which equivariance is predicted and measured in float64; 0 leaves that out.
        options: fill, batch_size, device and progress, as for `zoo.inference.sweep.sweep`.

    Returns:
        The report, and the predicted class of every image under every element of the group, (E, n).
    """
    preprocessing, labels = data.preprocessing(opened), data.labels
    check_classes(opened.classes, data.classes)
    swept = _sweep(opened, data, group, options)
    names = data.classes or opened.classes or tuple(map(str, range(swept.upright.shape[1])))
    seen = TrainingSupport.from_config(opened.config) if opened.seen is None else TrainingSupport.of(opened.seen)
    probed = Views(data.images[spread(len(data), probe)], preprocessing).upright if probe else None
    notes = [POSED] * data.posed + [GRAY] * (data.images.shape[1] < preprocessing.channels) + data.notes
    report = Report(
        name=opened.name,
        data=data.name,
        classes=tuple(names),
        size=preprocessing.size,
        fill=options["fill"],
        upright=Rate.of(swept.right[0]),
        by_class=tuple(Rate.of(swept.right[0, labels == c]) for c in range(len(names))),
        group=str(group),
        elements=swept.scores(group, data.labels),
        curve=_curve(opened, data.limited(angle_limit), turned, group, swept, options) if turned else None,
        # With posed labels a moved image keeps a label that training did not show it with.
        gap=None if seen is None or data.posed else _gap(seen, group, data, swept.right, len(names)),
        structure=None if probed is None else structure(opened.model, probed),
        logits=tuple(tuple(row) for row in swept.upright[:KEPT].tolist()),
        note="; ".join(notes),
        split=data.split,
        manifest_sha256=data.manifest_sha256,
        scores=ClassScores.of(swept.upright, labels),
        mismatch=find_mismatch(swept.right, [str(element) for element in group.elements]),
    )
    return report, swept.predicted


def forwards(count: int, group: Group, angles: int, angle_limit: int | None = None) -> int:
    """How many images `zoo.evaluate` sends through the model, of `count`: what its progress adds up to."""
    rest = sum(element not in group for element in turns(angles))
    return count * len(group.elements) + len(spread(count, angle_limit)) * rest


@dataclass(frozen=True, eq=False)
class _Swept:
    """What the model answers under the elements of a group; the identity is element 0."""

    predicted: Tensor
    """(E, n) classes."""
    right: Tensor
    """(E, n) bool."""
    deviation: Tensor
    """(E, n) |f(g x) - f(x)| / |f(x)|."""
    upright: Tensor
    """(n, classes) logits."""

    def scores(self, group: Group, labels: Tensor) -> tuple[ElementScore, ...]:
        rows = []
        for k, element in enumerate(group.elements):
            agree, moved = int((self.predicted[k] == self.predicted[0]).sum()), Estimate.mean(self.deviation[k])
            spread, matrix = moved.standard_error or 0.0, confusion(self.predicted[k], labels, self.upright.shape[1])
            by_class = balanced_accuracy(matrix), macro_f1(matrix)
            rows.append(ElementScore(str(element), Rate.of(self.right[k]), agree, moved.value, spread, *by_class))
        return tuple(rows)


def _sweep(opened: OpenedModel, data: ImageSet, group: Group, options: dict[str, Any]) -> _Swept:
    predicted, deviation, upright = [], [], []
    for rows, logits in sweep(opened.model, data.images, data.preprocessing(opened), group.elements, **options):
        if rows.start == 0:
            check_width(opened.model, logits.shape[-1], data.labels, data.classes or opened.classes)
        predicted.append(logits.argmax(-1))
        norm = logits[0].norm(dim=-1)
        deviation.append((logits - logits[0]).norm(dim=-1).double() / norm.double().clamp_min(1e-30))
        upright.append(logits[0])
    classes = torch.cat(predicted, 1)
    return _Swept(classes, classes == data.labels, torch.cat(deviation, 1), torch.cat(upright))


def _curve(
    opened: OpenedModel, data: ImageSet, turned: Sequence[Element], group: Group, swept: _Swept, options: dict[str, Any]
) -> AngleCurve:
    """Accuracy over angle on `data`, the images of `swept` or some of them; rotations in `group` are not run again."""
    rows = spread(swept.right.shape[1], len(data))
    known = {e: int(swept.right[group.index(e), rows].sum()) for e in turned if e in group}
    if rest := [e for e in dict.fromkeys(turned) if e not in known]:
        preprocessing = data.preprocessing(opened)
        right = predictions(opened.model, data.images, data.labels, preprocessing, rest, **options) == data.labels
        known |= dict(zip(rest, right.sum(1).tolist(), strict=True))
    return AngleCurve(tuple(e.angle for e in turned), tuple(known[e] for e in turned), len(rows))


def _gap(seen: TrainingSupport, group: Group, data: ImageSet, right: Tensor, n_classes: int) -> Gap:
    """Every image counts once for every element: as seen, if training may have shown it in the pose it then has."""
    truth = data.labels.numpy()
    before = Elements.of(Element(), len(truth)) if data.drawn is None else data.drawn.cpu()
    shown = [seen.contains(Elements.of(element, len(truth)) @ before, truth) for element in group.elements]
    known = torch.from_numpy(np.stack(shown))  # (E, n)

    def rates(rows: Any) -> tuple[Rate, Rate]:
        part, there = right[:, rows], known[:, rows]
        return Rate.of(part[there]), Rate.of(part[~there])

    by_class = tuple(ClassGap(*rates(data.labels == c)) for c in range(n_classes)) if seen.is_per_class else None
    return Gap(str(seen), *rates(slice(None)), by_class)
