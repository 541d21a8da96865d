"""The invariance error: |f(g x) - f(x)| / |f(x)| of a model's output, in float64, under any elements of O(2).

Elements of d4 permute pixels, so that an invariant model is at rounding. Any other element is one look-up in the cubic
spline through the pixels, reflected at the border, and its error is that of model and resampling together.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symdata.display import Result, Table, plain
from symdata.errors import ShapeError
from symdata.groups import Element
from zoo.exactness.arithmetic import D4
from zoo.inference.sweep import Moves, listed
from zoo.layers.regular import move
from zoo.measure.estimates import Estimate, relative, squared
from zoo.measure.model_copy import Measurable, ModelCopy
from zoo.measure.motions.flows import flow


@dataclass(frozen=True)
class InvarianceError(Result):
    """|f(g x) - f(x)| / |f(x)| in the L2 norm over images and outputs, per element.

    Example:
        >>> mean = lambda x: x.flatten(1).mean(1, keepdim=True)
        >>> found = invariance_error(mean, torch.rand(4, 1, 9, 9), "c8")
        >>> [name for name, error in found.by_element.items() if error.value > 1e-12]
        ['r45', 'r135', 'r225', 'r315']
    """

    elements: tuple[str, ...]
    errors: tuple[Estimate, ...]
    output: str
    """`logits` or `softmax`."""

    @property
    def by_element(self) -> dict[str, Estimate]:
        """The error of each element, by its name."""
        return dict(zip(self.elements, self.errors, strict=True))

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max(e.value for e in self.errors)

    def parts(self) -> Iterable[str | Table]:
        """A row for each element."""
        rows = [(name, *error.cells) for name, error in self.by_element.items()]
        title = f"Change of the {self.output} in float64, relative to their norm:"
        yield Table(("element", self.output, "+-"), rows, title)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"output": self.output, "errors": plain(self.by_element), "worst": self.worst}


def invariance_error(
    model: Measurable,
    inputs: Tensor,
    elements: Moves = "d4",
    *,
    output: str = "logits",
    padding: str = "reflection",
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> InvarianceError:
    """How much the output of a model changes when its images are moved.

    Args:
        model: any module, which is copied, runs in eval mode and is left as it is; or a function of an image batch.
        inputs: normalised images (n, C, H, W), as the model takes them.
        elements: a finite group, its name, or elements of O(2).
        output: `logits`, the model's output, or the `softmax` of that.
        padding: what lies outside of an image, for elements off the lattice: `reflection`, `border` or `zeros`.
        batch_size: images per forward; by default as many as keep the largest activation in the cache.
        dtype: of the computation; float32 is for models that cannot compute in float64.

    Raises:
        ModelError: if the model cannot run in this precision.
        SymmetryError: for a group that is not finite.
        ShapeError: if the inputs are no images.

    Example:
        >>> import zoo
        >>> model, images = zoo.load("p4cnn_28.mnist-none"), torch.rand(2, 1, 28, 28)
        >>> invariance_error(model, images, "c4").worst < 1e-12, invariance_error(model, images, "d1").worst > 1e-3
        (True, True)
    """
    asked = listed(elements)
    if not asked:
        raise ShapeError("there are no elements to measure under; name some, for example 'd4'")
    model_copy = ModelCopy(model, inputs, output, dtype, batch_size)
    # In one block: small pieces between large ones would scatter over the heap, and it would grow.
    squares = torch.zeros(1 + len(asked), len(inputs), dtype=torch.float64)
    with torch.no_grad():
        for rows, x in model_copy.batches():
            upright = model_copy.run(x)
            squares[0, rows] = squared(upright)
            for k, e in enumerate(asked):
                if e != Element():
                    squares[1 + k, rows] = squared(model_copy.run(moved_images(x, e, padding)) - upright)
    errors = tuple(relative(change, squares[0]) for change in squares[1:])
    return InvarianceError(tuple(str(e) for e in asked), errors, output)


def moved_images(images: Tensor, element: Element, padding: str = "reflection") -> Tensor:
    """Images (B, C, H, W) of floats moved by an element: mirrored left-right first if it flips, then turned."""
    if element in D4:
        return move(images, element)
    mirrored = images.flip(-1) if element.flip else images
    return flow(mirrored, "rotation", math.radians(element.angle), padding=padding)
