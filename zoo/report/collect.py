"""What a report shows of one model: numbers from an evaluation, and a few images as they turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.evaluation import Report
from zoo.evaluation.forwards import sweep
from zoo.evaluation.run import spread
from zoo.evaluation.views import Views, turns
from zoo.exactness import lattice_part
from zoo.preprocessing import Preprocessing
from zoo.sizes import phi_by_size

FRAMES = 12
"""Angles of a film strip, at equal distances from 0 on."""
FILMS = 4
"""Images that turn."""
COMPARED = 1000
"""Images on which predictions under different elements are compared, at most."""


@dataclass(frozen=True)
class Frame:
    """One image under one rotation, and what the model says of it."""

    angle: float
    """Degrees, counter-clockwise as displayed."""
    pixels: Tensor
    """uint8 (C, size, size), as the model sees it before normalisation."""
    predicted: int
    confidence: float
    """Softmax probability of the predicted class."""


@dataclass(frozen=True)
class Film:
    """One image that turns once around."""

    label: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Entry:
    """One model on the page."""

    report: Report
    agreement: tuple[tuple[float, ...], ...]
    """The share of images to which the model gives the same class under the one element and under the other, in [0, 1];
    rows and columns in the order of `report.elements`."""
    compared: int
    """Images behind `agreement`."""
    films: tuple[Film, ...]
    sizes: Mapping[int, float] | None
    """Input size in pixels -> predicted misalignment in input pixels, 0 is exact; None if no group ties the network."""
    group: str | None
    """The lattice group of the network, such as `c4`; None for a network that no group ties."""
    parameters: int

    @property
    def name(self) -> str:
        """Of the model."""
        return self.report.name

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, without the images."""
        films = [{"label": f.label, "frames": [_plain(frame) for frame in f.frames]} for f in self.films]
        return {
            "evaluation": self.report.to_dict(),
            "agreement": [list(row) for row in self.agreement],
            "compared": self.compared,
            "films": films,
            "sizes": None if self.sizes is None else {str(size): phi for size, phi in self.sizes.items()},
            "group": self.group,
            "parameters": self.parameters,
        }


def _plain(frame: Frame) -> dict[str, Any]:
    fields = asdict(frame)
    del fields["pixels"]
    return fields


def collect(
    model: nn.Module,
    images: Tensor,
    labels: Sequence[int],
    preprocessing: Preprocessing,
    report: Report,
    *,
    films: int = FILMS,
    progress: Callable[[int], None] = lambda images: None,
) -> Entry:
    """Everything that the page shows of a model.

    Args:
        model: images (B, C, H, W) to logits (B, classes).
        images: uint8 (n, C, H, W), those of the report.
        labels: n class indices.
        preprocessing: of the model.
        report: of `zoo.evaluate`.
        films: how many images turn, of different classes as far as there are.
        progress: called with the number of images that went through the model since the last call.

    Raises:
        ModelError: if the model cannot run on these images.
    """
    rows = spread(len(images), COMPARED)
    elements = Group.parse(report.group).elements
    predicted = torch.cat(
        [logits.argmax(2) for _, logits in sweep(model, images[rows], preprocessing, elements, progress=progress)], 1
    )  # (elements, n)
    agreement = (predicted[:, None] == predicted[None]).double().mean(2)
    group = lattice_part(model)
    sizes = None if group is None else phi_by_size(model, preprocessing.size, channels=preprocessing.channels)
    return Entry(
        report,
        tuple(map(tuple, agreement.tolist())),
        len(rows),
        tuple(
            _film(model, images[i : i + 1], int(labels[i]), preprocessing, report.fill) for i in _picked(labels, films)
        ),
        sizes,
        None if group is None else str(group),
        sum(p.numel() for p in model.parameters()),
    )


def _picked(labels: Sequence[int], count: int) -> list[int]:
    """The first image of each class in turn, and then the next of each."""
    seen: dict[int, int] = {}
    order = []
    for i, label in enumerate(map(int, labels)):
        seen[label] = seen.get(label, 0) + 1
        order.append((seen[label], label, i))
    return [i for _, _, i in sorted(order)[:count]]


def _film(model: nn.Module, image: Tensor, label: int, preprocessing: Preprocessing, fill: str) -> Film:
    elements = turns(FRAMES)
    ((_, logits),) = sweep(model, image, preprocessing, elements, fill=fill)
    shares = logits[:, 0].double().softmax(1)  # (frames, classes)
    views = Views(image, preprocessing, fill)
    frames = [
        Frame(float(e.angle), _seen(views, e, preprocessing), int(p.argmax()), float(p.max()))
        for e, p in zip(elements, shares, strict=True)
    ]
    return Film(label, tuple(frames))


def _seen(views: Views, element: Element, preprocessing: Preprocessing) -> Tensor:
    """What the model sees, as gray levels: normalisation undone, so that a fill of zero shows as what it is."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    unit = views.under(element)[0] * std + mean
    return (unit.clamp(0, 1) * 255).round().to(torch.uint8)
