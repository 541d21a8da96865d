"""Results as plain data for JSON, and back: a dataclass says its shape once, by its fields and their types."""

import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A value as JSON can hold it: results by their `to_dict`, tuples as lists, keys as text."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def plain_fields(value: Any, *names: str) -> dict[str, Any]:
    """Fields and properties of a result as plain data, in this order."""
    return {name: plain(getattr(value, name)) for name in names}


def read(kind: type[T], fields: Mapping[str, Any]) -> T:
    """The inverse of `plain_fields`: a dataclass or named tuple from a key for each of its fields; others are ignored.

    Raises:
        KeyError, TypeError, ValueError: if a field is missing or of another type.
    """
    hints = get_type_hints(kind)
    return kind(**{name: _converted(hint, fields[name], name) for name, hint in hints.items()})


def _converted(hint: Any, value: Any, name: str) -> Any:
    """A value of JSON as the type `hint`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # X | None
        return None if value is None else _converted(inner[0], value, name)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = len(value) * inner[:1] if inner[1:] == (...,) else inner
        return tuple(_converted(kind, item, name) for kind, item in zip(kinds, value, strict=True))
    if isinstance(value, Mapping):
        if origin is not None:  # Mapping[key, value]
            return {inner[0](key): _converted(inner[1], item, name) for key, item in value.items()}
        if not issubclass(hint, int | float | str):
            return hint.from_dict(value) if hasattr(hint, "from_dict") else read(hint, value)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif type(value) is hint:
        return value
    raise TypeError(f"{name} is {type(value).__name__}, expected {getattr(hint, '__name__', hint)}")
