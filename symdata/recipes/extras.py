"""The columns of a source beside image and label, as a dataset keeps them.

A source may have `extra_columns(split) -> pyarrow.Table`, whose row i belongs to image i of the split. A column with a
name of ours becomes `source_<name>`; the right images of pairs have columns of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from symdata.errors import SourceError
from symdata.sources import Source

PER_IMAGE = ("element", "angle", "flip", "index")
"""Columns that a pair has twice."""
SUFFIXES = ("", "_right")
RESERVED = {"image", "label", "pose", "quadrant", "mask", "objects"} | {
    f"{name}{suffix}" for name in PER_IMAGE for suffix in SUFFIXES
}
"""Columns of datasets, whether or not this one has them."""


@dataclass(frozen=True, eq=False)
class Extras:
    """The extra columns of a source, in memory."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    """Split of the source -> its columns."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns that are not kept -> the reason."""

    @classmethod
    def of(cls, source: Source) -> "Extras":
        """Those of a source; none if it does not have `extra_columns`."""
        read = getattr(source, "extra_columns", None)
        if read is None:
            return cls()
        tables = {split: read(split) for split in source.splits}
        for split, table in tables.items():
            if table.column_names and len(table) != source.splits[split]:
                raise SourceError(
                    f"source {source.ref!r}: extra_columns({split!r}) has {len(table)} rows for "
                    f"{source.splits[split]} images; one for each is needed"
                )
        return cls(tables, getattr(source, "left_out_columns", {}))

    @property
    def schema(self) -> pa.Schema:
        """Of the columns, under the names that they have in the source."""
        return next((table.schema for table in self.tables.values()), pa.schema([]))

    def names(self, suffix: str = "") -> dict[str, str]:
        """Column of the source -> column of the dataset, for the images with this suffix."""
        own = {name + suffix for name in self.schema.names} | RESERVED
        found = {}
        for name in self.schema.names:
            new = name + suffix
            while new in RESERVED or (new != name + suffix and new in own):
                new = f"source_{new}"
            found[name] = new
            own.add(new)
        return found

    def columns(self, origin: Sequence[str], index: np.ndarray, suffix: str = "") -> dict[str, pa.Array]:
        """The values for some source images, whose indices count through these splits, by column of the dataset."""
        if not self.schema.names:
            return {}
        rows = pa.concat_tables([self.tables[split] for split in origin]).take(pa.array(index)).combine_chunks()
        return {new: rows.column(name).combine_chunks() for name, new in self.names(suffix).items()}

    def facts(self) -> dict[str, Any]:
        """What the manifest says about them; empty if there are none."""
        if not self.schema.names and not self.left_out:
            return {}
        return {"columns": {"kept": self.names(), "left_out": dict(self.left_out)}}


NO_EXTRAS = Extras()
