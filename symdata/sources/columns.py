"""The columns of a table that hold images, labels and masks, and the names of the classes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symdata.errors import SourceError
from symdata.sources.base import Ref, refusal
from symdata.sources.files import Labels
from symdata.sources.object_column import category_names, is_objects

IMAGE_NAMES = ("image", "img")
LABEL_NAMES = ("label", "labels", "fine_label")


@dataclass(frozen=True)
class Columns:
    """The columns of images, labels and masks."""

    image: str
    label: str | None
    """None if there are annotations and no labels."""
    names: tuple[str, ...] | None
    """Class names of a ClassLabel column, else None."""
    mask: str | None = None
    objects: str | None = None
    categories: tuple[str, ...] = ()
    """Names of the categories of objects, if the table has them."""

    def __str__(self) -> str:
        classes = "unnamed classes" if self.names is None else f"classes {', '.join(self.names)}"
        more = "".join(f", {role} {name!r}" for role, name in self.annotations.items() if name)
        return f"image {self.image!r}, label {self.label!r}, {classes}{more}"

    @property
    def taken(self) -> tuple[str, ...]:
        """All columns that are read."""
        return tuple(name for name in (self.image, self.label, self.mask, self.objects) if name is not None)

    @property
    def annotations(self) -> dict[str, str | None]:
        """The columns of annotations."""
        return {"mask": self.mask, "objects": self.objects}


def pick_columns(ref: Ref, schema: pa.Schema) -> Columns:
    """The columns that the reference names, else those of the right type with a usual name.

    Columns `mask` and `objects` are taken of a table without labels; beside labels only those that the reference names,
    because such tables had been read without them.

    Raises:
        SourceError: with all columns, if there is none or more than one to choose from.
    """
    features, named = _features(schema), {role: ref.options.get(role) for role in ("mask", "objects")}
    images = [field.name for field in schema if _is_image(field, features)]
    image = _pick(ref, schema, "image", [name for name in images if name != named["mask"]], IMAGE_NAMES)
    found = [name for name in schema.names if name in LABEL_NAMES or _names(features, name)]
    labels = [name for name in found if name not in (image, *named.values())]
    unlabelled = not labels and "label" not in ref.options
    able = {
        "mask": [name for name in images if name != image],
        "objects": [field.name for field in schema if is_objects(field.type)],
    }
    picked: dict[str, str | None] = {
        role: role if unlabelled and role in names else None for role, names in able.items()
    }
    for role, name in named.items():
        if name is not None:
            picked[role] = _pick(ref, schema, role, able[role], ())
            if name not in able[role]:
                what = f"images beside {image!r}" if role == "mask" else "lists of bbox and category"
                raise refusal(ref.text, f"column {name!r} does not hold {what}; name another with ,{role}=COLUMN")
    categories = category_names(features.get(picked["objects"] or "", {}))
    if unlabelled and any(picked.values()):
        return Columns(image, None, None, picked["mask"], picked["objects"], categories)
    label = _pick(ref, schema, "label", labels, LABEL_NAMES)
    kind = schema.field(label).type
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)):
        mend = "a label is one integer, boolean or text an image: name another with ,label=COLUMN"
        raise refusal(ref.text, f"column {label!r} is of type {kind}; {mend}")
    return Columns(image, label, _names(features, label), picked["mask"], picked["objects"], categories)


def encode_labels(ref: str, raw: Mapping[str, pa.ChunkedArray], columns: Columns) -> Labels:
    """Labels from the values of a column; without class names the sorted distinct values are the classes."""
    for split, values in raw.items():
        if values.null_count:
            problem = f"{values.null_count} of {len(values)} labels in split {split!r} are missing (null)"
            raise refusal(ref, f"{problem}; fill them or drop those rows")
    if columns.names is not None:
        return Labels(columns.names, {split: values.to_numpy().astype(np.int64) for split, values in raw.items()})
    return Labels.of({split: values.to_pylist() for split, values in raw.items()})


def image_bytes(cell: Any, folder: Path, name: Callable[[], str]) -> bytes:
    """Encoded bytes of a cell: bytes, or a struct of bytes and a path below `folder`.

    Raises:
        SourceError: if there are none; it begins with the image's `name`.
    """
    path = cell.get("path") if isinstance(cell, dict) else None
    data: bytes | None = cell.get("bytes") if isinstance(cell, dict) else cell
    if data is not None:
        return data
    reason = "it holds no image (null)"
    if path is not None:
        try:
            return (folder / str(path)).read_bytes()
        except OSError as error:
            reason = f"it points at {path!r}, which cannot be read ({error.strerror})"
    raise SourceError(f"{name()}: {reason}; drop that row or embed its image")


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """The `datasets` features in the metadata of a schema, by column."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return {name: feature for name, feature in found["info"]["features"].items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _names(features: dict[str, dict[str, Any]], column: str) -> tuple[str, ...] | None:
    feature = features.get(column, {})
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    return tuple(map(str, names)) if names else None


def _is_image(field: pa.Field, features: dict[str, dict[str, Any]]) -> bool:
    feature, kind = features.get(field.name, {}), field.type
    if "_type" in feature:
        return bool(feature["_type"] == "Image")
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _pick(ref: Ref, schema: pa.Schema, role: str, found: list[str], usual: tuple[str, ...]) -> str:
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    if role in ref.options:
        if ref.options[role] not in schema.names:
            raise refusal(ref.text, f"no column {ref.options[role]!r}; it has {columns}")
        return ref.options[role]
    named = [name for name in usual if name in found]
    if named or len(found) == 1:
        return (named or found)[0]
    problem = f"is missing: expected one called {' or '.join(usual)}"
    if found:
        problem = f"could be any of {', '.join(found)}"
    raise refusal(ref.text, f"the {role} column {problem}; the columns are {columns}; name it with ,{role}=COLUMN")
