"""The first rows of a Hub dataset, without downloading all of it: `hub:user/name,stream=2000`.

Rows are not shuffled: if those of a dataset are sorted by class, the first ones may be of one class, and opening the
source raises an error that says so.
"""

from typing import TYPE_CHECKING

from symdata.errors import SourceError
from symdata.sources.base import Ref, known_split

if TYPE_CHECKING:
    import datasets

MOST = 1_000_000
"""Largest number of rows per split; they are kept in memory, encoded."""


def stream_rows(ref: Ref) -> int | None:
    """How many rows of each split the reference asks for; None for all."""
    text = ref.options.get("stream")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise SourceError(f"source {ref.text!r}: stream={text}, expected rows of each split from 1 to {MOST}")
    return int(text)


def streamed(ref: Ref, place: str, config: str | None, commit: str, rows: int) -> "datasets.DatasetDict":
    """The first rows of every split that the reference names, in memory, with encoded images."""
    import datasets

    found = datasets.load_dataset(place, config, revision=commit, streaming=True)
    named = {known_split(split) or split: split for split in found}
    return datasets.DatasetDict({named[split]: _first(found[named[split]], rows) for split in ref.select(named)})


def _first(split: "datasets.IterableDataset", rows: int) -> "datasets.Dataset":
    import datasets

    features = split.features
    encoded = split
    for name, feature in (features or {}).items():
        if isinstance(feature, datasets.Image):
            encoded = encoded.cast_column(name, datasets.Image(decode=False))
    return datasets.Dataset.from_list(list(encoded.take(rows)), features=features)
