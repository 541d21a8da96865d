"""Sources of encoded images, which are decoded when they are read: memory does not grow with their number."""

import hashlib
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch

from symdata.errors import MixedSizesError, SourceError
from symdata.sources.base import Ref, check_indices, check_split, refusal
from symdata.sources.decode import Decoding, Header, decode, probe
from symdata.sources.extra import NO_EXTRA_COLUMNS, ExtraColumns
from symdata.sources.files import Facts, FileSource, Labels, check_labels, fingerprint
from symdata.sources.fit import Fit

T = TypeVar("T")
Looked = tuple[Header | str, str]
"""The header of an image, or why it cannot be used; and the hash of its bytes, or nothing."""
Faults = Mapping[tuple[str, int], str]
"""Split and index of images that cannot be used -> the reason."""

_BATCH = 256
"""Images whose encoded bytes are in memory at a time while all headers are read."""


class Store(Protocol):
    """Encoded images by split and index."""

    apart: bool
    """Whether images lie in files beside those of the source's own fingerprint, so that their bytes are hashed too."""

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded bytes of the images at `indices`, in that order."""

    def name(self, split: str, index: int) -> str:
        """Name of an image within the source, for messages: its file or its row."""


class EncodedSource(FileSource):
    """A `Source` over a `Store`. Opening it reads the header of every image, so that bad images are found at once.

    If the reference is to be checked, or bad images may be left out, opening it decodes every image, and `more_faults`
    says what is wrong with the annotations of those that can be decoded.

    It can be pickled: worker processes need not open it again.
    """

    tables: Sequence[str] = ()
    """Names of tables beside the images, of which none was read."""

    def __init__(
        self,
        facts: Facts,
        labels: Labels,
        store: Store,
        fit: Fit,
        ref: Ref,
        extra: ExtraColumns = NO_EXTRA_COLUMNS,
        more_faults: Callable[[Faults], Faults] = lambda known: {},
    ) -> None:
        super().__init__(facts, labels, fit)
        self._store, self._how, self._extra = store, Decoding.of(ref), extra
        self._kept: dict[str, np.ndarray] = {}
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._stored_sizes: dict[str, np.ndarray] = {}  # (n, 2): height and width, as stored, of each image
        headers, digests = self._survey(facts, ref, more_faults)
        self.fingerprint = fingerprint(filter(None, [facts.fingerprint, *digests])) if digests else facts.fingerprint
        self.shape = (3 if any(header.colour for header in headers) else 1, *self._common_size(headers))

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images at `indices`, uint8 (n, C, H, W); raises SourceError for an image that cannot be decoded."""
        wanted = check_indices(self, split, indices)
        stored = self.stored_rows(split, wanted)
        images, by_size = list(self._each(self._decode, split, stored)), defaultdict(list)
        for position, image in enumerate(images):
            by_size[image.shape[:2]].append(position)
        out = torch.empty((len(wanted), *self.shape), dtype=torch.uint8)
        for size, positions in by_size.items():
            if self._fit.size is None and size != self.shape[1:]:
                name = self._store.name(split, stored[positions[0]])
                raise refusal(self.ref, f"{name} changed its size since the source was opened; open it again")
            stack = torch.from_numpy(np.stack([images[i] for i in positions])).permute(0, 3, 1, 2)  # (k, C, h, w)
            out[positions] = self._fit(stack)
        return out

    def stored_rows(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Where the store has the images at `indices`: further on, if images before them were left out."""
        return self._kept[split][indices] if split in self._kept else indices

    def _decode(self, blob: bytes) -> np.ndarray:
        return decode(blob, self.shape[0], self._how)

    def extra_columns(self, split: str) -> pa.Table:
        """The columns of a split beside image and label that a dataset keeps; row i belongs to image i."""
        check_split(self, split)
        table = self._extra.table(split)
        return table.take(self._kept[split]) if split in self._kept and table.num_columns else table

    @property
    def left_out_columns(self) -> dict[str, str]:
        """Columns that a dataset does not keep -> the reason."""
        return dict(self._extra.left_out)

    def _each(self, function: Callable[[bytes], T], split: str, indices: np.ndarray) -> Iterator[T]:
        """A function of the encoded bytes of some images; its SourceError is completed by the image's name."""
        for index, blob in zip(indices, self._store.fetch(split, indices), strict=True):
            try:
                yield function(blob)
            except SourceError as error:
                name = self._store.name(split, index)
                mend = "replace or remove it"
                if function == self._decode:  # opening has not found it: there may be more
                    mend += f", and find all such images with `symdata make {shlex.quote(self.ref)} --dry-run --check`"
                raise refusal(self.ref, f"{name} cannot be used: {error}; {mend}") from None

    def _survey(
        self, facts: Facts, ref: Ref, more_faults: Callable[[Faults], Faults]
    ) -> tuple[dict[Header, tuple[str, int]], list[str]]:
        """Each kind of header with the first image that has it, and lines `name digest` if they are needed."""
        kinds: dict[str, list[Header | None]] = {}
        same: dict[Header, Header] = {}
        digests, faults = [], {}
        look = partial(_look, how=self._how, hashed=self._store.apart or not facts.fingerprint, whole=ref.thorough)
        for split, count in self.splits.items():
            kinds[split] = [None] * count
            self._stored_sizes[split] = np.empty((count, 2), np.int32)
            for start in range(0, count, _BATCH):
                batch = np.arange(start, min(start + _BATCH, count))
                found = self._all(look, split, batch) if ref.thorough else self._each(look, split, batch)
                for index, (header, digest) in zip(batch.tolist(), found, strict=True):
                    if isinstance(header, Header):
                        kinds[split][index] = same.setdefault(header, header)
                        self._stored_sizes[split][index] = header.height, header.width
                    else:
                        faults[split, index] = header
                    if digest:
                        digests.append(f"{split} {self._store.name(split, index)} {digest}")
        if ref.thorough:
            faults |= more_faults(faults)
        headers: dict[Header, tuple[str, int]] = {}
        for split, own in kinds.items():
            for index, kind in enumerate(own):
                if kind is not None and (split, index) not in faults:
                    headers.setdefault(kind, (split, index))
                    self._sizes[kind.height, kind.width] += 1
        if faults:
            self._leave_out(faults, ref.skip_bad)
        return headers, digests

    def _all(self, look: "partial[Looked]", split: str, indices: np.ndarray) -> Iterator[Looked]:
        """What `look` finds in some images, fetched one by one; for one that cannot be used, the reason."""
        for index in indices:
            digest = ""
            try:
                (blob,) = self._store.fetch(split, np.array([index]))
                digest = hashlib.sha256(blob).hexdigest() if look.keywords["hashed"] else ""
                yield look(blob)
            except SourceError as error:
                yield str(error), digest

    def _leave_out(self, faults: Faults, most: int) -> None:
        """Leave out images, at most so many; raises SourceError, with all their names, if there are more."""
        reasons = {self._store.name(split, index): reason for (split, index), reason in faults.items()}
        if len(faults) > most:
            listing = "; ".join(f"{name} ({reason})" for name, reason in reasons.items())
            allowed = f", and {most} may be left out" if most else ""
            raise refusal(
                self.ref,
                f"{len(faults)} of {sum(self.splits.values())} images cannot be used{allowed}: {listing}; replace or "
                f"remove them, or leave them out with --skip-bad {len(faults)}",
            )
        self.omitted = {**self.omitted, "skipped": reasons}
        for split in {split for split, _ in faults}:
            good = np.array([(split, index) not in faults for index in range(self.splits[split])], bool)
            self._kept[split] = np.flatnonzero(good)
            self._stored_sizes[split] = self._stored_sizes[split][good]
        labels = {split: own[self._kept[split]] if split in self._kept else own for split, own in self._labels.items()}
        check_labels(self.ref, self.classes, labels, self.fewest_classes)
        self._labels = {split: own for split, own in labels.items() if len(own)}
        self.splits = {split: len(own) for split, own in self._labels.items()}

    def _common_size(self, headers: dict[Header, tuple[str, int]]) -> tuple[int, int]:
        sizes = {(h.height, h.width): where for h, where in headers.items()}
        if self._fit.size is None and len(sizes) > 1:
            (first, one), (last, other) = min(sizes.items()), max(sizes.items())
            raise MixedSizesError(
                f"source {self.ref!r} holds images of {len(sizes)} sizes, such as {first[0]}x{first[1]} "
                f"({self._store.name(*one)}) and {last[0]}x{last[1]} ({self._store.name(*other)}); "
                f"give one, as in --size {min(first)}",
                dict(self._sizes),
            )
        return {self._fit.shape(*size) for size in sorted(sizes)}.pop()


def _look(blob: bytes, how: Decoding, hashed: bool, whole: bool) -> Looked:
    """The header of an image, and the hash of its bytes if it is wanted; if `whole`, it is decoded too."""
    header = probe(blob, how)
    if whole and (size := decode(blob, how=how).shape[:2]) != header[:2]:
        raise SourceError(f"it is damaged (its header says {header.height}x{header.width}, it is {size[0]}x{size[1]})")
    return header, hashlib.sha256(blob).hexdigest() if hashed else ""
