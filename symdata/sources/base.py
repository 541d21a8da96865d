"""The `Source` contract, references to sources, and the names of splits.

A source gives upright images and their labels, split by split. It is deterministic: listings are sorted, and the image
of an index does not depend on the others that are read with it.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from symdata.errors import SourceError, SymdataError, first_line

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "t10k", "testing"),
}
REF_OPTIONS = (
    "image", "label", "config", "splits", "stream", "bits", "background", "mask", "objects", "void", "swap",
    "columns",
)  # fmt: skip


@runtime_checkable
class Source(Protocol):
    """Upright labelled images; any object with these members is a source.

    A source with masks, boxes or keypoints has two more: `annotation_schema`, a `symdata.annotations.Schema`, and
    `annotations(split, indices)`, the `Annotations` of the images that `read` gives.

    Example:
        >>> from symdata.sources import Source, open_source
        >>> source = open_source("glyphs:OXNZ", size=20)
        >>> isinstance(source, Source), source.classes, source.splits["train"]
        (True, ('O', 'X', 'N', 'Z'), 6000)
        >>> source.read("train", [0, 5]).shape, source.labels("train")[[0, 5]].tolist()
        (torch.Size([2, 1, 20, 20]), [0, 1])
    """

    @property
    def ref(self) -> str:
        """The text that opens the source again: `open_source(ref, size=..., resize=...)`."""

    @property
    def name(self) -> str:
        """Short slug for folder names."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label."""

    @property
    def license(self) -> str:
        """SPDX id or a short text, such as "unknown"."""

    @property
    def fingerprint(self) -> str:
        """Hash of the content, as "sha256:<hex>"."""

    @property
    def revision(self) -> str | None:
        """Commit of a Hub source, else None."""

    @property
    def splits(self) -> dict[str, int]:
        """Split name to number of images, in the order train, validation, test, others."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image that `read` returns; C is 1 or 3."""

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int64 (n,)."""

    def read(self, split: str, indices: np.ndarray) -> "torch.Tensor":
        """Images at `indices` of a split, uint8 (len(indices), C, H, W), contiguous."""


@dataclass(frozen=True)
class Ref:
    """A reference in parts: the place, and options such as `,image=COLUMN`, `,splits=A+B`, `,bits=12`.

    Of tables with annotations also `[,mask=COLUMN][,objects=COLUMN]`, of tar files `[,mask=ENDING]`, of masks
    `[,void=NUMBER]`, of keypoints `[,swap=left:right]`, and of class folders beside a table `[,columns=TABLE]`.

    The options come last and need no shell quoting. Each kind of source takes some of them.
    """

    text: str
    """The reference as it was given."""
    place: str
    """The reference without its options: a path, or `user/name[@revision]`."""
    options: dict[str, str] = field(default_factory=dict)
    check: bool = False
    """Whether every image is decoded while its source is opened, and all that cannot be used are named."""
    skip_bad: int = 0
    """How many images that cannot be used may be left out."""

    @property
    def thorough(self) -> bool:
        """Whether every image and annotation is looked at before the first that cannot be used is refused."""
        return self.check or self.skip_bad > 0

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """Separate the options; raises SourceError for an option that does not exist."""
        place, *pieces = re.split(r",(?=[a-z]+=)", text)
        options = dict(piece.split("=", 1) for piece in pieces)
        if bad := [key for key in options if key not in REF_OPTIONS]:
            known = ", ".join(f"{key}=..." for key in REF_OPTIONS)
            raise refusal(text, f"no option {bad[0]!r}; the options are {known}")
        return cls(text, place, options)

    def only(self, *allowed: str) -> None:
        """Raise SourceError for an option that is not one of these."""
        if bad := [key for key in self.options if key not in allowed]:
            raise refusal(self.text, f"this kind of source takes no {bad[0]}= option; leave it out")

    def chosen(self, found: Iterable[str]) -> dict[str, str]:
        """The splits named by `splits=A+B`, by default all, in canonical order, each with its own name in `found`.

        Raises:
            SourceError: for a split that is not there, and for two names of one split, such as "val" and "validation".
        """
        found = list(found)
        wanted = self.options["splits"].split("+") if "splits" in self.options else found
        own: dict[str, str] = {}
        for word in wanted:
            names = [word] if word in found else [name for name in found if known_split(name) == word]
            if not names:
                raise refusal(self.text, f"no split {word!r}; it has {', '.join(split_order(found))}")
            for name in names:
                split = known_split(name) or name
                if own.setdefault(split, name) != name:
                    mend = (
                        self.text + ",splits=" + "+".join({known_split(name) or name: name for name in found}.values())
                    )
                    problem = f"{own[split]!r} and {name!r} both name split {split!r}"
                    raise refusal(self.text, f"{problem}; choose one, as in {mend!r}")
        return {split: own[split] for split in split_order(own)}

    def select(self, found: Mapping[str, T]) -> dict[str, T]:
        """What `found` holds for each of the `chosen` splits."""
        return {split: found[name] for split, name in self.chosen(found).items()}


def refusal(ref: str, problem: str) -> SourceError:
    """The error for a source that cannot be used."""
    return SourceError(f"source {ref!r}: {problem}")


def known_split(word: str) -> str | None:
    """The canonical split of a word ("val" -> "validation"), or None."""
    lowered = word.lower()
    return next((split for split, words in SPLIT_WORDS.items() if lowered in words), None)


def split_name(name: str) -> str:
    """The split that a file or folder is named after: the split word between its separators, else its first word.

    "t10k-images" -> "test", "mnist_train" -> "train", "val2017" -> "validation", "holdout-4000" -> "holdout".

    Raises:
        SourceError: if words of two splits are in the name.
    """
    found = _split_words(name)
    if len(found) > 1:
        (one, first), (other, second) = list(found.items())[:2]
        raise SourceError(
            f"{name!r} names two splits, {one} ({first[1]!r}) and {other} ({second[1]!r}); rename it, with one split "
            "word between separators, as in 'train-2.parquet'"
        )
    return next(iter(found), None) or _first_word(_prefix(name)) or "train"


def name_splits(names: Iterable[str], place: str, *, shards: bool = False) -> dict[str, str]:
    """The split of each name of files or folders that lie side by side.

    Args:
        names: of the files, without suffix, or of the folders.
        place: where they lie, for messages.
        shards: whether several names may belong to one split: numbered, or with more words after the split's.

    Raises:
        SourceError: if two names say one split in two ways, or share a word that is no split.
    """
    splits = {name: split_name(name) for name in names}
    said = {name: _spelling(name) if shards else name for name in splits}
    for name, split in splits.items():
        if known_split(split):
            clashes = (other for other in splits if splits[other] == split and said[other] != said[name])
            if other := next(clashes, None):
                raise SourceError(f"{place!r}: {name!r} and {other!r} both name split {split!r}; rename one of them")
            continue
        alike = (other for other in splits if _first_word(_prefix(other)) == split and said[other] != said[name])
        if other := next(alike, None):
            raise SourceError(
                f"{place!r}: {name!r} and {other!r} share the word {split!r}, which is no split; give each name the "
                "word of its split (train, validation, test), or name one of them alone"
            )
    return splits


_SHARD = re.compile(r"(.+)-\d+-of-\d+(?:-[0-9a-f]+)?")  # as the Hub names the files of a split


def _prefix(name: str) -> str:
    """A name without the number of a shard: "train" of "train-00000-of-00002"."""
    shard = _SHARD.fullmatch(name)
    return shard[1] if shard else name


def _first_word(name: str) -> str:
    word = re.match(r"[A-Za-z]+", name)
    return word[0].lower() if word else ""


def _split_words(name: str) -> dict[str, tuple[str, str]]:
    """The splits in a name, each with what comes before its word, and the word."""
    found: dict[str, tuple[str, str]] = {}
    for word in re.finditer(r"[^\W_]+", _prefix(name)):
        if split := known_split(word[0]) or known_split(word[0].strip("0123456789")):
            found.setdefault(split, (name[: word.start()], word[0]))
    return found


def _spelling(name: str) -> str:
    """What the files of one split have in common: all up to the split's word, without digits; else the whole name."""
    for before, word in _split_words(name).values():
        return re.sub(r"\d", "", before + word).lower()
    return _prefix(name) if _first_word(_prefix(name)) else ""


