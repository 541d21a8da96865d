"""Tables: parquet files, and folders that `datasets.save_to_disk` wrote.

Parquet is looked for as `<split>-*.parquet` in the folder, in its `data/` folder (the Hub's layout), or in one folder a
split; one file works as well. Memory is bounded: a few decoded row groups of parquet are kept (`CACHE_BYTES`, one at
least), arrow files are mapped. Class names come from the "huggingface" schema metadata (ClassLabel) when it is there,
otherwise from the sorted distinct labels. Columns: `columns.py`; `,image=NAME` and `,label=NAME` in the reference
overrule it.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from symdata.errors import SourceError
from symdata.sources.base import Ref, fingerprint_files, known_split, license_of, place_name, split_name
from symdata.sources.columns import Columns, encode_labels, image_bytes, pick_columns
from symdata.sources.encoded import EncodedSource, Facts, Store
from symdata.sources.fit import Fit

if TYPE_CHECKING:
    import datasets

CACHE_BYTES = 128 << 20


class ParquetStore:
    """Random access to the image column of parquet files through an LRU of its row groups."""

    def __init__(self, root: Path, files: dict[str, list[Path]], column: str) -> None:
        self.root, self.column = root, column
        self._groups: dict[str, list[tuple[Path, int]]] = {}
        self._starts: dict[str, np.ndarray] = {}  # first row of each group, and the end: (groups + 1,)
        self._metadata = {path: _metadata(path) for paths in files.values() for path in paths}
        self._cache: OrderedDict[tuple[str, int], Any] = OrderedDict()
        for split, paths in files.items():
            self._groups[split] = [(p, g) for p in paths for g in range(self._metadata[p].num_row_groups)]
            rows = [self._metadata[path].row_group(group).num_rows for path, group in self._groups[split]]
            self._starts[split] = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict()}

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded images at `indices`; each row group is read once a call, and not at all if it is cached."""
        starts, out = self._starts[split], [b""] * len(indices)
        groups = self._group_of(split, indices)
        for group in np.unique(groups):
            positions = np.flatnonzero(groups == group)
            rows = self._read_group(split, int(group)).take(pa.array(indices[positions] - starts[group])).to_pylist()
            folder = self._groups[split][group][0].parent
            for position, row in zip(positions, rows, strict=True):
                out[position] = _cell(self, split, int(indices[position]), row, folder)
        return out

    def name(self, split: str, index: int) -> str:
        """File and row of one image, such as "train-20000.parquet row 17"."""
        path, _ = self._groups[split][int(self._group_of(split, np.array([index]))[0])]
        first = next(i for i, (other, _) in enumerate(self._groups[split]) if other == path)
        return f"{path.relative_to(self.root).as_posix()} row {index - self._starts[split][first]}"

    def _group_of(self, split: str, indices: np.ndarray) -> np.ndarray:
        groups: np.ndarray = np.searchsorted(self._starts[split], indices, side="right") - 1
        return groups

    def _read_group(self, split: str, group: int) -> Any:
        key = (split, group)
        if key not in self._cache:
            path, number = self._groups[split][group]
            with _parquet_errors(path), pq.ParquetFile(path, metadata=self._metadata[path]) as file:
                self._cache[key] = file.read_row_group(number, columns=[self.column]).column(0)
            while len(self._cache) > 1 and sum(column.nbytes for column in self._cache.values()) > CACHE_BYTES:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]


