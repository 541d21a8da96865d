"""Objects in a column of a table, as the Hub's detection datasets have it: `objects`, lists of `bbox` and `category`.

Convention:
    Boxes are COCO's: x, y, width, height in pixels from the top left corner. `area`, `iscrowd` and `keypoints` are read
    if they are there, keypoints as symdata writes them: x, y and visibility, the centre of a pixel being at halves.
"""

from collections.abc import Callable, Mapping
from reprlib import repr as short
from typing import Any

import numpy as np
import pyarrow as pa

from symdata.annotations import Objects, Schema
from symdata.sources.base import refusal

NEEDED = ("bbox", "category")


def is_objects(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold objects: a struct of lists, or a list of structs, with boxes."""
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    return bool(pa.types.is_struct(inner) and all(inner.get_field_index(name) >= 0 for name in NEEDED))


def category_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a ClassLabel in the `datasets` feature of a column; empty if there are none."""
    inner = feature.get("feature", feature)
    category = inner.get("category") if isinstance(inner, dict) else None
    while isinstance(category, dict) and "feature" in category:
        category = category["feature"]
    names = category.get("names") if isinstance(category, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def read_objects(
    ref: str, columns: Mapping[str, pa.ChunkedArray], names: tuple[str, ...], where: Callable[[str, int], str]
) -> tuple[Schema, dict[str, Objects]]:
    """What is annotated, and the objects of each split.

    Args:
        ref: reference of the source.
        columns: the column of each split.
        names: of the categories; empty: the distinct values are the categories.
        where: name of a row, for messages.

    Raises:
        SourceError: with the row, for one that makes no sense.
    """
    cells = {split: [_lists(cell) for cell in column.to_pylist()] for split, column in columns.items()}
    for split, own in cells.items():
        for row, cell in enumerate(own):
            if problem := _problem(cell, names):
                raise refusal(ref, f"{where(split, row)}: {problem}; mend or remove that row")
    found = {value for own in cells.values() for cell in own for value in cell["category"]}
    numbered = bool(names) or all(isinstance(value, int) for value in found)
    if not names:
        names = tuple(map(str, range(max(found, default=0) + 1) if numbered else sorted(map(str, found))))
    position = {name: k for k, name in enumerate(names)}
    lengths = {len(points) for own in cells.values() for cell in own for points in cell["keypoints"]}
    if len(lengths) > 1:
        raise refusal(ref, f"objects have {' or '.join(map(str, sorted(lengths)))} keypoints; give them all the same")
    count = lengths.pop() if lengths else 0
    objects = {split: _objects(own, count, None if numbered else position) for split, own in cells.items()}
    return Schema(categories=names, keypoints=tuple(map(str, range(count)))), objects


def _lists(cell: Any) -> dict[str, list[Any]]:
    """A cell as a list for each field; those that are missing are made up."""
    if isinstance(cell, list):
        cell = {name: [entry.get(name) for entry in cell] for name in {key for entry in cell for key in entry}}
    lists = {name: list(values) for name, values in (cell or {}).items() if values is not None}
    boxes = lists.setdefault("bbox", [])
    lists.setdefault("category", [])
    lists.setdefault("iscrowd", [0] * len(boxes))
    return {**lists, "keypoints": lists.get("keypoints", [[]] * len(boxes))}


def _problem(cell: dict[str, list[Any]], names: tuple[str, ...]) -> str | None:
    """What is wrong with a cell, or None; boxes are compared with their images later."""
    count = len(cell["bbox"])
    for name in ("category", "iscrowd", "keypoints", *(("area",) if "area" in cell else ())):
        if len(cell[name]) != count:
            return f"it has {count} boxes and {len(cell[name])} values of {name}"
    for box in cell["bbox"]:
        if not _are_numbers(box, 4):
            return f"a box is {short(box)}, expected x, y, width and height"
    for value in cell["category"]:
        number = isinstance(value, int) and not isinstance(value, bool)
        if not (number or isinstance(value, str)) or (names and not (number and 0 <= value < len(names))):
            return f"a category is {short(value)}, expected {f'0..{len(names) - 1}' if names else 'a number or a text'}"
        if number and not names and not 0 <= value < 100_000:
            return f"a category is {value}, expected 0 or more"
    for points in cell["keypoints"]:
        if not all(_are_numbers(point, 3) and point[2] in (0, 1, 2) for point in points):
            return f"keypoints are {short(points)}, expected x, y and a visibility 0, 1 or 2 for each"
    return None if _are_numbers(cell.get("area", []), None) else f"area is {short(cell['area'])}, expected numbers"


def _are_numbers(values: Any, count: int | None) -> bool:
    listed = isinstance(values, list) and count in (None, len(values))
    return listed and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _objects(cells: list[dict[str, list[Any]]], count: int, position: dict[str, int] | None) -> Objects:
    """The objects of all rows of a split."""

    def flat(name: str) -> list[Any]:
        return [value for cell in cells for value in cell[name]]

    image = np.repeat(np.arange(len(cells)), [len(cell["bbox"]) for cell in cells])
    category = flat("category") if position is None else [position[str(value)] for value in flat("category")]
    boxes = np.array(flat("bbox"), np.float64).reshape(-1, 4)
    given = all("area" in cell for cell in cells)
    area = np.array(flat("area"), np.float64) if given else boxes[:, 2] * boxes[:, 3]
    points = np.array(flat("keypoints"), np.float64).reshape(len(image), count, 3)
    return Objects(image, boxes, np.array(category, np.int64), area, np.array(flat("iscrowd"), bool), points)
