"""What every source of images shares: the `Source` contract, references, split names, labels, fingerprints.

A source gives upright images and their labels, split by split. It is deterministic: listings are sorted and `read` is a
pure function of (split, index), whatever else stands in the batch.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from symdata.errors import SourceError, SymdataError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "t10k", "testing"),
}
REF_OPTIONS = ("image", "label", "config", "splits", "stream")


@runtime_checkable
class Source(Protocol):
    """Upright labelled images, as the builder reads them. Any object with these members will do."""

    @property
    def ref(self) -> str:
        """The text that opens the source again: `open_source(ref, size=..., resize=...)`."""
        ...

    @property
    def name(self) -> str:
        """Short slug for folder names."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label."""
        ...

    @property
    def license(self) -> str:
        """SPDX id or a short honest text, "unknown" included."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the content, as "sha256:<hex>"."""
        ...

    @property
    def revision(self) -> str | None:
        """Commit of a Hub source, else None."""
        ...

    @property
    def splits(self) -> dict[str, int]:
        """Split name to number of images, in the order train, validation, test, others."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image that `read` gives; C is 1 or 3."""
        ...

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int64 (n,)."""
        ...

    def read(self, split: str, indices: np.ndarray) -> "torch.Tensor":
        """Images at `indices` of a split, uint8 (len(indices), C, H, W), contiguous."""
        ...


@dataclass(frozen=True)
class Ref:
    """A source reference, taken apart: `PLACE[,image=COLUMN][,label=COLUMN][,config=NAME][,splits=A+B][,stream=ROWS]`.

    The options come last and need no shell quoting. Which of them a source understands is up to the source.
    """

    text: str
    """The reference as it was given."""
    place: str
    """The reference without its options: a path, or `user/name[@revision]`."""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """Split the options off; raises SourceError for an option that does not exist."""
        place, *pieces = re.split(r",(?=[a-z]+=)", text)
        options = dict(piece.split("=", 1) for piece in pieces)
        if bad := [key for key in options if key not in REF_OPTIONS]:
            known = ", ".join(f"{key}=..." for key in REF_OPTIONS)
            raise SourceError(f"source {text!r}: no option {bad[0]!r}; the options are {known}.")
        return cls(text, place, options)

    def only(self, *allowed: str) -> None:
        """Refuse options that this kind of source has no use for."""
        if bad := [key for key in self.options if key not in allowed]:
            raise SourceError(f"source {self.text!r}: this kind of source takes no {bad[0]}= option; leave it out.")

    def select(self, found: Mapping[str, T]) -> dict[str, T]:
        """The splits that `splits=A+B` asks for (all, if it is absent), in canonical order."""
        wanted = self.options["splits"].split("+") if "splits" in self.options else list(found)
        if bad := [name for name in wanted if name not in found]:
            raise SourceError(f"source {self.text!r}: no split {bad[0]!r}; it has {', '.join(split_order(found))}.")
        return {name: found[name] for name in split_order(wanted)}


def known_split(word: str) -> str | None:
    """The canonical split that a word names ("val" -> "validation"), or None."""
    lowered = word.lower()
    return next((split for split, words in SPLIT_WORDS.items() if lowered in words), None)


def split_name(stem: str) -> str:
    """Split named by a file or folder name: its leading word, canonical where it is known.

    "t10k-images" -> "test", "train-00000-of-00002" -> "train", "holdout-4000" -> "holdout".
    """
    if split := known_split(stem.split("-")[0].split("_")[0].split(".")[0]):
        return split
    word = re.match(r"[A-Za-z]+", stem)
    return (known_split(word[0]) or word[0].lower()) if word else "train"


def split_order(names: Iterable[str]) -> list[str]:
    """Train, validation, test, then the others alphabetically."""
    first = list(SPLIT_WORDS)
    return sorted(set(names), key=lambda name: (first.index(name) if name in first else len(first), name))


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes, for folder names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "source"


def place_name(path: Path) -> str:
    """Slug of a path's last part, resolved so that "." has a name as well."""
    resolved = path.resolve()
    return slug(resolved.stem if resolved.is_file() else resolved.name)


def file_sha256(path: Path) -> str:
    """Hex sha256 of one file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror}.") from None


def fingerprint(lines: Iterable[str]) -> str:
    """Fingerprint of sorted `name digest` lines: "sha256:<hex>"."""
    return "sha256:" + hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def fingerprint_files(root: Path, files: Iterable[Path]) -> str:
    """Fingerprint of the names (relative to `root`) and bytes of files; their order does not matter."""
    return fingerprint(f"{path.relative_to(root).as_posix()} {file_sha256(path)}" for path in files)


def license_of(root: Path) -> str:
    """License of a folder: the `license:` of its README.md, else a pointer to its LICENSE file, else "unknown"."""
    folder = root if root.is_dir() else root.parent
    card = folder / "README.md"
    if card.is_file():
        front = re.match(r"---\n(.*?)\n---", card.read_text("utf-8", errors="replace"), re.DOTALL)
        if front and (line := re.search(r"^license:[ \t]*['\"]?([^\s'\"]+)", front[1], re.MULTILINE)):
            return line[1]
    return "see LICENSE" if any(folder.glob("LICENSE*")) else "unknown"


def check_labels(ref: str, classes: tuple[str, ...], labels: Mapping[str, np.ndarray]) -> None:
    """Raise SourceError unless there are images, every label names a class, and at least two classes occur."""
    for split, values in labels.items():
        if bad := int(((values < 0) | (values >= len(classes))).sum()):
            rest = "+".join(other for other in labels if other != split) or "..."
            value = int(values[(values < 0) | (values >= len(classes))][0])
            raise SourceError(
                f"source {ref!r}: {bad} of {len(values)} images in split {split!r} are unlabelled (label {value}, "
                f"expected 0..{len(classes) - 1}); leave that split out with {ref + ',splits=' + rest!r}."
            )
    present = np.unique(np.concatenate([np.empty(0, np.int64), *labels.values()]))
    if not present.size:
        raise SourceError(f"source {ref!r} holds no images.")
    if present.size < 2:
        raise SourceError(
            f"source {ref!r} holds one class only ({classes[int(present[0])]!r}); a labelled dataset needs two or "
            "more: add images of another class."
        )


def check_device(device: str, kind: type[SymdataError] = SourceError) -> None:
    """Raise an error of class `kind` unless images can be computed on the device."""
    import torch

    try:
        torch.zeros(1, device=device).cpu()  # the copy fails on the device "meta", which stores no values
    except (RuntimeError, AssertionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise kind(f"device {device!r} cannot be used here ({reason}); use --device cpu") from None


def check_split(source: Source, split: str) -> str:
    """The split's name, after a check that it exists."""
    if split not in source.splits:
        raise SourceError(f"source {source.ref!r} has no split {split!r}; it has {', '.join(source.splits)}.")
    return split


def check_indices(source: Source, split: str, indices: np.ndarray) -> np.ndarray:
    """Indices as int64 (n,), after a check that the split exists and holds them."""
    check_split(source, split)
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    count = source.splits[split]
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        raise SourceError(
            f"source {source.ref!r}: index {wanted.min()}..{wanted.max()} is outside 0..{count - 1} of {split!r}."
        )
    return wanted
