"""Tables of text: aligned for a terminal, piped for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.experiments.published import Figure


@dataclass(frozen=True)
class Table:
    """Rows of finished cells under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences that stand below."""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title

    @property
    def text(self) -> str:
        """Left-aligned columns."""
        widths = [max(len(row[i]) for row in (self.header, *self.rows)) for i in range(len(self.header))]
        lines = [self.header, tuple("-" * width for width in widths), *self.rows]
        body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([self.title, *body, *self.notes])

    @property
    def markdown(self) -> str:
        """A table of Markdown under its title in bold."""
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        body = ["| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines]
        return "\n".join([f"**{self.title}**", "", *body, *(f"\n{note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "title": self.title,
            "header": list(self.header),
            "rows": [list(row) for row in self.rows],
            "notes": list(self.notes),
        }


def plus_minus(figure: Figure | None, digits: int = 2) -> str:
    """`97.69±0.17`; without a spread, the mean alone; `-` for nothing."""
    if figure is None:
        return "-"
    spread = "" if figure.sd is None else f"±{figure.sd:.{digits}f}"
    return f"{figure.mean:.{digits}f}{spread}"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def joined(values: Sequence[float], digits: int) -> str:
    """`0.0088 0.0115`."""
    return " ".join(f"{value:.{digits}f}" for value in values)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
