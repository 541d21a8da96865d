"""Polar histograms: how often each element was drawn, and how often its measure says it should be.

Convention:
    Degrees, counter-clockwise as displayed; 0 points up.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdata.groups import Elements
from symdata.laws import arc_masses, identity_mass, is_identity
from symdata.measures import Measure, is_discrete
from symdata.pictures.figure import INK, LINE, MIRRORED, PALE, PAPER, TURNED, Figure, mark_degrees, new_figure

_ARCS = 36
"""Arcs of a dial that shows a continuous measure."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One dial of a polar histogram."""

    title: str
    elements: Elements
    """What was drawn."""
    law: Measure | None = None
    """What it was drawn from; None if that is not one measure."""


def polar_figure(panels: Sequence[Panel], columns: int = 4) -> Figure:
    """Draw how often each angle was drawn, and how often it should be, on one dial per panel.

    Area is frequency: the radius is its square root. On a dial of a continuous measure the identity of a partial
    symmetry is not to scale; its share is written out.
    """
    columns = max(1, min(columns, len(panels)))
    rows = -(-len(panels) // columns)
    height = 3.6 * rows + 0.4
    figure = new_figure(3.1 * columns, height)
    handles: dict[str, Any] = {}
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, k + 1, projection="polar")
        _dial(axes, panel)
        handles |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [name for name in ("rotations", "mirrored", "expected") if name in handles]
    style: dict[str, Any] = {"fontsize": 8, "labelcolor": INK, "handlelength": 1.2, "columnspacing": 1.2}
    figure.legend([handles[n] for n in names], names, loc="lower center", ncols=3, frameon=False, **style)
    figure.tight_layout(rect=(0.0, 0.35 / height, 1.0, 1.0))
    return figure


@dataclass(frozen=True, eq=False)
class _Bars:
    """The bars of one colour on a dial."""

    centre: np.ndarray
    """Degrees."""
    width: float
    """Degrees."""
    shares: np.ndarray
    expected: np.ndarray
    """As `shares`, or empty if no measure is known."""
    flip: bool


def _dial(axes: Any, panel: Panel) -> None:
    arcs = _is_continuous(panel)
    bars = list(_arc_bars(panel) if arcs else _atom_bars(panel))
    rim = 1.1 * max([share for b in bars for share in (*b.shares, *b.expected)], default=0.0) or 1.0
    for b in bars:
        name, colour = ("mirrored", MIRRORED) if b.flip else ("rotations", TURNED)
        angle, width, expected = np.deg2rad(b.centre), np.deg2rad(b.width), np.sqrt(b.expected)
        axes.bar(angle, np.sqrt(b.shares), width, color=colour, alpha=0.75, lw=0, label=name)
        if arcs and len(expected):
            edges, steps = np.linspace(0.0, 2 * np.pi, 10 * _ARCS + 1), np.append(expected.repeat(10), expected[:1])
            axes.plot(edges, steps, color=INK, lw=1.1, label="expected")
        elif len(expected):
            axes.plot(angle, expected, "o", ms=4, mfc=PAPER, mec=INK, mew=1.0, label="expected")
    note = _identity_note(panel, axes, rim) if arcs else ""
    axes.set_title(f"{panel.title}\n{note}", fontsize=10, color=INK, pad=6)
    axes.set_ylim(0.0, math.sqrt(rim))
    axes.set_yticks(np.sqrt(rim * np.array([0.25, 0.5, 0.75])), [])
    axes.text(1.0, -0.04, f"rim {100 * rim:.3g}%", transform=axes.transAxes, ha="right", fontsize=7, color=PALE)
    mark_degrees(axes, fontsize=7, color=PALE, linewidth=0.6, pad=-2)
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
        expected = [sum(p for e, p in law if e.flip == flip and abs(e.angle - a) < 2e-3) for a in angles] if law else []
        yield _Bars(angles + (flip - 0.5) * width * flips, width, np.array(shares), np.array(expected), flip)


def _arc_bars(panel: Panel) -> Iterator[_Bars]:
    """A bar for each arc, without the identity."""
    elements, law, n = panel.elements, panel.law, max(1, len(panel.elements))
    flips = bool(elements.flip.any()) or (law is not None and law.group.flips)
    edges, moved = np.linspace(0.0, 360.0, _ARCS + 1), ~is_identity(elements)
    centre, width = edges[:-1] + 180.0 / _ARCS, 0.94 * 360.0 / _ARCS / (1 + flips)
    for flip in (False, True)[: 1 + flips]:
        expected = np.array([]) if law is None else arc_masses(law, edges, flip)
        shares = np.histogram(elements.angle[(elements.flip == flip) & moved], edges)[0] / n
        yield _Bars(centre + (flip - 0.5) * width * flips, width, shares, expected, flip)


def _identity_note(panel: Panel, axes: Any, rim: float) -> str:
    """Share of an identity that occurs apart from the arcs, drawn as a spike to the rim and returned in words."""
    share = float(is_identity(panel.elements).mean()) if len(panel.elements) else 0.0
    due = identity_mass(panel.law) if panel.law is not None else 0.0
    if not share and not due:
        return ""
    axes.bar(0.0, math.sqrt(rim), np.deg2rad(3.0), color=PALE, lw=0)
    return f"identity {100 * share:.1f}%" + (f", expected {100 * due:.3g}%" if panel.law is not None else "")
