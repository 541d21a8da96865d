"""`evaluate`: one model, one set of images, one report."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symdata.groups import Element, Elements, Group
from symdata.symmetry import Symmetry
from zoo.evaluation.report import AngleCurve, ElementScore, Gap, Report
from zoo.evaluation.structure import structure
from zoo.evaluation.training_support import TrainingSupport
from zoo.inference.sweep import Progress, check_width, checked, spread, sweep
from zoo.inference.views import Views, turns
from zoo.measure.estimates import Rate
from zoo.preprocessing import Preprocessing

KEPT = 8
"""Images whose upright logits a report keeps."""
PROBED = 8
"""Images on which equivariance is measured in float64."""


def evaluate(
    model: nn.Module,
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    *,
    name: str | None = None,
    data: str = "",
    note: str = "",
    classes: Sequence[str] | None = None,
    elements: Group | str = "d4",
    angles: int | Sequence[float] = 36,
    fill: str = "background",
    limit: int | None = None,
    angle_limit: int | None = None,
    seen: TrainingSupport | Symmetry | str | Sequence[Symmetry | str] | None = None,
    drawn: Elements | None = None,
    split: str | None = None,
    manifest_sha256: str | None = None,
    probe: int = PROBED,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress = lambda images: None,
) -> Report:
    """Measure what a classifier does on images, upright and moved.

    Images are brought to the size of the model and then moved. Elements of d4 permute pixels; any other one is a
    bilinear look-up, and what it reads outside the image is `fill`. `upright` is the images as they are given.

    Args:
        model: images (B, C, H, W) to logits (B, classes); it is left in the mode, and where, it was.
        images: uint8 (n, C, H, W), tensor or array.
        labels: (n,) class indices.
        preprocessing: of the model.
        name: of the model, for the report; by default that of its class.
        data: where the images are from, for the report.
        note: what the numbers do not say, for the report.
        classes: a name for each logit; by default numbers.
        elements: finite group whose elements get an accuracy each.
        angles: of the curve: how many at equal distances from 0 on, or degrees counter-clockwise; 0 for no curve.
        fill: `background` (nearest border pixel) or `zero` (0 after normalisation, as in the published curves).
        limit: use only so many images, the same random choice every time.
        angle_limit: use only so many of these for the curve.
        seen: symmetries that training showed, in the order in which they acted (the dataset's, then augmentation's);
            None if not known.
        drawn: n elements that have moved the images already; they count towards what is seen.
        split: of the data, for the report.
        manifest_sha256: of the manifest of the dataset folder that the images are from, so that it is known which.
        probe: images on which equivariance is predicted and measured in float64; 0 leaves that out.
        batch_size: images per forward; by default as many as fit the cache.
        device: where to run; by default where the model is.
        progress: called with the number of images that went through the model since the last call.

    Raises:
        ModelError: if the model cannot run on these images, its outputs are not the classes, or they are not finite.
        ShapeError: if images or labels are not what they should be.
        SymmetryError: for a group that is not finite, or an unknown fill.
    """
    images, labels = checked(images, labels)
    rows = spread(len(images), limit)
    images, labels = images[rows], labels[rows]
    group = Group.parse(elements) if isinstance(elements, str) else elements
    options: dict[str, Any] = {"fill": fill, "batch_size": batch_size, "device": device, "progress": progress}
    swept = _sweep(model, images, labels, preprocessing, group.elements, classes, options)
    names = tuple(classes) if classes is not None else tuple(map(str, range(swept.width)))
    known = TrainingSupport.of(seen)
    moved = Elements.of(Element(), len(images)) if drawn is None else drawn.cpu()[rows]
    probed = Views(images[spread(len(images), probe)], preprocessing).upright if probe else None
    return Report(
        name=name or type(model).__name__,
        data=data,
        classes=names,
        size=preprocessing.size,
        fill=fill,
        upright=Rate.of(swept.right[0]),
        by_class=tuple(Rate.of(swept.right[0, labels == c]) for c in range(len(names))),
        group=str(group),
        elements=swept.scores(group),
        curve=_curve(model, images, labels, preprocessing, angles, angle_limit, group, swept, options),
        gap=None if known is None else _gap(known, group, moved, labels, swept.right, len(names)),
        structure=None if probed is None else structure(model, probed),
        logits=tuple(tuple(row) for row in swept.upright[:KEPT].tolist()),
        note=note,
        split=split,
        manifest_sha256=manifest_sha256,
    )


def forwards(
    count: int, group: Group, angles: int | Sequence[float], limit: int | None = None, angle_limit: int | None = None
) -> int:
    """How many images `evaluate` sends through the model, of `count`: what its progress adds up to."""
    used = len(spread(count, limit))
    rest = {e for e in turns(angles if isinstance(angles, int) else tuple(angles)) if e not in group}
    return used * len(group.elements) + len(spread(used, angle_limit)) * len(rest)


@dataclass(frozen=True, eq=False)
class _Swept:
    """What came out under the elements of a group; the identity is element 0."""

    predicted: Tensor
    """(E, n) classes."""
    right: Tensor
    """(E, n) bool."""
    deviation: Tensor
    """(E, n) |f(g x) - f(x)| / |f(x)|."""
    upright: Tensor
    """(n, classes) logits."""

    @property
    def width(self) -> int:
        return self.upright.shape[1]

    def scores(self, group: Group) -> tuple[ElementScore, ...]:
        n = self.right.shape[1]
        rows = []
        for k, element in enumerate(group.elements):
            agree = int((self.predicted[k] == self.predicted[0]).sum())
            spread_ = float(self.deviation[k].std()) if n > 1 else 0.0
            mean = float(self.deviation[k].mean())
            rows.append(ElementScore(str(element), Rate.of(self.right[k]), agree, mean, spread_ / sqrt(n)))
        return tuple(rows)


def _sweep(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    preprocessing: Preprocessing,
    elements: Sequence[Element],
    classes: Sequence[str] | None,
    options: dict[str, Any],
) -> _Swept:
    predicted, deviation, upright = [], [], []
    for rows, logits in sweep(model, images, preprocessing, elements, **options):
        if rows.start == 0:
            check_width(model, logits.shape[-1], labels, classes)
        predicted.append(logits.argmax(-1))
        norm = logits[0].norm(dim=-1)
        deviation.append((logits - logits[0]).norm(dim=-1).double() / norm.double().clamp_min(1e-30))
        upright.append(logits[0])
    classes_of = torch.cat(predicted, 1)
    return _Swept(classes_of, classes_of == labels, torch.cat(deviation, 1), torch.cat(upright))


def _curve(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    preprocessing: Preprocessing,
    angles: int | Sequence[float],
    limit: int | None,
    group: Group,
    swept: _Swept,
    options: dict[str, Any],
) -> AngleCurve | None:
    """The curve; what the elements of the group have said already is not asked again."""
    asked = turns(angles if isinstance(angles, int) else tuple(angles))
    if not asked:
        return None
    rows = spread(len(images), limit)
    known = {e: int(swept.right[group.index(e), rows].sum()) for e in asked if e in group}
    rest = [e for e in dict.fromkeys(asked) if e not in known]
    correct = torch.zeros(len(rest), dtype=torch.int64)
    if rest:
        here, truth = images[rows], labels[rows]
        for part, logits in sweep(model, here, preprocessing, rest, **options):
            correct += (logits.argmax(-1) == truth[part]).sum(1)
    known |= dict(zip(rest, correct.tolist(), strict=True))
    return AngleCurve(tuple(e.angle for e in asked), tuple(known[e] for e in asked), len(rows))


def _gap(seen: TrainingSupport, group: Group, moved: Elements, labels: Tensor, right: Tensor, n_classes: int) -> Gap:
    """Every image under every element counts as seen or not: what matters is where it stands in the end."""
    truth = labels.numpy()
    met = np.stack([seen.contains(Elements.of(e, len(truth)) @ moved, truth) for e in group.elements])  # (E, n)
    hit = right.numpy()

    def pair(rows: Any) -> tuple[Rate, Rate]:
        return tuple(Rate(int(hit[:, rows][part].sum()), int(part.sum())) for part in (met[:, rows], ~met[:, rows]))  # type: ignore[return-value]

    by_class = tuple(pair(truth == c) for c in range(n_classes)) if seen.is_per_class else None
    return Gap(str(seen), *pair(slice(None)), by_class)
