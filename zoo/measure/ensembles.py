"""Orbit error of the mean prediction of K networks, against K.

Networks trained on all elements of every image, from initial weights whose law the group leaves as it is, are not
equivariant, but their expectation is: the mean of K predictions is equivariant up to 1/sqrt(K) (Gerken & Kessel 2024,
arXiv 2403.03103).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.groups import Element, Group
from symdata.pictures.figure import INK, LINE, TURNED, new_figure
from zoo.errors import ModelError
from zoo.inference.sweep import listed
from zoo.measure.invariance import moved_images
from zoo.measure.model_copy import ModelCopy
from zoo.measure.statistics import summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EnsembleError(Result):
    """The orbit error of ensembles of K networks, and of a single one: K = 1.

    Example:
        >>> import zoo
        >>> models = [zoo.create("z2cnn_12", width=8, in_chans=1, seed=k) for k in range(2)]
        >>> found = ensemble_error(models, torch.rand(4, 1, 12, 12), "c4")
        >>> list(found.errors), [len(errors) for errors in found.errors.values()]
        ([1, 2], [2, 1])
    """

    errors: dict[int, tuple[float, ...]]
    """K -> the error of every ensemble of K of the networks; no network is in two of them."""
    images: int
    elements: tuple[str, ...]
    output: str

    @property
    def slope(self) -> float | None:
        """Of log error against log K, by least squares over the means: -1/2 for networks that differ independently.

        None for fewer than two sizes, or an error of 0.
        """
        points = [(math.log(k), sum(e) / len(e)) for k, e in self.errors.items()]
        if len(points) < 2 or min(error for _, error in points) <= 0:
            return None
        x, y = [x for x, _ in points], [math.log(error) for _, error in points]
        centre = sum(x) / len(x)
        return sum((a - centre) * b for a, b in zip(x, y, strict=True)) / sum((a - centre) ** 2 for a in x)

    def parts(self) -> Iterable[str | Table]:
        """A row for each K."""
        rows = []
        for k, errors in self.errors.items():
            mean, sd, n = summarise(errors)
            rows.append((str(k), f"{mean:.4g}", "-" if sd is None else f"{sd:.2g}", str(n)))
        slope = [] if self.slope is None else [f"log error falls as {self.slope:+.2f} log K; independent ones: -0.50"]
        title = f"change of the mean {self.output} of K networks under {', '.join(self.elements)}, of its norm"
        yield Table(("K", "orbit error", "sd", "ensembles"), rows, title, slope)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        errors = {str(k): list(values) for k, values in self.errors.items()}
        facts = {"images": self.images, "elements": list(self.elements), "output": self.output}
        return {"errors": errors, "slope": self.slope, **facts}

    def plot(self) -> "Figure":
        """Error against K, both on logarithmic axes, beside 1/sqrt(K)."""
        figure = new_figure(5.0, 3.6, layout="constrained")
        axes: Any = figure.add_subplot()
        sizes, means = list(self.errors), [sum(e) / len(e) for e in self.errors.values()]
        axes.plot(sizes, means, color=TURNED, marker="o", label="measured")
        axes.plot(sizes, [means[0] / math.sqrt(k / sizes[0]) for k in sizes], color=INK, ls="--", label="1/sqrt(K)")
        axes.set(xscale="log", yscale="log", xlabel="K", ylabel="orbit error")
        axes.grid(color=LINE)
        axes.legend(frameon=False)
        return figure


def ensemble_error(
    models: Sequence[nn.Module],
    inputs: Tensor,
    elements: Group | str = "c4",
    *,
    output: str = "softmax",
    sizes: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> EnsembleError:
    """How far the mean prediction of K networks changes along orbits, against K.

    The error of an ensemble is the root mean square over images and elements g other than e of |F(g x) - F(x)|, over
    that of |F(x)|, with F the mean output of its networks; in float64.

    Args:
        models: at least 2 networks that take the same images, and have the same classes; none of them is changed.
        inputs: normalised images (n, C, H, W).
        elements: a finite group or its name.
        output: `softmax`, or `logits`.
        sizes: values of K, from 1 to the number of networks. By default its powers of 2, and all.
        batch_size: images per forward.

    Raises:
        ModelError: for fewer than 2 networks, for outputs of different shapes, and for a size out of range.
        SymmetryError: for a group that is not finite.
        ShapeError: if the inputs are no images.

    Example:
        >>> import zoo
        >>> plain = [zoo.create("z2cnn_12", width=8, in_chans=1, seed=k) for k in range(4)]
        >>> tied = [zoo.create("p4cnn_12", width=4, in_chans=1, seed=k) for k in range(4)]
        >>> found = ensemble_error(plain, images := torch.rand(8, 1, 12, 12), "c4")
        >>> {size: len(errors) for size, errors in found.errors.items()}
        {1: 4, 2: 2, 4: 1}
        >>> max(ensemble_error(tied, images, "c4").errors[1]) < 1e-9 < found.errors[4][0]
        True
    """
    count, asked = len(models), [e for e in listed(elements) if e != Element()]
    if count < 2:
        raise ModelError(f"an ensemble has at least 2 networks, and {count} came; train more: symdata train --seeds 4")
    if not asked:
        raise ModelError(f"{elements} has the identity alone, under which nothing changes; name a group such as 'c4'")
    wanted = sorted({2**k for k in range(count.bit_length())} | {count}) if sizes is None else list(sizes)
    if not wanted:
        raise ModelError(f"sizes is empty, expected values of K from 1 to {count}, such as sizes=(1, {count})")
    for size in wanted:
        if not 1 <= size <= count:
            raise ModelError(f"K is {size}, expected 1 to {count}, the number of networks")
    outputs = [_along_orbits(model, inputs, asked, output, batch_size) for model in models]
    for k, one in enumerate(outputs):
        if one.shape != outputs[0].shape:
            got = f"{one.shape[-1]} outputs, and the first has {outputs[0].shape[-1]}"
            raise ModelError(f"network {k} has {got}; give networks of the same classes")
    every = torch.stack(outputs)  # (K, g, n, classes)
    found = {
        size: tuple(_orbit_error(every[k : k + size].mean(0)) for k in range(0, count - size + 1, size))
        for size in wanted
    }
    return EnsembleError(found, len(inputs), tuple(map(str, asked)), output)


def _along_orbits(
    model: nn.Module, inputs: Tensor, elements: Sequence[Element], output: str, batch_size: int | None
) -> Tensor:
    """(1 + elements, n, classes) in float64: as the images are, and moved."""
    copy = ModelCopy(model, inputs, output, torch.float64, batch_size)
    with torch.no_grad():
        rows = [torch.stack([copy.run(moved_images(x, e)) for e in (Element(), *elements)]) for _, x in copy.batches()]
    return torch.cat(rows, 1)


def _orbit_error(outputs: Tensor) -> float:
    """Of (1 + elements, n, classes)."""
    change = (outputs[1:] - outputs[0]).square().sum(-1).mean()
    return float((change / outputs[0].square().sum(-1).mean()).sqrt())
