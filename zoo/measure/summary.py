"""Every registered measure of one model at once: what `symdata measure` prints, and what reports take numbers from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.errors import ShapeError
from symdata.groups import Group
from symdata.lazy import make_callable
from symdata.sources.files import omission_notes
from symdata.transforms.generators import MOTIONS
from zoo.inference.opened_model import OpenedModel
from zoo.inference.sweep import spread
from zoo.measure import element_errors as element_errors
from zoo.measure.metrics import METRICS, Request
from zoo.measure.motions import along_motions as along_motions

LIMIT = 100
"""Images that are measured on, as by `symdata measure`."""


@dataclass(frozen=True)
class Summary(Result):
    """Everything that was measured of one model.

    Example:
        >>> import torch, zoo
        >>> model, images = zoo.load("p4cnn_28.mnist-none"), torch.rand(2, 1, 28, 28)
        >>> found = measure_all(model, images, "c4", generators=["rotation"], name="mine", data="noise")
        >>> print(found)
        mine on noise: 2 images at 28x28, in float64
        ...
        >>> list(found.to_dict())
        ['name', 'data', 'size', 'images', 'invariance', 'equivariance', 'local', 'layers', 'note']
    """

    name: str
    data: str
    size: int
    """Side of the images in pixels."""
    images: int
    found: Mapping[str, Result]
    """By name of the measure."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Images of the source that were left out, by name, with the reason."""

    @property
    def note(self) -> str:
        """What the numbers do not say."""
        notes = [note for result in self.found.values() if (note := getattr(result, "note", ""))]
        return "; ".join([*notes, *omission_notes({"skipped": self.skipped})])

    def parts(self) -> Iterable[str | Table]:
        """A line on model and images, and the parts of every measure."""
        head = f"{self.name} on {self.data}: {self.images:,} images at {self.size}x{self.size}, in float64"
        yield "\n".join([head, *omission_notes({"skipped": self.skipped})])
        for result in self.found.values():
            yield from result.parts()

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON: the keys of all measures."""
        fields: dict[str, Any] = {"name": self.name, "data": self.data, "size": self.size, "images": self.images}
        for result in self.found.values():
            fields |= result.to_dict()
        return fields | {"note": self.note}


def measure_all(
    model: nn.Module, inputs: Tensor, elements: Group | str = "d4", *, name: str = "", data: str = "", **request: Any
) -> Summary:
    """Measure how far a model is from a symmetry, in every registered way.

    Args:
        model: any module; it is copied, never changed, and runs in eval mode and float64.
        inputs: normalised images (n, C, H, W), as the model takes them.
        elements: a finite group or its name; each element gets an error.
        name: of the model; by default that of its class.
        data: where the images are from.
        request: fields of `zoo.measure.metrics.Request`: generators, motions that get a Lie derivative each; split,
            those that are split among the layers; output, batch_size, lenient and progress, see `passes`.

    Raises:
        ModelError: if the model cannot run in float64, or a split fails.
        SymmetryError: for a group that is not finite, or a generator that does not exist.
        ShapeError: if the inputs are no images.

    Example:
        >>> import torch, zoo
        >>> model, images = zoo.load("p4cnn_28.mnist-none"), torch.rand(2, 1, 28, 28)
        >>> found = measure_all(model, images, "c4", generators=["rotation"])
        >>> bool(found.found["element_errors"].invariance.worst < 1e-12)
        True
    """
    group = Group.parse(elements) if isinstance(elements, str) else elements
    asked = Request(group, **request)
    found = {key: metric.measure(model, inputs, asked) for key, metric in METRICS.items()}
    return Summary(name or type(model).__name__, data, inputs.shape[-1], len(inputs), found)


def summary(
    model: OpenedModel | nn.Module,
    images: Any,
    elements: Group | str = "d4",
    *,
    limit: int | None = LIMIT,
    name: str = "",
    data: str = "",
    **request: Any,
) -> Summary:
    """Measure how far a model is from a symmetry, on images as they are: `zoo.measure.summary` is this function.

    Args:
        model: a module with the attribute `preprocessing`, as `zoo.load` returns it, or an `OpenedModel`.
        images: uint8 (n, C, H, W), a dataset as `symdata.load` returns it, or a `zoo.ImageSet`, which the model's
            preprocessing prepares; or floats (n, C, H, W), which are taken for normalised images.
        elements: a finite group or its name; each element gets an error.
        limit: at most so many images, the same random choice every time; None: all.
        name: of the model; by default its own.
        data: where the images are from; by default what they say.
        request: as for `measure_all`: generators, split, output, batch_size and progress.

    Raises:
        ModelError: if it is not known how images become the input of the model, or it cannot run in float64.
        ShapeError, SymmetryError: as for `measure_all`.

    Example:
        >>> import torch, zoo
        >>> images = torch.randint(0, 256, (2, 1, 28, 28)).byte()
        >>> found = zoo.measure.summary(zoo.load("p4cnn_28.mnist-none"), images, "c4", generators=["rotation"])
        >>> found.name, bool(found.found["element_errors"].invariance.worst < 1e-12)
        ('p4cnn_28.mnist-none', True)
    """
    opened, pixels = OpenedModel.of(model), getattr(images, "images", images)
    pixels = torch.as_tensor(pixels() if callable(pixels) else pixels)
    if pixels.ndim != 4 or not len(pixels):
        raise ShapeError(
            f"images are {tuple(pixels.shape)}, expected (n, C, H, W) with n > 0; add axes by images[None]"
        )
    pixels = pixels[spread(len(pixels), limit)]
    inputs = pixels if pixels.is_floating_point() else opened.require_preprocessing()(pixels)
    named = data or str(getattr(images, "name", "") or "images")
    return measure_all(opened.model, inputs, elements, name=name or opened.name, data=named, **request)


def passes(generators: Sequence[str] = MOTIONS, split: Sequence[str] = ()) -> int:
    """How many times `measure_all` goes through all images."""
    return sum(metric.passes(generators, split) for metric in METRICS.values())


make_callable(__name__, summary)
