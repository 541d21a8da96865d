"""Images that are given from Python: arrays, tensors, datasets of torch or of the library `datasets`, other sources.

    (images, labels)                      arrays or tensors as in `arrays.py`, or sequences of images and labels
    {"train": (images, labels), ...}      splits, each in any of these forms
    np.load("digits.npz")                 arrays by name, as in `npz.py`
    datasets.Dataset, DatasetDict         columns as in parquet files
    a dataset of torch, or a sequence     items (image, label); an image is a PIL image, an array or a tensor
    any object with the members of `Source`

Items are read once, into memory; the names of the classes are those of the attribute `classes` if there is one.
The reference of such a source is `memory:NAME`. It opens nothing; the fingerprint says whether an object is the same.
"""

from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from symdata.errors import SourceError
from symdata.sources.arrays import ArraySource
from symdata.sources.base import Ref, Source, known_split, refusal
from symdata.sources.files import Facts, Labels, check_labels, fingerprint, slug
from symdata.sources.fit import Fit
from symdata.sources.items import SplitContent, digest_of, is_array, is_of, is_sequence, read_split
from symdata.sources.npz import key_role, pair_keys

if TYPE_CHECKING:
    import torch

SCHEME = "memory:"
EXPECTED = "a reference, (images, labels), a dictionary of splits, a dataset of torch or `datasets`, or a Source"


class MemoryData:
    """An object that images are read from, under the reference that a manifest stores.

    In another process only the reference is left: what is opened there is the source, and not the object again.

    Example:
        >>> import numpy as np
        >>> MemoryData((np.zeros((2, 8, 8), np.uint8), [0, 1]))
        MemoryData('memory:arrays')
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.ref = value.ref if isinstance(value, Source) else SCHEME + _name(value)

    def __repr__(self) -> str:
        return f"MemoryData({self.ref!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"ref": self.ref}


def held(source: Any) -> str | MemoryData:
    """A source that is no text as a configuration keeps it: a path as text, any other object under its reference."""
    if isinstance(source, Path):
        return str(source)
    return source if isinstance(source, MemoryData) else MemoryData(source)


def open_ref(ref: Ref, fit: Fit, device: str) -> NoReturn:
    """Raise SourceError: a name does not open an object."""
    raise _gone(ref.text)


def _gone(ref: str) -> SourceError:
    mend = "give the same object again, as in symdata.verify(folder, source=(images, labels))"
    return refusal(ref, f"its images were given from Python and are not stored under that name; {mend}")


def open_data(data: Any, fit: Fit, check: bool = False, skip_bad: int = 0) -> Source:
    """The source over an object.

    Args:
        data: the object.
        fit: target size of the images.
        check: for encoded images, as in the next.
        skip_bad: as for `open_source`.

    Raises:
        SourceError: if it holds no labelled images.
    """
    kept = data if isinstance(data, MemoryData) else MemoryData(data)
    if not hasattr(kept, "value"):
        raise _gone(kept.ref)
    value = kept.value
    encoded = Ref(kept.ref, kept.ref, check=check, skip_bad=skip_bad)
    if isinstance(value, Source):
        return _checked(value, fit)
    if is_of("datasets", value):
        return _of_datasets(encoded, value, fit)
    splits = _splits(kept.ref, value)
    if splits and all(is_of("datasets", own) for own in splits.values()):
        import datasets

        return _of_datasets(encoded, datasets.DatasetDict(splits), fit)
    for own in splits.values() if splits else [value]:
        if not splits or not is_sequence(own):
            raise SourceError(f"{short(own)} ({type(own).__name__}) holds no images by number; expected {EXPECTED}")
    parts = {split: read_split(f"split {split!r}", own, fit) for split, own in splits.items()}
    labels = _labels(kept.ref, parts)
    lines = [f"{split} {part.digest}" for split, part in parts.items()]
    for split, own in labels.by_split.items():
        lines.append(f"{split} labels {digest_of(labels.classes[label] for label in own.tolist())}")
    facts = Facts(kept.ref, kept.ref.removeprefix(SCHEME), "unknown", fingerprint(lines))
    return ArraySource(facts, labels, {split: part.images for split, part in parts.items()}, fit)


def _splits(ref: str, value: Any) -> dict[str, Any]:
    """The content of every split: a pair, or a dataset."""
    if not isinstance(value, Mapping):
        return {"train": value}
    if value and all(isinstance(key, str) and key_role(key) for key in value):
        return {split: (value[images], value[labels]) for split, (images, labels) in pair_keys(value, ref).items()}
    found: dict[str, Any] = {}
    for split, own in value.items():
        name = known_split(str(split)) or str(split)
        if name in found:
            raise refusal(ref, f"two keys name split {name!r}; leave one of them out")
        found[name] = own
    return found


def _labels(ref: str, parts: Mapping[str, SplitContent]) -> Labels:
    """The labels of all splits; the classes are those of the datasets where all have the same names."""
    values = {split: part.labels for split, part in parts.items()}
    named = {part.classes for part in parts.values()}
    if None in named or any(isinstance(label, str) for own in values.values() for label in own):
        return Labels.of(values)
    if len(named) > 1:
        raise refusal(ref, "the datasets of the splits name their classes differently; give them one list `classes`")
    classes = named.pop() or ()
    for split, own in values.items():
        if wrong := [label for label in own if not 0 <= label < len(classes)]:
            raise refusal(ref, f"label {wrong[0]} in split {split!r} is none of its {len(classes)} classes")
    return Labels(classes, {split: np.array(own, np.int64) for split, own in values.items()})


def _of_datasets(ref: Ref, value: Any, fit: Fit) -> Source:
    from symdata.sources.saved import open_datasets

    if "Iterable" in type(value).__name__:
        raise refusal(
            ref.text, "a stream has no rows to read by number; load it without streaming, or as hub:NAME,stream=N"
        )
    facts = Facts(ref.text, ref.text.removeprefix(SCHEME), "unknown")
    source = open_datasets(ref, value, fit, facts, Path())
    digests = (
        f"{split} labels {digest_of(source.classes[k] for k in source.labels(split))}" for split in source.splits
    )
    source.fingerprint = fingerprint([source.fingerprint, *digests])
    return source


class ResizedSource:
    """Another source with its images at one size; raises SourceError if they have annotations, which have their own."""

    def __init__(self, source: Source, fit: Fit) -> None:
        if hasattr(source, "annotation_schema"):
            h, w = source.shape[1:]
            raise refusal(source.ref, f"its annotations are for {h}x{w} images; open the source itself with that size=")
        for name in ("extra_columns", "left_out_columns", "omitted"):
            if hasattr(source, name):
                setattr(self, name, getattr(source, name))
        self.source, self._fit = source, fit
        self.ref, self.name, self.classes, self.license = source.ref, source.name, source.classes, source.license
        self.fingerprint, self.revision, self.splits = source.fingerprint, source.revision, source.splits
        self.shape = (source.shape[0], *fit.shape(*source.shape[1:]))

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int64 (n,)."""
        return self.source.labels(split)

    def read(self, split: str, indices: np.ndarray) -> "torch.Tensor":
        """Images at `indices` of a split, uint8 (n, C, H, W)."""
        return self._fit(self.source.read(split, indices))


