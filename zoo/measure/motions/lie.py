"""The Lie derivative: how fast the output of a model changes, beyond what it should, as its input starts to move.

For a motion T_t of images and T'_t of outputs (Gruver, Finzi, Goldblum & Wilson 2023),

    L f(x) = d/dt T'_-t f(T_t x)  at t = 0,         local equivariance error  E_x |L f(x)|^2 / dim(output)

A model is equivariant to a connected group if and only if L f = 0 for each of its generators. The measure is local, and
grows with the confidence of a classifier: a model trained on turned images may have a larger one than a model that was
not, and an untrained one has next to none. Its numbers are not those of the code of that paper, which turns about the
edges of pixels, fills the border otherwise and takes one-sided slopes of the bilinear look-up: on smooth images they
differ by factors of 0.88 to 1.22, on noise by far more. So it is given relative to |f(x)|^2 too, and should be read
beside the whole orbit: `invariance_error`, `orbit_accuracy`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symdata.display import Result, Table, plain_fields
from symdata.transforms.generators import Generator
from zoo.measure.estimates import Estimate, squared
from zoo.measure.model_copy import Measurable
from zoo.measure.motions.derivatives import double_backward, forward_mode
from zoo.measure.motions.motion import LieDerivativeSettings, Motion


@dataclass(frozen=True, eq=False)
class LieDerivative(Result):
    """L f of every image.

    Example:
        >>> ramp = torch.arange(16.0).expand(1, 1, 16, 16)
        >>> print(lie_derivative(lambda x: x[:, 0, 8, 8:9], ramp, "translate_x"))
        Lie derivative of the logits along translate_x: |L f| = 1 per pixel, the mean over 1 images
    """

    generator: str
    unit: str
    """Of t; values are per unit."""
    settings: LieDerivativeSettings
    values: Tensor
    """(n, ...) L f(x), on the CPU."""
    outputs: Tensor
    """(n, ...) f(x), on the CPU."""

    @property
    def norm(self) -> Estimate:
        """The mean of |L f(x)|."""
        return Estimate.mean(squared(self.values).sqrt())

    def parts(self) -> Iterable[str | Table]:
        """The mean norm."""
        what = f"Lie derivative of the {self.settings.output} along {self.generator}"
        yield f"{what}: |L f| = {self.norm} per {self.unit}, the mean over {len(self.values)} images"

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON: what was measured, and the norm for the values."""
        return {"generator": self.generator, "unit": self.unit, **self.settings.to_dict(), "norm": self.norm.to_dict()}


@dataclass(frozen=True)
class LocalError(Result):
    """The local equivariance error along one motion.

    Example:
        >>> blob = torch.zeros(1, 1, 25, 25); blob[..., 9:14, 11] = 1.0
        >>> energy = lambda x: x.flatten(1).square().sum(1, keepdim=True)
        >>> turn, scale = (local_equivariance_error(energy, blob, name) for name in ("rotation", "scale"))
        >>> turn.unit, turn.relative.value < 1e-6 < scale.relative.value
        ('radian', True)
    """

    generator: str
    unit: str
    """Of t: radian, pixel, log-scale or shear factor."""
    settings: LieDerivativeSettings
    value: Estimate
    """E |L f|^2 / dim(output), per unit squared."""
    absolute: Estimate
    """E of the mean over outputs of |L f|, per unit."""
    relative: Estimate
    """E |L f|^2 / E |f|^2, per unit squared: it does not depend on the scale of the outputs."""
    half_image: float
    """In units, t = 1 of coordinates that go from -1 to 1 over the image: half the image for a translation."""

    @property
    def per_half_image(self) -> Estimate:
        """`value` with t in coordinates that go from -1 to 1: images of different size can be compared."""
        return self.value.scaled(self.half_image**2)

    def parts(self) -> Iterable[str | Table]:
        """A table of one row."""
        yield local_table([self])

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        numbers = plain_fields(self, "value", "absolute", "relative", "per_half_image", "half_image")
        return {"generator": self.generator, "unit": self.unit, **self.settings.to_dict(), **numbers}


