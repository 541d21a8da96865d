"""Models side by side: the scores of upright images that do not depend on the size of the classes."""

from collections.abc import Sequence

from symdata.display import Table
from zoo.report.collect import ModelEntry

HEADER = ("model", "accuracy %", "balanced accuracy %", "macro F1 %", "AUC")


def by_class(entries: Sequence[ModelEntry]) -> Table | None:
    """A row for each model whose report has these scores; None if there is none."""
    rows = [
        (entry.name, entry.report.upright.cells[0], *entry.report.scores.cells)
        for entry in entries
        if entry.report.scores is not None
    ]
    return Table(HEADER, rows, title="Upright images, by class:") if rows else None
