"""Write the objects of a dataset in the formats of COCO and YOLO, and masks as files, which `symdata make` reads too.

Convention:
    Boxes are those of the dataset, in pixels from the top left corner of the image. COCO's keypoints count pixels from
    0: they are smaller by 0.5. YOLO's boxes and keypoints are shares of the width and height.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from torch import Tensor

from symdata.annotations import Annotations, Objects, Schema
from symdata.errors import StoreError
from symdata.sources.base import SPLIT_WORDS, known_split
from symdata.sources.coco import HALF
from symdata.sources.folder import IGNORED
from symdata.sources.masks import IMAGES, MASKS
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


def to_masks(dataset: "ImageDataset", folder: Path) -> Path:
    """Write `images/<split>/NNNNNN.png` and `masks/<split>/NNNNNN.png`; returns the folder.

    With several classes, each has a folder below that of the split. A mask has one number a pixel; if that for void is
    not 255, the folder is read with `,void=NUMBER`.

    Raises:
        StoreError: if there are no masks, the split is there already, or a split or class has a name that is not read
            again.
    """
    schema = dataset.annotated
    if schema is None or not schema.masks:
        raise StoreError(f"{str(dataset.folder)!r} has no masks to write; make it from a source that has them")
    if known_split(dataset.split) != dataset.split:
        problem = f"split {dataset.split!r} would be read as a class; expected {', '.join(SPLIT_WORDS)}"
        raise StoreError(f"{problem}: make the dataset from a source with such splits")
    places = [folder / kind / dataset.split for kind in (IMAGES, MASKS)]
    if there := next((place for place in places if place.exists()), None):
        raise StoreError(f"{str(there)!r} exists and is left alone; choose another folder")
    names = [f"{row:06d}.png" for row in range(len(dataset))]
    if len(dataset.classes) > 1:
        classes = [_folder_name(name) for name in dataset.classes]
        names = [f"{classes[label]}/{name}" for label, name in zip(dataset.labels.tolist(), names, strict=True)]
    _write_pngs(dataset.images, places[0], names)
    _write_pngs(lambda rows: _masks(dataset.annotations(rows))[:, None], places[1], names)
    return folder


def _folder_name(name: str) -> str:
    """The name of a class as that of its folder."""
    if not name or name.startswith(IGNORED) or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
        raise StoreError(f"class {name!r} cannot be the name of a folder; rename it in the source of the dataset")
    return name


def _masks(annotations: Annotations) -> Tensor:
    assert annotations.masks is not None  # the schema has masks
    return annotations.masks


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
    _write_pngs(dataset.images, folder, names)
    return names


def _write_pngs(read: Callable[[np.ndarray], Tensor], folder: Path, names: Sequence[str]) -> None:
    """Write images (n, C, H, W) of some rows, which `read` gives, as PNG files with these names below a folder."""
    try:
        for place in {(folder / name).parent for name in names} | {folder}:
            place.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(names), BATCH):
            rows = np.arange(start, min(start + BATCH, len(names)))
            for row, png in zip(rows.tolist(), encode_pngs(read(rows).numpy()), strict=True):
                write_file(folder / names[row], png)
    except OSError as error:
        raise StoreError(f"cannot write {str(folder)!r}: {error.strerror}; choose another folder") from None


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
