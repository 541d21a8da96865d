"""A report as one JSON file, from which page and table can be made again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata import __version__
from symdata.display import Result, Table
from zoo.errors import ModelError
from zoo.evaluation.seeds import SeedComparison, compare_seeds
from zoo.report.class_table import by_class
from zoo.report.collect import ModelEntry
from zoo.report.page import page
from zoo.report.table import compared, comparison, legend, numbered, ranked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
"""Version of the JSON; a reader refuses others."""


@dataclass(frozen=True)
class SavedReport(Result):
    """The result of one run of `symdata report`; printed, it is the comparison of its models.

    Example:
        >>> from zoo.report import SavedReport
        >>> SavedReport((), title="nothing").to_dict()["models"]
        []
    """

    entries: tuple[ModelEntry, ...]
    title: str = ""
    command: str = ""
    """The command line that measured them."""
    version: str = __version__
    """Of symdata, when they were measured."""

    @property
    def seeds(self) -> SeedComparison | None:
        """The models over their seeds; None if no two of them differ by the seed alone."""
        return compare_seeds((entry.report, entry.trained) for entry in self.entries)

    def parts(self) -> Iterator[str | Table]:
        """The title, mismatches of poses, the comparison of the models, what its columns mean, and scores by class."""
        yield self.title
        for entry in self.entries:
            if entry.report.mismatch is not None:
                yield f"{entry.name}: {entry.report.mismatch}"
        if self.entries:
            yield comparison(self.entries)
            yield legend(self.entries)
            if (table := by_class(ranked(numbered(self.entries)))) is not None:
                yield table
        if (seeds := self.seeds) is not None:
            yield from seeds.parts()

    def data_rows(self) -> list[dict[str, Any]]:
        """A row for each model; accuracies are in [0, 1]."""
        return [entry.summary for entry in numbered(self.entries)]

    @property
    def html(self) -> str:
        """The page: one HTML file with everything inside."""
        return page(self.entries, title=self.title, command=self.command, version=self.version)

    def plot(self) -> "Figure":
        """The accuracy curves of all models on one dial."""
        from zoo.evaluation.picture import draw

        return draw([entry.report for entry in numbered(self.entries)])

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        words = {"format": FORMAT, "symdata": self.version, "title": self.title, "command": self.command}
        return {**words, "models": [entry.to_dict() for entry in self.entries]}

    @property
    def markdown(self) -> str:
        """The comparison of the models, and that over their seeds, in Markdown."""
        seeds = () if self.seeds is None else self.seeds.parts()
        return compared(self.entries) + "".join(f"\n{table.markdown}\n" for table in seeds)

    def dumps(self) -> str:
        """The text of the file."""
        return json.dumps(self.to_dict(), indent=1) + "\n"


def read_record(path: str | Path) -> SavedReport:
    """Read a report that was written before.

    Raises:
        ModelError: if the file is none, or of another format.

    Example:
        >>> from pathlib import Path
        >>> from zoo.report import SavedReport, read_record
        >>> _ = Path("report.json").write_text(SavedReport((), title="nothing").dumps())
        >>> read_record("report.json").title
        'nothing'
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise ValueError(f"its format is {fields['format']!r}, expected {FORMAT}")
        entries = tuple(map(ModelEntry.from_dict, fields["models"]))
        return SavedReport(entries, *(str(fields[name]) for name in ("title", "command", "symdata")))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise ModelError(
            f"{str(path)!r} is no report: {reason}; give the JSON that `symdata report` writes beside its page"
        ) from None
