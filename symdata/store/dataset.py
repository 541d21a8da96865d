"""Read a dataset folder: tensors, or a torch Dataset that decodes on demand."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset

from symdata.annotations import Annotations, Schema
from symdata.errors import SourceError, StoreError, UnregisteredLawError, first_line
from symdata.groups import Element, Elements, Group
from symdata.sources.decode import decode_images
from symdata.store.annotation_columns import MASK, OBJECTS, read_annotations, targets
from symdata.store.export import to_coco, to_masks, to_yolo
from symdata.store.manifest import read_manifest
from symdata.store.remake import no_split
from symdata.symmetry import Symmetry

CHUNK = 4096
"""Images decoded at a time."""


class ImageDataset(Dataset[tuple[Any, torch.Tensor]]):
    """One split of a dataset folder; a map-style torch Dataset of (image uint8 (C, H, W), label int64).

    The images stay encoded in memory; `images()` decodes all of them, or some, at once, and a DataLoader fetches whole
    batches. For training, decode once and slice: `dataset.images()`, `dataset.labels`. All of these are torch tensors;
    `column(name)` gives any other column as a numpy array, and `hf()` everything as a `datasets.Dataset`.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "turned", symmetry="c4", count=16, size=8)
        >>> dataset = symdata.load("turned", "train")
        >>> image, label = dataset[0]
        >>> image.shape, dataset.classes[label], str(dataset.elements.one(0))
        (torch.Size([1, 8, 8]), 'O', 'r270')
    """

    classes: tuple[str, ...]
    group: Group
    """The group whose elements `element_index` counts; it holds those of the symmetry and the poses."""
    shape: tuple[int, int, int]
    """(C, H, W)."""

    def __init__(
        self, folder: Path | str, split: str = "train", transform: Callable[[torch.Tensor], Any] | None = None
    ) -> None:
        self.folder, self.split, self.transform = Path(folder), split, transform
        self.manifest = read_manifest(folder)
        if split not in self.manifest["splits"]:
            raise StoreError(no_split(self.folder, split, self.manifest))
        entry = self.manifest["splits"][split]
        self.classes, self.shape = tuple(self.manifest["classes"]), tuple(self.manifest["shape"])
        self.group = Group.parse(entry["group"])
        with suppress(UnregisteredLawError):  # the images can be read without their law
            self.symmetry  # noqa: B018
        tables = [_read(self.folder / shard["file"]) for shard in entry["shards"]]
        try:
            self._table = pa.concat_tables(tables)
        except pa.ArrowInvalid:
            raise StoreError(
                f"the shards of split {split!r} in {str(folder)!r} differ; build the dataset again"
            ) from None
        if (rows := len(self._table)) != entry["num_examples"]:
            raise StoreError(
                f"{str(folder)!r}: split {split!r} has {rows} rows, its manifest says {entry['num_examples']}; "
                "build the dataset again"
            )

    def __repr__(self) -> str:
        return f"ImageDataset({str(self.folder)!r}, {self.split!r}): {len(self)} images {self.shape}, {self._law}"

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, item: int) -> tuple[Any, torch.Tensor]:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int]) -> list[tuple[Any, torch.Tensor]]:
        """A batch at once, which torch's DataLoader asks for; `transform` is applied to each image."""
        rows = self._rows(np.asarray(items, dtype=np.int64))
        images = self.images(rows)
        ready = images if self.transform is None else map(self.transform, images)
        return list(zip(ready, self.labels[rows], strict=True))

    def images(self, indices: Sequence[int] | np.ndarray | None = None) -> torch.Tensor:
        """Decode images, (m, C, H, W) uint8: all of them, those at `indices`, or those where a mask (n,) is true."""
        rows = np.arange(len(self)) if indices is None else self._rows(indices)
        c, h, w = self.shape
        out = np.empty((len(rows), c, h, w), np.uint8)
        for start in range(0, len(rows), CHUNK):
            blobs = [self._encoded[row].as_py() for row in rows[start : start + CHUNK].tolist()]
            for row, image in enumerate(decode_images(blobs, channels=c), start):
                if image.shape[:2] != (h, w):
                    found = f"row {rows[row]} of split {self.split!r} in {str(self.folder)!r} is {image.shape[:2]}"
                    raise StoreError(f"{found}, its manifest says {(h, w)}; build the dataset again")
                out[row] = image.reshape(h, w, c).transpose(2, 0, 1)
        return torch.from_numpy(out)

    @property
    def annotated(self) -> Schema | None:
        """What is annotated in the images: masks, the names of categories and keypoints; None if nothing is."""
        found = self.manifest.get("annotations")
        try:
            return None if found is None else Schema.from_dict(found)
        except (KeyError, TypeError):
            place = f"the manifest of {str(self.folder)!r}"
            raise StoreError(f"{place} says nothing sensible about annotations; build the dataset again") from None

    def annotations(self, indices: Sequence[int] | np.ndarray | None = None) -> Annotations:
        """Masks and objects of all images, of those at `indices`, or of those where a mask (n,) is true.

        Convention:
            Boxes are (x, y, width, height) in pixels from the top left corner, the centre of a pixel being at halves.

        Raises:
            StoreError: if the images have no annotations.
        """
        schema, rows = self.annotated, np.arange(len(self)) if indices is None else self._rows(indices)
        if schema is None:
            raise StoreError(
                f"{str(self.folder)!r} has no masks, boxes or keypoints; make it from a source that has them"
            )
        columns = self._table.select([name for name in (MASK, OBJECTS) if name in self._table.column_names])
        parts = [rows[start : start + CHUNK] for start in range(0, max(1, len(rows)), CHUNK)]
        try:
            return Annotations.joined(
                [read_annotations(columns.take(pa.array(part)), schema, self.shape[1:]) for part in parts]
            )
        except (KeyError, TypeError, ValueError, SourceError) as error:
            where = f"the annotations of split {self.split!r} in {str(self.folder)!r}"
            raise StoreError(f"{where} cannot be read ({first_line(error)}); build the dataset again") from None

    def targets(self, indices: Sequence[int] | np.ndarray | None = None) -> list[dict[str, torch.Tensor]]:
        """The annotations of each image as a dictionary of tensors, with the names and boxes of torchvision.

        `mask` (H, W) uint8; and of k objects `boxes` (k, 4), float32 x0, y0, x1, y1 in pixels from the top left corner,
        `labels` (k,) categories from 0, `area`, `iscrowd`, and `keypoints` (k, K, 3), x, y and visibility, the centre
        of a pixel being at halves. `torch.utils.data.StackDataset(dataset.images(), dataset.targets())` pairs them.
        """
        return targets(self.annotations(indices))

    def to_coco(self, folder: Path | str) -> Path:
        """Write the split as `<split>/*.png` and `instances_<split>.json`, which COCO's tools read; see `export`."""
        return to_coco(self, Path(folder))

    def to_yolo(self, folder: Path | str) -> Path:
        """Write the split as `images/<split>/*.png`, `labels/<split>/*.txt` and `data.yaml`; see `export`."""
        return to_yolo(self, Path(folder))

    def to_masks(self, folder: Path | str) -> Path:
        """Write the split as `images/<split>/*.png` and `masks/<split>/*.png` of the same names; see `export`."""
        return to_masks(self, Path(folder))

    def _rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Row numbers in 0..n-1, from a sequence of numbers (negative ones count from the end) or a mask."""
        wanted, n = np.asarray(indices), len(self)
        if wanted.dtype == bool:
            if wanted.shape != (n,):
                raise IndexError(
                    f"a mask of shape {wanted.shape} for a split of {n} images; one entry for each is needed"
                )
            return np.flatnonzero(wanted)
        rows = wanted.astype(np.int64).reshape(-1)
        if len(bad := rows[(rows < -n) | (rows >= n)]):
            raise IndexError(f"index {bad[0]} is outside a split of {n} images")
        return rows % max(1, n)

    @cached_property
    def symmetry(self) -> Symmetry:
        """What the elements were drawn from; a law of one's own has to be registered."""
        return Symmetry.parse(self._law)

    @property
    def _law(self) -> str:
        return str(self.manifest["splits"][self.split]["symmetry"])

    @cached_property
    def _encoded(self) -> pa.ChunkedArray:
        """The PNG file of every row. Read one by one: `take` would join the pieces, and one array holds 2 GiB."""
        return pc.struct_field(self._table["image"], "bytes")

    @cached_property
    def labels(self) -> torch.Tensor:
        """(n,) int64."""
        return self._whole_numbers("label")

    @cached_property
    def elements(self) -> Elements:
        """The element that moved each image, its pose included, as tensors."""
        return Elements(self.column("angle").astype(np.float64), self.column("flip")).to("cpu")

    @cached_property
    def drawn(self) -> Elements:
        """The random part of each element: what the symmetry drew, without the pose, which is part of the label."""
        if "pose" not in self._table.column_names:
            return self.elements
        poses = Elements.of([Element(pose["angle"], pose["flip"]) for pose in self.manifest["poses"]])
        return (self.elements.cpu() @ ~poses[self.column("pose")]).to("cpu")

    @cached_property
    def element_index(self) -> torch.Tensor:
        """(n,) int64: index of each element in `group`; -1 if the group is continuous."""
        return self._whole_numbers("element")

    @cached_property
    def index(self) -> torch.Tensor:
        """(n,) int64: the source image of each sample."""
        return self._whole_numbers("index")

    def hf(self) -> Any:
        """The split as a `datasets.Dataset` in memory, with all columns; its images are decoded by Pillow.

        Example:
            >>> import symdata
            >>> made = symdata.make("glyphs", "for-hf", symmetry="c4", count=16, size=8)
            >>> symdata.load("for-hf").hf().features["label"].names[:2]
            ['O', 'X']
        """
        from datasets import Dataset as Rows
        from datasets.table import InMemoryTable

        return Rows(InMemoryTable(self._table))

    def _whole_numbers(self, name: str) -> torch.Tensor:
        return torch.tensor(self.column(name))

    def rows(self, indices: np.ndarray) -> list[dict[str, Any]]:
        """All columns but the image, one dictionary per sample."""
        fields: list[dict[str, Any]] = self._table.drop_columns("image").take(pa.array(indices)).to_pylist()
        return fields

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(self._table.column_names)

    def column(self, name: str) -> np.ndarray:
        """Values of a column other than the image; integers become int64."""
        if name not in (names := self._table.column_names):
            raise StoreError(f"{str(self.folder)!r} has no column {name!r}; it has {', '.join(names)}")
        values = np.asarray(self._table[name])
        return values.astype(np.int64) if values.dtype.kind in "iu" else values


