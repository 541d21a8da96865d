"""numpy files: one `.npz` with the arrays of every split, or two files for each split, `.npy` or `.npz`.

An `.npz` holds `train_images` and `train_labels`, and the same for `val` and `test`, as MedMNIST does; `x_train` and
`y_train`, as Keras's mnist.npz; or `images` and `labels`. Pairs of files are named alike: `x_train.npy` and
`y_train.npy`, or `kmnist-train-imgs.npz` and `kmnist-train-labels.npz` with one array in each. Labels are (n,) or
(n, 1). An `.npy` of images is mapped into memory and not read as a whole. Pickled arrays are refused: to read one runs
code of the file. A folder of class folders stays one, whatever numpy files lie in it.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from symdata.errors import SourceError, first_line
from symdata.sources import folder
from symdata.sources.arrays import ArraySource, Images, ImageStack, check_counts, image_stack, label_values
from symdata.sources.base import Ref, known_split
from symdata.sources.files import Facts, Labels, check_labelled
from symdata.sources.fit import Fit
from symdata.sources.pairs import PairFormat, Role, has_pairs, open_pairs

SUFFIXES = (".npz", ".npy")
_PARTNERS = {"images": "labels", "imgs": "labels", "image": "label", "img": "label", "x": "y"}
_WORDS = dict.fromkeys(_PARTNERS, "images") | dict.fromkeys(_PARTNERS.values(), "labels")
_MEND = "np.savez_compressed('data.npz', train_images=images, train_labels=labels)"


def found_at(place: Path) -> bool:
    """Whether this is a numpy file, or a folder of them and not of class folders."""
    if place.is_file():
        return place.suffix.lower() in SUFFIXES
    return (has_pairs(place, _file_role) or bool(_whole(place))) and not folder.found_at(place)


def open_ref(ref: Ref, fit: Fit, device: str) -> ArraySource:
    """Open an `.npz` file, a folder of numpy files, or one set of them by its prefix (`data/kmnist`)."""
    ref.only("splits")
    place = Path(ref.place)
    if not place.is_file() and has_pairs(place, _file_role):
        return open_pairs(ref, PairFormat("numpy files", _file_role, _partner, _single_images, _single_labels), fit)
    files = [place] if place.is_file() else _whole(place)
    if len(files) > 1:
        listing = ", ".join(map(str, files))
        raise SourceError(f"{ref.place!r} holds {len(files)} numpy files; name one of them: {listing}")
    path = files[0]
    with _arrays(path) as found:
        images, labels = _split_arrays(ref, found, repr(str(path)))
    return ArraySource(Facts.at(ref, path, [path]), labels, images, fit)


def pair_keys(arrays: Mapping[str, Any], name: str) -> dict[str, tuple[str, str]]:
    """The names of the images and the labels of every split, from arrays by name.

    Raises:
        SourceError: if one of a pair is missing, or all are; it begins with the `name` of the arrays.
    """
    keys: dict[str, dict[str, str]] = {}
    for key in arrays:
        if role := key_role(key):
            other = keys.setdefault(role.split, {}).setdefault(role.kind, key)
            if other != key:
                raise SourceError(f"{name} has {other!r} and {key!r} for one split; save one of them, as with {_MEND}")
    if not keys:
        listing = ", ".join(list(arrays)[:8]) or "none"
        raise SourceError(f"{name} holds the arrays {listing}; expected train_images and train_labels, as from {_MEND}")
    for both in keys.values():
        if len(both) == 1:
            ((kind, have),) = both.items()
            other = _partner(have, "labels" if kind == "images" else "images")
            raise SourceError(f"{name} has {have!r} and no {other!r}; save both in it, as with {_MEND}")
    return {split: (both["images"], both["labels"]) for split, both in keys.items()}


def _split_arrays(ref: Ref, arrays: Mapping[str, np.ndarray], name: str) -> tuple[dict[str, Images], Labels]:
    """The images and labels of the splits that a reference names."""
    images: dict[str, Images] = {}
    raw = {}
    for split, (pixels, classes) in ref.select(pair_keys(arrays, name)).items():
        images[split] = image_stack(arrays[pixels], f"{pixels!r} in {name}")
        raw[split] = label_values(arrays[classes], f"{classes!r} in {name}")
        check_counts(images[split], raw[split], (repr(pixels), repr(classes)), f" (in {name}); save them again")
    check_labelled(ref.text, raw)
    return images, Labels.of(raw)


def key_role(name: str, whole: bool = True) -> Role | None:
    """What an array holds, by its name: `train_images`, `x_train`, `labels`; None if it is neither images nor labels.

    What is left of the name is that of the split, or of the set if not `whole`.

    Example:
        >>> key_role("val_images"), key_role("kmnist-test-labels", whole=False)
        (Role(set='', split='validation', kind='images'), Role(set='kmnist', split='test', kind='labels'))
    """
    words = re.split(r"[-_.]", name)
    kinds = [word for word in words if word.lower() in _WORDS]
    splits = [word for word in words if known_split(word)]
    if len(kinds) != 1 or len(splits) > 1:
        return None
    rest = "-".join(word for word in words if word not in (*kinds, *splits))
    split = known_split(splits[0]) if splits else None
    if whole and rest and split:
        return None
    return Role("" if whole else rest, split or (rest.lower() if whole and rest else "train"), _WORDS[kinds[0].lower()])


def _file_role(name: str) -> Role | None:
    path = Path(name)
    return key_role(path.stem, whole=False) if path.suffix.lower() in SUFFIXES else None


def _partner(have: str, kind: str) -> str:
    """The name of the other array or file of a pair."""
    other = _PARTNERS if kind == "labels" else {label: image for image, label in reversed(_PARTNERS.items())}
    words = re.split(r"([-_.])", have)
    swapped = {word: other[word.lower()] for word in words if word.lower() in other}
    return "".join(swapped.get(word, word) for word in words)


def _whole(place: Path) -> list[Path]:
    """The `.npz` files of a folder that hold images and labels."""
    return (
        [path for path in sorted(place.glob("*.npz")) if path.is_file() and _has_pair(path)] if place.is_dir() else []
    )


def _has_pair(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as packed:
            names = [name.removesuffix(".npy") for name in packed.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    roles = [role for name in names if (role := key_role(name))]
    return any(Role(role.set, role.split, "labels") in roles for role in roles if role.kind == "images")


class _Arrays(Mapping[str, np.ndarray]):
    """The arrays of an `.npz` file, each read when it is asked for; errors become SourceErrors."""

    def __init__(self, path: Path, packed: Any) -> None:
        self._path, self._packed = path, packed

    def __getitem__(self, key: str) -> np.ndarray:
        with _errors_named(self._path, f"its array {key!r}"):
            found = self._packed[key]
        if not isinstance(found, np.ndarray):
            raise SourceError(f"{str(self._path)!r}: {key!r} is not an array of numpy; write it again with {_MEND}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed.files)

    def __len__(self) -> int:
        return len(self._packed.files)


@contextmanager
def _arrays(path: Path) -> Iterator[_Arrays]:
    """The arrays of an `.npz` file."""
    if path.suffix.lower() == ".npy":
        role = _file_role(path.name)
        other = _partner(path.name, "labels" if role.kind == "images" else "images") if role else None
        mend = f"name their folder, with {other!r} in it" if other else f"save both with {_MEND}"
        raise SourceError(f"{str(path)!r} holds one array, and images and labels are two; {mend}")
    with ExitStack() as stack:
        with _errors_named(path, "it"):
            file = stack.enter_context(path.open("rb"))  # np.load leaves a file open that it cannot read
            packed = np.load(file, allow_pickle=False)
        if not isinstance(packed, np.lib.npyio.NpzFile):
            raise SourceError(f"{str(path)!r} is no .npz file, it holds one array; write it again with {_MEND}")
        yield _Arrays(path, stack.enter_context(packed))


def _single_images(path: Path) -> ImageStack:
    return image_stack(_single(path, mapped=True), repr(str(path)))


def _single_labels(path: Path) -> list[Any]:
    return label_values(_single(path), repr(str(path)))


def _single(path: Path, mapped: bool = False) -> np.ndarray:
    """The only array of a file; that of an `.npy` file is mapped into memory if it may be."""
    if path.suffix.lower() == ".npz":
        with _arrays(path) as found:
            if len(found) != 1:
                raise SourceError(f"{str(path)!r} holds the arrays {', '.join(found)}; expected one, as in x_train.npy")
            return next(iter(found.values()))
    with _errors_named(path, "it"):
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise SourceError(f"{str(path)!r} is no .npy file; write it again with np.save")
    return array


@contextmanager
def _errors_named(path: Path, what: str) -> Iterator[None]:
    """Errors of reading a file become SourceErrors with its name."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (a header is parsed as Python, which raises errors of many kinds)
        if "Object arrays" in str(error) or "Python objects" in str(error):
            reason, mend = f"{what} is pickled, and reading that would run code", f"write plain arrays with {_MEND}"
        else:
            known = first_line(error)[:200] if "pickle" not in str(error) else "it is of another format"
            reason, mend = f"{what} cannot be read ({known})", "fetch or write it again"
        raise SourceError(f"{str(path)!r} is not a readable numpy file: {reason}; {mend}") from None
