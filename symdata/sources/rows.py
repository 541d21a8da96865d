"""Tables in text: comma-, semicolon- or tab-separated values and JSON lines, with the line of every row.

Python's own readers are used: they keep every text as it is ("007" stays "007") and know the line of a mistake.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa

from symdata.errors import SourceError, first_line
from symdata.sources.base import Ref, refusal
from symdata.sources.files import Labels, check_labelled

SEPARATED, JSON_LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_KINDS = ({str}, {bool}, {int}, {float}, {int, float})
"""Types of JSON values that one column may hold."""


@dataclass(frozen=True)
class Rows:
    """The rows of a text file."""

    file: Path
    columns: dict[str, list[Any]]
    """Values by column; None where a cell is empty."""
    lines: list[int]
    """The line in the file, from 1, at which each row begins."""
    textual: bool
    """Whether every value is a text."""

    def name(self, row: int) -> str:
        """Name of a row in messages, such as "birds.csv line 3"."""
        return f"{self.file.name} line {self.lines[row]}"


def read_rows(path: Path) -> Rows:
    """Read a table by its suffix.

    Raises:
        SourceError: with file and line, if it is not such a table.
    """
    try:
        return (_read_json if path.suffix.lower() in JSON_LINES else _read_separated)(path)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{str(path)!r} is not text in UTF-8 (it holds the byte {error.object[error.start]:#04x}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}") from None


def _wrong(path: Path, line: int, problem: str) -> SourceError:
    return SourceError(f"{str(path)!r} line {line}: {problem}; mend that line")


def _read_separated(path: Path) -> Rows:
    cells = _lines_of_cells(path, _separator(path))
    _, header = next(cells, (0, []))
    if not header:
        raise SourceError(f"{str(path)!r} is empty; expected a header such as image,label and a line an image")
    names = [name or f"Unnamed: {k}" for k, name in enumerate(header)]
    if twice := next((name for k, name in enumerate(names) if name in names[:k]), None):
        raise SourceError(f"{str(path)!r}: its header names the column {twice!r} twice; rename one of them")
    lines, rows = [], []
    for line, row in cells:
        if len(row) != len(names):
            raise _wrong(path, line, f"it has {len(row)} cells, expected {len(names)} as in the header")
        lines.append(line)
        rows.append([cell or None for cell in row])
    values = map(list, zip(*rows, strict=True)) if rows else ([] for _ in names)
    return Rows(path, dict(zip(names, values, strict=True)), lines, textual=True)


def _separator(path: Path) -> str:
    """Tab for .tsv; else the comma, or the semicolon or tab if only that divides the header."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    for separator in ",;\t":
        try:
            if len(next(_lines_of_cells(path, separator), (0, []))[1]) > 1:
                return separator
        except SourceError:  # quotes that make no sense with this separator
            continue
    return ","


