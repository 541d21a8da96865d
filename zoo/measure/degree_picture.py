"""What a model learned of its symmetry, drawn: a row for each layer, a column for each element, the data below."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symdata.pictures.figure import INK, PAPER, new_figure
from symdata.transforms.generators import half_width_unit
from zoo.errors import ModelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.measure.learned import LearnedDegree

MAP = "Blues"
CAPTION = "correlation of the filters with themselves moved\n(laws: probability over that of the identity)"
DATA = "law of the data"
"""Label of the last row, in the table too."""
APART = math.sqrt(2.0)
"""|g K - K| / |K| of filters that are uncorrelated with g K, taken for elements beyond a layer's group."""


def draw(found: "LearnedDegree") -> "Figure":
    """The share of its filters that every layer keeps under every element, and the law of the data.

    A cell holds 1 - |g K - K|^2 / (2 |K|^2), the correlation of the filters with themselves moved: 1 where they are
    equivariant, 0 where they are like any others. Rows of likelihoods and of the data are relative to the identity. For
    learned augmentations the cells hold the half-widths as shares of full rotation, or of one unit.
    """
    labels, columns, cells = rows(found)
    if not cells:
        raise ModelError(f"{found.model!r} has no layer whose degree could be drawn; leave --plot out")
    figure = new_figure(2.6 + 0.62 * max(len(columns), 4), 1.8 + 0.34 * len(cells), layout="constrained")
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
    claim = "no degree" if found.degree is None else f"degree {found.degree:.2f}"
    data = "" if found.truth is None else f", data {found.truth.degree:.2f}"
    figure.suptitle(f"{found.model}: {claim}{data}", fontsize=11, color=INK)
    return figure


def rows(found: "LearnedDegree") -> tuple[list[str], list[str], list[list[float]]]:
    """Names of rows, names of columns, and the cells in [0, 1]."""
    if found.half_widths is not None:
        widths = found.half_widths.items()
        columns = [f"{name}\n{width:.3g} {half_width_unit(name)}" for name, width in widths]
        shares = [width / 180.0 if name == "rotation" else abs(width) for name, width in widths]
        return ["half-width"], columns, [[min(1.0, share) for share in shares]]
    columns = found.elements
    labels, cells = [], []
    for label, kind, _, numbers in found.lines():
        if label == DATA and not (columns and set(columns) <= set(numbers)):
            continue  # a law on other elements
        labels.append(label.strip())
        filters = [max(0.0, 1.0 - numbers.get(e, APART) ** 2 / 2.0) for e in columns]
        cells.append(filters if kind else _relative(numbers, columns))
    return labels, columns, cells


def _relative(chances: Mapping[str, float], columns: list[str]) -> list[float]:
    """Probabilities over that of the identity, at most 1."""
    identity = max(chances[columns[0]], 1e-12)
    return [min(1.0, chances.get(name, 0.0) / identity) for name in columns]
