"""Folders that `datasets.save_to_disk` wrote, and anything else that the library `datasets` has loaded."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from symdata.errors import SourceError
from symdata.sources.annotated import open_table, unlabelled
from symdata.sources.base import Ref, refusal
from symdata.sources.columns import common_columns, encode_labels, image_bytes, is_text
from symdata.sources.encoded import EncodedSource
from symdata.sources.extra import extra_columns
from symdata.sources.files import Facts, check_regular
from symdata.sources.fit import Fit

if TYPE_CHECKING:
    import datasets


class ArrowStore:
    """Random access to the image column of `datasets.Dataset`s, which map their arrow files into memory."""

    def __init__(self, splits: "dict[str, datasets.Dataset]", column: str, folder: Path) -> None:
        self.column, self.folder = column, folder
        self.apart = any(_apart(rows.data.column(column)) for rows in splits.values())
        self._splits = {split: rows.select_columns([column]).with_format("arrow") for split, rows in splits.items()}

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded images at `indices`."""
        if not len(indices):
            return []
        cells = self._splits[split][indices.tolist()].column(self.column).to_pylist()
        named = zip(indices, cells, strict=True)
        return [image_bytes(cell, self.folder, partial(self.name, split, int(i))) for i, cell in named]

    def name(self, split: str, index: int) -> str:
        """Split and row of one image, such as "train row 17"."""
        return f"{split} row {index}"


def found_at(place: Path) -> bool:
    """Whether `datasets.save_to_disk` wrote the folder."""
    return (place / "dataset_dict.json").is_file() or (place / "state.json").is_file()


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open a folder that `datasets.save_to_disk` wrote."""
    ref.only("splits", "image", "label", "bits", "background", "mask", "objects", "void", "swap")
    import datasets

    root = Path(ref.place)
    for path in sorted([*root.rglob("*.arrow"), *root.rglob("*.json")]):
        check_regular(path)
    try:
        loaded = datasets.load_from_disk(str(root))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SourceError(
            f"{ref.place!r} is not a readable `datasets.save_to_disk` folder ({reason}); save it again"
        ) from None
    return open_datasets(ref, loaded, fit, Facts.at(ref, root, root.rglob("*.arrow")), root)


def open_datasets(
    ref: Ref, loaded: "datasets.Dataset | datasets.DatasetDict", fit: Fit, facts: Facts, folder: Path
) -> EncodedSource:
    """The source over what `datasets` has loaded. A single Dataset is the split "train".

    Args:
        ref: reference of the source, which may name splits and columns.
        loaded: the splits.
        fit: target size of the images.
        facts: of the source.
        folder: where images lie that are stored as paths.
    """
    import datasets

    named = {"train": loaded} if isinstance(loaded, datasets.Dataset) else loaded
    splits = ref.select({split: rows for split, rows in named.items() if len(rows)})
    if not splits:
        raise SourceError(f"source {ref.text!r} holds no images: every split is empty")
    columns = common_columns(ref, {split: rows.features.arrow_schema for split, rows in splits.items()})
    if columns.paths and facts.revision is not None:
        raise refusal(ref.text, f"column {columns.image!r} is text, and a path leads nowhere on the Hub; name another")

    def values(name: str) -> dict[str, pa.ChunkedArray]:
        arrow = {split: rows.select_columns([name]).with_format("arrow") for split, rows in splits.items()}
        return {split: rows[:].column(0) for split, rows in arrow.items()}

    if columns.label is None:
        labels = unlabelled({split: len(rows) for split, rows in splits.items()})
    else:
        raw = {split: column.chunks for split, column in values(columns.label).items()}
        labels = encode_labels(ref.text, raw, columns)
    schemas = [rows.features.arrow_schema for rows in splits.values()]
    extra = extra_columns(schemas, columns.taken, partial(_read_columns, splits))
    return open_table(ref, facts, labels, fit, columns, lambda name: ArrowStore(splits, name, folder), values, extra)


def _apart(cells: pa.ChunkedArray) -> bool:
    """Whether images lie in files of their own: not every cell has its bytes."""
    if not pa.types.is_struct(cells.type):
        return is_text(cells.type)
    if cells.type.get_field_index("bytes") < 0:
        return True
    return any(chunk.field("bytes").null_count for chunk in cells.chunks)


def _read_columns(splits: "dict[str, datasets.Dataset]", split: str, names: Sequence[str]) -> pa.Table:
    """Those of some columns that a split has."""
    rows = splits[split]
    own = [name for name in names if name in rows.column_names]
    return rows.select_columns(own).with_format("arrow")[:] if own else pa.table({"": pa.nulls(len(rows))})
