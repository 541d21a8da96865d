"""One way to draw with matplotlib, without its global state, and one way to turn a figure into a picture."""

from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure
else:
    Figure = Any  # for the annotations of everything that plots: matplotlib is imported when something is drawn

DPI = 110
PAPER, INK, PALE, LINE = "#ffffff", "#1f2328", "#8b949e", "#d8dee4"
"""Background, text, weak text and grid of every picture."""
TURNED, MIRRORED = "#0b62c4", "#c2410c"
"""Rotations and mirrored elements in every picture; the colour-blind can tell them apart too."""

Picture = Image.Image


@cache
def _figure_type() -> type[Any]:
    """A figure that a notebook shows where a cell ends with it, without pyplot and its global state."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:
            return png_bytes(as_picture(self))

    return ShownFigure


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None, dpi: int = DPI) -> Figure:
    """Create an empty figure, in inches, that is in no window and in no global list of figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure: Figure = _figure_type()(figsize=(width, height), dpi=dpi, facecolor=PAPER, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def as_picture(figure: Figure) -> Picture:
    """Draw a figure into an RGB image of Pillow."""
    canvas: Any = figure.canvas
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])  # opaque: the background fills it


def picture_figure(picture: Picture) -> Figure:
    """A figure that shows a picture, pixel by pixel and nothing else."""
    figure = new_figure(picture.width / DPI, picture.height / DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(np.asarray(picture), interpolation="nearest")
    axes.set_axis_off()
    return figure


def png_bytes(picture: Picture, **options: Any) -> bytes:
    """The content of a PNG file."""
    file = BytesIO()
    picture.save(file, format="PNG", **options)
    return file.getvalue()


def mark_degrees(axes: Any, fontsize: float, color: str, linewidth: float, pad: float) -> None:
    """Mark a polar axis every 45 degrees, counter-clockwise from the top."""
    axes.set_theta_zero_location("N")
    degrees = np.arange(0, 360, 45)
    axes.set_xticks(np.deg2rad(degrees), [f"{angle}°" for angle in degrees], fontsize=fontsize, color=color)
    axes.tick_params(pad=pad)
    axes.grid(color=LINE, linewidth=linewidth)
