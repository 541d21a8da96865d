"""Polar accuracy curves: the accuracy of models at every angle, with that of guessing.

Convention:
    Degrees, counter-clockwise as displayed; 0 points up. The centre is an accuracy of 0, the rim is 100 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdata.errors import ShapeError
from symdata.groups import Element
from symdata.pictures.figure import INK, MIRRORED, PALE, PAPER, TURNED, Figure, mark_degrees, new_figure

COLOURS = (TURNED, MIRRORED, "#0f766e", "#7c3aed", "#a16207", "#be185d", INK)
"""One per curve; when they are used up, they begin again with the next line style."""
STYLES = ("-", "--", ":")
DPI = 144
DIAL, SIDE, ROW = 4.8, 6.0, 0.28
"""Inches: diameter of the dial, width of the picture, height of a row of the legend."""
LONGEST = 40
"""Letters of a name in the legend, at most."""


@dataclass(frozen=True)
class PolarCurve:
    """Accuracy of one model at every angle."""

    name: str
    angles: Sequence[float]
    """Degrees, counter-clockwise as displayed, in any order."""
    accuracies: Sequence[float]
    """In [0, 1], one per angle."""
    points: Sequence[tuple[Element, float]] = ()
    """Elements with their accuracy: a rotation becomes a dot, a mirrored element a diamond at the angle of its turn."""

    def __post_init__(self) -> None:
        if len(self.angles) != len(self.accuracies):
            counts = f"{len(self.angles)} angles and {len(self.accuracies)} accuracies"
            raise ShapeError(f"curve {self.name!r} has {counts}; pass one accuracy for each angle")
        wrong = [a for a in (*self.accuracies, *(a for _, a in self.points)) if not 0.0 <= a <= 1.0]
        if wrong:
            raise ShapeError(f"curve {self.name!r} has an accuracy of {wrong[0]:g}, expected shares in [0, 1]")


def accuracy_figure(curves: Sequence[PolarCurve], *, chance: float | None = None, title: str = "") -> Figure:
    """Draw all curves on one dial.

    Args:
        curves: at least one; a curve without angles shows its points alone.
        chance: accuracy of guessing, in [0, 1], drawn as a dashed ring; None for no ring.
        title: above the dial.
    """
    if not curves:
        raise ShapeError("there is no curve to draw; pass at least one PolarCurve")
    entries = _entries(curves, chance)
    columns = max(1, min(len(entries), int(SIDE / (0.7 + 0.085 * max(len(name) for name, _ in entries)))))
    below, above = 0.65 + ROW * -(-len(entries) // columns), 0.95 if title else 0.5
    height = below + DIAL + above
    figure = new_figure(SIDE, height, dpi=DPI)
    place = ((SIDE - DIAL) / 2 / SIDE, below / height, DIAL / SIDE, DIAL / height)
    axes: Any = figure.add_axes(place, projection="polar")
    _scale(axes)
    if chance is not None:
        axes.plot(np.linspace(0.0, 2 * np.pi, 361), np.full(361, 100 * chance), zorder=2, **_CHANCE)
    for k, curve in enumerate(curves):
        _draw(axes, curve, *_look(k), alone=len(curves) == 1)
    heading = figure.text(0.5, 1 - 0.3 / height, title, fontsize=13, color=INK, ha="center", va="center")
    style = {"frameon": False, "fontsize": 10, "labelcolor": INK, "handlelength": 1.8, "columnspacing": 1.6}
    names, handles = zip(*entries, strict=True)
    legend = figure.legend(handles, names, loc="lower center", ncols=columns, **style)
    for text in (heading, *legend.get_texts()):
        text.set_parse_math(False)  # a name may have dollars in it
    return figure


_CHANCE: dict[str, Any] = {"color": PALE, "lw": 1.2, "ls": (0, (4, 3))}


def _look(k: int) -> tuple[str, str]:
    """Colour and line style of curve k."""
    return COLOURS[k % len(COLOURS)], STYLES[k // len(COLOURS) % len(STYLES)]


def _scale(axes: Any) -> None:
    from matplotlib.patheffects import withStroke

    axes.set_ylim(0.0, 102.0)  # a curve at 100 % is not cut by the rim
    axes.set_yticks([25, 50, 75, 100], [])
    style = {"color": PALE, "ha": "center", "va": "center", "path_effects": [withStroke(linewidth=3, foreground=PAPER)]}
    for value, text in ((25, "25"), (50, "50"), (75, "75"), (100, "100 %")):  # below the curves, which matter more
        axes.text(np.deg2rad(45.0), value, text, fontsize=8, zorder=3.5, **style)
    mark_degrees(axes, fontsize=10, color=INK, linewidth=0.8, pad=4)
    axes.spines["polar"].set_visible(False)


def _draw(axes: Any, curve: PolarCurve, colour: str, style: str, *, alone: bool) -> None:
    if len(curve.angles):
        order = np.argsort(np.mod(curve.angles, 360.0), kind="stable")
        angle = np.deg2rad(np.mod(curve.angles, 360.0))[order]
        value = 100.0 * np.asarray(curve.accuracies, dtype=float)[order]
        angle, value = np.append(angle, angle[0] + 2 * np.pi), np.append(value, value[0])
        axes.plot(angle, value, style, color=colour, lw=2.2, solid_joinstyle="round", zorder=4)
        if alone:
            axes.fill(angle, value, color=colour, alpha=0.08, lw=0, zorder=3)
    for flip in (True, False):  # a dot on top of a diamond: if the two agree, both can be seen
        found = [(np.deg2rad(e.angle), 100.0 * a) for e, a in curve.points if e.flip == flip]
        if found:
            axes.plot(*np.array(found).T, zorder=5, clip_on=False, **_marker(flip, colour))


def _marker(flip: bool, colour: str) -> dict[str, Any]:
    """Rotations are dots, mirrored elements hollow diamonds."""
    shape = {"marker": "D", "ms": 9, "mfc": PAPER} if flip else {"marker": "o", "ms": 6, "mfc": colour}
    return shape | {"mec": colour, "mew": 1.6, "ls": "none"}


def _entries(curves: Sequence[PolarCurve], chance: float | None) -> list[tuple[str, Any]]:
    """Entries of the legend: every curve, chance, and the markers."""
    from matplotlib.lines import Line2D

    found = []
    for k, curve in enumerate(curves):
        colour, style = _look(k)
        look = {"color": colour, "ls": style, "lw": 2.2} if len(curve.angles) else _marker(False, colour)
        name = curve.name if len(curve.name) <= LONGEST else curve.name[: LONGEST - 1] + "…"
        found.append((name, Line2D([], [], **look)))
    if chance is not None:
        found.append(("chance", Line2D([], [], **_CHANCE)))
    for flip, name in ((False, "rotation"), (True, "mirrored")):
        if any(e.flip == flip for curve in curves for e, _ in curve.points):
            found.append((name, Line2D([], [], **_marker(flip, INK))))
    return found
