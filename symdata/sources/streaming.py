"""The first rows of a Hub dataset without downloading all of it: `hub:user/name,stream=2000`.

Each split is read from its beginning until it has given that many rows. They are not shuffled: where the rows of a
dataset are sorted by class, the first ones are of one class, and the source says so when it is opened.
"""

from typing import TYPE_CHECKING

from symdata.errors import SourceError
from symdata.sources.base import Ref, known_split

if TYPE_CHECKING:
    import datasets

MOST = 1_000_000
"""Rows of a split that are held in memory, encoded."""


def stream_rows(ref: Ref) -> int | None:
    """How many rows of each split are asked for; None where the whole dataset is."""
    text = ref.options.get("stream")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise SourceError(f"source {ref.text!r}: stream={text}, expected rows of each split from 1 to {MOST}.")
    return int(text)


def streamed(ref: Ref, place: str, config: str | None, commit: str, rows: int) -> "datasets.DatasetDict":
    """The first rows of every split that the reference wants, in memory, images still encoded."""
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
