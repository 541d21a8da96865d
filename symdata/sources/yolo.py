"""Detection datasets in the format of YOLO: a text file for each image, and the names of the classes in `data.yaml`.

    ROOT/data.yaml    ROOT/images/[<split>/]NAME.jpg    ROOT/labels/[<split>/]NAME.txt
    ROOT/data.yaml    ROOT/<split>/images/NAME.jpg      ROOT/<split>/labels/NAME.txt

A row is `class x y width height`, the centre and size of a box in shares of the image; with `kpt_shape: [K, 2 or 3]` in
data.yaml the K keypoints follow, called 0, 1, ...; with `,swap=flip_idx` a mirror exchanges those of `flip_idx`.
Or it is `class x1 y1 x2 y2 x3 y3 ...`, a polygon, and the object is its box; with `,mask=semantic` polygons are painted
into one mask an image, in which the categories are 1, 2, ...

An image without a text file, or with an empty one, has no objects. Paths in data.yaml are not followed.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np
import yaml

from symdata.annotations import Objects, Schema
from symdata.errors import first_line
from symdata.sources.annotated import AnnotatedSource, unlabelled, void_of
from symdata.sources.base import Ref, known_split, refusal, split_name
from symdata.sources.decode import probe
from symdata.sources.files import Facts, fingerprint_files
from symdata.sources.fit import Fit
from symdata.sources.folder import FileStore, image_files
from symdata.sources.segmentation import Painted, painted_masks
from symdata.sources.swaps import SWAP

IMAGES, LABELS, DATA, FLIP = "images", "labels", "data.yaml", "flip_idx"


def found_at(place: Path) -> bool:
    """Whether a folder holds `data.yaml`, or images beside a folder of labels in text files."""
    named = (place / DATA).is_file() or any((place / LABELS).rglob("*.txt"))
    return place.is_dir() and named and bool(_pairs(place))


def open_ref(ref: Ref, fit: Fit, device: str) -> AnnotatedSource:
    """Open a detection dataset; raises SourceError, with file and line, for a row that makes no sense."""
    ref.only("splits", "bits", "background", "mask", "void", "swap")
    root = Path(ref.place)
    names, shape, swaps = _read_data(ref, root / DATA)
    by_split: dict[str, list[_Pair]] = {}
    for pair in _pairs(root):
        by_split.setdefault(pair.split, []).append(pair)
    by_split = ref.select(by_split)
    _check_strangers(ref, root, by_split)
    images = {split: [pair.image for pair in own] for split, own in by_split.items()}
    rows = {split: _rows(ref, root, own, len(names), shape) for split, own in by_split.items()}
    texts = [root / pair.text for own in by_split.values() for pair in own if (root / pair.text).is_file()]
    labels, store = unlabelled({split: len(own) for split, own in images.items()}), FileStore(root, images)
    objects = {split: _Shares.objects(own, shape) for split, own in rows.items()}
    painted = {
        split: Painted(
            images[split],
            _Sizes(store, split, len(images[split])),
            objects[split],
            [row.polygons for row in own],
            [row.where for row in own],
            in_shares=True,
        )
        for split, own in rows.items()
    }
    masks = painted_masks(ref, painted, len(names))
    return AnnotatedSource(
        Facts.at(ref, root),
        labels,
        store,
        fit,
        ref,
        Schema(masks is not None, void_of(ref), names, tuple(map(str, range(shape[0]))), swaps),
        masks=masks,
        objects=objects,
        name=lambda split, row: rows[split][row].where,
        in_shares=True,
        hashed=fingerprint_files(root, [root / DATA, *texts]),
    )


class _Pair(NamedTuple):
    """An image and its text file, relative to the root."""

    split: str
    image: str
    text: str


class _Sizes(Sequence[tuple[int, int]]):
    """Height and width of the images of a split, read when they are asked for."""

    def __init__(self, store: FileStore, split: str, count: int) -> None:
        self._store, self._split, self._count = store, split, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        header = probe(self._store.fetch(self._split, np.array([index]))[0])
        return header.height, header.width


class _Shares(NamedTuple):
    """A row of a text file, in shares of the image."""

    where: str
    """File and line."""
    image: int
    category: int
    numbers: list[float]
    """Centre and size of the box, and the keypoints."""
    polygons: list[list[float]] | None = None
    """None for a box."""

    @property
    def area(self) -> float:
        """Of the object: what its polygon encloses, else its box."""
        if self.polygons is None:
            return self.numbers[2] * self.numbers[3]
        x, y = np.array(self.polygons[0]).reshape(-1, 2).T
        return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2

    @classmethod
    def objects(cls, rows: "list[_Shares]", shape: tuple[int, int]) -> Objects:
        """The rows as objects, in shares of their images; the corner of a box comes first."""
        numbers = np.array([row.numbers for row in rows], np.float64).reshape(len(rows), 4 + shape[0] * shape[1])
        size = numbers[:, 2:4]
        points = numbers[:, 4:].reshape(len(rows), shape[0], shape[1] or 3)
        visible = points[..., 2:] if points.shape[2] == 3 else (points != 0).any(-1, keepdims=True) * 2.0
        keypoints = np.concatenate([points[..., :2] * (visible > 0), visible], axis=-1)
        boxes = np.concatenate([numbers[:, :2] - size / 2, size], axis=1)
        objects = Objects.boxed(boxes, np.array([r.image for r in rows], np.int64))
        category, area = np.array([row.category for row in rows], np.int64), np.array([row.area for row in rows])
        return Objects(objects.image, boxes, category, area, objects.crowd, keypoints)


def _pairs(root: Path) -> list[_Pair]:
    """Every image with the place of its text file."""
    found = []
    for parts in image_files(root, depth=3):
        folders, name = list(parts[:-1]), parts[-1]
        if folders.count(IMAGES) != 1 or not _is_layout(folders):
            continue
        words = [folder for folder in folders if folder != IMAGES]
        swapped = [LABELS if folder == IMAGES else folder for folder in folders]
        text = "/".join([*swapped, f"{name.rpartition('.')[0]}.txt"])
        found.append(_Pair(split_name(words[0]) if words else "train", "/".join(parts), text))
    return found


def _is_layout(folders: list[str]) -> bool:
    """Whether these are `images`, `images/<split>` or `<split>/images`."""
    return len(folders) == 1 or known_split(split_name(next(f for f in folders if f != IMAGES))) is not None


def _check_strangers(ref: Ref, root: Path, by_split: dict[str, list[_Pair]]) -> None:
    """Raise SourceError for a text file without an image."""
    for own in by_split.values():
        expected = {pair.text for pair in own}
        for folder in sorted({(root / pair.text).parent for pair in own}):
            for path in sorted(folder.glob("*.txt")):
                if (name := path.relative_to(root).as_posix()) not in expected and path.name != "classes.txt":
                    raise refusal(ref.text, f"{name} has no image of its name; add the image or remove the file")


def _read_data(ref: Ref, path: Path) -> tuple[tuple[str, ...], tuple[int, int], tuple[tuple[str, str], ...]]:
    """Names of the classes, the shape of the keypoints, (0, 0) without any, and those that a mirror exchanges."""
    if not path.is_file():
        raise refusal(ref.text, f"{DATA} is missing; it names the classes, as in `names: [cat, dog]`")
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise refusal(
            ref.text, f"{DATA} cannot be read ({first_line(error)}); it names the classes, as in `names: [cat, dog]`"
        ) from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        names = [names.get(k, names.get(str(k))) for k in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int | float) for name in names):
        raise refusal(
            ref.text, f"{DATA} has names {short(names)}, expected the names of all classes, as in `names: [cat, dog]`"
        )
    shape = content.get("kpt_shape", [0, 0])
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) for n in shape)):
        raise refusal(ref.text, f"{DATA} has kpt_shape {short(shape)}, expected [K, 2] or [K, 3]")
    if shape != [0, 0] and not (1 <= shape[0] <= 10_000 and shape[1] in (2, 3)):
        raise refusal(ref.text, f"{DATA} has kpt_shape {shape}, expected [K, 2] or [K, 3]")
    swaps = _flipped(ref, content.get(FLIP), shape[0]) if ref.options.get(SWAP) == FLIP else ()
    return tuple(map(str, names)), (shape[0], shape[1]), swaps


def _flipped(ref: Ref, given: Any, count: int) -> tuple[tuple[str, str], ...]:
    """The pairs in `flip_idx`, which says for each keypoint the one that it becomes in a mirror."""
    whole = isinstance(given, list) and all(isinstance(k, int) and 0 <= k < count for k in given)
    if not whole or len(given) != count or any(given[given[k]] != k for k in range(count)):
        raise refusal(ref.text, f"{DATA} has {FLIP} {short(given)}, expected {count} numbers that exchange pairs")
    return tuple((str(k), str(other)) for k, other in enumerate(given) if k < other)


def _rows(ref: Ref, root: Path, pairs: list[_Pair], classes: int, shape: tuple[int, int]) -> list[_Shares]:
    """The rows of all text files of a split, in the order of the images."""
    found = []
    for image, pair in enumerate(pairs):
        path = root / pair.text
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        except (OSError, ValueError) as error:
            raise refusal(ref.text, f"{pair.text} cannot be read ({first_line(error)}); write it again") from None
        for number, line in enumerate(lines, 1):
            if line.strip():
                found.append(_row(ref, f"{pair.text} line {number}", line, image, classes, shape))
    return found


def _row(ref: Ref, where: str, line: str, image: int, classes: int, shape: tuple[int, int]) -> _Shares:
    """Read one row; raises SourceError unless it has all numbers, of a class that exists."""
    words, count = line.split(), 5 + shape[0] * shape[1]
    form = "`class x y width height`" + (f" and {count - 5} numbers of keypoints" if shape[0] else "")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    polygon = not shape[0] and len(numbers) >= 7 and len(numbers) % 2 == 1
    if not (polygon or len(numbers) == count) or not all(map(math.isfinite, numbers)):
        other = "" if shape[0] else ", or a polygon `class x1 y1 x2 y2 x3 y3 ...`"
        raise refusal(ref.text, f"{where} is {line.strip()[:60]!r}, expected {form}{other}")
    if numbers[0] not in range(classes):
        raise refusal(ref.text, f"{where} has class {words[0]}, expected 0..{classes - 1} as named in {DATA}")
    if shape[1] == 3 and (wrong := set(numbers[7::3]) - {0, 1, 2}):
        raise refusal(ref.text, f"{where}: a keypoint has visibility {wrong.pop():g}, expected 0, 1 or 2")
    own = _Shares(where, image, int(numbers[0]), numbers[1:])
    return own._replace(numbers=_box_around(own.numbers), polygons=[own.numbers]) if polygon else own


def _box_around(polygon: list[float]) -> list[float]:
    """Centre and size of the box around x1, y1, x2, y2, ..."""
    (left, right), (top, bottom) = ((min(values), max(values)) for values in (polygon[::2], polygon[1::2]))
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
