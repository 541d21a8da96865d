"""The drawings of a report as SVG. Colours are variables of the page, so that they follow light and dark.

Every drawing scales with its box, and every mark has a title that says in words what it shows.

Convention:
    Degrees, counter-clockwise as displayed; 0 points up, as in `symdata.pictures.curves`.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import cos, floor, log10, pi, sin

LIFT = 1.14
"""Distance of the labels of a dial from its centre, in radii."""
LABEL = 27
"""Letters of the name of a layer, at most."""
CLASS = 6
"""The same of a class beside its confusion matrix."""


def polar(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], chance: float) -> str:
    """Accuracy over angle of several models on one dial: centre 0, rim 100 %.

    Args:
        curves: name -> (angles in degrees, accuracies in [0, 1]).
        chance: accuracy of guessing.
    """
    radius, box = 150.0, 2 * 150 * LIFT + 40
    c = box / 2
    parts = [_ring(c, radius * chance, "chance"), _ring(c, radius, "grid")]
    for share in (0.25, 0.5, 0.75):
        parts.append(_ring(c, radius * share, "grid"))
        parts.append(_text(*_point(c, radius * share, 22.5), f"{100 * share:.0f}", "tick middle"))
    for angle in range(0, 360, 45):
        parts.append(_line(c, c, *_point(c, radius, angle), "grid"))
        parts.append(_text(*_point(c, radius * LIFT, angle), f"{angle}°", "tick middle"))
    for k, (name, (angles, accuracies)) in enumerate(curves.items()):
        points = [_point(c, radius * share, a) for a, share in zip(angles, accuracies, strict=True)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polygon class="curve m{k}" points="{outline}"><title>{escape(name)}</title></polygon>')
        for (x, y), a, share in zip(points, angles, accuracies, strict=True):
            parts.append(_dot(x, y, 2.2, k, f"{name}: {100 * share:.2f} % at {a:g}°"))
    return _svg(box, box, f"Accuracy over angle of {', '.join(curves)}", parts)


def bars(rows: Sequence[tuple[str, float, float, float]], chance: float, k: int) -> str:
    """Horizontal bars with their confidence intervals.

    Args:
        rows: (name, share, low, high), in [0, 1].
        chance: drawn as a line.
        k: number of the model, which is its colour.
    """
    left, wide, step = 62.0, 300.0, 24.0
    high = step * len(rows) + 24
    parts = [_vertical(left + wide * share, high - 20, "grid") for share in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_text(left + wide * share, high - 5, f"{100 * share:.0f} %", "tick middle") for share in (0, 0.5, 1)]
    parts.append(_vertical(left + wide * chance, high - 20, "chance"))
    for i, (name, share, low, top) in enumerate(rows):
        y = step * i + 4
        title = f"{name}: {100 * share:.2f} % (95 % interval {100 * low:.2f} to {100 * top:.2f})"
        parts.append(_text(left - 8, y + 12, name, "label end"))
        parts.append(_bar(left, y, wide * share, 15, k, title))
        parts.append(_whisker(left + wide * low, left + wide * top, y + 7.5))
        parts.append(_text(left + wide + 8, y + 12, f"{100 * share:.2f}", "label"))
    return _svg(left + wide + 56, high, "Accuracy under each element", parts)


def agreement(matrix: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """How often images get the same class under two elements: shares in [0, 1], with the elements on both sides."""

    def says(i: int, j: int) -> str:
        return f"{names[i]} and {names[j]}: the same class for {100 * matrix[i][j]:.1f} % of the images"

    return _heat(matrix, names, says, "Agreement between elements, percent")


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """A confusion matrix, each row in percent of the images of that class."""
    short = [name if len(name) <= CLASS else f"{name[: CLASS - 1]}…" for name in names]
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]

    def says(i: int, j: int) -> str:
        return f"{names[i]}, predicted as {names[j]}: {matrix[i][j]:,} of {sum(matrix[i]):,} images"

    return _heat(shares, short, says, "Confusion matrix, percent of each class")


def _heat(
    matrix: Sequence[Sequence[float]], names: Sequence[str], says: Callable[[int, int], str], title_of_all: str
) -> str:
    """A square of shares in [0, 1] with names on both sides; `says` gives what a cell shows in words."""
    cell, left, top = 42.0, 50.0, 26.0
    parts = [_text(left + cell * (j + 0.5), 17, name, "label middle small") for j, name in enumerate(names)]
    for i, row in enumerate(matrix):
        parts.append(_text(left - 7, top + cell * (i + 0.5) + 4, names[i], "label end"))
        for j, share in enumerate(row):
            title = says(i, j)
            x, y = left + cell * j, top + cell * i
            parts.append(
                f'<rect class="cell" style="fill-opacity:{share**2:.3f}" x="{x + 1}" y="{y + 1}" width="{cell - 2}" '
                f'height="{cell - 2}" rx="3"><title>{escape(title)}</title></rect>'
            )
            tone = "cell-text strong" if share > 0.75 else "cell-text"
            parts.append(_text(x + cell / 2, y + cell / 2 + 4, f"{100 * share:.0f}", f"{tone} middle"))
    return _svg(left + cell * len(names) + 4, top + cell * len(names) + 4, title_of_all, parts)


def errors(layers: Mapping[str, Sequence[float]], names: Sequence[str], exact: float, k: int) -> str:
    """Relative errors of feature maps on a logarithmic scale, a row for each layer, a mark for each element.

    Args:
        layers: name -> error under each element.
        names: of the elements; the first is the identity and is left out.
        exact: errors below it are rounding.
        k: number of the model.
    """
    left, wide, step, low, top = 164.0, 330.0, 18.0, -18, 1
    high = step * len(layers) + 26
    place = _log_scale(left, wide, low, top)
    parts = [f'<rect class="safe" x="{left}" y="0" width="{place(exact) - left:.1f}" height="{high - 20:.1f}"/>']
    parts += [_vertical(place(10.0**power), high - 20, "grid") for power in range(low, top + 1, 3)]
    parts += [_text(place(10.0**power), high - 5, f"1e{power}", "tick middle") for power in range(low, top, 6)]
    labels = _labels(list(layers))
    for i, (layer, row) in enumerate(layers.items()):
        y = step * i + 9
        parts.append(_text(left - 8, y + 4, labels[i], "label end small"))
        marks = [(place(error), name, error) for name, error in list(zip(names, row, strict=True))[1:]]
        if marks:
            parts.append(_line(min(x for x, *_ in marks), y, max(x for x, *_ in marks), y, f"span m{k}"))
        for x, name, error in marks:
            parts.append(_dot(x, y, 3.2, k, f"{layer} under {name}: {error:.2g}"))
    return _svg(left + wide + 16, high, "Relative equivariance error of each feature map", parts)


def motions(rows: Mapping[str, Sequence[tuple[int, str, float, float]]], ticks: tuple[int, int]) -> str:
    """Values with their standard errors on a logarithmic scale: a row for each motion, a dot for each model.

    Args:
        rows: motion -> (number of the model, its name, value, standard error).
        ticks: powers of ten at the left and the right end.
    """
    left, wide, gap, (low, top) = 96.0, 350.0, 12.0, ticks
    models = max(len(row) for row in rows.values())
    step = gap * models + 14
    high = step * len(rows) + 24
    place = _log_scale(left, wide, low, top)
    parts = [_vertical(place(10.0**power), high - 20, "grid") for power in range(low, top + 1)]
    parts += [_text(place(10.0**power), high - 5, f"1e{power}", "tick middle") for power in range(low, top + 1)]
    for i, (motion, row) in enumerate(rows.items()):
        if i:
            parts.append(_line(8, step * i, left + wide, step * i, "grid"))
        parts.append(_text(left - 12, step * (i + 0.5) + 4, motion, "label end"))
        for j, (k, name, value, error) in enumerate(row):
            y = step * i + 7 + gap * (j + 0.5 + (models - len(row)) / 2)
            parts.append(_line(place(max(value - error, 0.0)), y, place(value + error), y, f"span m{k}"))
            parts.append(_dot(place(value), y, 4, k, f"{name} along {motion}: {value:.3g} +- {error:.1g}"))
    return _svg(left + wide + 20, high, "Relative local equivariance error along each motion, per unit squared", parts)


def shares(rows: Sequence[tuple[str, str, float, float]], k: int) -> str:
    """Bars to both sides of 0 that add up to 100 percent, one for each layer.

    Args:
        rows: (layer, kind, share, standard error).
        k: number of the model.
    """
    left, wide, step = 164.0, 250.0, 18.0
    high = step * len(rows) + 24
    low = min(0.0, *(share - error for *_, share, error in rows))
    top = max(0.0, *(share + error for *_, share, error in rows))
    scale = wide / ((top - low) or 1.0)

    def place(share: float) -> float:
        return left + (share - low) * scale

    every = _round((top - low) / 4)
    marks = [every * i for i in range(-int(-low // every), int(top // every) + 1)]
    parts = [_vertical(place(mark), high - 20, "grid") for mark in marks]
    parts += [_text(place(mark), high - 5, f"{100 * mark:.0f} %", "tick middle") for mark in marks]
    parts.append(_vertical(place(0.0), high - 20, "axis"))
    labels = _labels([layer for layer, *_ in rows])
    for i, (layer, kind, share, error) in enumerate(rows):
        y = step * i + 2
        x1, x2 = sorted((place(0.0), place(share)))
        parts.append(_text(left - 8, y + 11, labels[i], "label end small"))
        parts.append(_bar(x1, y, x2 - x1, 13, k, f"{layer} ({kind}): {100 * share:.1f} % +- {100 * error:.1f}"))
        parts.append(_whisker(place(share - error), place(share + error), y + 6.5))
    return _svg(left + wide + 24, high, "Share of each layer in the local equivariance error", parts)


def _round(step: float) -> float:
    """Rounded up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(step or 1.0))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _labels(names: Sequence[str]) -> list[str]:
    """Paths of modules without the words that all of them begin with."""
    split = [name.split(".") for name in names]
    same = 0
    while len(names) > 1 and all(len(parts) > same + 1 and parts[same] == split[0][same] for parts in split):
        same += 1
    return [_label(parts[same:]) for parts in split]