def _checked(source: Source, fit: Fit) -> Source:
    """A source that somebody wrote, at the size; raises SourceError for what it does not keep to."""
    labels = {split: np.asarray(source.labels(split)) for split in source.splits}
    for split, count in source.splits.items():
        one = source.read(split, np.arange(min(1, count)))
        found = f"{tuple(one.shape)} {one.dtype}"
        wanted = f"{(min(1, count), *source.shape)} torch.uint8"
        if found != wanted:
            raise refusal(source.ref, f"reading one image of split {split!r} gives {found}, expected {wanted}")
        if labels[split].shape != (count,) or labels[split].dtype.kind not in "iu":
            found = f"{labels[split].shape} {labels[split].dtype}"
            raise refusal(source.ref, f"the labels of split {split!r} are {found}, expected ({count},) int64")
    fewest = 1 if hasattr(source, "annotation_schema") else 2
    check_labels(source.ref, tuple(source.classes), labels, fewest)
    return source if fit.shape(*source.shape[1:]) == source.shape[1:] else ResizedSource(source, fit)


def _name(value: Any) -> str:
    """A slug for an object: of the name or type of its dataset, or "arrays"."""
    if isinstance(value, Mapping) and value:
        return _name(next(iter(value.values())))
    if is_of("datasets", value):
        return slug(getattr(value.info, "dataset_name", None) or "dataset")
    plain = is_array(value) or isinstance(value, tuple | list | Mapping)
    return "arrays" if plain else slug(type(value).__name__)
