"""Detection datasets in the format of COCO: a JSON file of instances, and a folder of images.

    ROOT/annotations.json                        one split, "train"
    ROOT/instances_<split>.json                  also in ROOT/annotations/; or the path of one such file
    ROOT/<split>/_annotations.coco.json          beside the images of the split

A file name is looked up beside the JSON file, in ROOT, and in folders `images` and of the split's name. Read are boxes,
categories, `area`, `iscrowd`, and keypoints (`person_keypoints_<split>.json` if there are no instances). Polygons and
run-length masks (`segmentation`) are left out: an object is its box. With `,mask=semantic` they are painted into one
mask an image, in which the categories are 1, 2, ...; a number for each object is not offered, because objects overlap.

Convention:
    COCO's keypoints count pixels from 0, so 0.5 is added: here the centre of a pixel is at halves.
"""

import json
import os
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple, NoReturn

import numpy as np

from symdata.annotations import Objects, Schema
from symdata.errors import SourceError, first_line
from symdata.sources.annotated import AnnotatedSource, unlabelled, void_of
from symdata.sources.base import Ref, known_split, refusal, split_name
from symdata.sources.files import Facts, fingerprint_files
from symdata.sources.fit import Fit
from symdata.sources.folder import FileStore
from symdata.sources.segmentation import Painted, painted_masks

ALONE, BESIDE, ANNOTATIONS = "annotations.json", "_annotations.coco.json", "annotations"
PREFIXES = ("instances", "person_keypoints")
LARGEST = 1e9
"""No number of an annotation is larger; NaN is not smaller either."""
HALF = 0.5
"""What is added to COCO's keypoints, and taken off when they are written."""


def found_at(place: Path) -> bool:
    """Whether this is a JSON file of instances, or a folder that holds some."""
    if place.is_file():
        return place.suffix == ".json"
    return place.is_dir() and any(_holds_instances(path) for path in _files(place).values())


def open_ref(ref: Ref, fit: Fit, device: str) -> AnnotatedSource:
    """Open a detection dataset; raises SourceError, with file and id, for an entry that makes no sense."""
    ref.only("splits", "bits", "background", "mask", "void", "swap")
    place = Path(ref.place)
    root = place if place.is_dir() else place.parent.parent if place.parent.name == ANNOTATIONS else place.parent
    files = ref.select(_files(place))
    tables = {split: _Instances.read(ref, path) for split, path in files.items()}
    first, *others = tables.values()
    for other in others:
        if (other.categories, other.keypoints) != (first.categories, first.keypoints):
            raise refusal(ref.text, f"{first.file!r} and {other.file!r} have different categories; give them the same")
    images = {split: _located(ref, root, files[split], split, table) for split, table in tables.items()}
    painted = {split: table.painted() for split, table in tables.items() if "mask" in ref.options}
    masks = painted_masks(ref, painted, len(first.categories))
    source = AnnotatedSource(
        Facts.at(ref, root),
        unlabelled({split: len(own) for split, own in images.items()}),
        FileStore(root, images),
        fit,
        ref,
        Schema(masks is not None, void_of(ref), tuple(first.categories.values()), first.keypoints),
        masks=masks,
        hashed=fingerprint_files(root, files.values()),
        objects={split: table.objects for split, table in tables.items()},
        name=lambda split, row: f"{tables[split].file}, annotation {tables[split].ids[row]!r}",
    )
    for split in source.splits:
        rows = source.stored_rows(split, np.arange(source.splits[split]))
        _check_sizes(ref, tables[split], rows, images[split], source.stored_sizes(split))
    return source


def _files(place: Path) -> dict[str, Path]:
    """The JSON file of each split."""
    if place.is_file():
        return {_split_of(place.stem): place}
    if (place / ALONE).is_file():
        return {"train": place / ALONE}
    for prefix in PREFIXES:
        for folder in (place, place / ANNOTATIONS):
            if found := sorted(path for path in folder.glob(f"{prefix}*.json") if path.is_file()):
                named: dict[str, Path] = {}
                for path in found:
                    other = named.setdefault(_split_of(path.stem), path)
                    if other != path:
                        raise SourceError(
                            f"{str(place)!r}: {other.name!r} and {path.name!r} both name split "
                            f"{_split_of(path.stem)!r}; open one of them by its own path"
                        )
                return named
    beside = sorted(path for path in place.glob(f"*/{BESIDE}") if path.is_file())
    return {split_name(path.parent.name): path for path in beside}


