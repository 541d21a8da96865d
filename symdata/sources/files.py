"""What all sources over files share: facts, labels, names, hashes and licenses."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symdata.errors import SourceError
from symdata.sources.base import Ref, check_split, split_order
from symdata.sources.fit import Fit

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Facts:
    """What is known about a source before its images and labels are read."""

    ref: str
    name: str
    license: str
    fingerprint: str = ""
    """Empty: of the names and bytes of the images."""
    revision: str | None = None

    @classmethod
    def at(cls, ref: Ref, root: Path, files: Iterable[Path] = ()) -> "Facts":
        """The facts of a source at a path, with the fingerprint of these files."""
        hashed = fingerprint_files(root if root.is_dir() else root.parent, files) if files else ""
        return cls(ref.text, place_name(root), license_of(root), hashed)


class Labels(NamedTuple):
    """The classes of a source, and its labels by split, int64 (n,)."""

    classes: tuple[str, ...]
    by_split: dict[str, np.ndarray]

    @classmethod
    def of(cls, values: Mapping[str, Sequence[Any]]) -> "Labels":
        """Labels from values of any type: the sorted distinct values of all splits are the classes."""
        distinct = sorted({value for own in values.values() for value in own})
        position = {value: label for label, value in enumerate(distinct)}
        labels = {split: np.array([position[value] for value in own], np.int64) for split, own in values.items()}
        return cls(tuple(map(str, distinct)), labels)


class FileSource(ABC):
    """A `Source` with given facts and labels; a subclass reads the images and sets their shape."""

    shape: tuple[int, int, int]
    fewest_classes = 2

    def __init__(self, facts: Facts, labels: Labels, fit: Fit) -> None:
        check_labels(facts.ref, *labels, self.fewest_classes)
        self.ref, self.name, self.license, self.classes = facts.ref, facts.name, facts.license, labels.classes
        self.fingerprint, self.revision = facts.fingerprint, facts.revision
        found = labels.by_split
        self._labels = {split: found[split] for split in split_order(found) if len(found[split])}
        self.splits = {split: len(own) for split, own in self._labels.items()}
        self._fit = fit

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int64 (n,)."""
        check_split(self, split)
        return self._labels[split]

    @abstractmethod
    def read(self, split: str, indices: np.ndarray) -> "torch.Tensor":
        """Images at `indices`, uint8 (n, C, H, W)."""


def check_labels(ref: str, classes: tuple[str, ...], labels: Mapping[str, np.ndarray], fewest: int = 2) -> None:
    """Raise SourceError unless there are images, every label is that of a class, and `fewest` classes or more occur."""
    for split, values in labels.items():
        wrong = values[(values < 0) | (values >= len(classes))]
        if len(wrong):
            rest = "+".join(other for other in labels if other != split) or "..."
            raise SourceError(
                f"source {ref!r}: {len(wrong)} of {len(values)} images in split {split!r} are unlabelled (label "
                f"{wrong[0]}, expected 0..{len(classes) - 1}); leave that split out with {ref + ',splits=' + rest!r}"
            )
    present = np.unique(np.concatenate([np.empty(0, np.int64), *labels.values()]))
    if not present.size:
        raise SourceError(f"source {ref!r} holds no images")
    if present.size < fewest:
        raise SourceError(
            f"source {ref!r} holds one class only ({classes[int(present[0])]!r}); a labelled dataset needs two or "
            "more: add images of another class"
        )


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes, for folder names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "source"


def place_name(path: Path) -> str:
    """Slug of the last part of a path, resolved so that "." has a name as well."""
    resolved = path.resolve()
    return slug(resolved.stem if resolved.is_file() else resolved.name)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(lines: Iterable[str]) -> str:
    """Fingerprint "sha256:<hex>" of lines `name digest`, in any order."""
    return "sha256:" + hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def fingerprint_files(root: Path, files: Iterable[Path]) -> str:
    """Fingerprint of the names, relative to `root`, and bytes of files, in any order."""
    lines = []
    for path in files:
        try:
            lines.append(f"{path.relative_to(root).as_posix()} {sha256(path)}")
        except OSError as error:
            raise SourceError(f"cannot read {str(path)!r}: {error.strerror}") from None
    return fingerprint(lines)


def license_of(root: Path) -> str:
    """License of a folder: from the `license:` of its README.md, else "see LICENSE" if it has one, else "unknown"."""
    folder = root if root.is_dir() else root.parent
    card = folder / "README.md"
    if card.is_file():
        front = re.match(r"---\n(.*?)\n---", card.read_text("utf-8", errors="replace"), re.DOTALL)
        if front and (line := re.search(r"^license:[ \t]*['\"]?([^\s'\"]+)", front[1], re.MULTILINE)):
            return line[1]
    return "see LICENSE" if any(folder.glob("LICENSE*")) else "unknown"
