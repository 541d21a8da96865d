"""Tables in text with a column of paths and one of labels: `.csv`, `.tsv` and JSON lines (`.jsonl`).

Paths are relative to the table. A column called `split` gives the splits; without one, all rows are the split that the
file is named after, "train" if none. A folder of tables named after splits (`train.csv`, `test.csv`) works as well,
unless it is one of class folders. `,image=NAME` and `,label=NAME` in the reference name the columns, and `,mask=NAME`
one of paths of masks. Without labels, and without that option, the column `mask` is taken.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symdata.errors import SourceError
from symdata.sources import folder
from symdata.sources.annotated import open_masked, unlabelled
from symdata.sources.base import Ref, known_split, refusal, split_name
from symdata.sources.columns import LABEL_NAMES, pick_column
from symdata.sources.encoded import EncodedSource
from symdata.sources.extra import columns_of
from symdata.sources.files import Facts, check_regular, printable
from symdata.sources.fit import Fit
from symdata.sources.rows import JSON_LINES, SEPARATED, Rows, labels_of, other_columns, read_rows

SUFFIXES = (*SEPARATED, *JSON_LINES)
IMAGE_NAMES = ("image", "img", "path", "file", "filename", "file_name", "filepath", "image_path")
CLASS_NAMES = (*LABEL_NAMES, "class", "target")
MASK, SPLIT = "mask", "split"
"""The columns of masks, and of the names of the splits."""


class RowStore:
    """Image files that the rows of tables name."""

    apart = True

    def __init__(self, files: dict[str, list[tuple[str, Path, str]]]) -> None:
        """For every split the name of each row, the folder of its table, and the path of its image."""
        self.files = files

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Bytes of the files at `indices`."""
        blobs = []
        for index in indices:
            name, place, path = self.files[split][index]
            if not path:
                raise SourceError(f"{name} has no path; fill it or drop that row")
            try:
                check_regular(place / path)
                blobs.append((place / path).read_bytes())
            except (OSError, ValueError, SourceError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SourceError(f"{name}: {str(place / path)!r} cannot be read ({reason}); mend that row") from None
        return blobs

    def name(self, split: str, index: int) -> str:
        """File, line and image of one row, such as "birds.csv line 3 ('img/3.png')"."""
        name, _, path = self.files[split][index]
        return printable(f"{name} ({path!r})")


def found_at(place: Path) -> bool:
    """Whether this is a table, or a folder of tables named after splits and not of class folders."""
    if place.is_file():
        return place.suffix.lower() in SUFFIXES
    return place.is_dir() and bool(find_tables(place)) and not folder.found_at(place)


def find_tables(place: Path) -> list[Path]:
    """The tables of a folder that are named after splits."""
    found = (path for path in sorted(place.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path for path in found if known_split(split_name(path.stem))]


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open a table, or a folder of tables."""
    ref.only("splits", "image", "label", "bits", "background", "mask", "void")
    root = Path(ref.place)
    tables = [read_rows(path) for path in ([root] if root.is_file() else find_tables(root))]
    rows = ref.select(_rows_by_split(ref, tables))
    image, mask = _pick(ref, tables, "image", IMAGE_NAMES), _mask_column(ref, tables)
    images = RowStore(_paths(ref, rows, image))
    taken = {image, mask, SPLIT}
    if mask and not _has_labels(ref, tables):
        labels = unlabelled({split: len(own) for split, own in rows.items()})
    else:
        label = _pick(ref, tables, "label", CLASS_NAMES)
        taken |= {label}
        cells = {split: [t.columns[label][row] for t, row in own] for split, own in rows.items()}
        labels = labels_of(ref.text, cells, lambda split, row: images.files[split][row][0], tables[0].textual)
    facts = Facts.at(ref, root, [table.file for table in tables])
    masks = RowStore(_paths(ref, rows, mask)) if mask else None
    return open_masked(facts, labels, images, fit, ref, masks, columns_of(_extra(rows, taken)))


_Row = tuple[Rows, int]
"""A table and the number of a row in it."""


def _rows_by_split(ref: Ref, tables: Sequence[Rows]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    files: dict[str, Path] = {}
    for table in tables:
        own = known_split(split_name(table.file.stem)) or "train"
        if (other := files.setdefault(own, table.file)) != table.file:
            raise refusal(ref.text, f"{other.name!r} and {table.file.name!r} both name split {own!r}; name one of them")
        cells = table.columns.get(SPLIT, [own] * len(table.lines))
        for row, cell in enumerate(cells):
            if not isinstance(cell, str) or not cell.strip():
                raise refusal(ref.text, f"{table.name(row)} has no split; fill it, or rename the column {SPLIT!r}")
            found.setdefault(cell, []).append((table, row))
    if not found:
        raise refusal(ref.text, "it holds no rows below the header; expected a line an image")
    return found


def _pick(ref: Ref, tables: Sequence[Rows], role: str, usual: tuple[str, ...]) -> str:
    """The column of a role, which every table has."""
    picked = ""
    for table in tables:
        schema = pa.schema([(name, pa.string()) for name in table.columns])
        found = pick_column(ref, schema, role, [name for name in schema.names if name in usual], usual)
        if picked and found != picked:
            raise refusal(ref.text, f"the tables call the {role} column {picked!r} and {found!r}; give it one name")
        picked = found
    return picked


def _has_labels(ref: Ref, tables: Sequence[Rows]) -> bool:
    return "label" in ref.options or any(name in CLASS_NAMES for table in tables for name in table.columns)


def _mask_column(ref: Ref, tables: Sequence[Rows]) -> str:
    """The column of masks; empty if none is read."""
    usual = () if _has_labels(ref, tables) else (MASK,)
    if MASK not in ref.options and not all(set(usual) & table.columns.keys() for table in tables):
        return ""
    return _pick(ref, tables, MASK, usual)


def _paths(ref: Ref, rows: dict[str, list[_Row]], column: str) -> dict[str, list[tuple[str, Path, str]]]:
    """For every split the name of each row, the folder of its table, and a path in it."""
    return {
        split: [(t.name(row), t.file.parent, _path(ref, t, row, column)) for t, row in own]
        for split, own in rows.items()
    }


def _path(ref: Ref, table: Rows, row: int, image: str) -> str:
    """A path in a row; empty for a row without one, if bad images are to be named together."""
    cell = table.columns[image][row]
    if not isinstance(cell, str):
        if ref.thorough:
            return ""
        problem = "has no path" if cell is None else f"has the path {cell!r}, which is no text"
        raise refusal(ref.text, f"{table.name(row)} {problem} in column {image!r}; fill it or drop that row")
    return cell


def _extra(rows: dict[str, list[_Row]], roles: set[str]) -> dict[str, pa.Table]:
    """The other columns by split: the same ones of the same types in each."""
    every = [row for own in rows.values() for row in own]
    names = dict.fromkeys(name for table, _ in every for name in table.columns if name not in roles)
    columns: dict[str, list[Any]] = {
        name: [table.columns[name][row] if name in table.columns else None for table, row in every] for name in names
    }
    return other_columns(columns, {split: len(own) for split, own in rows.items()}, all(t.textual for t, _ in every))