def _split_of(stem: str) -> str:
    """The split of a file: `instances_val2017` is "validation"; "train" if it names none."""
    words = [known_split(split_name(word)) for word in stem.split("_")]
    return next((word for word in words if word), "train")


def _holds_instances(path: Path) -> bool:
    """Whether a file has the lists of COCO; only `annotations.json` may be something else by its name."""
    if path.name != ALONE:
        return True
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True  # opening it says what is wrong
    return isinstance(found, dict) and {"images", "annotations"} <= found.keys()


class _Image(NamedTuple):
    name: str
    size: tuple[Any, Any]
    """Height and width that the file says, or None."""


class _Instances(NamedTuple):
    """The content of a JSON file."""

    file: str
    images: list[_Image]
    categories: dict[Any, str]
    """Names by id, in the order of the ids."""
    keypoints: tuple[str, ...]
    ids: list[Any]
    """Of the annotations."""
    objects: Objects
    segmentations: list[Any]

    def painted(self) -> Painted:
        """What masks are painted from."""
        names, sizes = zip(*self.images, strict=True) if self.images else ((), ())
        where = [f"{self.file}, annotation {key!r}" for key in self.ids]
        return Painted([f"{self.file}, {name!r}" for name in names], sizes, self.objects, self.segmentations, where)

    @classmethod
    def read(cls, ref: Ref, path: Path) -> "_Instances":
        """Read and check a file."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise refusal(
                ref.text, f"{path.name!r} is not readable JSON ({first_line(error)}); write it again"
            ) from None
        reader = _Reader(ref, path.name)
        rows = {key: reader.rows(content, key) for key in ("images", "annotations", "categories")}
        categories = reader.by_id(rows["categories"], "category")
        ordered = dict(sorted(categories.items(), key=lambda item: (str(type(item[0])), item[0])))
        names = {key: reader.text(row, "name", f"category {key!r}") for key, row in ordered.items()}
        points = {tuple(reader.texts(row, "keypoints", f"category {key!r}")) for key, row in ordered.items()} - {()}
        if len(points) > 1:
            reader.refuse("categories have different keypoints; split them into one file for each")
        if not names:
            reader.refuse("it has no categories; add those of the annotations")
        keypoints = points.pop() if points else ()
        images = reader.by_id(rows["images"], "image")
        files = [
            _Image(reader.text(row, "file_name", f"image {key!r}"), (row.get("height"), row.get("width")))
            for key, row in images.items()
        ]
        places = [dict(zip(keys, range(len(keys)), strict=True)) for keys in (images, ordered)]
        found = [reader.annotation(row, places[0], places[1], len(keypoints)) for row in rows["annotations"]]
        return cls(path.name, files, names, keypoints, *_sorted(found, len(keypoints)))


class _Reader(NamedTuple):
    """Reads entries of a JSON file; what is wrong is said with the file and the id."""

    ref: Ref
    file: str

    def refuse(self, problem: str) -> NoReturn:
        raise refusal(self.ref.text, f"{self.file}: {problem}")

    def rows(self, content: Any, key: str) -> list[dict[str, Any]]:
        """A list of objects of the file."""
        found = content.get(key) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            self.refuse(f"it has no list {key!r} of objects; expected COCO's images, annotations and categories")
        return found

    def by_id(self, rows: list[dict[str, Any]], what: str) -> dict[Any, dict[str, Any]]:
        """Entries by their id."""
        found: dict[Any, dict[str, Any]] = {}
        for number, row in enumerate(rows):
            key = row.get("id")
            if not isinstance(key, int | str) or isinstance(key, bool):
                self.refuse(f"{what} number {number} has id {key!r}, expected a whole number")
            if found.setdefault(key, row) is not row:
                self.refuse(f"two entries are {what} {key!r}; give each an id of its own")
        return found

    def text(self, row: dict[str, Any], key: str, what: str) -> str:
        """A text of an entry."""
        value = row.get(key)
        if not isinstance(value, str) or not value:
            self.refuse(f"{what} has {key} {value!r}, expected a text")
        return value

    def texts(self, row: dict[str, Any], key: str, what: str) -> list[str]:
        """A list of texts of an entry, which may lack it."""
        value = row.get(key) or []
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            self.refuse(f"{what} has {key} {short(value)}, expected a list of texts")
        return value

    def annotation(
        self, row: dict[str, Any], images: dict[Any, int], categories: dict[Any, int], keypoints: int
    ) -> tuple[Any, ...]:
        """An entry of `annotations`: image, box, category, area, crowd, keypoints, id, segmentation."""
        what = f"annotation {row.get('id')!r}"
        for key, known in (("image_id", images), ("category_id", categories)):
            if not isinstance(row.get(key), int | str) or row[key] not in known:
                self.refuse(f"{what} has {key} {row.get(key)!r}, which no entry of the file has; mend or remove it")
        box = self.numbers(row.get("bbox"), 4, f"{what}: bbox")
        points = [0.0] * (3 * keypoints)
        if keypoints and row.get("keypoints"):
            points = self.numbers(row["keypoints"], 3 * keypoints, f"{what}: keypoints")
            if wrong := set(points[2::3]) - {0, 1, 2}:
                self.refuse(f"{what}: a keypoint has visibility {wrong.pop():g}, expected 0, 1 or 2")
        (area,) = self.numbers([row.get("area", box[2] * box[3])], 1, f"{what}: area")
        crowd = row.get("iscrowd", 0)
        if crowd not in (0, 1):
            self.refuse(f"{what} has iscrowd {crowd!r}, expected 0 or 1")
        segmentation = row.get("segmentation") if "mask" in self.ref.options else None
        placed = images[row["image_id"]], box, categories[row["category_id"]], area, bool(crowd), points
        return *placed, row.get("id"), segmentation

    def numbers(self, values: Any, count: int, what: str) -> list[float]:
        """Finite numbers of an entry."""
        given = values if isinstance(values, list) else []
        if len(given) != count or not all(
            isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in given
        ):
            self.refuse(f"{what} is {short(values)}, expected {count} finite numbers; mend or remove it")
        return [float(value) for value in given]


def _sorted(found: list[tuple[Any, ...]], keypoints: int) -> tuple[list[Any], Objects, list[Any]]:
    """The ids of annotations, the annotations as objects, and their segmentations, ordered by image."""
    found = sorted(found, key=lambda entry: entry[0])
    image, box, category, area, crowd, points, ids, segments = zip(*found, strict=True) if found else ((),) * 8
    placed = np.array(points, np.float64).reshape(len(found), keypoints, 3)
    placed[..., :2] += HALF * (placed[..., 2:] > 0)
    objects = Objects(
        np.array(image, np.int64),
        np.array(box, np.float64).reshape(-1, 4),
        np.array(category, np.int64),
        np.array(area, np.float64),
        np.array(crowd, bool),
        placed,
    )
    return list(ids), objects, list(segments)


def _located(ref: Ref, root: Path, file: Path, split: str, table: _Instances) -> list[str]:
    """Paths of the images, relative to the root."""
    words = (file.stem.rpartition("_")[2], split)
    folders = [file.parent, root, root / "images"]
    folders += [base / word for base in (root, root / "images") for word in words]
    found = []
    for image in table.images:
        if Path(image.name).is_absolute() or ".." in Path(image.name).parts:
            raise refusal(
                ref.text, f"{table.file}: file_name {image.name!r} leaves the folder; write it below the root"
            )
        place = next((folder for folder in folders if os.path.isfile(folder / image.name)), None)
        if place is None:
            raise refusal(
                ref.text, f"{table.file}: no file {image.name!r} in {str(root)!r}; add it or remove its entry"
            )
        found.append((place / image.name).relative_to(root).as_posix())
    return found


def _check_sizes(ref: Ref, table: _Instances, rows: np.ndarray, names: list[str], sizes: np.ndarray) -> None:
    """Raise SourceError for an image of another size than the file says: its boxes would be wrong."""
    for row, (height, width) in zip(rows.tolist(), sizes.tolist(), strict=True):
        image, name = table.images[row], names[row]
        said = tuple(own if value is None else value for value, own in zip(image.size, (height, width), strict=True))
        if said != (height, width):
            raise refusal(
                ref.text,
                f"{table.file}: {name} is said to be {said[1]}x{said[0]} pixels and is {width}x{height}; mend it",
            )
