"""Results from their plain data: a dataclass says its shape once, by its fields and their types."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read(kind: Any, data: Any) -> Any:
    """The inverse of `symdata.display.plain`, for a dataclass or the type of a field; None for data that stay plain.

    Raises:
        KeyError, TypeError, ValueError: if the data do not fit the type.
    """
    if kind is None:
        return data
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # X | None
        return None if data is None else read(inner[0], data)
    if origin is tuple and isinstance(data, list | tuple):
        kinds = len(data) * inner[:1] if inner[1:] == (...,) else inner
        return tuple(read(one, item) for one, item in zip(kinds, data, strict=True))
    if origin is Mapping and isinstance(data, Mapping):
        return {inner[0](key): read(inner[1], item) for key, item in data.items()}
    if hasattr(kind, "from_dict"):
        return kind.from_dict(data)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(data, Mapping):
        return read_fields(kind, data)
    if type(data) is kind or (kind is float and type(data) is int):
        return kind(data)
    raise TypeError(f"{type(data).__name__} where {getattr(kind, '__name__', kind)} is expected")


def read_fields(kind: type[T], data: Mapping[str, Any]) -> T:
    """A dataclass from a mapping that has a key for each field without a default; other keys are ignored."""
    hints = get_type_hints(kind)
    needed = [f.name for f in fields(kind) if f.name in data or (f.default is MISSING and f.default_factory is MISSING)]  # type: ignore[arg-type]
    return kind(**{name: read(hints[name], data[name]) for name in needed})
