"""The pictures of an experiment: what is ours is solid, what is published dashed in the same colour."""

import math
from typing import TYPE_CHECKING, Any

from symdata.pictures.curves import COLOURS
from symdata.pictures.figure import INK, LINE, mark_degrees, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.experiments.harness.section import Drawing, Line


def draw(drawing: "Drawing") -> "Figure":
    """The drawing as a figure of matplotlib; polar ones have 0 degrees at the top, go counter-clockwise, end at 100."""
    figure = new_figure(6.0, 6.6 if drawing.polar else 3.8, layout="constrained")
    axes: Any = figure.add_subplot(projection="polar" if drawing.polar else None)
    (_dial if drawing.polar else _scale)(axes, drawing)
    names = list(dict.fromkeys(line.name.removesuffix(", published") for line in drawing.lines))
    for line in drawing.lines:
        x, y = _closed(line) if drawing.polar else (line.x, line.y)
        look = {"ls": (0, (3, 2)), "lw": 1.4} if line.published else {"ls": "-", "lw": 2.0}
        colour = COLOURS[names.index(line.name.removesuffix(", published")) % len(COLOURS)]
        axes.plot(x, y, color=colour, label=line.name, **look)
    figure.suptitle(drawing.title, fontsize=11, color=INK)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _closed(line: "Line") -> tuple[list[float], list[float]]:
    """Radians, from the first angle round to the first again."""
    angles = [math.radians(x) for x in line.x]
    return [*angles, angles[0] + 2 * math.pi], [*line.y, line.y[0]]


def _dial(axes: Any, drawing: "Drawing") -> None:
    mark_degrees(axes, fontsize=10, color=INK, linewidth=0.8, pad=3.5)
    axes.set_ylim(0.0, 102.0)
    axes.set_yticks([25, 50, 75, 100], ["25", "50", "75", "100 %"], fontsize=8, color=INK)
    axes.set_rlabel_position(45)
    axes.spines["polar"].set_visible(False)


def _scale(axes: Any, drawing: "Drawing") -> None:
    axes.set(xlabel=drawing.x_label, ylabel=drawing.y_label)
    axes.tick_params(labelcolor=INK, labelsize=9)
    axes.grid(color=LINE, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
