"""The display of results: text on a terminal, HTML in a notebook, plain data for JSON.

A result is a dataclass that inherits `Result` and returns its paragraphs and tables in `parts`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from html import escape
from pathlib import PurePath
from typing import Any, cast


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
        return {name: plain(getattr(self, name)) for name in ("title", "header", "rows", "notes")}


def plain(value: Any) -> Any:
    """Plain data for JSON: the `to_dict` of a value that has one, the fields of a dataclass, the text of a path.

    Example:
        >>> from pathlib import Path
        >>> plain({"table": Table(("a",), [("1",)]), "at": Path("here"), "shape": (1, 28, 28)})
        {'table': {'title': '', 'header': ['a'], 'rows': [['1']], 'notes': []}, 'at': 'here', 'shape': [1, 28, 28]}
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


class Result(ABC):
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

    attributes = cast(tuple[str, ...], ())  # without an annotation: the hints of a result are those of its fields
    """Attributes in `to_dict`, in this order; empty: the fields of the dataclass."""

    @abstractmethod
    def parts(self) -> Iterable[str | Table]:
        """Paragraphs, of one or more lines, and tables; empty ones are left out."""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data for JSON."""
        names = self.attributes or [field.name for field in fields(cast(Any, self))]
        return {name: plain(getattr(self, name)) for name in names}

    def __str__(self) -> str:
        return "\n\n".join(text for part in self.parts() if (text := str(part)))

    def _repr_html_(self) -> str:
        html = (
            part._repr_html_() if isinstance(part, Table) else f'<p style="white-space: pre-wrap">{escape(part)}</p>'
            for part in self.parts()
            if str(part)
        )
        return f"<div>{''.join(html)}</div>"
