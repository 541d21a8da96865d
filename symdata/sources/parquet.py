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
from symdata.sources.base import Ref, known_split, name_splits, split_name
from symdata.sources.columns import common_columns, encode_labels, image_bytes, is_text, pick_columns
from symdata.sources.encoded import EncodedSource
from symdata.sources.extra import extra_columns
from symdata.sources.files import Facts, check_regular, printable
from symdata.sources.fit import Fit

CACHE_BYTES = 128 << 20


class ParquetStore:
    """Random access to the image column of parquet files, with a cache of the row groups used last."""

    def __init__(self, root: Path, files: dict[str, list[Path]], column: str) -> None:
        self.root, self.column = root, column
        self._groups: dict[str, list[tuple[Path, int]]] = {}
        self._starts: dict[str, np.ndarray] = {}  # first row of each group, and the end: (groups + 1,)
        self._metadata = {path: _metadata(path) for paths in files.values() for path in paths}
        self.apart = any(_apart(found, column) for found in self._metadata.values())
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
            column, folder = self._read_group(split, int(group)), self._groups[split][group][0].parent
            for position in positions:
                cell = column[int(indices[position] - starts[group])].as_py()
                out[position] = image_bytes(cell, folder, partial(self.name, split, int(indices[position])))
        return out

    def name(self, split: str, index: int) -> str:
        """File and row of one image, such as "train-20000.parquet row 17"."""
        starts, groups = self._starts[split], self._groups[split]
        path, _ = groups[np.searchsorted(starts, index, side="right") - 1]
        return f"{printable(path.relative_to(self.root).as_posix())} row {index - starts[groups.index((path, 0))]}"

    def _read_group(self, split: str, group: int) -> Any:
        key = (split, group)
        if key not in self._cache:
            path, number = self._groups[split][group]
            with _errors_named(path), path.open("rb") as raw:
                file = pq.ParquetFile(raw, metadata=self._metadata[path])
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
        if files := _parquet_files(folder):
            splits = name_splits([path.stem for path in files], str(folder), shards=True)
            return _by_split({path: splits[path.stem] for path in files})
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and _parquet_files(path)}
    if other := [name for name in folders if not known_split(split_name(name))]:
        names = ", ".join(map(str, folders.values()))
        raise SourceError(f"{str(root)!r} holds parquet files in {other[0]!r}, which is no split; name one of {names}")
    splits = name_splits(folders, str(root))
    return _by_split({path: splits[name] for name, folder in folders.items() for path in _parquet_files(folder)})


def _parquet_files(folder: Path) -> list[Path]:
    """The parquet files of a folder, sorted, without hidden ones; raises SourceError for one that is not regular."""
    files = sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))
    for path in files:
        check_regular(path)
    return files


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


def lists_files(ref: Ref) -> bool:
    """Whether the images of the tables at a path lie in files beside them."""
    try:
        paths = [path for found in find_parquet(Path(ref.place)).values() for path in found]
        found = _metadata(paths[0])
        return _apart(found, pick_columns(ref, found.schema.to_arrow_schema()).image)
    except SourceError:
        return False


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open one parquet file or a folder of them."""
    ref.only("splits", "image", "label", "bits", "background", "mask", "objects", "void", "swap")
    root = Path(ref.place)
    files = ref.select(find_parquet(root))
    paths = [path for found in files.values() for path in found]
    folder = root if root.is_dir() else root.parent
    named = {printable(path.relative_to(folder).as_posix()): path for path in paths}
    columns = common_columns(ref, {name: _metadata(path).schema.to_arrow_schema() for name, path in named.items()})
    if columns.label is None:
        labels = unlabelled({split: sum(_metadata(path).num_rows for path in own) for split, own in files.items()})
    else:
        labels = encode_labels(ref.text, _chunks(files, columns.label), columns)
    facts, store = Facts.at(ref, root, paths), partial(ParquetStore, folder, files)
    schemas = [_metadata(path).schema.to_arrow_schema() for path in paths]
    extra = extra_columns(schemas, columns.taken, partial(_read_columns, files))
    return open_table(ref, facts, labels, fit, columns, store, partial(_column, files), extra)


def _chunks(files: dict[str, list[Path]], name: str) -> dict[str, list[pa.Array]]:
    """The values of a column by split, in chunks that may differ in type."""
    found: dict[str, list[pa.Array]] = {}
    for split, paths in files.items():
        found[split] = []
        for path in paths:
            with _errors_named(path), path.open("rb") as file:
                found[split].extend(pq.ParquetFile(file).read(columns=[name]).column(0).chunks)
    return found


def _column(files: dict[str, list[Path]], name: str) -> dict[str, pa.ChunkedArray]:
    """The values of a column other than the images, by split."""
    return {split: pa.chunked_array(own or [[]]) for split, own in _chunks(files, name).items()}


def _read_columns(files: dict[str, list[Path]], split: str, names: Sequence[str]) -> pa.Table:
    """Some columns of a split; null in the rows of a file that lacks one."""
    tables = []
    for path in files[split]:
        with _errors_named(path), pq.ParquetFile(path) as file:
            tables.append(file.read(columns=[name for name in names if name in file.schema_arrow.names]))
    return pa.concat_tables(tables, promote_options="permissive")


def _apart(found: pq.FileMetaData, column: str) -> bool:
    """Whether images of a column lie in files of their own, or may do so: not every cell is known to have its bytes."""
    kind = found.schema.to_arrow_schema().field(column).type
    if not pa.types.is_struct(kind):
        return is_text(kind)
    leaves = [found.schema.column(k).path for k in range(len(found.schema))]
    if f"{column}.bytes" not in leaves:
        return True
    leaf = leaves.index(f"{column}.bytes")
    known = (found.row_group(group).column(leaf).statistics for group in range(found.num_row_groups))
    return any(one is None or not one.has_null_count or one.null_count for one in known)


def _metadata(path: Path) -> pq.FileMetaData:
    with _errors_named(path), path.open("rb") as file:
        return pq.read_metadata(file)


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Errors of reading a file become SourceErrors with its name."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{str(path)!r} is not a readable parquet file ({first_line(error)}); fetch or write it again"
        ) from None
