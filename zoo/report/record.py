"""The numbers of a report as one JSON file, from which page and table can be made again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symdata import __version__
from zoo.errors import ModelError
from zoo.report.collect import ModelEntry

FORMAT = 1
"""Of the JSON; a later version may read it and must not guess."""


@dataclass(frozen=True)
class SavedReport:
    """What one run of `symdata report` found."""

    entries: tuple[ModelEntry, ...]
    title: str = ""
    command: str = ""
    """The command line that measured them."""
    version: str = __version__
    """Of symdata, when they were measured."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        words = {"format": FORMAT, "symdata": self.version, "title": self.title, "command": self.command}
        return {**words, "models": [entry.to_dict() for entry in self.entries]}

    def dumps(self) -> str:
        """The text of the file."""
        return json.dumps(self.to_dict(), indent=1) + "\n"


def read_record(path: str | Path) -> SavedReport:
    """A report that was written before.

    Raises:
        ModelError: if the file is none, or of another format.
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise ValueError(f"its format is {fields['format']!r}, expected {FORMAT}")
        entries: Sequence[ModelEntry] = [ModelEntry.from_dict(model) for model in fields["models"]]
        words = (str(fields[name]) for name in ("title", "command", "symdata"))
        return SavedReport(tuple(entries), *words)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise ModelError(
            f"{str(path)!r} is no report: {reason}; give the JSON that `symdata report` writes beside its page"
        ) from None
