"""Write the objects of a dataset in the formats of COCO and YOLO, which `symdata make` reads too.

Convention:
    Boxes are those of the dataset, in pixels from the top left corner of the image. COCO's keypoints count pixels from
    0: they are smaller by 0.5. YOLO's boxes and keypoints are shares of the width and height.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from symdata.annotations import Annotations, Objects, Schema
from symdata.errors import StoreError
from symdata.sources.coco import HALF
from symdata.store.files import write_file
from symdata.store.png import encode_pngs

if TYPE_CHECKING:
    from symdata.store.dataset import ImageDataset

BATCH = 256
"""Images in memory at a time."""
DIGITS = 12
"""Significant digits in the text files of YOLO."""


def to_coco(dataset: "ImageDataset", folder: Path) -> Path:
    """Write `<split>/NNNNNN.png`, NNNNNN being the row, and `instances_<split>.json`; returns the JSON file.

    Ids of images, annotations and categories are counted from 1, in the order of the dataset.

    Raises:
        StoreError: if no objects are annotated, or the file exists.
    """
    path = folder / f"instances_{dataset.split}.json"
    schema, (_, height, width) = _schema(dataset, path), dataset.shape
    names = _write_images(dataset, folder / dataset.split)
    images = [{"id": row + 1, "file_name": name, "width": width, "height": height} for row, name in enumerate(names)]
    category: dict[str, Any] = {"keypoints": list(schema.keypoints), "skeleton": []} if schema.keypoints else {}
    content = {
        "images": images,
        "annotations": _entries(_objects(dataset.annotations()), bool(schema.keypoints)),
        "categories": [{"id": k, "name": name, **category} for k, name in enumerate(schema.categories, 1)],
    }
    return _written(path, json.dumps(content))


def to_yolo(dataset: "ImageDataset", folder: Path) -> Path:
    """Write `images/<split>/NNNNNN.png`, `labels/<split>/NNNNNN.txt` and `data.yaml`; returns the last.

    Regions of many objects (crowds) are left out: the format has no word for them.

    Raises:
        StoreError: if no objects are annotated, or the split is there already.
    """
    schema = _schema(dataset, folder / "images" / dataset.split)
    path, names = folder / "data.yaml", _write_images(dataset, folder / "images" / dataset.split)
    (folder / "labels" / dataset.split).mkdir(parents=True, exist_ok=True)
    objects = _objects(dataset.annotations())
    for row, name in enumerate(names):
        own = objects.of_images(np.array([row]))
        lines = _lines(own.take(np.flatnonzero(~own.crowd)), dataset.shape[1:])
        _written(folder / "labels" / dataset.split / f"{Path(name).stem}.txt", "".join(f"{line}\n" for line in lines))
    splits = sorted(place.name for place in (folder / "images").iterdir())
    content: dict[str, Any] = {"val" if split == "validation" else split: f"images/{split}" for split in splits}
    content |= {"kpt_shape": [len(schema.keypoints), 3]} if schema.keypoints else {}
    return _written(path, yaml.safe_dump(content | {"names": list(schema.categories)}, sort_keys=False))


def _schema(dataset: "ImageDataset", target: Path) -> Schema:
    """What is annotated; raises StoreError if no objects are, or if the target exists."""
    schema = dataset.annotated
    if schema is None or not schema.categories:
        raise StoreError(f"{str(dataset.folder)!r} has no boxes to write; make it from a source that has them")
    if target.exists():
        raise StoreError(f"{str(target)!r} exists and is left alone; choose another folder")
    return schema


def _objects(annotations: Annotations) -> Objects:
    assert annotations.objects is not None  # the schema has categories
    return annotations.objects


def _write_images(dataset: "ImageDataset", folder: Path) -> list[str]:
    """Write every image as a PNG file; returns their names."""
    names = [f"{row:06d}.png" for row in range(len(dataset))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(dataset), BATCH):
            rows = np.arange(start, min(start + BATCH, len(dataset)))
            for row, png in zip(rows.tolist(), encode_pngs(dataset.images(rows).numpy()), strict=True):
                write_file(folder / names[row], png)
    except OSError as error:
        raise StoreError(f"cannot write {str(folder)!r}: {error.strerror}; choose another folder") from None
    return names


def _written(path: Path, text: str) -> Path:
    try:
        return write_file(path, text)
    except OSError as error:
        raise StoreError(f"cannot write {str(path)!r}: {error.strerror}; choose another folder") from None


def _entries(objects: Objects, with_keypoints: bool) -> list[dict[str, Any]]:
    """The list `annotations` of COCO."""
    entries = []
    for row in range(len(objects)):
        entry: dict[str, Any]
        entry = {"id": row + 1, "image_id": int(objects.image[row]) + 1, "category_id": int(objects.category[row]) + 1}
        entry |= {"bbox": objects.boxes[row].tolist(), "area": float(objects.area[row])}
        entry |= {"iscrowd": int(objects.crowd[row])}
        if with_keypoints:
            points = objects.keypoints[row].copy()
            points[:, :2] -= HALF * (points[:, 2:] > 0)
            entry |= {"keypoints": points.ravel().tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
        entries.append(entry)
    return entries


def _lines(objects: Objects, size: tuple[int, int]) -> list[str]:
    """The rows of a text file of YOLO."""
    extent = np.array(size[::-1], np.float64)
    centres = (objects.boxes[:, :2] + objects.boxes[:, 2:] / 2) / extent
    points = objects.keypoints.copy()
    points[..., :2] /= extent
    numbers = np.concatenate(
        [centres, objects.boxes[:, 2:] / extent, points.reshape(len(objects), 3 * points.shape[1])], axis=1
    )
    return [
        " ".join([str(category), *(f"{number:.{DIGITS}g}" for number in own)])
        for category, own in zip(objects.category.tolist(), numbers.tolist(), strict=True)
    ]
