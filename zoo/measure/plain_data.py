"""Results as plain data for JSON, and back: a dataclass says its shape once, by its fields and their types."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A value as JSON can hold it: a dataclass by its `to_dict` or its fields, a tuple as a list, keys as text."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return plain_fields(value, *(field.name for field in fields(value)))
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def plain_fields(value: Any, *names: str) -> dict[str, Any]:
    """Fields and properties of a dataclass as plain data, in this order."""
    return {name: plain(getattr(value, name)) for name in names}


def read(kind: Any, data: Any) -> Any:
    """The inverse of `plain`, for a dataclass or the type of one of its fields; None for data that stay plain.

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
    """A dataclass from a mapping that has a key for each of its fields; other keys are ignored."""
    return kind(**{name: read(hint, data[name]) for name, hint in get_type_hints(kind).items()})
