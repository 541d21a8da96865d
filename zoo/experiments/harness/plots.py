"""The pictures of an experiment as PNG: what is ours is drawn solid, what is published dashed in the same colour."""

import math
from pathlib import Path
from typing import Any

from PIL import Image

from symdata.pictures.contact_sheet import save
from symdata.pictures.curves import COLOURS
from symdata.pictures.figure import INK, LINE, PAPER, Picture
from zoo.experiments.harness.section import Drawing, Line

DPI = 110
PALETTE = 128
"""Colours of the file: lines on white need no more, and it is half as large."""


def write(drawing: Drawing, folder: Path) -> Path:
    """Draw into `folder` and return the file."""
    small = draw(drawing).quantize(PALETTE, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return save(small, folder / f"{drawing.name}.png")


def draw(drawing: Drawing) -> Picture:
    """The picture; polar ones have 0 degrees at the top, go counter-clockwise, and end at 100."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 6.6 if drawing.polar else 3.8), dpi=DPI, facecolor=PAPER, layout="constrained")
    axes: Any = figure.add_subplot(projection="polar" if drawing.polar else None)
    (_dial if drawing.polar else _scale)(axes, drawing)
    for curve, colour in zip(drawing.curves, colours(drawing.curves), strict=True):
        x, y = _closed(curve) if drawing.polar else (curve.x, curve.y)
        look = {"ls": (0, (3, 2)), "lw": 1.4} if curve.published else {"ls": "-", "lw": 2.0}
        axes.plot(x, y, color=colour, label=curve.name, **look)
    figure.suptitle(drawing.title, fontsize=11, color=INK)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


def colours(curves: tuple[Line, ...]) -> list[str]:
    """One for each name; a published curve has that of ours."""
    names = list(dict.fromkeys(curve.name.removesuffix(", published") for curve in curves))
    return [COLOURS[names.index(curve.name.removesuffix(", published")) % len(COLOURS)] for curve in curves]


def _closed(curve: Line) -> tuple[list[float], list[float]]:
    """Radians, from the first angle round to the first again."""
    angles = [math.radians(x) for x in curve.x]
    return [*angles, angles[0] + 2 * math.pi], [*curve.y, curve.y[0]]


def _dial(axes: Any, drawing: Drawing) -> None:
    axes.set_theta_zero_location("N")
    axes.set_ylim(0.0, 102.0)
    axes.set_yticks([25, 50, 75, 100], ["25", "50", "75", "100 %"], fontsize=8, color=INK)
    axes.set_rlabel_position(45)
    axes.set_xticks([math.radians(a) for a in range(0, 360, 45)], [f"{a}°" for a in range(0, 360, 45)], color=INK)
    axes.grid(color=LINE, linewidth=0.8)
    axes.spines["polar"].set_visible(False)


def _scale(axes: Any, drawing: Drawing) -> None:
    axes.set(xlabel=drawing.x_label, ylabel=drawing.y_label)
    axes.tick_params(labelcolor=INK, labelsize=9)
    axes.grid(color=LINE, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