def _label(parts: Sequence[str]) -> str:
    """A path; a long one with first letters in place of all words but the last, as in s.0.l.1.convolution."""
    name = ".".join(parts)
    if len(name) > LABEL:
        name = ".".join([*(word if word.isdigit() else word[:1] for word in parts[:-1]), parts[-1]])
    return name if len(name) <= LABEL else f"…{name[1 - LABEL :]}"


def _log_scale(left: float, wide: float, low: int, top: int) -> Callable[[float], float]:
    """Value -> x on a logarithmic scale from 10**low to 10**top; values beyond are drawn at the ends."""

    def place(value: float) -> float:
        return left + wide * (min(max(log10(value) if value > 0 else low, low), top) - low) / (top - low)

    return place


def _dot(x: float, y: float, radius: float, k: int, title: str) -> str:
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"'
    return f'<circle class="dot m{k}" {place}><title>{escape(title)}</title></circle>'


def _bar(x: float, y: float, width: float, height: float, k: int, title: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:g}" rx="2"'
    return f'<rect class="bar m{k}" {place}><title>{escape(title)}</title></rect>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img" '
        f'aria-label="{escape(title, quote=True)}">{body}</svg>'
    )


def _point(c: float, radius: float, angle: float) -> tuple[float, float]:
    """On the dial: 0 degrees is up, and positive angles go to the left."""
    t = angle * pi / 180
    return c - radius * sin(t), c - radius * cos(t)


def _ring(c: float, radius: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{c:.1f}" cy="{c:.1f}" r="{radius:.1f}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _vertical(x: float, high: float, kind: str) -> str:
    return _line(x, 0, x, high, kind)


def _whisker(x1: float, x2: float, y: float) -> str:
    ends = "".join(_line(x, y - 3, x, y + 3, "whisker") for x in (x1, x2))
    return _line(x1, y, x2, y, "whisker") + ends


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
