"""Parquet files: `<split>-*.parquet` in a folder, in its `data/` folder (the Hub's layout), or in a folder per split.

One file works as well. Memory is bounded: at most `CACHE_BYTES` of decoded row groups are kept, one at least. Class
names come from the "huggingface" metadata of the schema (ClassLabel) if there are any, otherwise from the sorted
distinct labels. `,image=NAME`, `,label=NAME`, `,mask=NAME` and `,objects=NAME` in the reference name the columns;
`columns.py` finds them otherwise.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from symdata.errors import SourceError, first_line
from symdata.sources.annotated import open_table, unlabelled
from symdata.sources.base import Ref, known_split, split_name
from symdata.sources.columns import Columns, encode_labels, image_bytes, pick_columns
from symdata.sources.encoded import EncodedSource
from symdata.sources.extra import extra_columns
from symdata.sources.files import Facts
from symdata.sources.fit import Fit

CACHE_BYTES = 128 << 20


class ParquetStore:
    """Random access to the image column of parquet files, with a cache of the row groups used last."""

    def __init__(self, root: Path, files: dict[str, list[Path]], column: str) -> None:
        self.root, self.column = root, column
        self._groups: dict[str, list[tuple[Path, int]]] = {}
        self._starts: dict[str, np.ndarray] = {}  # first row of each group, and the end: (groups + 1,)
        self._metadata = {path: _metadata(path) for paths in files.values() for path in paths}
        self._cache: OrderedDict[tuple[str, int], Any] = OrderedDict()
        for split, paths in files.items():
            self._groups[split] = [(p, g) for p in paths for g in range(self._metadata[p].num_row_groups)]
            rows = [self._metadata[path].row_group(group).num_rows for path, group in self._groups[split]]
            self._starts[split] = np.cumsum([0, *rows], dtype=np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict()}

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded images at `indices`; each row group is read once per call, or not at all if it is in the cache."""
        starts, out = self._starts[split], [b""] * len(indices)
        groups = np.searchsorted(starts, indices, side="right") - 1
        for group in np.unique(groups):
            positions = np.flatnonzero(groups == group)
            cells = self._read_group(split, int(group)).take(pa.array(indices[positions] - starts[group])).to_pylist()
            folder = self._groups[split][group][0].parent
            for position, cell in zip(positions, cells, strict=True):
                out[position] = image_bytes(cell, folder, partial(self.name, split, int(indices[position])))
        return out

    def name(self, split: str, index: int) -> str:
        """File and row of one image, such as "train-20000.parquet row 17"."""
        starts, groups = self._starts[split], self._groups[split]
        path, _ = groups[np.searchsorted(starts, index, side="right") - 1]
        return f"{path.relative_to(self.root).as_posix()} row {index - starts[groups.index((path, 0))]}"

    def _read_group(self, split: str, group: int) -> Any:
        key = (split, group)
        if key not in self._cache:
            path, number = self._groups[split][group]
            with _errors_named(path), pq.ParquetFile(path, metadata=self._metadata[path]) as file:
                self._cache[key] = file.read_row_group(number, columns=[self.column]).column(0)
            while len(self._cache) > 1 and sum(column.nbytes for column in self._cache.values()) > CACHE_BYTES:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]


def find_parquet(root: Path) -> dict[str, list[Path]]:
    """Parquet files of a folder by split, or one file; raises SourceError for folders that are no splits."""
    if root.is_file():
        return _by_split({root: split_name(root.stem)})
    for folder in (root, root / "data"):
        if files := sorted(folder.glob("*.parquet")):
            return _by_split({path: split_name(path.stem) for path in files})
    folders = sorted(path for path in root.iterdir() if path.is_dir() and any(path.glob("*.parquet")))
    if other := [folder for folder in folders if not known_split(split_name(folder.name))]:
        names = ", ".join(str(folder) for folder in folders)
        raise SourceError(
            f"{str(root)!r} holds parquet files in {other[0].name!r}, which is no split; name one of {names}"
        )
    return _by_split({path: split_name(folder.name) for folder in folders for path in sorted(folder.glob("*.parquet"))})


def _by_split(splits: dict[Path, str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, split in splits.items():
        found.setdefault(split, []).append(path)
    if len(found) == 1 and not known_split(next(iter(found))) and len(splits) == 1:
        return {"train": list(splits)}  # "birds.parquet" is not a split "birds"; `datasets` names it "train" too
    return found


def found_at(place: Path) -> bool:
    """Whether this is a parquet file, or a folder that holds some."""
    return place.suffix == ".parquet" if place.is_file() else place.is_dir() and bool(find_parquet(place))


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open one parquet file or a folder of them."""
    ref.only("splits", "image", "label", "mask", "objects", "void")
    root = Path(ref.place)
    files = ref.select(find_parquet(root))
    paths = [path for found in files.values() for path in found]
    folder = root if root.is_dir() else root.parent
    columns = _common_columns(ref, paths)
    if columns.label is None:
        labels = unlabelled({split: sum(_metadata(path).num_rows for path in own) for split, own in files.items()})
    else:
        labels = encode_labels(ref.text, _column(files, columns.label), columns)
    schemas = [_metadata(path).schema.to_arrow_schema() for path in paths]
    extra = extra_columns(schemas, columns.taken, partial(_read_columns, files))
    facts, store = Facts.at(ref, root, paths), partial(ParquetStore, folder, files)
    return open_table(ref, facts, labels, fit, columns, store, partial(_column, files), extra)


def _common_columns(ref: Ref, paths: list[Path]) -> Columns:
    picked = {path: pick_columns(ref, _metadata(path).schema.to_arrow_schema()) for path in paths}
    first = paths[0]
    if other := next((path for path in paths if picked[path] != picked[first]), None):
        raise SourceError(
            f"source {ref.text!r}: {first.name!r} ({picked[first]}) and {other.name!r} ({picked[other]}) differ; "
            f"open one split alone, as in {ref.text + ',splits=train'!r}, or name the columns with ,image= and ,label="
        )
    return picked[first]


def _column(files: dict[str, list[Path]], name: str) -> dict[str, pa.ChunkedArray]:
    """The values of a column other than the images, by split."""
    found = {}
    for split, paths in files.items():
        chunks = []
        for path in paths:
            with _errors_named(path):
                chunks.extend(pq.read_table(path, columns=[name], partitioning=None).column(0).chunks)
        found[split] = pa.chunked_array(chunks) if chunks else pa.chunked_array([[]], pa.int64())
    return found


def _read_columns(files: dict[str, list[Path]], split: str, names: Sequence[str]) -> pa.Table:
    """Some columns of a split; null in the rows of a file that lacks one."""
    tables = []
    for path in files[split]:
        with _errors_named(path), pq.ParquetFile(path) as file:
            tables.append(file.read(columns=[name for name in names if name in file.schema_arrow.names]))
    return pa.concat_tables(tables, promote_options="permissive")


def _metadata(path: Path) -> pq.FileMetaData:
    with _errors_named(path):
        return pq.read_metadata(path)


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Errors of reading a file become SourceErrors with its name."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{str(path)!r} is not a readable parquet file ({first_line(error)}); fetch or write it again"
        ) from None