class ArrowStore:
    """Random access to the image column of `datasets.Dataset`s, which map their arrow files."""

    def __init__(self, splits: "dict[str, datasets.Dataset]", column: str, folder: Path) -> None:
        import datasets

        plain = datasets.Image(decode=False)
        self.column, self.folder = column, folder
        self._splits = {}
        for split, rows in splits.items():
            images = rows.select_columns([column])
            if isinstance(images.features[column], datasets.Image):
                images = images.cast_column(column, plain)
            self._splits[split] = images.with_format("arrow")

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded images at `indices`."""
        if not len(indices):
            return []
        rows = self._splits[split][indices.tolist()].column(self.column).to_pylist()
        return [_cell(self, split, int(i), row, self.folder) for i, row in zip(indices, rows, strict=True)]

    def name(self, split: str, index: int) -> str:
        """Split and row of one image, such as "train row 17"."""
        return f"{split} row {index}"


def _cell(store: Store, split: str, index: int, row: Any, folder: Path) -> bytes:
    try:
        return image_bytes(row, folder)
    except SourceError as error:
        raise SourceError(f"{store.name(split, index)}: {error}; drop that row or embed its image.") from None


def find_parquet(root: Path) -> dict[str, list[Path]]:
    """Parquet files of a folder by split, or of one file; empty where there are none. Raises for an unclear layout."""
    if root.is_file():
        return _by_split({root: split_name(root.stem)})
    for folder in (root, root / "data"):
        if files := sorted(folder.glob("*.parquet")):
            return _by_split({path: split_name(path.stem) for path in files})
    folders = sorted(path for path in root.iterdir() if path.is_dir() and any(path.glob("*.parquet")))
    if strange := [folder for folder in folders if not known_split(split_name(folder.name))]:
        names = ", ".join(str(folder) for folder in folders)
        raise SourceError(
            f"{str(root)!r} holds parquet files in {strange[0].name!r}, which is no split; name one of {names}."
        )
    return _by_split({path: split_name(folder.name) for folder in folders for path in sorted(folder.glob("*.parquet"))})


def _by_split(splits: dict[Path, str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, split in splits.items():
        found.setdefault(split, []).append(path)
    if len(found) == 1 and not known_split(next(iter(found))) and len(splits) == 1:
        return {"train": list(splits)}  # "birds.parquet" is no split called "birds"; `datasets` says "train" as well
    return found


def open_parquet(ref: Ref, fit: Fit) -> EncodedSource:
    """Open one parquet file or a folder of them."""
    ref.only("splits", "image", "label")
    root = Path(ref.place)
    files = ref.select(find_parquet(root))
    paths = [path for found in files.values() for path in found]
    folder = root if root.is_dir() else root.parent
    store_columns = _common_columns(ref, paths)
    raw = {split: _label_column(found, store_columns.label) for split, found in files.items()}
    classes, labels = encode_labels(ref.text, raw, store_columns)
    name, hashed = place_name(root), fingerprint_files(folder, paths)
    facts = Facts(ref.text, name, license_of(root), classes, labels, hashed)
    return EncodedSource(facts, ParquetStore(folder, files, store_columns.image), fit)


def _common_columns(ref: Ref, paths: list[Path]) -> Columns:
    picked = {path: pick_columns(ref, _schema(path)) for path in paths}
    first = paths[0]
    if other := next((path for path in paths if picked[path] != picked[first]), None):
        raise SourceError(
            f"source {ref.text!r}: {first.name!r} ({picked[first]}) and {other.name!r} ({picked[other]}) differ; "
            f"open one split alone, as in {ref.text + ',splits=train'!r}, or name the columns with ,image= and ,label=."
        )
    return picked[first]


def _label_column(paths: list[Path], name: str) -> pa.ChunkedArray:
    chunks = []
    for path in paths:
        with _parquet_errors(path):
            chunks.extend(pq.read_table(path, columns=[name], partitioning=None).column(0).chunks)
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([[]], pa.int64())


def _metadata(path: Path) -> pq.FileMetaData:
    with _parquet_errors(path):
        return pq.read_metadata(path)


def _schema(path: Path) -> pa.Schema:
    with _parquet_errors(path):
        return pq.read_schema(path)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{str(path)!r} is not a readable parquet file ({reason}); fetch or write it again."
        ) from None


def is_saved(folder: Path) -> bool:
    """Whether `datasets.save_to_disk` wrote the folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def open_saved(ref: Ref, fit: Fit) -> EncodedSource:
    """Open a folder that `datasets.save_to_disk` wrote."""
    ref.only("splits", "image", "label")
    import datasets

    root = Path(ref.place)
    try:
        loaded = datasets.load_from_disk(str(root))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SourceError(
            f"{ref.place!r} is not a readable `datasets.save_to_disk` folder ({reason}); save it again."
        ) from None
    hashed = fingerprint_files(root, root.rglob("*.arrow"))
    return open_datasets(
        ref, loaded, fit, name=place_name(root), folder=root, license=license_of(root), fingerprint=hashed
    )


def open_datasets(
    ref: Ref,
    loaded: "datasets.Dataset | datasets.DatasetDict",
    fit: Fit,
    *,
    name: str,
    folder: Path,
    license: str,
    fingerprint: str,
    revision: str | None = None,
) -> EncodedSource:
    """A source over what `datasets` has loaded. A single Dataset is the split "train"."""
    import datasets

    single = isinstance(loaded, datasets.Dataset)
    named = {"train": loaded} if single else {known_split(split) or split: rows for split, rows in loaded.items()}
    splits = ref.select({split: rows for split, rows in named.items() if len(rows)})
    if not splits:
        raise SourceError(f"source {ref.text!r} holds no images: every split is empty.")
    columns = pick_columns(ref, next(iter(splits.values())).features.arrow_schema)
    raw = {
        split: rows.select_columns([columns.label]).with_format("arrow")[:].column(0) for split, rows in splits.items()
    }
    classes, labels = encode_labels(ref.text, raw, columns)
    facts = Facts(ref.text, name, license, classes, labels, fingerprint, revision)
    return EncodedSource(facts, ArrowStore(splits, columns.image, folder), fit)
