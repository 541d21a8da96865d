"""The display of results: text on a terminal, HTML in a notebook, plain data for JSON.

A result is a dataclass that inherits `Result` and returns its paragraphs and tables in `parts`. Its fields are its
plain data, unless it names others in `json_fields`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from jinja2 import Template
    from pandas import DataFrame

NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,2}(,\d{3})+|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?")
"""A number in a cell of a table. `007` is a name."""
MISSING = ("", "-")
"""Cells without a value."""
LONGEST = 60
"""Characters of a value in the `repr` of a result."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header.

    Example:
        >>> from symdata.display import Table
        >>> print(Table(("element", "accuracy %"), [("e", "98.10"), ("r90", "97.95")]))
        element  accuracy %
        -------  ----------
        e        98.10
        r90      97.95
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = ()
    """Sentences below the table."""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title

    def __str__(self) -> str:
        """The title, left-aligned columns, and the notes."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [self.header, ["-" * width for width in widths], *self.rows]
        body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*filter(None, [self.title]), *body, *self.notes])

    @property
    def markdown(self) -> str:
        """The table in Markdown, under its title in bold."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        head = [f"**{self.title}**", ""] if self.title else []
        return "\n".join([*head, *body, *(f"\n{note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        rows = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows]
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.header)
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{notes}"

    def to_dict(self) -> dict[str, Any]:
        """The table as plain data for JSON."""
        return plain_fields(self, "title", "header", "rows", "notes")

    def to_pandas(self) -> "DataFrame":
        """The rows as a DataFrame of pandas; a column of numbers holds numbers, as far as they are printed."""
        from pandas import DataFrame

        names: list[str] = []
        for k, name in enumerate(self.header):  # `+-` belongs to the column before
            full = name if name not in names and name != "+-" else f"{self.header[k - 1]} {name}".strip()
            names.append(full if full not in names else f"{full} {k}")
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(names)
        return DataFrame({name: _values(column) for name, column in zip(names, columns, strict=True)})


def _values(cells: Sequence[str]) -> list[Any]:
    """The cells of a column as numbers, if all are that have a value."""
    there = [cell for cell in cells if cell not in MISSING]
    if not there or not all(map(NUMBER.fullmatch, there)):
        return list(cells)
    kind = int if all(cell.replace(",", "").lstrip("+-").isdigit() for cell in cells) else float
    return [float("nan") if cell in MISSING else kind(cell.replace(",", "")) for cell in cells]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: a dataclass by its `to_dict` or its fields, tuples as lists, keys and paths as text.

    Example:
        >>> from symdata.display import plain
        >>> plain({1: ("a", None)})
        {'1': ['a', None]}
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return plain_fields(value, *(field.name for field in fields(value)))
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, PurePath) else value


def plain_fields(value: Any, *names: str) -> dict[str, Any]:
    """Fields and properties of a value as plain data, in this order.

    Example:
        >>> from symdata.display import plain_fields
        >>> plain_fields(1 + 2j, "real", "imag")
        {'real': 1.0, 'imag': 2.0}
    """
    return {name: plain(getattr(value, name)) for name in names}


def template(name: str, filters: Mapping[str, Any] | None = None, **options: Any) -> "Template":
    """A template of the folder `cards`, which fails where it needs a value that it is not given.

    Args:
        name: of its file.
        filters: its own, by name.
        options: of `jinja2.Environment`.

    Example:
        >>> from symdata.display import template
        >>> template("report.html.j2", autoescape=True).render()
        Traceback (most recent call last):
        ...
        jinja2.exceptions.UndefinedError: 'version' is undefined
    """
    import jinja2

    options |= {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(loader=jinja2.PackageLoader("cards", ""), **options)
    environment.filters |= filters or {}
    return environment.get_template(name)


class PlainData:
    """Base class of dataclasses that are plain data in JSON.

    Example:
        >>> from dataclasses import dataclass
        >>> from symdata.display import PlainData
        >>> @dataclass
        ... class Hits(PlainData):
        ...     json_fields = ("right", "share")
        ...     right: int
        ...     count: int
        ...
        ...     @property
        ...     def share(self):
        ...         return self.right / self.count
        >>> Hits(3, 4).to_dict()
        {'right': 3, 'share': 0.75}
    """

    json_fields = cast(tuple[str, ...], ())  # without an annotation: the hints of a result are those of its fields
    """Fields and properties in `to_dict`; where there are none, all fields."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data for JSON."""
        return plain_fields(self, *(self.json_fields or self.__dataclass_fields__))  # type: ignore[attr-defined]


class Result(PlainData, ABC):
    """Base class of results: `print(result)`, a notebook cell and the command line show the same text.

    Example:
        >>> from symdata.display import Result, Table
        >>> class Sum(Result):
        ...     def parts(self):
        ...         return ["Two numbers.", Table(("a", "b"), [("1", "2")])]
        >>> print(Sum())
        Two numbers.
        <BLANKLINE>
        a  b
        -  -
        1  2
    """

    @abstractmethod
    def parts(self) -> Iterable[str | Table]:
        """Paragraphs, of one or more lines, and tables; empty ones are left out."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):
            cls.__repr__ = Result.__repr__  # type: ignore[method-assign]  # before @dataclass writes one of its own

    def __str__(self) -> str:
        return "\n\n".join(text for part in self.parts() if (text := str(part)))

    def __repr__(self) -> str:
        """The fields, long values as their size or type; `print` shows the whole result."""
        shown = ", ".join(f"{name}={_short(getattr(self, name))}" for name in getattr(self, "__dataclass_fields__", ()))
        return f"{type(self).__name__}({shown})"

    def data_rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of `to_pandas`, in full precision; by default none, and its rows are those of a printed table."""
        return ()

    def to_pandas(self, table: int | None = None) -> "DataFrame":
        """The result as a DataFrame of pandas.

        Args:
            table: number of the printed table, from 0; by default the rows of the result in full precision where it has
                them, or its first table.

        Raises:
            IndexError: if the result has no such table.
        """
        from pandas import DataFrame

        if table is None and (rows := self.data_rows()):
            return DataFrame([dict(row) for row in rows])
        tables = [part for part in self.parts() if isinstance(part, Table)]
        if not tables and table is None:  # a result of a few values
            return DataFrame([{k: v for k, v in self.to_dict().items() if not isinstance(v, list | dict)}])
        if not -len(tables) <= (table or 0) < len(tables):
            raise IndexError(f"table is {table}, and this {type(self).__name__} prints {len(tables)} tables, from 0 on")
        return tables[table or 0].to_pandas()

    def _repr_html_(self) -> str:
        html = (
            part._repr_html_() if isinstance(part, Table) else f'<p style="white-space: pre-wrap">{escape(part)}</p>'
            for part in self.parts()
            if str(part)
        )
        return f"<div>{''.join(html)}</div>"


def _short(value: Any) -> str:
    """The repr of a value; of a long one its size or its type."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    text = repr(value)
    if len(text) <= LONGEST:
        return text
    if isinstance(value, str):
        return f"{text[: LONGEST - 2]}…{text[-1]}"
    if isinstance(value, tuple | list | Mapping):
        return f"<{len(value)} {'entry' if len(value) == 1 else 'entries'}>"
    return f"<{type(value).__name__}>"
