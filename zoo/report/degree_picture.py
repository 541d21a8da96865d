"""What a model learned of its symmetry, drawn: a row for each layer, a column for each element, the data below."""

import math
from typing import Any

from PIL import Image

from symdata.pictures.contact_sheet import INK, PAPER, Picture
from symdata.transforms.generators import half_width_unit
from zoo.errors import ModelError
from zoo.measure.learned_degree import Learned

DPI = 110
MAP = "Blues"
CAPTION = "correlation of the filters with themselves moved\n(laws: probability over that of the identity)"
APART = math.sqrt(2.0)
"""|g K - K| / |K| of filters that have nothing to do with g, taken for elements beyond a layer's group."""


def draw(found: Learned) -> Picture:
    """The share of its filters that every layer keeps under every element, and the law of the data, with matplotlib.

    A cell holds 1 - |g K - K|^2 / (2 |K|^2), the correlation of the filters with themselves moved: 1 where they are
    equivariant, 0 where they are like any others. Rows of likelihoods and of the data are relative to the identity. Of
    learned augmentations it shows the half-widths, and in the cells their shares of full rotation, or of one unit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, columns, cells = rows(found)
    if not cells:
        raise ModelError(f"{found.model!r} has no layer whose degree could be drawn; leave --plot out")
    height = 1.8 + 0.34 * len(cells)
    figure = Figure(figsize=(2.6 + 0.62 * max(len(columns), 4), height), dpi=DPI, facecolor=PAPER, layout="constrained")
    axes: Any = figure.add_subplot()
    axes.imshow(cells, cmap=MAP, vmin=0.0, vmax=1.0, aspect="auto")
    for y, line in enumerate(cells):
        for x, value in enumerate(line):
            ink = INK if value < 0.6 else PAPER
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(columns)), columns, fontsize=9, color=INK)
    axes.set_yticks(range(len(labels)), labels, fontsize=9, color=INK)
    axes.xaxis.tick_top()
    if found.layers and found.half_widths is None:
        axes.set_xlabel(CAPTION, fontsize=8, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(title(found), fontsize=11, color=INK)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


def title(found: Learned) -> str:
    """`p4cnn_28.mine: degree 0.41, data 0.50`."""
    claim = "no degree" if found.degree is None else f"degree {found.degree:.2f}"
    return f"{found.model}: {claim}" + ("" if found.truth is None else f", data {found.truth.degree:.2f}")


def rows(found: Learned) -> tuple[list[str], list[str], list[list[float]]]:
    """Names of rows, names of columns, and the cells in [0, 1]."""
    labels: list[str] = []
    cells: list[list[float]] = []
    columns = list(max(found.layers, key=lambda layer: len(layer.deviation)).deviation) if found.layers else []
    if found.half_widths is not None:
        columns = [f"{name}\n{width:.3g} {half_width_unit(name)}" for name, width in found.half_widths.items()]
        labels, cells = ["half-width"], [[min(1.0, _share(name, width)) for name, width in found.half_widths.items()]]
    for layer in found.layers if found.half_widths is None else ():
        labels.append(layer.name)
        cells.append([max(0.0, 1.0 - layer.deviation.get(name, APART) ** 2 / 2.0) for name in columns])
        if layer.likelihood is not None:
            labels.append("its law")
            cells.append(_relative(layer.likelihood, columns))
        if layer.kept is not None:
            labels.append("keeps")
            cells.append([float(name in layer.kept) for name in columns])
    law = None if found.truth is None else found.truth.elements
    if law is not None and columns and set(columns) <= set(law):
        labels.append("law of the data")
        cells.append(_relative(law, columns))
    return labels, columns, cells


def _share(name: str, width: float) -> float:
    return width / 180.0 if name == "rotation" else abs(width)


def _relative(chances: dict[str, float], columns: list[str]) -> list[float]:
    """Probabilities over that of the identity, at most 1."""
    identity = max(chances[columns[0]], 1e-12)
    return [min(1.0, chances.get(name, 0.0) / identity) for name in columns]
