"""Models side by side: the same cells for the page and for a table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from symdata.display import Table
from zoo.evaluation.structure import FIELDS
from zoo.report.collect import ModelEntry
from zoo.report.measures import columns
from zoo.report.measures import legend as legend_of_measures

HEADER = ("model", "parameters", "at its size", "upright", "orbit", "agreement", "all angles", *columns())
"""Columns of the comparison, which `legend` explains."""
NOTHING = "-"
"""The cell of a value that was not measured."""


def row(entry: ModelEntry) -> tuple[str, ...]:
    """The cells of one model, in the order of HEADER."""
    report = entry.report
    moved = report.elements[1:] or report.elements
    agree = sum(score.agreement for score in moved) / len(moved)
    return (
        entry.name,
        f"{entry.parameters:,}",
        f"{verdict(entry)} ({report.size} px)",
        f"{100 * report.upright.value:.2f}",
        f"{100 * entry.orbit:.2f}",
        f"{100 * agree:.1f}",
        NOTHING if report.curve is None else f"{100 * report.curve.mean:.2f}",
        *((NOTHING,) * len(columns()) if entry.measures is None else entry.measures.cells),
    )


def verdict(entry: ModelEntry) -> str:
    """What arithmetic predicts for the network at its input size."""
    if entry.sizes is None:
        structure = entry.report.structure
        other = structure is not None and structure.note == FIELDS
        return "tied by a group off the lattice" if other else "not tied by a group"
    phi = entry.sizes.get(entry.report.size)
    if phi is None:
        return "not known"
    return f"exact under {entry.group}" if phi == 0 else f"approximate, phi = {phi:g}"


def legend(entries: Sequence[ModelEntry]) -> str:
    """What the columns mean, as plain text."""
    report = entries[0].report
    angles = f", all angles: accuracy over {len(report.curve.angles)} of them" if report.curve is not None else ""
    percentages = (
        f"In percent: accuracy upright, orbit: accuracy over all elements of {report.group}, agreement: how often the "
        f"class stays what it was upright under the others{angles}."
    )
    measured = [entry.measures for entry in entries if entry.measures is not None]
    if not measured:
        return percentages
    return f"{percentages} Measured in float64 on {measured[0].images:,} images: {legend_of_measures()}."


def comparison(entries: Sequence[ModelEntry]) -> Table:
    """The models as a table, highest mean accuracy over the angles first."""
    return Table(HEADER, [row(entry) for entry in ranked(numbered(entries))])


def compared(entries: Sequence[ModelEntry]) -> str:
    """The models as a Markdown table, highest mean accuracy over the angles first.

    Example:
        >>> from zoo.report import compared
        >>> print(compared([]).partition(" | upright")[0])
        | model | parameters | at its size
    """
    return comparison(entries).markdown + "\n"


def ranked(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """Sorted by mean accuracy over angles, or over elements where there is no curve: highest first, ties as given."""
    return sorted(entries, key=lambda e: -(e.orbit if e.report.curve is None else e.report.curve.mean))


def numbered(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """The same models; a name that occurred before gets a number."""
    seen: Counter[str] = Counter()
    found = []
    for entry in entries:
        seen[entry.name] += 1
        number = seen[entry.name]
        name = entry.name if number == 1 else f"{entry.name} #{number}"
        found.append(replace(entry, report=replace(entry.report, name=name)))
    return found
