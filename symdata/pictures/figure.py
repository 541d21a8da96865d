"""One way to draw with matplotlib, without its global state, and one way to make a picture of what was drawn."""

from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
PAPER, INK, PALE, LINE = "#ffffff", "#1f2328", "#8b949e", "#d8dee4"
"""Ground, text, weak text and grid of every picture."""

Picture = Image.Image


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> "Figure":
    """An empty figure of so many inches, which no window and no global list of figures knows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def as_picture(figure: "Figure") -> Picture:
    """What was drawn, as an RGB image of Pillow."""
    canvas: Any = figure.canvas
    canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
