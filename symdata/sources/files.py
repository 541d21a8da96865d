"""What all sources over files share: facts, labels, names, hashes and licenses."""

import hashlib
import os
import re
import stat
import unicodedata
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
        """Labels from values of one type: the sorted distinct values of all splits are the classes, texts in NFC."""
        values = {split: [composed(value) for value in own] for split, own in values.items()}
        kinds = {type(value): value for own in values.values() for value in own}
        if len(kinds) > 1:
            listing = " and ".join(f"{value!r} ({kind.__name__})" for kind, value in list(kinds.items())[:2])
            raise SourceError(f"labels are of several types, such as {listing}; write all of them as one type")
        distinct = sorted({value for own in values.values() for value in own})
        position = {value: label for label, value in enumerate(distinct)}
        labels = {split: np.array([position[value] for value in own], np.int64) for split, own in values.items()}
        return cls(tuple(map(str, distinct)), labels)


class FileSource(ABC):
    """A `Source` with given facts and labels; a subclass reads the images and sets their shape."""

    shape: tuple[int, int, int]
    omitted: Mapping[str, Any] = {}
    """What was left out, for manifests: `skipped`, images by name with the reason; `passed_over`, files by suffix."""
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
    wrong = {split: values[(values < 0) | (values >= len(classes))] for split, values in labels.items()}
    _refuse_unlabelled(ref, labels, wrong, f"0..{len(classes) - 1}")
    present = np.unique(np.concatenate([np.empty(0, np.int64), *labels.values()]))
    if not present.size:
        raise SourceError(f"source {ref!r} holds no images")
    if present.size < fewest:
        raise SourceError(
            f"source {ref!r} holds one class only ({classes[int(present[0])]!r}); a labelled dataset needs two or "
            "more: add images of another class"
        )


_LARGEST = {2**bits - 1 for bits in (8, 16, 32, 64)}


def check_labelled(ref: str, values: Mapping[str, Sequence[Any]]) -> None:
    """Raise SourceError for values that say "unlabelled" and would become a class of their own.

    They are empty texts; the number -1, unless -1 and 1 are all there is; and a negative number, or the largest of
    an unsigned type (-1 stored in it), that is the only value of a split and occurs in no other. Numbers may be text.
    """
    own = {split: set(found) for split, found in values.items()}
    every = set().union(*own.values())
    if {type(value) for value in every} <= {int}:
        numbers = {value: value for value in every}
    else:
        numbers = {value: int(value) for value in every if re.fullmatch(r"-?\d+", str(value))}
    negative = {value for value, number in numbers.items() if number < 0}
    largest = {value for value, number in numbers.items() if number in _LARGEST}
    none = {value for value in every if value == ""}
    if len(numbers) == len(every - none) and {numbers[value] for value in negative} == {-1}:
        none |= negative if set(numbers.values()) != {-1, 1} else set()
    for split, found in own.items():
        others: set[Any] = set().union(*(found for other, found in own.items() if other != split))
        none |= found if len(found) == 1 and found <= negative | largest and others and not found & others else set()
    wrong = {split: [value for value in found if value in none] for split, found in values.items()} if none else {}
    _refuse_unlabelled(ref, values, wrong, "a class")


def _refuse_unlabelled(ref: str, labels: Mapping[str, Any], wrong: Mapping[str, Any], expected: str) -> None:
    """Raise SourceError for the first split with wrong labels, and say which splits have none."""
    bad = [split for split in wrong if len(wrong[split])]
    if not bad:
        return
    split, rest = bad[0], "+".join(other for other in labels if other not in bad and len(labels[other]))
    whole = all(len(wrong[other]) == len(labels[other]) for other in bad) and rest
    mend = f"leave that split out with {ref + ',splits=' + rest!r}" if whole else "label them or drop those rows"
    raise SourceError(
        f"source {ref!r}: {len(wrong[split])} of {len(labels[split])} images in split {split!r} are unlabelled (label "
        f"{str(wrong[split][0]) or repr('')}, expected {expected}); {mend}"
    )


def omission_notes(source: Mapping[str, Any]) -> list[str]:
    """Sentences about what a source left out, from `FileSource.omitted` or its entry in a manifest."""
    notes = [f"left out: {name} ({reason})" for name, reason in source.get("skipped", {}).items()]
    if others := source.get("passed_over"):
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in list(others.items())[:8])
        more = " ..." if len(others) > 8 else ""
        notes.append(f"passed over, since they are no images: {sum(others.values())} files ({kinds}{more})")
    return notes


def composed(value: Any) -> Any:
    """A text in NFC, where a letter with an accent is one character; anything else as it is."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """A text that can be written as UTF-8: bytes of a file's name that are none become `\\xe9` and the like."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of a character of UTF-16, which JSON may hold
        return text.encode("utf-8", "backslashreplace").decode()


def check_regular(path: Path) -> None:
    """Raise SourceError for a FIFO, a socket, a device or a folder: opening one may wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # whoever opens it says why it cannot be read
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    if not stat.S_ISREG(mode):
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise SourceError(f"{str(path)!r} is {kind}, and only regular files are read; move it elsewhere or remove it")


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes, for folder names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "source"


def place_name(path: Path) -> str:
    """Slug of the last part of a path, resolved so that "." has a name as well."""
    resolved = path.resolve()
    return slug(resolved.stem if resolved.is_file() else resolved.name)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(lines: Iterable[str]) -> str:
    """Fingerprint "sha256:<hex>" of lines `name digest`, in any order."""
    return "sha256:" + hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest()


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
