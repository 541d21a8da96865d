"""The report on a part of an experiment: tables, bands, a drawing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from symdata.display import Result, Table, plain_fields
from zoo.errors import ModelError
from zoo.experiments.harness.bands import Verdict
from zoo.experiments.harness.plots import draw
from zoo.experiments.harness.runs import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Line:
    """One line of a drawing."""

    name: str
    x: tuple[float, ...]
    """Degrees in a polar drawing."""
    y: tuple[float, ...]
    published: bool = False
    """Drawn dashed."""


@dataclass(frozen=True)
class Drawing:
    """A picture, as data."""

    title: str
    lines: tuple[Line, ...]
    polar: bool = False
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True)
class Section(Result):
    """What the runs of a part found."""

    part: str
    title: str
    records: tuple[RunRecord, ...]
    tables: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    drawing: Drawing | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    """The numbers of the tables, as plain data."""

    @property
    def cost(self) -> str:
        """`12 runs, on average 113 s (112 CPU-s) each; 22.6 minutes in all`."""
        n, wall, cpu = len(self.records), sum(r.seconds for r in self.records), sum(r.cpu_seconds for r in self.records)
        return f"{n} runs, on average {wall / n:.3g} s ({cpu / n:.3g} CPU-s) each; {wall / 60:.1f} minutes in all"

    @property
    def every_table(self) -> tuple[Table, ...]:
        """The tables, and the bands if the part has some."""
        header = ("band", "claim", "measured", "verdict")
        bands = Table(header, tuple(verdict.row for verdict in self.verdicts), "Bands")
        return (*self.tables, bands) if self.verdicts else self.tables

    def parts(self) -> Iterable[str | Table]:
        """The title, the tables, the cost."""
        return self.title, *self.every_table, f"Cost: {self.cost}."

    @property
    def markdown(self) -> str:
        """The section for a document beside which the drawing is `<part>.png`."""
        picture = [f"![{self.drawing.title}]({self.part}.png)"] if self.drawing else []
        tables = [table.markdown for table in self.every_table]
        return "\n\n".join([f"## {self.title}", *tables, *picture, f"Cost: {self.cost}."])

    def plot(self) -> "Figure":
        """The drawing as a figure of matplotlib; `ModelError` for a part without one."""
        if self.drawing is None:
            raise ModelError(f"part {self.part!r} has no drawing; print the section for its tables")
        return draw(self.drawing)

    def to_dict(self) -> dict[str, Any]:
        """The section as plain data for JSON; without the runs, which have a file of their own."""
        bands = [verdict.to_dict(self.part) for verdict in self.verdicts]
        return {**plain_fields(self, "title", "cost", "tables"), "bands": bands, "summary": dict(self.summary)}
