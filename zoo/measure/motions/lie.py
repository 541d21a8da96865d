"""The Lie derivative: how fast the output of a model changes, beyond what it should, as its input starts to move.

For a motion T_t of images and T'_t of outputs (Gruver, Finzi, Goldblum & Wilson 2023),

    L f(x) = d/dt T'_-t f(T_t x)  at t = 0,         local equivariance error  E_x |L f(x)|^2 / dim(output)

A model is equivariant to a connected group if and only if L f = 0 for each of its generators. The measure is local, and
grows with the confidence of a classifier: a model trained on turned images may have a larger one than a model that
never saw any, and an untrained one has next to none. So it is given over |f(x)|^2 too, and belongs beside the whole
orbit: `invariance_error`, `orbit_accuracy`.

    >>> total = lambda x: x.flatten(1).square().sum(1, keepdim=True)
    >>> images = torch.zeros(2, 1, 25, 25); images[..., 9:14, 11] = 1.0
    >>> error = local_equivariance_error(total, images, "rotation")
    >>> error.unit, error.relative.value < 1e-6
    ('radian', True)
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symdata.transforms.generators import Generator
from zoo.measure.estimates import Estimate, squared
from zoo.measure.model_copy import Measurable, ModelCopy
from zoo.measure.motions.derivatives import double_backward, forward_mode
from zoo.measure.motions.motion import LieDerivativeSettings, Motion


@dataclass(frozen=True, eq=False)
class LieDerivative:
    """L f of every image."""

    generator: str
    unit: str
    """Of t; values are per unit."""
    how: LieDerivativeSettings
    values: Tensor
    """(n, ...) L f(x), on the CPU."""
    outputs: Tensor
    """(n, ...) f(x), on the CPU."""

    @property
    def norm(self) -> Estimate:
        """The mean of |L f(x)|."""
        return Estimate.mean(squared(self.values).sqrt())

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON: what was measured, and the norm for the values."""
        return {**_words(self.generator, self.unit, self.how), "norm": self.norm.to_dict()}


@dataclass(frozen=True)
class LocalError:
    """The local equivariance error along one motion."""

    generator: str
    unit: str
    """Of t: radian, pixel, log-scale or shear factor."""
    how: LieDerivativeSettings
    value: Estimate
    """E |L f|^2 / dim(output), per unit squared."""
    absolute: Estimate
    """E of the mean over outputs of |L f|, per unit."""
    relative: Estimate
    """E |L f|^2 / E |f|^2, per unit squared: the scale of the outputs drops out."""
    half_image: float
    """In units, t = 1 of coordinates that go from -1 to 1 over the image: half the image for a translation."""

    @property
    def per_half_image(self) -> Estimate:
        """`value` with t in coordinates that go from -1 to 1: images of different size can be compared."""
        return self.value.scaled(self.half_image**2)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        numbers = {name: getattr(self, name).to_dict() for name in ("value", "absolute", "relative", "per_half_image")}
        return {**_words(self.generator, self.unit, self.how), **numbers, "half_image": self.half_image}


def lie_derivative(
    model: Measurable, inputs: Tensor, generator: Generator | str = "rotation", **how: Any
) -> LieDerivative:
    """The Lie derivative of a model along one motion of its images: (n, ...), per unit of t.

    Args:
        model: any module, which is copied, runs in eval mode and is left as it is; or a function of an image batch.
        inputs: normalised images (n, C, H, W), as the model takes them.
        generator: `rotation` (radian, counter-clockwise), `translate_x`, `translate_y` (pixel, right and down),
            `scale` (log-scale) or `shear` (shear factor); see `zoo.measure.motions.flows`.
        how: fields of `LieDerivativeSettings`: output, out_action, method, step, kernel, padding, batch_size, dtype.

    Raises:
        SymmetryError: for a generator that does not exist; a mirror has none.
        ModelError: if the model cannot run in this precision, or cannot be derived.
        ShapeError: if the inputs are no images.
    """
    settings = LieDerivativeSettings(**how)
    work = settings.work(model, inputs)
    motion = Motion.of(generator, work, settings)
    parts = [derivative(work, motion, x) for x in work.batches()]
    values, outputs = (torch.cat([part[k].cpu() for part in parts]) for k in (0, 1))
    return LieDerivative(motion.generator.name, motion.generator.unit, settings, values, outputs)


def local_equivariance_error(
    model: Measurable, inputs: Tensor, generator: Generator | str = "rotation", **how: Any
) -> LocalError:
    """The local equivariance error of a model along one motion of its images; arguments are those of `lie_derivative`.

    Of an image nothing but three numbers are kept, so memory does not grow with their number. Central differences take
    f(x) for the mean of their two outputs, which spares a third forward.
    """
    settings = LieDerivativeSettings(**how)
    work = settings.work(model, inputs)
    motion = Motion.of(generator, work, settings)
    # In one block: small pieces between large ones would scatter over the heap, and it would grow.
    numbers = torch.empty(3, len(inputs), dtype=torch.float64)
    width, done = 1, 0
    for x in work.batches():
        values, outputs = derivative(work, motion, x)
        width, rows = values[0].numel(), slice(done, done + len(x))
        numbers[0, rows], numbers[1, rows] = squared(values), squared(outputs)
        numbers[2, rows] = values.flatten(1).abs().mean(1).cpu()
        done += len(x)
    change, size, means = numbers
    return LocalError(
        generator=motion.generator.name,
        unit=motion.generator.unit,
        how=settings,
        value=Estimate.mean(change / width),
        absolute=Estimate.mean(means),
        relative=Estimate.ratio(change, size),
        half_image=motion.generator.per_half_image(motion.frame.size),
    )


def derivative(work: ModelCopy, motion: Motion, x: Tensor) -> tuple[Tensor, Tensor]:
    """L f(x) and f(x) of one batch, (B, ...)."""
    if motion.how.method == "central":
        h = motion.step
        with torch.no_grad():
            ahead, behind = (motion.outputs_moved(work.run(motion.moved(x, t)), -t) for t in (h, -h))
            return (ahead - behind) / (2 * h), (ahead + behind) / 2
    along = forward_mode if motion.how.method == "jvp" else double_backward
    out, change = along(work.run, x, motion.velocity(x))
    return change - motion.outputs_velocity(out), out


def _words(generator: str, unit: str, how: LieDerivativeSettings) -> dict[str, Any]:
    action = how.out_action if isinstance(how.out_action, str) else "function"
    words = {"output": how.output, "out_action": action, "method": how.method, "kernel": how.kernel}
    return {"generator": generator, "unit": unit, **words, "padding": how.padding}
