"""WebDataset: tar files whose members are grouped by name, `0001.jpg` with its label in `0001.cls` or `0001.json`.

A label is the text in the member `cls`, else the value `label` of the object in `json`; `,label=NAME` names another
member or key, `,image=NAME` the member of the image where there are several, and `,mask=mask.png` the member of its
mask, which is found without that option where there are no labels. The other keys of `json` are columns.
Files are `train-000000.tar` and so on in a folder, in a folder per split, or one file; a folder of class folders stays
one. Nothing is unpacked to disk: images are read where they lie in the file, and members that are links are refused.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symdata.errors import SourceError, first_line
from symdata.sources import folder
from symdata.sources.annotated import open_masked, unlabelled
from symdata.sources.base import Ref, known_split, refusal
from symdata.sources.encoded import EncodedSource
from symdata.sources.extra import columns_of
from symdata.sources.files import Facts, Labels, check_regular
from symdata.sources.fit import Fit
from symdata.sources.rows import labels_of, other_columns, parse_json

LABEL, CLASS, OBJECT, MASK = "label", "cls", "json", "mask"
"""Key of the label in a JSON object; members of a label and of an object, and the first word of that of a mask."""
_SHARD = re.compile(r".*\d{3,}")
_BLOCK = 512
_MEND = "fetch or write it again"


class Piece(NamedTuple):
    """Where a member lies in its file."""

    offset: int
    size: int


class TarSample(NamedTuple):
    """The members of one name."""

    file: Path
    key: str
    members: dict[str, Piece]
    """By what follows the first dot of the name."""

    def __str__(self) -> str:
        return f"{self.file.name} sample {self.key!r}"


class TarStore:
    """Images at their places in tar files."""

    apart = False

    def __init__(self, places: dict[str, list[tuple[Path, Piece | None, str]]]) -> None:
        """For every split the file, place and name of each image; no place for one that is missing."""
        self.places = places

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Bytes of the members at `indices`."""
        blobs = []
        for index in indices:
            path, piece, name = self.places[split][index]
            if piece is None:
                raise SourceError(f"{path.name} has no member {name!r}; add it or remove the sample")
            blobs.append(_read(path, piece))
        return blobs

    def name(self, split: str, index: int) -> str:
        """File and member of one image, such as "train-000000.tar member '0001.jpg'"."""
        path, _, name = self.places[split][index]
        return f"{path.name} member {name!r}"


def found_at(place: Path) -> bool:
    """Whether this is a tar file, or a folder of them and not of class folders."""
    if place.is_file():
        return place.suffix.lower() == ".tar"
    return place.is_dir() and bool(find_shards(place)) and not folder.found_at(place)


def find_shards(place: Path) -> dict[str, list[Path]]:
    """The tar files of a place by split, in order."""
    if place.is_file():
        return {_split(place): [place]}
    found: dict[str, list[Path]] = {}
    for path in sorted(place.glob("*.tar")):
        if path.is_file() and (_SHARD.fullmatch(path.stem) or known_split(path.stem)):
            found.setdefault(_split(path), []).append(path)
    if not found:
        for path in sorted(place.glob("*/*.tar")):
            if path.is_file() and (split := known_split(path.parent.name)):
                found.setdefault(split, []).append(path)
    return found