def _lines_of_cells(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that is not blank, with its number; a quoted cell may go over several lines."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader, line = csv.reader(file, delimiter=separator, strict=True), 1
        try:
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            raise _wrong(path, line, f"it is not comma-separated text ({error})") from None


def _read_json(path: Path) -> Rows:
    lines, found = [], []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                lines.append(number)
                found.append(_json_object(path, number, line))
    names = list(dict.fromkeys(name for row in found for name in row))
    return Rows(path, {name: [row.get(name) for row in found] for name in names}, lines, textual=False)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = parse_json(line)
    except ValueError as error:
        raise _wrong(path, number, f"it is not JSON ({first_line(error)})") from None
    if not isinstance(found, dict):
        raise _wrong(path, number, 'expected an object such as {"image": "a.png", "label": "cat"}')
    return found


def parse_json(text: str) -> Any:
    """A JSON value in which no object names a key twice; raises ValueError with the reason for any other text."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) != len(pairs):
            keys = [key for key, _ in pairs]
            raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in an object")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def labels_of(ref: str, values: Mapping[str, Sequence[Any]], name: Callable[[str, int], str], textual: bool) -> Labels:
    """Labels from cells, one of them an image.

    Args:
        ref: reference of the source.
        values: by split.
        name: the name of a row in messages, from its split and number.
        textual: whether texts that are all whole numbers are numbers. Leading zeros and signs make a text.

    Raises:
        SourceError: with the row, for an empty cell or one of another type.
    """
    kinds: dict[type, str] = {}
    for split, own in values.items():
        for row, value in enumerate(own):
            if value is None or (isinstance(value, str) and not value.strip()):
                raise refusal(ref, f"{name(split, row)} has no label; fill it or drop that row")
            if not isinstance(value, str | int):
                problem = f"the label {value!r} in {name(split, row)} is of type {type(value).__name__}"
                raise refusal(ref, f"{problem}; a label is one integer, boolean or text")
            kinds.setdefault(type(value), f"{value!r} in {name(split, row)}")
    if len(kinds) > 1:
        raise refusal(ref, f"labels are of several types ({', '.join(kinds.values())}); write all as one type")
    check_labelled(ref, values)
    if textual and all(_WHOLE.fullmatch(value) for own in values.values() for value in own):
        return Labels.of({split: list(map(int, own)) for split, own in values.items()})
    return Labels.of(values)


def other_columns(columns: Mapping[str, list[Any]], counts: Mapping[str, int], textual: bool) -> dict[str, pa.Table]:
    """The other columns as a table for each split, with the same names and types.

    Texts of a file without types become int64 or float64 if all of them are numbers as JSON writes them. JSON values
    keep their type if a column has one; objects, and a column of several types, become JSON text.

    Args:
        columns: values of all splits, one after the other.
        counts: rows of each split, in that order.
        textual: whether the file has no types.
    """
    whole = pa.table({name: _typed_text(own) if textual else _typed_json(own) for name, own in columns.items()})
    ends = dict(zip(counts, accumulate(counts.values()), strict=True))
    return {split: whole.slice(ends[split] - count, count) for split, count in counts.items()}


def columns_beside(ref: Ref, file: Path, paths: Mapping[str, Sequence[str]]) -> dict[str, pa.Table]:
    """The columns of a table for images that lie in files: row i of a split belongs to its image i.

    Args:
        ref: reference of the source.
        file: the table. One of its columns holds the path, or the name alone, of every image.
        paths: of the images by split, relative to the table's folder.

    Raises:
        SourceError: if there is no such column, or an image is in two rows.
    """
    table, every = read_rows(file), [path for own in paths.values() for path in own]
    for wanted in (every, [path.rpartition("/")[2] for path in every]):
        if len(set(wanted)) < len(wanted):
            continue  # names that occur in several folders
        for column, cells in table.columns.items():
            rows = {cell: row for row, cell in enumerate(cells) if isinstance(cell, str)}
            if not rows.keys() >= set(wanted):
                continue
            if twice := next(
                (cell for row, cell in enumerate(cells) if cell in set(wanted) and rows[cell] != row), None
            ):
                raise refusal(ref.text, f"{file.name!r} names the image {twice!r} twice; remove one of the lines")
            chosen = [rows[name] for name in wanted]
            rest = {name: [own[row] for row in chosen] for name, own in table.columns.items() if name != column}
            return other_columns(rest, {split: len(own) for split, own in paths.items()}, table.textual)
    known = {cell for cells in table.columns.values() for cell in cells if isinstance(cell, str)}
    lacking = next((path for path in every if path not in known), every[0])
    raise refusal(
        ref.text,
        f"no column of {file.name!r} holds the paths, or names, of all {len(every)} images; {lacking!r} is not there",
    )


def _typed_text(values: list[str | None]) -> pa.Array:
    given = [value for value in values if value is not None]
    if given and all(map(_WHOLE.fullmatch, given)):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    if given and all(map(_NUMBER.fullmatch, given)):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values, pa.string())


def _typed_json(values: list[Any]) -> pa.Array:
    given = [value for value in values if value is not None]
    inner = [one for value in given for one in (value if isinstance(value, list) else [value])]
    if {type(one) for one in inner} in _KINDS:
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError):  # integers of more than 64 bits; lists beside single values
            pass
    return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())
