"""The invariance error: |f(g x) - f(x)| / |f(x)| of a model's output, in float64, under any elements of O(2).

Elements of d4 permute pixels, so that an invariant model is at rounding. Any other element is one look-up in the cubic
spline through the pixels, reflected at the border, and its error is that of model and resampling together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.exactness.arithmetic import D4
from zoo.inference.sweep import listed
from zoo.layers.regular import move
from zoo.measure.estimates import Estimate, relative, squared
from zoo.measure.model_copy import Measurable, ModelCopy
from zoo.measure.motions.flows import flow


@dataclass(frozen=True)
class InvarianceError:
    """|f(g x) - f(x)| / |f(x)| in the L2 norm over images and outputs, per element."""

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

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        errors = {name: error.to_dict() for name, error in self.by_element.items()}
        return {"output": self.output, "errors": errors, "worst": self.worst}


def invariance_error(
    model: Measurable,
    inputs: Tensor,
    elements: Group | str | Sequence[Element] = "d4",
    *,
    output: str = "logits",
    padding: str = "reflection",
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> InvarianceError:
    """How far a model's output is from staying as it is when its images are moved.

    Args:
        model: any module, which is copied, runs in eval mode and is left as it is; or a function of an image batch.
        inputs: normalised images (n, C, H, W), as the model takes them.
        elements: a finite group, its name, or elements of O(2).
        output: `logits`, what the model gives, or the `softmax` of that.
        padding: what lies outside of an image, for elements off the lattice: `reflection`, `border` or `zeros`.
        batch_size: images per forward; by default as many as keep the largest activation in the cache.
        dtype: of the computation; float32 is for models that cannot compute in float64.

    Raises:
        ModelError: if the model cannot run in this precision.
        SymmetryError: for a group that is not finite.
        ShapeError: if the inputs are no images.
    """
    asked = listed(elements)
    if not asked:
        raise ShapeError("there are no elements to measure under; name some, for example 'd4'")
    work = ModelCopy.of(model, inputs, output, dtype, batch_size)
    # In one block: small pieces between large ones would scatter over the heap, and it would grow.
    squares, done = torch.zeros(1 + len(asked), len(inputs), dtype=torch.float64), 0
    with torch.no_grad():
        for x in work.batches():
            upright, rows = work.run(x), slice(done, done + len(x))
            squares[0, rows] = squared(upright)
            for k, e in enumerate(asked):
                if e != Element():
                    squares[1 + k, rows] = squared(work.run(moved(x, e, padding)) - upright)
            done += len(x)
    errors = tuple(relative(change, squares[0]) for change in squares[1:])
    return InvarianceError(tuple(str(e) for e in asked), errors, output)


def moved(images: Tensor, element: Element, padding: str = "reflection") -> Tensor:
    """Images (B, C, H, W) of floats moved by an element: mirrored left-right first if it flips, then turned."""
    if element in D4:
        return move(images, element)
    mirrored = images.flip(-1) if element.flip else images
    return flow(mirrored, "rotation", math.radians(element.angle), padding=padding)
