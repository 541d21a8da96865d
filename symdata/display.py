"""How results show themselves: as text on a terminal, as HTML in a notebook, as plain data for JSON.

A result is a dataclass that inherits `Result` and says in `parts` what there is to read, as sentences and tables.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of finished cells under a header.

    Example:
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
    """Sentences that stand below."""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title

    def __str__(self) -> str:
        """Left-aligned columns."""
        widths = [max(len(row[i]) for row in (self.header, *self.rows)) for i in range(len(self.header))]
        lines = [self.header, ["-" * width for width in widths], *self.rows]
        body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*([self.title] if self.title else []), *body, *self.notes])

    @property
    def markdown(self) -> str:
        """A table of Markdown, its title above it in bold."""
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
        """As plain data for JSON."""
        rows = [list(row) for row in self.rows]
        return {"title": self.title, "header": list(self.header), "rows": rows, "notes": list(self.notes)}


class Result(ABC):
    """Base of the results that a person reads: `print(result)`, a notebook cell, `result.to_dict()`.

    Example:
        >>> class Sum(Result):
        ...     def parts(self):
        ...         return ["Two numbers.", Table(("a", "b"), [("1", "2")])]
        ...
        ...     def to_dict(self):
        ...         return {"sum": 3}
        >>> print(Sum())
        Two numbers.
        <BLANKLINE>
        a  b
        -  -
        1  2
    """

    @abstractmethod
    def parts(self) -> Iterable[str | Table]:
        """What there is to read: paragraphs, which may have several lines, and tables; empty ones are left out."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The result as plain data for JSON."""

    def __str__(self) -> str:
        return "\n\n".join(text for part in self.parts() if (text := str(part)))

    def _repr_html_(self) -> str:
        html = (
            part._repr_html_() if isinstance(part, Table) else f'<p style="white-space: pre-wrap">{escape(part)}</p>'
            for part in self.parts()
            if str(part)
        )
        return f"<div>{''.join(html)}</div>"
