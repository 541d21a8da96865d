"""The result of `symdata measure` as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.options.basic import table

if TYPE_CHECKING:
    from cli.measure import Measured
    from zoo.measure import Estimate, FeatureError, LayerwiseError

MAX_ROWS = 24
"""Elements that get a row each; of more, the worst."""
NOTHING = 1e-9
"""A layer that adds less than this share of the largest term is not listed."""


def text(found: "Measured") -> str:
    """The measurements for a reader."""
    head = f"{found.name} on {found.data}: {found.images:,} images at {found.size}x{found.size}, in float64"
    return "\n\n".join([head, _elements(found), _motions(found), *map(_layers, found.layers)])


def _elements(found: "Measured") -> str:
    """What each element changes, relative to the norm."""
    errors = found.invariance.by_element
    worst = sorted(errors, key=lambda e: errors[e].value)[-MAX_ROWS:]
    rows = []
    for name, error in errors.items():
        if name in worst:
            rows.append([name, *_pair(error), *_map(found.features, name)])
    head = f"Change of the {found.invariance.output} and of the feature maps, relative to their norm:"
    more = f"\n({len(errors)} elements; the worst)" if len(errors) > len(rows) else ""
    note = f"\nNote: {found.note}." if found.note else ""
    return f"{head}\n{table(rows, ['element', found.invariance.output, '+-', 'worst map', '+-', 'which'])}{more}{note}"


def _map(features: "FeatureError | None", element: str) -> list[str]:
    """The worst feature map under one element."""
    if features is None or element not in features.by_element:
        return ["-", "", ""]
    name = max(features.errors, key=lambda name: features.estimate(name, element).value)
    return [*_pair(features.estimate(name, element)), name or "(forward)"]


def _motions(found: "Measured") -> str:
    """The local equivariance errors."""
    rows = [
        [e.generator, e.unit, *_pair(e.value), *_pair(e.relative), *_pair(e.per_half_image)[:1]] for e in found.local
    ]
    header = ["motion", "unit of t", "E|Lf|^2/dim", "+-", "E|Lf|^2/E|f|^2", "+-", "/dim, t = half image"]
    first = found.local[0].how
    how = f"{first.method} differences, {first.kernel}, {first.padding} at the border"
    return f"Lie derivative L f = df/dt of the {first.output} ({how}):\n{table(rows, header)}"


def _layers(error: "LayerwiseError") -> str:
    """The terms of the chain rule."""
    largest = max(layer.value.value for layer in error.layers)
    shown = [layer for layer in error.layers if layer.value.value > NOTHING * largest]
    rows = [[layer.name or "(output)", layer.kind, *_pair(layer.value), *_percent(layer.share)] for layer in shown]
    less = len(error.layers) - len(shown)
    rest = f"\n({less} more add nothing)" if less else ""
    head = f"Where that of {error.generator} arises; the terms add up to it within {error.gap:.0e}:"
    return f"{head}\n{table(rows, ['layer', 'what', 'E|D Lf|^2/dim', '+-', 'share %', '+-'])}{rest}"


def _pair(error: "Estimate") -> list[str]:
    """A number and its standard error."""
    return [f"{error.value:.2e}", "-" if error.standard_error is None else f"{error.standard_error:.0e}"]


def _percent(share: "Estimate") -> Iterator[str]:
    yield f"{100 * share.value:.1f}"
    yield "-" if share.standard_error is None else f"{100 * share.standard_error:.1f}"
