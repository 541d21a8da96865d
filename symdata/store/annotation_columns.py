"""The columns of annotations in a shard, which `datasets` opens as the Hub's detection and segmentation datasets.

    mask     an image with one class a pixel
    objects  a list for each field: bbox (x, y, width, height), category, area, iscrowd,
             and keypoints (x, y, visibility) if there are any

Convention:
    Pixels from the top left corner of the image, y down; the pixel in column c and row r has its centre at
    (c + 0.5, r + 0.5). A box begins with its top left corner, as COCO's does; keypoints are COCO's plus 0.5.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from symdata.annotations import Annotations, Objects, Schema
from symdata.errors import SourceError
from symdata.sources.decode import decode_mask
from symdata.store.png import encode_pngs

MASK, OBJECTS = "mask", "objects"


def annotation_features(schema: Schema | None) -> dict[str, Any]:
    """The columns as features of `datasets`; none without a schema."""
    from datasets import ClassLabel, Image, List, Value

    columns: dict[str, Any] = {}
    if schema is not None and schema.masks:
        columns[MASK] = Image()
    if schema is not None and schema.categories:
        real = Value("float64")
        columns[OBJECTS] = {
            "bbox": List(List(real, length=4)),
            "category": List(ClassLabel(names=list(schema.categories))),
            "area": List(real),
            "iscrowd": List(Value("int8")),
        }
        if schema.keypoints:
            columns[OBJECTS]["keypoints"] = List(List(List(real, length=3), length=len(schema.keypoints)))
    return columns


def annotation_arrays(annotations: Annotations | None, types: pa.Schema) -> dict[str, pa.Array]:
    """The columns of some annotations, of the types in an arrow schema."""
    columns: dict[str, pa.Array] = {}
    if annotations is not None and annotations.masks is not None:
        columns[MASK] = image_array(annotations.masks[:, None].numpy())
    if annotations is not None and annotations.objects is not None:
        rows = [_row(annotations, part) for part in _by_image(annotations)]
        columns[OBJECTS] = pa.array(rows, types.field(OBJECTS).type)
    return columns


def image_array(images: np.ndarray) -> pa.Array:
    """Images (n, C, H, W) uint8 as a column of PNG files."""
    pngs = pa.array(encode_pngs(images), pa.binary())
    return pa.StructArray.from_arrays([pngs, pa.nulls(len(pngs), pa.string())], ["bytes", "path"])


def read_annotations(table: pa.Table, schema: Schema, size: tuple[int, int]) -> Annotations:
    """The annotations in rows of a table; raises SourceError, with the reason alone, for a damaged mask."""
    masks = objects = None
    if schema.masks:
        found = [decode_mask(cell["bytes"]) for cell in table[MASK].to_pylist()]
        if wrong := next((mask for mask in found if mask.shape != size), None):
            raise SourceError(f"a mask is {wrong.shape}, its image {size}")
        masks = torch.from_numpy(np.stack(found) if found else np.empty((0, *size), np.uint8))
    if schema.categories:
        objects = _objects(table[OBJECTS].to_pylist(), len(schema.keypoints))
    return Annotations(schema, len(table), size, masks, objects)


def targets(annotations: Annotations) -> list[dict[str, torch.Tensor]]:
    """The annotations of each image as tensors, by the names of torchvision."""
    found: list[dict[str, torch.Tensor]] = [{} for _ in range(annotations.count)]
    for own, mask in zip(found, annotations.masks if annotations.masks is not None else (), strict=False):
        own["mask"] = mask
    for own, part in zip(found, _by_image(annotations), strict=False):
        corners = np.concatenate([part.boxes[:, :2], part.boxes[:, :2] + part.boxes[:, 2:]], axis=1)
        own["boxes"] = torch.from_numpy(corners).float()
        own["labels"] = torch.from_numpy(part.category)
        own["area"], own["iscrowd"] = torch.from_numpy(part.area).float(), torch.from_numpy(part.crowd)
        if annotations.schema.keypoints:
            own["keypoints"] = torch.from_numpy(part.keypoints).float()
    return found


def _by_image(annotations: Annotations) -> Sequence[Objects]:
    """The objects of each image; nothing without objects."""
    objects = annotations.objects
    if objects is None:
        return ()
    return [objects.of_images(np.array([image])) for image in range(annotations.count)]


def _row(annotations: Annotations, part: Objects) -> dict[str, Any]:
    row: dict[str, Any] = {"bbox": part.boxes.tolist(), "category": part.category.tolist()}
    row |= {"area": part.area.tolist(), "iscrowd": part.crowd.astype(int).tolist()}
    return row | ({"keypoints": part.keypoints.tolist()} if annotations.schema.keypoints else {})


def _objects(cells: list[dict[str, Any]], keypoints: int) -> Objects:
    """The objects in the cells of a column, one cell an image."""

    def flat(name: str, dtype: Any, *shape: int) -> np.ndarray:
        return np.array([value for cell in cells for value in cell[name]], dtype).reshape(-1, *shape)

    image = np.repeat(np.arange(len(cells)), [len(cell["category"]) for cell in cells])
    points = flat("keypoints", np.float64, keypoints, 3) if keypoints else np.empty((len(image), 0, 3))
    boxes, category = flat("bbox", np.float64, 4), flat("category", np.int64)
    return Objects(image, boxes, category, flat("area", np.float64), flat("iscrowd", bool), points)
