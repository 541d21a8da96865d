"""Polar histograms: which elements were drawn, held against the law they were drawn from.

The only file that imports matplotlib, when it draws. No state is shared between pictures.

Convention:
    Degrees, counter-clockwise as displayed; 0 points up.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from symdata.groups import Elements
from symdata.laws import arc_masses, identity_mass, is_identity
from symdata.measures import Measure, is_discrete
from symdata.pictures.contact_sheet import INK, LINE, MIRRORED, PALE, PAPER, TURNED, Picture

_ARCS = 36
"""Arcs of a dial that shows a continuous law."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One dial of a polar histogram."""

    title: str
    elements: Elements
    """What was drawn."""
    law: Measure | None = None
    """What it was drawn from; None where that is not one measure."""


def polar_histogram(panels: Sequence[Panel], columns: int = 4) -> Picture:
    """How often each angle was drawn, and how often it should be, on one dial for each panel.

    Zero points up and angles run counter-clockwise, as the top of an image does. Area is frequency: the radius is its
    square root. Beside a continuous law the identity of a partial symmetry is not to scale; its share is written out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(1, min(columns, len(panels)))
    rows = -(-len(panels) // columns)
    height = 3.6 * rows + 0.4
    figure = Figure(figsize=(3.1 * columns, height), dpi=110, facecolor=PAPER)
    for k, panel in enumerate(panels):
        _dial(figure.add_subplot(rows, columns, k + 1, projection="polar"), panel)
    found = {
        name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    names = [name for name in ("rotations", "mirrored", "expected") if name in found]
    style = {"frameon": False, "fontsize": 8, "labelcolor": INK, "handlelength": 1.2, "columnspacing": 1.2}
    figure.legend([found[n] for n in names], names, loc="lower center", ncols=3, **style)
    figure.tight_layout(rect=(0.0, 0.35 / height, 1.0, 1.0))
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])  # opaque: the paper fills it


@dataclass(frozen=True, eq=False)
class _Bars:
    """The bars of one colour on a dial."""

    centre: np.ndarray
    """Degrees."""
    width: float
    """Degrees."""
    shares: np.ndarray
    expected: np.ndarray
    """As `shares`, or empty if no law is known."""
    flip: bool


def _dial(axes: Any, panel: Panel) -> None:
    arcs = _is_continuous(panel)
    bars = list(_arc_bars(panel) if arcs else _atom_bars(panel))
    rim = 1.1 * max([share for b in bars for share in (*b.shares, *b.expected)], default=0.0) or 1.0
    for b in bars:
        name, colour = ("mirrored", MIRRORED) if b.flip else ("rotations", TURNED)
        axes.bar(
            np.deg2rad(b.centre), np.sqrt(b.shares), np.deg2rad(b.width), color=colour, alpha=0.75, lw=0, label=name
        )
    for b in bars:
        if arcs and len(b.expected):
            edges = np.deg2rad(np.linspace(0.0, 360.0, 10 * _ARCS + 1))
            axes.plot(
                edges, np.sqrt(np.append(b.expected.repeat(10), b.expected[:1])), color=INK, lw=1.1, label="expected"
            )
        elif len(b.expected):
            axes.plot(
                np.deg2rad(b.centre), np.sqrt(b.expected), "o", ms=4, mfc=PAPER, mec=INK, mew=1.0, label="expected"
            )
    apart = _identity_note(panel, axes, rim) if arcs else ""
    axes.set_theta_zero_location("N")
    axes.set_title(f"{panel.title}\n{apart}", fontsize=10, color=INK, pad=6)
    axes.set_ylim(0.0, math.sqrt(rim))
    axes.set_yticks(np.sqrt(rim * np.array([0.25, 0.5, 0.75])), [])
    axes.text(1.0, -0.04, f"rim {100 * rim:.3g}%", transform=axes.transAxes, ha="right", fontsize=7, color=PALE)
    axes.set_xticks(np.deg2rad(np.arange(0, 360, 45)), [f"{a}°" for a in range(0, 360, 45)], fontsize=7, color=PALE)
    axes.tick_params(pad=-2)
    axes.grid(color=LINE, linewidth=0.6)
    axes.spines["polar"].set_color(LINE)


def _is_continuous(panel: Panel) -> bool:
    if panel.law is not None:
        return not is_discrete(panel.law)
    return len(np.unique(panel.elements.angle.round(3))) > _ARCS


def _atom_bars(panel: Panel) -> Iterator[_Bars]:
    """A bar for each element that occurs or could."""
    elements, n = panel.elements, max(1, len(panel.elements))
    law = () if panel.law is None else panel.law.atoms
    flips = bool(elements.flip.any()) or any(e.flip for e, _ in law)
    angles = np.array(sorted({*elements.angle.round(3).tolist(), *(round(e.angle, 3) for e, _ in law)}))
    width = min(26.0, 300.0 / max(1, len(angles))) / (1 + flips)
    for flip in (False, True)[: 1 + flips]:
        own = elements.angle[elements.flip == flip]
        shares = [(np.abs(own - a) < 2e-3).sum() / n for a in angles]
        expected = [sum(p for e, p in law if e.flip == flip and abs(e.angle - a) < 2e-3) for a in angles]
        yield _Bars(
            angles + (flip - 0.5) * width * flips, width, np.array(shares), np.array(expected if law else []), flip
        )


def _arc_bars(panel: Panel) -> Iterator[_Bars]:
    """A bar for each arc, the identity left out."""
    elements, law, n = panel.elements, panel.law, max(1, len(panel.elements))
    flips = bool(elements.flip.any()) or (law is not None and law.group.flips)
    edges, step, moved = np.linspace(0.0, 360.0, _ARCS + 1), 360.0 / _ARCS, ~is_identity(elements)
    for flip in (False, True)[: 1 + flips]:
        shares = np.histogram(elements.angle[(elements.flip == flip) & moved], edges)[0] / n
        expected = np.array([]) if law is None else arc_masses(law, edges) / (1 + law.group.flips)
        width = 0.94 * step / (1 + flips)
        yield _Bars(edges[:-1] + step / 2 + (flip - 0.5) * width * flips, width, shares, expected, flip)


def _identity_note(panel: Panel, axes: Any, rim: float) -> str:
    """The share of the identity where it stands apart, as a spike to the rim and in words."""
    share = float(is_identity(panel.elements).mean()) if len(panel.elements) else 0.0
    due = identity_mass(panel.law) if panel.law is not None else 0.0
    if not share and not due:
        return ""
    axes.bar(0.0, math.sqrt(rim), np.deg2rad(3.0), color=PALE, lw=0)
    return f"identity {100 * share:.1f}%" + (f", expected {100 * due:.3g}%" if panel.law is not None else "")
