"""The columns of a table that hold images, labels and masks, and the names of the classes."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symdata.errors import SourceError, first_line
from symdata.sources.base import Ref, refusal
from symdata.sources.files import Labels, check_labelled, check_regular, composed, printable
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
    paths: bool = False
    """Whether the image column is text: paths of files."""

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


def common_columns(ref: Ref, schemas: Mapping[str, pa.Schema]) -> Columns:
    """The columns that `pick_columns` finds in every schema; raises SourceError, with two names, if they differ."""
    picked = {name: pick_columns(ref, schema) for name, schema in schemas.items()}
    first = next(iter(picked))
    if other := next((name for name in picked if picked[name] != picked[first]), None):
        raise refusal(
            ref.text,
            f"{first!r} ({picked[first]}) and {other!r} ({picked[other]}) differ; "
            f"open one split alone, as in {ref.text + ',splits=train'!r}, or name the columns with ,image= and ,label=",
        )
    return picked[first]


def pick_columns(ref: Ref, schema: pa.Schema) -> Columns:
    """The columns that the reference names, else those of the right type with a usual name.

    Columns `mask` and `objects` are taken of a table without labels; beside labels only those that the reference names,
    because such tables had been read without them.

    Raises:
        SourceError: with all columns, if there is none or more than one to choose from.
    """
    features, named = _features(schema), {role: ref.options.get(role) for role in ("mask", "objects")}
    images = [field.name for field in schema if _is_image(field, features)]
    images = images or [field.name for field in schema if field.name in IMAGE_NAMES and is_text(field.type)]
    image = pick_column(ref, schema, "image", [name for name in images if name != named["mask"]], IMAGE_NAMES)
    if (problem := _no_image(schema.field(image).type)) is not None:
        raise refusal(ref.text, f"column {image!r} is of type {schema.field(image).type}; {problem}")
    found = [name for name in schema.names if name in LABEL_NAMES or _names(features, name)]
    labels = [name for name in found if name not in (image, *named.values())]
    unlabelled = not labels and "label" not in ref.options
    picked = _annotations(ref, schema, image, [name for name in images if name != image], unlabelled)
    categories = category_names(features.get(picked["objects"] or "", {}))
    paths = is_text(schema.field(image).type)
    if unlabelled and any(picked.values()):
        return Columns(image, None, None, picked["mask"], picked["objects"], categories, paths)
    label = pick_column(ref, schema, "label", labels, LABEL_NAMES)
    kind = _inner(schema.field(label).type)
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or is_text(kind)):
        mend = "a label is one integer, boolean or text an image: name another with ,label=COLUMN"
        raise refusal(ref.text, f"column {label!r} is of type {kind}; {mend}")
    names = _names(features, label)
    if names is not None and (twice := [name for name, count in Counter(names).items() if count > 1]):
        raise refusal(ref.text, f"column {label!r} has two classes called {twice[0]!r}; give each a name of its own")
    return Columns(image, label, names, picked["mask"], picked["objects"], categories, paths)


def _annotations(ref: Ref, schema: pa.Schema, image: str, masks: list[str], unlabelled: bool) -> dict[str, str | None]:
    """The columns of annotations: those that the reference names; without labels also `mask` and `objects`."""
    able = {"mask": masks, "objects": [field.name for field in schema if is_objects(field.type)]}
    picked: dict[str, str | None] = {role: role if unlabelled and role in own else None for role, own in able.items()}
    for role, own in able.items():
        if (name := ref.options.get(role)) is not None:
            picked[role] = pick_column(ref, schema, role, own, ())
            if name not in own:
                what = f"images beside {image!r}" if role == "mask" else "lists of bbox and category"
                raise refusal(ref.text, f"column {name!r} does not hold {what}; name another with ,{role}=COLUMN")
    return picked


def encode_labels(ref: str, raw: Mapping[str, Iterable[pa.Array]], columns: Columns) -> Labels:
    """Labels from the chunks of a column; without class names the sorted distinct values are the classes.

    Chunks may differ in type, as files of one dataset do: integers of any width, and texts of any kind, go together.
    """
    assert columns.label is not None
    chunks = {split: [_plain(chunk) for chunk in values] for split, values in raw.items()}
    kind = _common_type(ref, columns.label, {chunk.type for values in chunks.values() for chunk in values})
    found = {split: pa.chunked_array(_cast(ref, columns.label, values, kind), kind) for split, values in chunks.items()}
    for split, values in found.items():
        if values.null_count:
            problem = f"{values.null_count} of {len(values)} labels in split {split!r} are missing (null)"
            raise refusal(ref, f"{problem}; fill them or drop those rows")
    if columns.names is not None:
        if is_text(kind):
            problem = f"column {columns.label!r} holds text, and its metadata names {len(columns.names)} classes"
            raise refusal(ref, f"{problem}, which fit whole numbers only; write the numbers, or drop the metadata")
        return Labels(columns.names, {split: values.to_numpy().astype(np.int64) for split, values in found.items()})
    lists = {split: values.to_pylist() for split, values in found.items()}
    check_labelled(ref, lists)
    return Labels.of(lists)


def _inner(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a column, also if they are stored in a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain(chunk: pa.Array) -> pa.Array:
    return chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk


def _common_type(ref: str, column: str, kinds: set[pa.DataType]) -> pa.DataType:
    """The type that labels of several types are cast to."""
    if len(kinds) == 1:
        return next(iter(kinds))
    if all(is_text(kind) for kind in kinds) and kinds:
        return pa.large_string()
    if all(pa.types.is_integer(kind) or pa.types.is_boolean(kind) for kind in kinds):
        return pa.int64()
    found = " and ".join(sorted(map(str, kinds)))
    raise refusal(ref, f"the labels in column {column!r} are of types {found}; write them in one type")


def _cast(ref: str, column: str, chunks: list[pa.Array], kind: pa.DataType) -> list[pa.Array]:
    try:
        return [chunk.cast(kind) for chunk in chunks]
    except pa.ArrowException as error:
        raise refusal(ref, f"the labels in column {column!r} cannot become {kind} ({first_line(error)})") from None


def image_bytes(cell: Any, folder: Path, name: Callable[[], str]) -> bytes:
    """Encoded bytes of a cell: bytes, a path below `folder`, or a struct of bytes and such a path.

    Raises:
        SourceError: if there are none; it begins with the image's `name`.
    """
    data: Any = cell
    path: str | None = None
    if isinstance(cell, dict):
        data, path = cell.get("bytes"), cell.get("path")
    elif isinstance(cell, str):
        data, path = None, cell
    if data is not None:
        return bytes(data)
    reason = "it holds no image (null)"
    if path is not None:
        shown = path if len(path) <= 200 else f"{path[:200]}..."
        try:
            check_regular(folder / path)
            return (folder / path).read_bytes()
        except (OSError, ValueError) as error:
            reason = f"it points at {shown!r}, which cannot be read ({getattr(error, 'strerror', None) or error})"
        except SourceError as error:
            raise SourceError(f"{name()}: {error}") from None
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
    return tuple(composed(printable(str(name))) for name in names) if names else None


def _is_image(field: pa.Field, features: dict[str, dict[str, Any]]) -> bool:
    feature, kind = features.get(field.name, {}), field.type
    if "_type" in feature:
        return bool(feature["_type"] == "Image")
    if not pa.types.is_struct(kind):
        return _is_binary(kind)
    parts = {part.name: part.type for part in kind}
    data = parts.get("bytes", pa.null())  # of type null, too, if every image is a path
    return _is_binary(data) or (pa.types.is_null(data) and parts.keys() <= {"bytes", "path"} and is_text(parts["path"]))


def _is_binary(kind: pa.DataType) -> bool:
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in checks)


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, also if its values are stored in a dictionary."""
    inner = _inner(kind)
    return any(check(inner) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _no_image(kind: pa.DataType) -> str | None:
    """What to do about a column of a type that holds no images; None for one that does."""
    if pa.types.is_struct(kind) and {"bytes", "path"} & {field.name for field in kind}:
        return None
    if _is_binary(kind) or is_text(kind):
        return None
    expected = "an image is an encoded file (PNG, JPEG ...) as binary, the path of one as text, or a struct of both"
    numbers = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    while any(check(numbers) for check in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        numbers = numbers.value_type
    if numbers != kind and (pa.types.is_integer(numbers) or pa.types.is_floating(numbers)):
        return f"{expected}: write its numbers as PNG bytes, with PIL.Image.fromarray(array).save(file, 'PNG')"
    if numbers != kind:
        return f"{expected}, one a row: write each image of the list to a row of its own"
    return f"{expected}: name another with ,image=COLUMN"


def pick_column(ref: Ref, schema: pa.Schema, role: str, found: list[str], usual: tuple[str, ...]) -> str:
    """The column that the reference names for a role, else that of a usual name, else the only one found."""
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
