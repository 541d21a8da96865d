"""The columns of a table beside image and label: which of them a dataset keeps, and their values.

Kept are scalars (numbers, booleans, texts, times) and lists of numbers. The others are left out, with the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

Read = Callable[[str, Sequence[str]], pa.Table]
"""Reads some columns of a split, those that it has; called late, so that opening a source does not read them."""


@dataclass(frozen=True)
class ExtraColumns:
    """The extra columns of a source."""

    schema: pa.Schema
    """Of the columns that are kept."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Column -> why it is not kept."""
    read: Read | None = None
    """None if there are none."""

    def table(self, split: str) -> pa.Table:
        """The kept columns of a split, with null where the split has no such column."""
        if self.read is None or not self.schema.names:
            return pa.table({})
        found = self.read(split, self.schema.names)
        columns = [
            _cast(found.column(own.name), own.type)
            if own.name in found.column_names
            else pa.nulls(len(found), own.type)
            for own in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


NO_EXTRA_COLUMNS = ExtraColumns(pa.schema([]))


def extra_columns(schemas: Sequence[pa.Schema], taken: Sequence[str], read: Read) -> ExtraColumns:
    """The extra columns of a source whose files or splits have these schemas.

    Args:
        schemas: of all files or splits; a column need not be in each.
        taken: the columns of images and labels.
        read: reads columns of a split.
    """
    kept, left_out = [], {}
    for name in dict.fromkeys(name for schema in schemas for name in schema.names if name not in taken):
        types = {_plain(schema.field(name).type) for schema in schemas if name in schema.names}
        types.discard(pa.null())
        kind = _common(name, types)
        if isinstance(kind, str):
            left_out[name] = kind
        else:
            kept.append(pa.field(name, kind))
    metadata = next((schema.metadata for schema in schemas if schema.metadata), None)
    return ExtraColumns(pa.schema(kept, metadata), left_out, read)


def _common(name: str, types: set[pa.DataType]) -> pa.DataType | str:
    """The type that holds the values of all of these, or why the column is not kept."""
    if not types:
        return "it is empty"
    if bad := next((kind for kind in types if not (_is_scalar(kind) or _is_numbers(kind))), None):
        return f"its type is {bad}, not a scalar, a text or a list of numbers"
    if len(types) == 1:
        return next(iter(types))
    try:
        schemas = [pa.schema([pa.field(name, kind)]) for kind in sorted(types, key=str)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(name).type
    except pa.ArrowException:
        return f"its type differs: {', '.join(sorted(map(str, types)))}"


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a dictionary, else the type itself."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _is_scalar(kind: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind)
    time = types.is_temporal(kind) and not types.is_interval(kind)
    return bool(_is_number(kind) or text or time or types.is_decimal(kind))


def _is_numbers(kind: pa.DataType) -> bool:
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and _is_number(kind.value_type))


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind)