def _split(path: Path) -> str:
    """The split that a word of a file's name names: "imagenet-val-0001" is "validation"."""
    return next(filter(None, map(known_split, re.split(r"[-_.]", path.stem))), "train")


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open one tar file, or a folder of them."""
    ref.only("splits", "image", "label", "bits", "background", "mask", "void")
    root = Path(ref.place)
    files = ref.select(find_shards(root))
    samples = {split: [sample for path in paths for sample in read_index(path)] for split, paths in files.items()}
    samples = {split: own for split, own in samples.items() if own}
    objects = {split: [_object(sample) for sample in own] for split, own in samples.items()}
    labelled = _has_labels(ref, samples, objects)
    mask = _mask_ending(ref, samples, labelled)
    images = TarStore({split: [_image(ref, sample, mask) for sample in own] for split, own in samples.items()})
    masks = TarStore({split: [_mask(ref, sample, mask) for sample in own] for split, own in samples.items()})
    if mask and not labelled:
        labels = unlabelled({split: len(own) for split, own in samples.items()})
    else:
        labels = _labels(ref, samples, objects)
    facts = Facts.at(ref, root, [path for paths in files.values() for path in paths])
    every = [row for own in objects.values() for row in own]
    names = dict.fromkeys(name for row in every for name in row if name != ref.options.get("label", LABEL))
    columns = {name: [row.get(name) for row in every] for name in names}
    extra = other_columns(columns, {split: len(own) for split, own in samples.items()}, textual=False)
    return open_masked(facts, labels, images, fit, ref, masks if mask else None, columns_of(extra))


def read_index(path: Path) -> list[TarSample]:
    """The samples of a tar file, in its order.

    Raises:
        SourceError: for a file that is damaged, cut or compressed, and for members that are not plain files.
    """
    found: dict[str, TarSample] = {}
    check_regular(path)
    with _errors_named(path), tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.isdir() or _is_hidden(member.name):
                continue
            if not member.isreg() or member.issparse():
                kind = "link" if member.issym() or member.islnk() else "special file"
                raise SourceError(f"{str(path)!r}: member {member.name!r} is a {kind}; store the file itself")
            key, dot, extension = _parts(member.name)
            if not dot:
                raise SourceError(
                    f"{str(path)!r}: member {member.name!r} has no ending such as .jpg or .cls; leave it out"
                )
            members = found.setdefault(key, TarSample(path, key, {})).members
            if extension in members:
                raise SourceError(f"{str(path)!r} holds the member {member.name!r} twice; {_MEND}")
            members[extension] = Piece(member.offset_data, member.size)
        _check_end(path, tar.offset)
    return list(found.values())


def _parts(name: str) -> tuple[str, str, str]:
    """Name up to the first dot after the last slash, the dot, and what follows it in lower case."""
    above, slash, last = name.rpartition("/")
    stem, dot, extension = last.partition(".")
    return above + slash + stem, dot, extension.lower()


def _is_hidden(name: str) -> bool:
    """Whether a member is no sample: a hidden file, as macOS adds them."""
    parts = (part for part in name.split("/") if part not in (".", ".."))
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def _check_end(path: Path, offset: int) -> None:
    """Raise SourceError unless only zeros follow the last member: `tarfile` takes a damaged header for the end."""
    with path.open("rb") as file:
        file.seek(offset)
        block = file.read(_BLOCK)
        if len(block) < _BLOCK or any(block):
            raise SourceError(f"{str(path)!r} is cut or damaged at byte {offset}; {_MEND}")


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Errors of reading a file become SourceErrors with its name."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        mend = "unzip it first" if _is_gzip(path) else _MEND
        raise SourceError(f"{str(path)!r} is not a readable tar file ({first_line(error)}); {mend}") from None


def _is_gzip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"\x1f\x8b"
    except OSError:
        return False


def _read(path: Path, piece: Piece) -> bytes:
    with _errors_named(path), path.open("rb") as file:
        file.seek(piece.offset)
        return file.read(piece.size)


def _object(sample: TarSample) -> dict[str, Any]:
    """The JSON object of a sample; empty if it has none."""
    if OBJECT not in sample.members:
        return {}
    try:
        found = parse_json(_read(sample.file, sample.members[OBJECT]).decode())
    except ValueError as error:
        raise SourceError(f"{sample}: its {OBJECT} is not JSON ({first_line(error)}); write it again") from None
    if not isinstance(found, dict):
        raise SourceError(f"{sample}: its {OBJECT} is no object such as {json.dumps({LABEL: 'cat'})}; write it again")
    return found


def _image(ref: Ref, sample: TarSample, mask: str) -> tuple[Path, Piece, str]:
    """File, place and name of the image of a sample, which is another member than its mask."""
    endings = [ending for ending in sample.members if ending != mask]
    chosen = [ref.options["image"]] if "image" in ref.options else list(filter(_is_image, endings))
    chosen = [ending for ending in chosen if "." not in ending] or chosen  # jpg before mask.jpg
    if len(chosen) != 1 or chosen[0] not in endings:
        problem = f"has {len(chosen)} images" if len(chosen) > 1 else f"has no image {', '.join(chosen)}".rstrip()
        raise refusal(ref.text, f"{sample} {problem}, its members are {', '.join(endings)}; name it with ,image=ENDING")
    return sample.file, sample.members[chosen[0]], f"{sample.key}.{chosen[0]}"


def _is_image(ending: str) -> bool:
    return f".{ending.rpartition('.')[2]}" in folder.suffixes()


def _mask_ending(ref: Ref, samples: dict[str, list[TarSample]], labelled: bool) -> str:
    """The ending of the members of masks: the one that is named, or without labels `mask.png`; empty if none is."""
    if "mask" in ref.options:
        return ref.options["mask"].lower()
    every = {ending for own in samples.values() for sample in own for ending in sample.members}
    found = sorted(ending for ending in every if ending.partition(".")[0] == MASK and _is_image(ending))
    if labelled or not found:
        return ""
    if len(found) > 1:
        raise refusal(ref.text, f"masks could be {' or '.join(found)}; name their ending with ,mask=ENDING")
    return found[0]


def _mask(ref: Ref, sample: TarSample, mask: str) -> tuple[Path, Piece | None, str]:
    """File, place and name of the mask of a sample."""
    piece = sample.members.get(mask)
    if mask and piece is None and not ref.thorough:
        have = ", ".join(sample.members)
        raise refusal(ref.text, f"{sample} has no mask {mask}, its members are {have}; add it or remove the sample")
    return sample.file, piece, f"{sample.key}.{mask}"


def _has_labels(ref: Ref, samples: dict[str, list[TarSample]], objects: dict[str, list[dict[str, Any]]]) -> bool:
    """Whether a label is named, or any sample has one under its usual name."""
    members = any(CLASS in sample.members for own in samples.values() for sample in own)
    return members or "label" in ref.options or any(LABEL in row for own in objects.values() for row in own)


def _labels(ref: Ref, samples: dict[str, list[TarSample]], objects: dict[str, list[dict[str, Any]]]) -> Labels:
    cells = {
        split: [_label(ref, *both) for both in zip(own, objects[split], strict=True)] for split, own in samples.items()
    }
    textual = not any(_is_key(ref, sample) for own in samples.values() for sample in own)
    return labels_of(ref.text, cells, lambda split, row: str(samples[split][row]), textual)


def _is_key(ref: Ref, sample: TarSample) -> bool:
    """Whether the label of a sample is a value of its JSON object."""
    return ref.options.get("label", CLASS) not in sample.members


def _label(ref: Ref, sample: TarSample, row: dict[str, Any]) -> Any:
    name = ref.options.get("label", CLASS)
    if name in sample.members:
        try:
            return _read(sample.file, sample.members[name]).decode().strip()
        except UnicodeDecodeError:
            raise refusal(ref.text, f"the member {name!r} of {sample} is not text; name another with ,label=") from None
    key = ref.options.get("label", LABEL)
    if key not in row:
        have = ", ".join([*sample.members, *row])
        raise refusal(
            ref.text, f"{sample} has no label: no member {name!r} and no key {key!r} in {OBJECT}; it has {have}"
        )
    return row[key]