def split_order(names: Iterable[str]) -> list[str]:
    """Train, validation, test, then the others alphabetically."""
    first = list(SPLIT_WORDS)
    return sorted(set(names), key=lambda name: (first.index(name) if name in first else len(first), name))


def check_device(device: str, kind: type[SymdataError] = SourceError) -> None:
    """Raise an error of class `kind` unless images can be computed on the device."""
    import torch

    try:
        torch.zeros(1, device=device).cpu()  # the copy fails on the device "meta", which stores no values
    except (RuntimeError, AssertionError) as error:
        raise kind(f"device {device!r} cannot be used here ({first_line(error)}); use --device cpu") from None


def check_split(source: Source, split: str) -> None:
    """Raise SourceError unless the source has this split."""
    if split not in source.splits:
        mend = ""
        if split == "test" and "train" in source.splits:
            _, h, w = source.shape
            size = f" --size {h}" if h == w else ""  # as it was opened: its files may differ in size
            line = f"symdata make {shlex.quote(source.ref)}{size} --test 0.2 --out {source.name}-with-test"
            mend = f"; make a dataset with one, and use that: `{line}`"
        raise SourceError(f"source {source.ref!r} has no split {split!r}; it has {', '.join(source.splits)}{mend}")


def check_indices(source: Source, split: str, indices: np.ndarray) -> np.ndarray:
    """Indices as int64 (n,); raises SourceError unless the split exists and has them all."""
    check_split(source, split)
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    count = source.splits[split]
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        raise refusal(source.ref, f"index {wanted.min()}..{wanted.max()} is outside 0..{count - 1} of {split!r}")
    return wanted
