"""Images and labels in two files for each split, in a folder that may hold several sets of them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from symdata.errors import SourceError
from symdata.sources.arrays import ArraySource, Images, check_counts
from symdata.sources.base import Ref
from symdata.sources.files import Facts, Labels, check_labelled
from symdata.sources.fit import Fit


class Role(NamedTuple):
    """What a file holds, by its name."""

    set: str
    """`emnist-letters` of emnist-letters-train-images-idx3-ubyte; often empty."""
    split: str
    kind: str
    """`images` or `labels`."""


class PairFormat(NamedTuple):
    """A format of pairs of files."""

    name: str
    """Of its files, in messages."""
    role: Callable[[str], Role | None]
    """The role of a file by its name; None if it has none."""
    partner: Callable[[str, str], str]
    """The name of the other file of a pair, from the name of one and the kind of the other."""
    read_images: Callable[[Path], Images]
    read_labels: Callable[[Path], list[Any]]


Sets = dict[str, dict[str, dict[str, Path]]]
"""Set -> split -> `images` or `labels` -> file."""


def find_sets(folder: Path, role: Callable[[str], Role | None]) -> Sets:
    """The pairs of files in a folder."""
    found: Sets = {}
    for path in sorted(folder.iterdir()):
        if (part := role(path.name)) and path.is_file():
            files = found.setdefault(part.set, {}).setdefault(part.split, {})
            if other := files.get(part.kind):
                raise SourceError(f"{str(folder)!r} holds both {other.name!r} and {path.name!r}; remove one of them")
            files[part.kind] = path
    return found


def has_pairs(place: Path, role: Callable[[str], Role | None]) -> bool:
    """Whether a folder holds files of pairs, or a set of them has this name."""
    if place.is_dir():
        return bool(find_sets(place, role))
    return not place.exists() and place.parent.is_dir() and place.name in find_sets(place.parent, role)


def open_pairs(
    ref: Ref, form: PairFormat, fit: Fit, names: Callable[[Path, str, tuple[str, ...]], Iterable[str]] | None = None
) -> ArraySource:
    """Open a folder of pairs, or one set of it by its name.

    Args:
        ref: the reference.
        form: the format.
        fit: target size of the images.
        names: the names of the classes, from the folder, the set and the labels as text.
    """
    place = Path(ref.place)
    folder = place if place.is_dir() else place.parent
    sets = find_sets(folder, form.role)
    if place.is_dir() and len(sets) > 1:
        listing = ", ".join(str(folder / name) for name in sets)
        raise SourceError(f"{ref.place!r} holds {len(sets)} sets of {form.name}; name one of them: {listing}")
    name = next(iter(sets)) if place.is_dir() else place.name
    for split, files in sets[name].items():
        _check_pair(folder, split, files, form)
    pairs = ref.select(sets[name])
    images = {split: form.read_images(files["images"]) for split, files in pairs.items()}
    raw = {split: form.read_labels(files["labels"]) for split, files in pairs.items()}
    for split, files in pairs.items():
        both = (repr(files["images"].name), repr(files["labels"].name))
        check_counts(images[split], raw[split], both, f" (in {str(folder)!r}); take both files from the same release")
    every = [path for files in pairs.values() for path in files.values()]
    check_labelled(ref.text, raw)
    classes, labels = Labels.of(raw)
    named = tuple(names(folder, name, classes)) if names else classes
    return ArraySource(Facts.at(ref, folder / name, every), Labels(named, labels), images, fit)


def _check_pair(folder: Path, split: str, files: dict[str, Path], form: PairFormat) -> None:
    """Raise SourceError unless a split has images and labels."""
    for kind in ("images", "labels"):
        if kind not in files:
            have = next(iter(files.values())).name
            wanted = form.partner(have, kind)
            raise SourceError(
                f"{str(folder)!r}: the {kind} of split {split!r} are missing: {have!r} wants {wanted!r} beside it"
            )
