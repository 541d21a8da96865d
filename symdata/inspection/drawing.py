"""Pictures of a dataset: a contact sheet, and a polar histogram of the elements of every split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from symdata.errors import StoreError
from symdata.measures import Measure
from symdata.pictures.contact_sheet import choose, contact_sheet
from symdata.pictures.figure import Figure, Picture, as_picture
from symdata.pictures.polar import Panel, polar_figure
from symdata.store import ImageDataset, load, splits
from symdata.symmetry import Symmetry

MAX_PANELS = 16
"""Dials of one polar histogram; further ones are left out."""


def pictures(folder: Path | str, names: Sequence[str] | None = None) -> dict[str, Picture]:
    """File name -> picture: the contact sheet of the first split, and the polar histogram of all.

    Args:
        folder: the dataset.
        names: of the splits; None: all of them.
    """
    if names is not None and not names:
        raise StoreError("no split to draw; leave splits out for all of them")
    opened = [load(folder, split) for split in (splits(folder) if names is None else names)]
    first = opened[0]
    labels = np.asarray(first.labels)
    rows = choose(labels, len(first.classes))
    sheet = contact_sheet(first.images(rows), labels[rows], first.classes, first.elements[rows])
    return {"contact-sheet.png": sheet, "polar.png": as_picture(elements_figure(opened))}


def elements_figure(datasets: Sequence[ImageDataset]) -> Figure:
    """Draw the dials of several splits: one row per split, if that fits."""
    rows = [dials(dataset) for dataset in datasets]
    columns = len(rows[0]) if 1 < len(rows[0]) <= 4 else 4
    return polar_figure([panel for row in rows for panel in row][:MAX_PANELS], columns)


def dials(dataset: ImageDataset) -> list[Panel]:
    """What the symmetry of a split drew: one dial, or one for each set of classes with the same measure."""
    split, symmetry = dataset.split, dataset.symmetry
    if not symmetry.is_per_class:
        return [Panel(f"{split}: {symmetry}", dataset.drawn.cpu(), symmetry.rest)]
    drawn, labels = dataset.drawn.cpu(), np.asarray(dataset.labels)
    return [
        Panel(f"{split} {name}: {measure}", drawn[np.isin(labels, members)], measure)
        for name, members, measure in _clauses(symmetry, len(dataset.classes))
    ]


def _clauses(symmetry: Symmetry, n_classes: int) -> list[tuple[str, list[int], Measure]]:
    """Name, classes and measure of every clause, the rest last."""
    named = [(f"{a}-{b}" if a < b else f"{a}", list(range(a, b + 1)), m) for a, b, m in symmetry.clauses]
    taken = {c for _, members, _ in named for c in members}
    rest = [c for c in range(n_classes) if c not in taken]
    return named + ([("rest", rest, symmetry.rest)] if rest and symmetry.rest is not None else [])
