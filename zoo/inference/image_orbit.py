"""One image under many elements, and what one or several classifiers say about each.

Convention:
    Degrees, counter-clockwise as displayed; an element mirrors left-right first, then turns.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.errors import StoreError
from symdata.groups import Element
from symdata.pictures.animation import save_animation
from symdata.pictures.curves import COLOURS
from symdata.pictures.figure import INK, LINE, new_figure
from symdata.pictures.slider import slider, slider_page
from zoo.errors import ModelError
from zoo.inference.sweep import sweep
from zoo.inference.views import Views
from zoo.preprocessing import Preprocessing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 12
"""Pictures in a figure, at most."""
ROWS = 36
"""Rows in the text, at most."""
SIDE = 128
"""Pixels of a slider: of a larger image every second, third, ... pixel is kept."""


@dataclass(frozen=True, eq=False)
class ImageOrbit(Result):
    """One image under many elements, and what each model says; the result of `zoo.orbit`.

    In a notebook it is a slider that turns the image.

    Example:
        >>> import symdata, zoo
        >>> image = symdata.open_source("glyphs:digits", size=28).read("train", [4])
        >>> found = zoo.orbit("p4cnn_28.mnist-none", image, elements="c4")
        >>> found.pictures.shape, len(set(found.labels["p4cnn_28.mnist-none"]))
        (torch.Size([4, 1, 28, 28]), 1)
        >>> found.save("r.gif"), found.save("r.html")
        (PosixPath('r.gif'), PosixPath('r.html'))
    """

    elements: tuple[Element, ...]
    pictures: Tensor
    """uint8 (n, C, h, w): the image under each element, as the first model sees it, before normalisation."""
    classes: tuple[str, ...]
    """Names of the logits."""
    probabilities: Mapping[str, Tensor]
    """Name of a model -> (n, classes) float64."""
    label: str | None = None
    """The true class, where it is known."""
    notes: tuple[str, ...] = ()
    """What was done to the image that is worth knowing."""

    @property
    def views(self) -> tuple[str, ...]:
        """What each position is called: `90°`, or `r90m` for a mirror."""
        return tuple(str(e) if e.flip else f"{e.angle:g}°" for e in self.elements)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Name of a model -> the most probable class at every position."""
        return {name: tuple(label for label, _ in row) for name, row in self._answers().items()}

    def _answers(self) -> dict[str, list[tuple[str, float]]]:
        best = {name: shares.max(1) for name, shares in self.probabilities.items()}
        return {
            name: [(self.classes[k], p) for k, p in zip(found.indices.tolist(), found.values.tolist(), strict=True)]
            for name, found in best.items()
        }

    def parts(self) -> Iterator[str | Table]:
        """A line for each model: how often it gives which class; then its answers."""
        answers, count = self._answers(), len(self.elements)
        what = "An image" if self.label is None else f"An image of class {self.label}"
        lines = [f"{what} under {count} elements, {self.views[0]} to {self.views[-1]}"]
        for name, row in answers.items():
            often = ", ".join(f"{label} {times} times" for label, times in Counter(a for a, _ in row).most_common(4))
            lines.append(f"{name}: {often}")
        yield "\n".join(lines)
        step = ceil(count / ROWS)
        rows = [
            (self.views[k], *(f"{row[k][0]} {row[k][1]:.1%}" for row in answers.values()))
            for k in range(0, count, step)
        ]
        less = [f"every {step} of {count} elements"] if step > 1 else []
        yield Table(("element", *answers), rows, notes=[*less, *self.notes])

    def data_rows(self) -> list[dict[str, Any]]:
        """A row for each model and element: the angle, the label, and the probability of every class, in [0, 1]."""
        return [
            {"model": name, "element": str(e), "angle": float(e.angle), "label": label, "probability": p}
            | {f"p {c}": share for c, share in zip(self.classes, shares, strict=True)}
            for name, row in self._answers().items()
            for e, (label, p), shares in zip(self.elements, row, self.probabilities[name].tolist(), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, without the pictures."""
        models = {
            name: {"labels": list(self.labels[name]), "probabilities": shares.tolist()}
            for name, shares in self.probabilities.items()
        }
        facts = {"elements": [str(e) for e in self.elements], "classes": list(self.classes), "label": self.label}
        return facts | {"models": models, "notes": list(self.notes)}

    def plot(self) -> "Figure":
        """The image under at most 12 of the elements, and below, over all, the probability of its class.

        Its class is the true one where that is known, else what the first model says at the first position.
        """
        label = self.label or next(iter(self.labels.values()))[0]
        figure = new_figure(9.0, 4.4, layout="constrained")
        shown = range(0, len(self.elements), ceil(len(self.elements) / SHOWN))
        grid = figure.add_gridspec(2, len(shown), height_ratios=(1, 3))
        for place, k in enumerate(shown):
            axes: Any = figure.add_subplot(grid[0, place])
            array = self.pictures[k].permute(1, 2, 0).numpy()
            axes.imshow(array, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(self.views[k], fontsize=9, color=INK)
            axes.set_axis_off()
        axes = figure.add_subplot(grid[1, :])
        for k, (name, shares) in enumerate(self.probabilities.items()):
            values = 100 * shares[:, self.classes.index(label)]
            axes.plot(range(len(values)), values, color=COLOURS[k % len(COLOURS)], marker=".", label=name)
        axes.set_xticks(list(shown), [self.views[k] for k in shown])
        axes.set_ylim(-3, 103)
        axes.set_ylabel("probability %", color=INK)
        axes.set_title(f"probability of class {label}", fontsize=11, color=INK)
        axes.grid(color=LINE)
        legend = figure.legend(loc="outside lower center", ncols=len(self.probabilities), frameon=False)
        for text in [axes.title, *legend.get_texts()]:
            text.set_parse_math(False)  # a name may have dollars in it
        return figure

    def save(self, path: str | Path, *, seconds: float = 3.6, zoom: int | None = None) -> Path:
        """Write the turning image as a `.gif` or `.webp`, or the slider as an `.html` page that needs nothing else.

        Args:
            path: its ending says what is written. A GIF is exact in gray, and has 256 colours a picture; a WebP is
                exact always.
            seconds: of one turn of the animation.
            zoom: how often each pixel is repeated to both sides; by default until the picture has 200 pixels.

        Returns:
            The path.

        Raises:
            SymdataError: for another ending, or if the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            return save_animation(self.pictures, path, seconds=seconds, zoom=zoom)
        title = "An image that turns" if self.label is None else f"An image of class {self.label} that turns"
        try:
            path.write_text(slider_page(title, self._slider(alone=False)), encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"{str(path)!r} cannot be written: {error.strerror}; name a file in a folder that exists"
            ) from None
        return path

    def _slider(self, alone: bool) -> str:
        step = -(-max(self.pictures.shape[-2:]) // SIDE)
        pictures = self.pictures[..., ::step, ::step]
        return slider(pictures, self.views, self._answers(), self.label, alone=alone)

    def _repr_html_(self) -> str:
        return self._slider(alone=True)


def displayed(images: Tensor, preprocessing: Preprocessing, elements: Sequence[Element], fill: str) -> Tensor:
    """A model's input without normalisation, uint8 (elements, B, C, h, w): a fill of zero appears as the grey it is.

    Its channels are red, green and blue, also of a model that reads them in another order.
    """
    views = Views(images, preprocessing, fill)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    units = [(views.under(e) * std + mean)[:, list(preprocessing.colours)].clamp(0, 1) for e in elements]
    return torch.stack([(unit * 255).round().to(torch.uint8) for unit in units])


def shares(
    model: nn.Module, images: Tensor, preprocessing: Preprocessing, elements: Sequence[Element], **options: Any
) -> Tensor:
    """The probability of every class for every image under every element, (elements, B, classes) float64.

    `options` are those of `zoo.inference.sweep.sweep`.
    """
    logits = [found for _, found in sweep(model, images, preprocessing, elements, **options)]
    if not logits:
        raise ModelError("there are no images to turn; give one")
    return torch.cat(logits, 1).double().softmax(-1)