def lie_derivative(
    model: Measurable, inputs: Tensor, generator: Generator | str = "rotation", **settings: Any
) -> LieDerivative:
    """The Lie derivative of a model along one motion of its images: (n, ...), per unit of t.

    Args:
        model: any module, which is copied, runs in eval mode and is left as it is; or a function of an image batch.
        inputs: normalised images (n, C, H, W), as the model takes them.
        generator: `rotation` (radian, counter-clockwise), `translate_x`, `translate_y` (pixel, right and down),
            `scale` (log-scale), `shear` (shear factor) or another of `symdata.transforms.generators`.
        settings: fields of `LieDerivativeSettings`: output, out_action, method, step, kernel, padding, batch_size,
            dtype.

    Raises:
        SymmetryError: for a generator that does not exist; a mirror has none.
        ModelError: if the model cannot run in this precision, or has no derivative.
        ShapeError: if the inputs are no images.

    Example:
        >>> wave = torch.sin(torch.arange(16.0) / 2).expand(1, 1, 16, 16)
        >>> pixel = lie_derivative(lambda x: x[:, 0, 8, 8:9], wave, "translate_x").values  # minus the slope
        >>> round(float(pixel), 2), round(-0.5 * float(torch.cos(torch.tensor(4.0))), 2)
        (0.33, 0.33)
    """
    motion = Motion(model, inputs, generator, LieDerivativeSettings(**settings))
    batches = [derivative(motion, x) for _, x in motion.model_copy.batches()]
    values, outputs = (torch.cat([batch[k].cpu() for batch in batches]) for k in (0, 1))
    return LieDerivative(motion.generator.name, motion.generator.unit, motion.settings, values, outputs)


def local_equivariance_error(
    model: Measurable, inputs: Tensor, generator: Generator | str = "rotation", **settings: Any
) -> LocalError:
    """The local equivariance error of a model along one motion of its images; arguments are those of `lie_derivative`.

    Three numbers are kept of an image, so memory does not grow with the outputs. Central differences take the mean of
    their two outputs for f(x), which saves a third forward.

    Example:
        >>> import zoo
        >>> model, images = zoo.load("p4cnn_28.mnist-none"), torch.rand(2, 1, 28, 28)
        >>> local_equivariance_error(model, images, "translate_x").unit
        'pixel'
    """
    motion = Motion(model, inputs, generator, LieDerivativeSettings(**settings))
    # In one block: small pieces between large ones would scatter over the heap, and it would grow.
    numbers, width = torch.empty(3, len(inputs), dtype=torch.float64), 1
    for rows, x in motion.model_copy.batches():
        values, outputs = derivative(motion, x)
        width = values[0].numel()
        numbers[0, rows], numbers[1, rows] = squared(values), squared(outputs)
        numbers[2, rows] = values.flatten(1).abs().mean(1).cpu()
    change, size, means = numbers
    return LocalError(
        generator=motion.generator.name,
        unit=motion.generator.unit,
        settings=motion.settings,
        value=Estimate.mean(change / width),
        absolute=Estimate.mean(means),
        relative=Estimate.ratio(change, size),
        half_image=motion.generator.per_half_image(motion.frame.size),
    )


def local_table(errors: Sequence[LocalError]) -> Table:
    """A row for each motion; all are measured in one way."""
    how = errors[0].settings
    title = f"{how.method} differences, {how.kernel}, {how.padding} at the border"
    header = (
        "motion",
        "unit",
        "E|Lf|^2/dim per unit^2",
        "+-",
        "E|Lf|^2/E|f|^2 per unit^2",
        "+-",
        "/dim per half image^2",
    )
    rows = [(e.generator, e.unit, *e.value.cells, *e.relative.cells, e.per_half_image.cells[0]) for e in errors]
    return Table(header, rows, f"Lie derivative L f = df/dt of the {how.output} ({title}):")


def derivative(motion: Motion, x: Tensor) -> tuple[Tensor, Tensor]:
    """L f(x) and f(x) of one batch, (B, ...)."""
    run, h = motion.model_copy.run, motion.step
    if motion.settings.method == "central":
        with torch.no_grad():
            ahead, behind = (motion.outputs_moved(run(motion.moved(x, t)), -t) for t in (h, -h))
            return (ahead - behind) / (2 * h), (ahead + behind) / 2
    along = forward_mode if motion.settings.method == "jvp" else double_backward
    out, change = along(run, x, motion.velocity(x))
    return change - motion.outputs_velocity(out), out