def load(
    folder: Path | str, split: str = "train", transform: Callable[[torch.Tensor], Any] | None = None
) -> ImageDataset:
    """Load one split of a dataset folder.

    Args:
        folder: the dataset.
        split: its name.
        transform: applied to each image (C, H, W) uint8 of `dataset[i]` and of a DataLoader; `images()` has them as
            they are stored.

    Raises:
        StoreError: if the folder is not a complete dataset, or has no such split.

    Example:
        >>> import symdata, torch
        >>> made = symdata.make("glyphs", "glyphs", symmetry="d4", count=16, size=8)
        >>> dataset = symdata.load("glyphs", "train")
        >>> dataset.images().shape, dataset.labels.shape
        (torch.Size([16, 1, 8, 8]), torch.Size([16]))
        >>> ready = symdata.load("glyphs", "train", transform=lambda image: image.float() / 255)
        >>> images, labels = next(iter(torch.utils.data.DataLoader(ready, batch_size=4)))
        >>> images.dtype, labels.dtype
        (torch.float32, torch.int64)
    """
    return ImageDataset(folder, split, transform)


def splits(folder: Path | str) -> list[str]:
    """Names of the splits of a dataset folder, in order.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "three", count=8, size=8)
        >>> splits("three")
        ['train', 'validation', 'test']
    """
    return list(read_manifest(folder)["splits"])


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot read {str(path)!r}: {first_line(error)}; build the dataset again") from None
