"""What a part of an experiment reports: tables, series to judge, curves to draw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from symdata.display import Table
from zoo.experiments.harness.bands import Verdict
from zoo.experiments.harness.runs import RunRecord


@dataclass(frozen=True)
class Line:
    """One line of a picture."""

    name: str
    x: tuple[float, ...]
    """Degrees of a polar picture, epochs of another."""
    y: tuple[float, ...]
    published: bool = False
    """Drawn dashed."""


@dataclass(frozen=True)
class Drawing:
    """A picture, as data."""

    name: str
    """Of its file, without `.png`."""
    title: str
    curves: tuple[Line, ...]
    polar: bool = False
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True)
class Section:
    """A part, reported."""

    part: str
    title: str
    records: tuple[RunRecord, ...]
    tables: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    drawings: tuple[Drawing, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    """The numbers of the tables, as plain data."""

    @property
    def cost(self) -> str:
        """`12 runs, on average 113 s (112 CPU-s) each; 22.6 minutes in all`."""
        n, wall, cpu = len(self.records), sum(r.seconds for r in self.records), sum(r.cpu_seconds for r in self.records)
        return f"{n} runs, on average {wall / n:.3g} s ({cpu / n:.3g} CPU-s) each; {wall / 60:.1f} minutes in all"

    @property
    def bands(self) -> Table | None:
        """The verdicts as a table; None for a part without bands."""
        if not self.verdicts:
            return None
        header = ("band", "claim", "measured", "verdict")
        return Table(header, tuple(verdict.row for verdict in self.verdicts), "Bands")

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON; without the runs, which have a file of their own."""
        return {
            "title": self.title,
            "cost": self.cost,
            "tables": [table.to_dict() for table in self.tables],
            "bands": [verdict.to_dict() for verdict in self.verdicts],
            "summary": dict(self.summary),
        }
