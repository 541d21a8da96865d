"""Every registered measure of one model at once: what `symdata measure` prints, and what reports take numbers from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.groups import Group
from symdata.sources.files import omission_notes
from symdata.transforms.generators import MOTIONS
from zoo.measure import element_errors as element_errors
from zoo.measure.metrics import METRICS, Request
from zoo.measure.motions import along_motions as along_motions


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


def passes(generators: Sequence[str] = MOTIONS, split: Sequence[str] = ()) -> int:
    """How many times `measure_all` goes through all images."""
    return sum(metric.passes(generators, split) for metric in METRICS.values())
